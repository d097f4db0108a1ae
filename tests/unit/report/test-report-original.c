/* plugin/report/: what may convict - the shape of a report and its originals. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "report/report.h"
#include "report/report-limits.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define DAEMON "From: MAILER-DAEMON@mx.example.com\n" \
	"To: jane@example.org\nMessage-ID: <report@mx.example.com>\n" \
	"Subject: Undelivered Mail Returned to Sender\n"
#define HUMAN "From: Joe <joe@example.com>\nTo: jane@example.org\n" \
	"Message-ID: <letter@example.com>\nSubject: Delivery failure\n"
#define REPORT "Content-Type: multipart/report; " \
	"report-type=delivery-status; boundary=b\n\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"
#define NOTICE "--b\n\nYour mail could not be delivered.\n"
#define STATUS "--b\nContent-Type: message/delivery-status\n\n" \
	"Reporting-MTA: dns; mx.example.com\n\n" \
	"Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n"
#define BARE_STATUS "--b\nContent-Type: message/delivery-status\n\n" \
	"Reporting-MTA: dns; mx.example.com\nArrival-Date: today\n\n"
#define FIELDS "From: Jane <Jane@example.org>\nTo: bob@example.net\nSubject: Hi\n"
#define PART "--b\nContent-Type: message/rfc822\n\n"
#define RETURNED PART FIELDS "Message-ID: <one@example.org>\n\nHi\n"
#define SECOND PART FIELDS "Message-ID: <two@example.org>\n\nHi\n"
#define BLOCK FIELDS "Message-ID: <one@example.org>\n\n"
#define END "--b--\n"

static pool_t pool;

static void
read_message(const char *message, enum report_sender sender,
	     struct report *report_r)
{
	struct istream *input =
		i_stream_create_from_data(message, strlen(message));
	const char *error;

	assert_int_not_equal(report_read(pool, input, sender, report_r,
					 &error), -1);
	i_stream_unref(&input);
}

/*
 * Shape
 */

static const struct {
	const char *name;
	const char *message;
	/* with a null sender, and with an address as sender */
	enum report_shape null_sender, address;
} shapes[] = {
	{ "RFC 3464", DAEMON REPORT NOTICE STATUS RETURNED END,
	  REPORT_SHAPE_STRUCTURED, REPORT_SHAPE_STRUCTURED },
	{ "delivery-status in multipart/mixed",
	  DAEMON MIXED NOTICE STATUS RETURNED END,
	  REPORT_SHAPE_STRUCTURED, REPORT_SHAPE_WORDED },
	{ "a status without recipient", DAEMON REPORT NOTICE BARE_STATUS RETURNED END,
	  REPORT_SHAPE_DAEMON, REPORT_SHAPE_WORDED },
	{ "a recipient without action or status", HUMAN REPORT NOTICE
	  "--b\nContent-Type: message/delivery-status\n\n"
	  "Final-Recipient: rfc822; bob@example.net\n\n" RETURNED END,
	  REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
	{ "text/delivery-status", HUMAN REPORT NOTICE
	  "--b\nContent-Type: text/delivery-status\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n"
	  RETURNED END, REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
	{ "a part without type behind a status without recipient",
	  DAEMON REPORT NOTICE BARE_STATUS
	  "--b\n\nFinal-Recipient: rfc822; bob@example.net\nAction: failed\n\n"
	  RETURNED END, REPORT_SHAPE_DAEMON, REPORT_SHAPE_WORDED },
	{ "delivery-status fields in a text", HUMAN
	  "\nThis failed:\n\nReporting-MTA: dns; x\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n" BLOCK,
	  REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
	{ "RFC 6533", DAEMON REPORT NOTICE
	  "--b\nContent-Type: message/global-delivery-status\n\n"
	  "Original-Recipient: utf-8; bob@example.net\nStatus: 5.1.1\n\n" END,
	  REPORT_SHAPE_STRUCTURED, REPORT_SHAPE_STRUCTURED },
	{ "RFC 8098", HUMAN "Content-Type: multipart/report; boundary=b\n\n"
	  "--b\nContent-Type: message/disposition-notification\n\n"
	  "Final-Recipient: rfc822; bob@example.net\n"
	  "Disposition: manual-action/MDN-sent-manually; displayed\n\n" END,
	  REPORT_SHAPE_STRUCTURED, REPORT_SHAPE_STRUCTURED },
	{ "a disposition without recipient",
	  HUMAN "Content-Type: multipart/report; boundary=b\n\n"
	  "--b\nContent-Type: message/disposition-notification\n\n"
	  "Disposition: manual-action/MDN-sent-manually; displayed\n\n" END,
	  REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
	{ "delivery-status in a forwarded message",
	  HUMAN MIXED NOTICE "--b\nContent-Type: message/rfc822\n\n"
	  "From: kim@example.org\nTo: lee@example.org\nDate: today\n"
	  "Content-Type: multipart/report; boundary=c\n\n"
	  "--c\nContent-Type: message/delivery-status\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n--c--\n"
	  END, REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
	{ "X-Failed-Recipients",
	  HUMAN "X-Failed-Recipients: bob@example.net\n\nnot delivered\n\n" BLOCK,
	  REPORT_SHAPE_STRUCTURED, REPORT_SHAPE_WORDED },
	{ "a daemon and a returned part", DAEMON MIXED NOTICE RETURNED END,
	  REPORT_SHAPE_DAEMON, REPORT_SHAPE_WORDED },
	{ "a daemon and a returned block", DAEMON "\nSorry\n\n" BLOCK,
	  REPORT_SHAPE_DAEMON, REPORT_SHAPE_WORDED },
	{ "a daemon who returns nothing", DAEMON "\nuser unknown\n",
	  REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
	{ "nobody, and a returned block",
	  "From: <>\nSubject: failure notice\n\nSorry\n\n" BLOCK,
	  REPORT_SHAPE_DAEMON, REPORT_SHAPE_WORDED },
	{ "a daemon as Sender, squeezed",
	  "Sender: Mailer_Daemon <x@example.com>\nFrom: joe@example.com\n"
	  "Subject: failure notice\n\nSorry\n\n" BLOCK,
	  REPORT_SHAPE_DAEMON, REPORT_SHAPE_WORDED },
	{ "a daemon by display name, encoded",
	  "From: =?utf-8?q?Mailer=2DDaemon?= <x@example.com>\n"
	  "Subject: failure notice\n\nSorry\n\n" BLOCK,
	  REPORT_SHAPE_DAEMON, REPORT_SHAPE_WORDED },
	{ "a daemon's host is no daemon",
	  "From: joe@mailer-daemon.example.com\nSubject: failure notice\n\n"
	  "Sorry\n\n" BLOCK, REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
	{ "postmasters are people",
	  "From: Postmaster <postmaster@example.com>\n"
	  "Subject: Undeliverable mail\n\nnot delivered\n\n" BLOCK,
	  REPORT_SHAPE_WORDED, REPORT_SHAPE_WORDED },
};

static void test_shapes(void **state ATTR_UNUSED)
{
	struct report report;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(shapes); i++) {
		read_message(shapes[i].message, REPORT_SENDER_NULL, &report);
		if (report.shape != shapes[i].null_sender)
			fail_msg("%s: %d", shapes[i].name, report.shape);
		assert_true(report.null_sender);
		read_message(shapes[i].message, REPORT_SENDER_ADDRESS, &report);
		if (report.shape != shapes[i].address) {
			fail_msg("%s, not null: %d", shapes[i].name,
				 report.shape);
		}
		assert_false(report.null_sender);
	}
}

static void test_return_path_without_envelope(void **state ATTR_UNUSED)
{
	struct report report;

	read_message("Return-Path: <>\n" DAEMON REPORT NOTICE STATUS END,
		     REPORT_SENDER_UNKNOWN, &report);
	assert_true(report.null_sender);
	read_message("Return-Path: <>\n" DAEMON REPORT NOTICE STATUS END,
		     REPORT_SENDER_ADDRESS, &report);
	assert_false(report.null_sender);
}

/*
 * Originals
 */

static void
append_list(string_t *str, const char *name,
	    const ARRAY_TYPE(const_string) *list)
{
	const char *value;

	array_foreach_elem(list, value)
		str_printfa(str, " %s=%s", name, value);
}

/* "ID proves part automatic ...; ID ..." */
static const char *describe_originals(const struct report *report)
{
	const struct report_original *original;
	string_t *str = t_str_new(128);

	array_foreach(&report->originals, original) {
		if (str_len(str) > 0)
			str_append(str, "; ");
		str_append(str, original->message_id == NULL ? "-" :
			   original->message_id);
		if (original->message_id_proves)
			str_append(str, " proves");
		if (original->in_part)
			str_append(str, " part");
		if (original->automatic)
			str_append(str, " automatic");
	}
	return str_c(str);
}

static const struct {
	const char *name;
	const char *message;
	const char *originals;
} originals[] = {
	{ "one", DAEMON REPORT NOTICE STATUS RETURNED END,
	  "one@example.org proves part" },
	{ "two", DAEMON REPORT NOTICE STATUS RETURNED SECOND END,
	  "one@example.org proves part; two@example.org proves part" },
	{ "the same twice", DAEMON REPORT NOTICE STATUS RETURNED RETURNED END,
	  "one@example.org proves part" },
	{ "the same twice, once without proof",
	  DAEMON REPORT NOTICE STATUS RETURNED PART FIELDS
	  "Message-ID: one@example.org\n\n" END, "one@example.org part" },
	{ "no Message-ID", DAEMON REPORT NOTICE STATUS PART FIELDS "\n" END,
	  "- part" },
	{ "headers only", DAEMON REPORT NOTICE STATUS
	  "--b\nContent-Type: text/rfc822-headers\n\n" BLOCK END,
	  "one@example.org proves part" },
	{ "message/global", DAEMON REPORT NOTICE STATUS
	  "--b\nContent-Type: message/global\n\n" BLOCK "Hi\n" END,
	  "one@example.org proves part" },
	{ "a block counts only where there is no part",
	  DAEMON REPORT "--b\n\nSorry\n\n" FIELDS
	  "Message-ID: <text@example.org>\n\n" STATUS RETURNED END,
	  "one@example.org proves part" },
	{ "a block", DAEMON "\nSorry\n\n" BLOCK, "one@example.org proves" },
	{ "two blocks", DAEMON "\nSorry\n\nReceived: from a by b\n" BLOCK "Hi\n\nReceived: from a by b\n"
	  FIELDS "Message-ID: <quoted@example.org>\n\n",
	  "one@example.org proves; quoted@example.org" },
	{ "the same block again", DAEMON "\nSorry\n\n" BLOCK "and\n\n" BLOCK,
	  "one@example.org proves" },
	{ "a block that has nothing but an ID and a To",
	  DAEMON "\nSorry\n\nMessage-ID: <one@example.org>\n"
	  "To: bob@example.net\nX-Mailer: x\n\n", "" },
	{ "a MIME part's own header", DAEMON REPORT NOTICE STATUS
	  "--b\nContent-Type: text/plain\nMIME-Version: 1.0\n"
	  "Message-ID: <part@example.org>\n\nHi\n" END, "" },
	{ "the original is a report: multipart/report",
	  DAEMON REPORT NOTICE STATUS PART FIELDS
	  "Message-ID: <one@example.org>\n"
	  "Content-Type: multipart/report; boundary=c\n\n--c--\n" END,
	  "one@example.org part automatic" },
	{ "the original is a report: mailer daemon",
	  DAEMON REPORT NOTICE STATUS PART
	  "From: Mailer-Daemon@example.org\nTo: a@example.net\n"
	  "Message-ID: <one@example.org>\n\n" END,
	  "one@example.org part automatic" },
	{ "the original is a report: nobody",
	  DAEMON REPORT NOTICE STATUS PART "From: <>\nTo: a@example.net\n"
	  "Message-ID: <one@example.org>\n\n" END,
	  "one@example.org part automatic" },
	{ "the original is a report: null Return-Path",
	  DAEMON REPORT NOTICE STATUS PART "Return-Path: <>\n" BLOCK END,
	  "one@example.org part automatic" },
	{ "the original is a report: X-Failed-Recipients",
	  DAEMON REPORT NOTICE STATUS PART "X-Failed-Recipients: a@b\n" BLOCK END,
	  "one@example.org part automatic" },
	{ "originals in what is returned are none",
	  DAEMON REPORT NOTICE STATUS PART FIELDS
	  "Message-ID: <one@example.org>\n"
	  "Content-Type: multipart/mixed; boundary=c\n\n"
	  "--c\nContent-Type: message/rfc822\n\n" FIELDS
	  "Message-ID: <inner@example.org>\n\n--c--\n" END,
	  "one@example.org proves part" },
	{ "the report's own ID", DAEMON REPORT NOTICE STATUS PART FIELDS
	  "Message-ID: <report@mx.example.com>\n\n" END,
	  "report@mx.example.com part" },
	{ "Auto-Submitted", DAEMON REPORT NOTICE STATUS PART
	  "Auto-Submitted: auto-replied\n" BLOCK END,
	  "one@example.org proves part automatic" },
	{ "Auto-Submitted: no", DAEMON REPORT NOTICE STATUS PART
	  "Auto-Submitted: no (a human)\n" BLOCK END,
	  "one@example.org proves part" },
	{ "Sieve", DAEMON REPORT NOTICE STATUS PART FIELDS
	  "Message-ID: <dovecot-sieve-1-2-0@example.org>\n\n" END,
	  "dovecot-sieve-1-2-0@example.org proves part automatic" },
	{ "an invitation", DAEMON REPORT NOTICE STATUS PART
	  "Content-Type: Text/Calendar; method=REQUEST\n" BLOCK END,
	  "one@example.org proves part automatic" },
};

static void test_originals(void **state ATTR_UNUSED)
{
	struct report report;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(originals); i++) T_BEGIN {
		const char *found;

		read_message(originals[i].message, REPORT_SENDER_NULL, &report);
		found = describe_originals(&report);
		if (strcmp(found, originals[i].originals) != 0)
			fail_msg("%s: %s", originals[i].name, found);
	} T_END;
}

/* RFC 5322, 3.6.4, without the obsolete forms */
static const struct {
	const char *fields;
	bool proves;
} message_ids[] = {
	{ "Message-ID: <left@right.example>\n", TRUE },
	{ "Message-ID:\n\t<left@right.example>\n", TRUE },
	{ "message-id : <a.b+c/d=e$f@x>\n", TRUE },
	{ "Message-ID: <left@[192.0.2.1]>\n", TRUE },
	{ "Message-ID: (a (nested) \\) comment) <left@right> (b)\n", TRUE },
	{ "Message-ID: left@right.example\n", FALSE },
	{ "Message-ID: <left@right.example\n", FALSE },
	{ "Message-ID: left@right.example>\n", FALSE },
	{ "Message-ID: <<left@right.example>>\n", FALSE },
	{ "Message-ID: <left@\n right.example>\n", FALSE },
	{ "Message-ID: <left@ right.example>\n", FALSE },
	{ "Message-ID: <left@right@example>\n", FALSE },
	{ "Message-ID: <left>\n", FALSE },
	{ "Message-ID: <left@>\n", FALSE },
	{ "Message-ID: <@right>\n", FALSE },
	{ "Message-ID: <left@right...>\n", FALSE },
	{ "Message-ID: <lef...@right>\n", FALSE },
	{ "Message-ID: <.left@right>\n", FALSE },
	{ "Message-ID: <left@right.>\n", FALSE },
	{ "Message-ID: <\"left\"@right>\n", FALSE },
	{ "Message-ID: <left@[192.0.2.1>\n", FALSE },
	{ "Message-ID: <l\xc3\xb6" "ft@right>\n", FALSE },
	{ "Message-ID: <left@right> and more\n", FALSE },
	{ "Message-ID: <left@right> <second@right>\n", FALSE },
	{ "Message-ID: <left@right> (unfinished\n", FALSE },
	{ "Message-ID: <left@right>\nMessage-ID: <left@right>\n", FALSE },
	{ "Message-ID: <left@right>\nMessage-ID:\n", FALSE },
	{ "Message-ID:\n", FALSE },
	{ "X-Original-Message-ID: <left@right>\n", FALSE },
	{ "Original-Message-ID: <left@right>\n", FALSE },
};

static void test_message_id_proves(void **state ATTR_UNUSED)
{
	static const char *const parts[] = {
		PART, "--b\nContent-Type: text/rfc822-headers\n\n"
	};
	const struct report_original *original;
	struct report report;
	unsigned int i, j;

	for (i = 0; i < N_ELEMENTS(message_ids) * N_ELEMENTS(parts); i++) T_BEGIN {
		j = i / N_ELEMENTS(parts);
		read_message(t_strconcat(DAEMON REPORT NOTICE STATUS,
					 parts[i % N_ELEMENTS(parts)],
					 message_ids[j].fields,
					 FIELDS "\nHi\n" END, NULL),
			     REPORT_SENDER_NULL, &report);
		assert_int_equal(array_count(&report.originals), 1);
		original = array_front(&report.originals);
		if (original->message_id_proves != message_ids[j].proves)
			fail_msg("%s", message_ids[j].fields);
	} T_END;
}

/* A report that ends in the middle of the returned header. */
static void test_cut_off_proves_nothing(void **state ATTR_UNUSED)
{
	static const char *const starts[] = {
		DAEMON REPORT NOTICE STATUS PART FIELDS,
		DAEMON REPORT NOTICE STATUS
		"--b\nContent-Type: text/rfc822-headers\n\n" FIELDS,
		DAEMON "\nSorry\n\n" FIELDS,
	};
	static const char *const ends[] = {
		"Message-ID: <one@example.org>",
		"Message-ID: <one@example.org>\nMessage-I",
		"Message-ID: <one@example.org>\nDate: Thu, 1 Ap",
	};
	const struct report_original *original;
	struct report report;
	unsigned int i, n = N_ELEMENTS(ends);

	for (i = 0; i < N_ELEMENTS(starts) * n; i++) {
		read_message(t_strconcat(starts[i / n], ends[i % n], NULL),
			     REPORT_SENDER_NULL, &report);
		original = array_front(&report.originals);
		assert_string_equal(original->message_id, "one@example.org");
		assert_false(original->message_id_proves);
	}
}

static void test_nul_proves_nothing(void **state ATTR_UNUSED)
{
	static const char message[] = DAEMON REPORT NOTICE STATUS PART FIELDS
		"Message-ID: <one@example.org>\0<x>\n\nHi\n" END;
	struct istream *input =
		i_stream_create_from_data(message, sizeof(message) - 1);
	const struct report_original *original;
	struct report report;
	const char *error;

	assert_int_equal(report_read(pool, input, REPORT_SENDER_NULL, &report,
				     &error), 1);
	original = array_front(&report.originals);
	assert_false(original->message_id_proves);
	i_stream_unref(&input);
}

static void test_original_addresses(void **state ATTR_UNUSED)
{
	const struct report_original *original;
	struct report report;
	string_t *str = t_str_new(256);

	read_message(DAEMON REPORT NOTICE STATUS PART
		"Return-Path: <Bounce@list.example>\n"
		"Received: from x by y for <alias@example.org>; today\n"
		"Delivered-To: d@example.org\nX-Original-To: o@example.org\n"
		"Errors-To: errors@list.example\n"
		"X-Sieve-Redirected-From: s@example.org\n"
		"Resent-From: r@example.org\nSender: list@list.example\n"
		"Cc: c@example.net\n" BLOCK END,
		REPORT_SENDER_NULL, &report);
	original = array_front(&report.originals);
	append_list(str, "from", &original->from);
	append_list(str, "path", &original->return_paths);
	append_list(str, "to", &original->recipients);
	append_list(str, "resent", &original->resent_from);
	assert_string_equal(str_c(str),
		" from=list@list.example from=jane@example.org"
		" path=bounce@list.example path=errors@list.example"
		" to=d@example.org to=o@example.org"
		" to=c@example.net to=bob@example.net"
		" resent=s@example.org resent=r@example.org");
}

/* Received: which host took it in, for whom, and whether from its own user or
   neighbour */
static const struct {
	const char *value;
	/* host, "!" if submitted, address: "-" = absent */
	const char *hop;
} received_lines[] = {
	{ "from a (b [192.0.2.1]) by MX.example.org (Postfix) with ESMTPS\n"
	  " id 1 for <Bob@example.net>; Thu, 1 Apr 2021 00:00:00 +0000",
	  "mx.example.org bob@example.net" },
	/* with a login, or locally */
	{ "from a (b [192.0.2.1]) (Authenticated sender: jane)\n"
	  "\tby mx.example.org (Postfix) with ESMTPSA id 1; today",
	  "mx.example.org! -" },
	{ "from a (Authenticated sender: jane) by mx.example.org with ESMTP; x",
	  "mx.example.org! -" },
	{ "by mx.example.org (Postfix, from userid 1000) id 1; today",
	  "mx.example.org! -" },
	{ "from jane by mx.example.org with local (Exim 4.96)\n"
	  "\t(envelope-from <jane@example.org>) id 1 for bob@example.net; today",
	  "mx.example.org! bob@example.net" },
	{ "from [192.0.2.1] (helo=a) by mx.example.org with esmtpsa (TLS1.3)\n"
	  " (Exim 4.96) (envelope-from <jane@example.org>) id 1; today",
	  "mx.example.org! -" },
	{ "(from jane@localhost) by mx.example.org (8.17.1/8.17.1/Submit)\n"
	  " id 1 for bob@example.net; today", "mx.example.org! bob@example.net" },
	{ "from a (authenticated bits=0) by mx.example.org (8.17.1/8.17.1)\n"
	  " with ESMTPSA id 1; today", "mx.example.org! -" },
	{ "from a by mx.example.org with UTF8SMTPSA; today",
	  "mx.example.org! -" },
	{ "from a by mx.example.org with LMTPSA; today", "mx.example.org! -" },
	{ "from a by mx.example.org with HTTP; today", "mx.example.org! -" },
	{ "(qmail 1 invoked by uid 500); today", "relay.example.org! -" },
	{ "from a by mx.example.org with LMTP; today", "mx.example.org -" },
	{ "from a by mx.example.org (with ESMTPA) with SMTP; today",
	  "mx.example.org -" },
	{ "from a by mx.example.org; with local", "mx.example.org -" },
	{ "from a by mx.example.org (unfinished with local",
	  "mx.example.org -" },
	{ "", "- -" },
	/* A loopback or private address is no login: every content filter has
	   one. */
	{ "from www (localhost [127.0.0.1]) by mx (Postfix) with ESMTP id 1; x",
	  "mx -" },
	{ "from a (unknown [IPv6:fd00:1::5])\n"
	  "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
	  "\t key-exchange X25519 server-signature RSA-PSS (2048 bits))\n"
	  "\t(No client certificate requested)\n"
	  "\tby mx (Postfix) with ESMTPS id 1 for <bob@example.net>; x",
	  "mx bob@example.net" },
	{ "from [10.0.0.5] (helo=[203.0.113.5]) by mx with esmtp (Exim 4.96); x",
	  "mx -" },
	{ "from a ([172.31.0.5]:4711 helo=b) by mx with esmtp (Exim 4.96); x",
	  "mx -" },
	{ "from a (b [192.168.0.5] (may be forged)) by mx (8.17.1/8.17.1); x",
	  "mx -" },
	{ "from a (root@localhost [IPv6:::1]) by mx (8.17.1/8.17.1); x",
	  "mx -" },
	{ "from unknown (HELO a) (10.0.0.5) by mx with SMTP; x", "mx -" },
	{ "from a (10.0.0.5) by mx (192.0.2.1) with Microsoft SMTP Server; x",
	  "mx -" },
	{ "from a (b [IPv6:::ffff:10.0.0.5]) by mx with ESMTP; x", "mx -" },
	{ "from a (b [fe80::1]) by mx with ESMTP; x", "mx -" },
};

static const char *joined(const ARRAY_TYPE(const_string) *list)
{
	string_t *str = t_str_new(64);
	const char *value;

	array_foreach_elem(list, value)
		str_printfa(str, "%s%s", str_len(str) > 0 ? " " : "", value);
	return str_c(str);
}

static const char *described(const struct report_hop *hop)
{
	return t_strdup_printf("%s%s %s", hop->by == NULL ? "-" : hop->by,
			       hop->submitted ? "!" : "",
			       hop->for_address == NULL ? "-" :
			       hop->for_address);
}

static void test_received(void **state ATTR_UNUSED)
{
	const struct report_original *original;
	struct report report;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(received_lines); i++) T_BEGIN {
		read_message(t_strconcat(DAEMON REPORT NOTICE STATUS PART
			"From: jane@example.org\n"
			"Received: from relay.example.org by mx2 with ESMTP; x\n"
			"Received: ", received_lines[i].value,
			"\nMessage-ID: <one@example.org>\n\n" END, NULL),
			REPORT_SENDER_NULL, &report);
		original = array_front(&report.originals);
		assert_int_equal(array_count(&original->hops), 2);
		assert_string_equal(described(array_front(&original->hops)),
				    "mx2 -");
		if (strcmp(described(array_idx(&original->hops, 1)),
			   received_lines[i].hop) != 0)
			fail_msg("%s: %s", received_lines[i].value,
				 described(array_idx(&original->hops, 1)));
	} T_END;
}

/* What makes an original the work of software, in the parts of the message that is
   returned. */
#define NESTED(type) "MIME-Version: 1.0\nContent-Type: " type "; boundary=x\n\n"
#define CALENDAR "--x\nContent-Type:\n Text/Calendar; method=REQUEST\n\n" \
	"BEGIN:VCALENDAR\n"
#define RETURNED_WITH(type) \
	PART FIELDS "Message-ID: <one@example.org>\n" NESTED(type)

static const struct {
	const char *parts;
	bool automatic;
} calendars[] = {
	{ RETURNED_WITH("multipart/alternative") "--x\n\nHi\n" CALENDAR
	  "--x--\n", TRUE },
	{ RETURNED_WITH("multipart/mixed") "--x\nContent-Type: "
	  "multipart/alternative; boundary=y\n\n--y\n\nHi\n--y\n"
	  "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n--y--\n--x--\n",
	  TRUE },
	{ RETURNED_WITH("multipart/mixed") "--x\n\nHi\n--x\n"
	  "Content-Type: text/x-calendar\n\nHi\n--x--\n", FALSE },
	/* in a body, in a message that he attached, and the reporter's own */
	{ RETURNED_WITH("multipart/mixed") "--x\n\nHi\n\n"
	  "Content-Type: text/calendar\n\n--x--\n", FALSE },
	{ RETURNED_WITH("multipart/mixed") "--x\n\nHi\n--x\n"
	  "Content-Type: message/rfc822\n\n" FIELDS
	  "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n--x--\n", FALSE },
	{ RETURNED "--b\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n",
	  FALSE },
};

static void test_calendars(void **state ATTR_UNUSED)
{
	const struct report_original *original;
	struct report report;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(calendars); i++) T_BEGIN {
		read_message(t_strconcat(DAEMON REPORT NOTICE STATUS,
					 calendars[i].parts, END, NULL),
			     REPORT_SENDER_NULL, &report);
		assert_int_equal(array_count(&report.originals), 1);
		original = array_front(&report.originals);
		assert_true(original->message_id_proves);
		if (original->automatic != calendars[i].automatic)
			fail_msg("%s", calendars[i].parts);
	} T_END;
}

/* Of two that are returned, the one that has it. */
static void test_calendar_of_one(void **state ATTR_UNUSED)
{
	const struct report_original *original;
	struct report report;

	read_message(DAEMON REPORT NOTICE STATUS RETURNED
		     PART FIELDS "Message-ID: <two@example.org>\n"
		     NESTED("multipart/alternative") CALENDAR "--x--\n" END,
		     REPORT_SENDER_NULL, &report);
	assert_int_equal(array_count(&report.originals), 2);
	original = array_idx(&report.originals, 0);
	assert_false(original->automatic);
	original = array_idx(&report.originals, 1);
	assert_true(original->automatic);
}

static void test_own_received(void **state ATTR_UNUSED)
{
	struct report report;

	read_message("Received: from a by MX.example.org with LMTP; today\n"
		     "Received: from b by a; yesterday\n"
		     DAEMON REPORT NOTICE STATUS RETURNED END,
		     REPORT_SENDER_NULL, &report);
	assert_string_equal(report.received_by, "mx.example.org");
	read_message(DAEMON REPORT NOTICE STATUS RETURNED END,
		     REPORT_SENDER_NULL, &report);
	assert_null(report.received_by);
}

static void test_original_senders(void **state ATTR_UNUSED)
{
	struct report report;

	read_message(DAEMON REPORT NOTICE
		"--b\nContent-Type: message/delivery-status\n\n"
		"X-Postfix-Sender: rfc822; Jane@example.org\n\n"
		"Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n"
		"--b\nContent-Type: message/rfc822\n\n"
		"X-Postfix-Sender: rfc822; eve@example.net\n" BLOCK END,
		REPORT_SENDER_NULL, &report);
	assert_string_equal(joined(&report.original_senders),
			    "jane@example.org");
}

static void test_many_originals(void **state ATTR_UNUSED)
{
	string_t *message = t_str_new(4096);
	struct report report;
	unsigned int i;

	str_append(message, DAEMON "\nSorry\n\n");
	for (i = 0; i < REPORT_MAX_ORIGINALS * 2; i++) {
		str_printfa(message, FIELDS "Message-ID: <%u@example.org>\n\n",
			    i);
	}
	read_message(str_c(message), REPORT_SENDER_NULL, &report);
	assert_true(array_count(&report.originals) <= REPORT_MAX_ORIGINALS);

	str_truncate(message, 0);
	str_append(message, DAEMON REPORT NOTICE STATUS);
	for (i = 0; i < REPORT_MAX_ORIGINALS * 2; i++) {
		str_printfa(message, PART FIELDS
			    "Message-ID: <%u@example.org>\n\n", i);
	}
	read_message(str_c(message), REPORT_SENDER_NULL, &report);
	assert_int_equal(array_count(&report.originals), REPORT_MAX_ORIGINALS);
	assert_true(report.truncated);
}

static int setup(void **state ATTR_UNUSED)
{
	pool = pool_alloconly_create("test report original", 4096);
	return 0;
}

static int teardown(void **state ATTR_UNUSED)
{
	pool_unref(&pool);
	return 0;
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_shapes),
		TEST(test_return_path_without_envelope),
		TEST(test_originals),
		TEST(test_message_id_proves),
		TEST(test_cut_off_proves_nothing),
		TEST(test_nul_proves_nothing),
		TEST(test_original_addresses),
		TEST(test_received),
		TEST(test_calendars),
		TEST(test_calendar_of_one),
		TEST(test_own_received),
		TEST(test_original_senders),
		TEST(test_many_originals),
	};
	int ret;

	lib_init();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	lib_deinit();
	return ret;
}
