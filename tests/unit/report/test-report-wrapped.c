/* plugin/report/: reports that a filter or gateway wrapped into another message. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "report/report.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define FROM "From: Mail Delivery System <MAILER-DAEMON@mx.example.com>\n"
#define TO "To: jane@example.org\n"
#define SUBJECT "Subject: Undelivered Mail Returned to Sender\n"
#define DATE "Date: Thu, 1 Apr 2021 00:00:00 +0000\n"
#define ID "Message-ID: <report@mx.example.com>\n"
#define ORIGINAL "Received: from a by b\nFrom: jane@example.org\n" \
	"To: bob@example.net\nSubject: Hi\nMessage-ID: <one@example.org>\n\nHi\n"
#define DSN_BODY "--b\n\nNot delivered.\n" \
	"--b\nContent-Type: message/delivery-status\n\n" \
	"Reporting-MTA: dns; mx.example.com\n\n" \
	"Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n" \
	"--b\nContent-Type: message/rfc822\n\n" ORIGINAL "--b--\n"
#define DSN "Received: from mx.example.com by filter.example.org\n" \
	FROM TO SUBJECT DATE ID "Content-Type: multipart/report; " \
	"report-type=delivery-status; boundary=b\n\n" DSN_BODY
#define QMAIL FROM TO "Subject: failure notice\n" DATE ID \
	"\nI was not able to deliver your message.\n\n<bob@example.net>:\nno\n\n" \
	"--- Below this line is a copy of the message.\n\n" ORIGINAL

/* what SpamAssassin writes around a message */
#define SAFE_HEADER "Received: from localhost by mx.example.org\n" \
	"\twith SpamAssassin (version 4.0.0);\n\tThu, 1 Apr 2021 00:00:01 +0000\n"
#define SAFE_TYPE "MIME-Version: 1.0\n" \
	"Content-Type: multipart/mixed; boundary=\"----------=_1\"\n\n" \
	"This is a multi-part message in MIME format.\n\n"
#define SAFE_TEXT "------------=_1\nContent-Type: text/plain; charset=UTF-8\n" \
	"Content-Disposition: inline\nContent-Transfer-Encoding: 8bit\n\n" \
	"Spam detection software, running on the system \"mx.example.org\",\n" \
	"has identified this incoming email as possible spam.\n\n"
#define SAFE_1 SAFE_TEXT "------------=_1\n" \
	"Content-Type: message/rfc822; x-spam-type=original\n" \
	"Content-Description: original message before SpamAssassin\n" \
	"Content-Disposition: inline\nContent-Transfer-Encoding: 8bit\n\n"
#define SAFE_2 SAFE_TEXT "------------=_1\n" \
	"Content-Type: text/plain; x-spam-type=original\n" \
	"Content-Disposition: attachment\nContent-Transfer-Encoding: 8bit\n\n"
#define SAFE_END "\n------------=_1--\n\n"

#define MIXED "Content-Type: multipart/mixed; boundary=g\n\n" \
	"--g\nContent-Type: text/plain\n\nThis mail came from outside.\n" \
	"--g\nContent-Type: message/rfc822\n\n"
#define MIXED_END "\n--g--\n"

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

static const struct {
	const char *name;
	const char *message;
	/* the inner one is read with a null sender, and with an address */
	bool null_sender, address;
} wrapped[] = {
	{ "report_safe 1", SAFE_HEADER FROM TO SUBJECT DATE ID SAFE_TYPE
	  SAFE_1 DSN SAFE_END, TRUE, TRUE },
	{ "report_safe 2", SAFE_HEADER FROM TO SUBJECT DATE ID SAFE_TYPE
	  SAFE_2 DSN SAFE_END, TRUE, TRUE },
	{ "report_safe 1, no report of RFC 3464",
	  SAFE_HEADER FROM TO "Subject: failure notice\n" DATE ID SAFE_TYPE
	  SAFE_1 QMAIL SAFE_END, TRUE, TRUE },
	{ "report_safe 2, no report of RFC 3464",
	  SAFE_HEADER FROM TO "Subject: failure notice\n" DATE ID SAFE_TYPE
	  SAFE_2 QMAIL SAFE_END, TRUE, TRUE },
	{ "a marked subject, another Message-ID",
	  SAFE_HEADER FROM TO
	  "Subject: *****SPAM*****  Undelivered Mail Returned to Sender\n"
	  "Date: Fri, 2 Apr 2021 00:00:00 +0000\nMessage-ID: <w@filter>\n"
	  SAFE_TYPE SAFE_1 DSN SAFE_END, TRUE, TRUE },
	{ "a marked subject, encoded", SAFE_HEADER FROM TO
	  "Subject: =?utf-8?q?{Spam=3F}_Undelivered_Mail?= Returned to Sender\n"
	  SAFE_TYPE SAFE_1 DSN SAFE_END, TRUE, TRUE },
	{ "another subject, the same Date", SAFE_HEADER FROM TO DATE
	  "Subject: Attention\n" SAFE_TYPE SAFE_1 DSN SAFE_END, TRUE, TRUE },
	{ "a gateway speaks, with the same Message-ID",
	  "From: postmaster@gateway.example.org\n" TO ID
	  "Subject: Warning\n" MIXED DSN MIXED_END, TRUE, FALSE },
	{ "the whole message is one message/rfc822",
	  FROM TO SUBJECT ID "Content-Type: message/rfc822\n\n" DSN,
	  TRUE, TRUE },
	{ "quoted-printable", FROM TO SUBJECT ID
	  "Content-Type: multipart/mixed; boundary=g\n\n--g\n"
	  "Content-Type: message/rfc822\nContent-Transfer-Encoding: "
	  "quoted-printable\n\n" FROM TO SUBJECT ID
	  "Content-Type: multipart/report; report-type=3Ddelivery-status;\n"
	  " boundary=3Db\n\n" DSN_BODY MIXED_END, TRUE, TRUE },
	/* others */
	{ "somebody else forwards it",
	  "From: kim@example.org\n" TO ID SUBJECT DATE MIXED DSN MIXED_END,
	  TRUE, FALSE },
	{ "another message", FROM TO "Subject: Fwd: Your mail\n"
	  "Message-ID: <w@filter>\n" MIXED DSN MIXED_END, FALSE, FALSE },
	{ "to another one", FROM "To: kim@example.org\n" SUBJECT DATE
	  "Message-ID: <w@filter>\n" MIXED DSN MIXED_END, FALSE, FALSE },
	{ "To alone", FROM TO "Message-ID: <w@filter>\n" MIXED DSN MIXED_END,
	  FALSE, FALSE },
	{ "a text that isn't marked as the original",
	  FROM TO SUBJECT DATE ID "Content-Type: multipart/mixed; boundary=g\n\n"
	  "--g\nContent-Type: text/plain\n\n" DSN MIXED_END, FALSE, FALSE },
};

static bool is_inner(const struct report *report)
{
	const struct report_original *original;

	if (report->class == REPORT_CLASS_NONE ||
	    array_count(&report->originals) != 1)
		return FALSE;
	original = array_front(&report->originals);
	return strcmp(original->message_id, "one@example.org") == 0 &&
		original->message_id_proves;
}

static void test_wrapped(void **state ATTR_UNUSED)
{
	struct report report;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(wrapped); i++) {
		read_message(wrapped[i].message, REPORT_SENDER_NULL, &report);
		assert_true(report.null_sender);
		if (is_inner(&report) != wrapped[i].null_sender)
			fail_msg("%s, null sender", wrapped[i].name);
		/* whatever it is, it proves nothing against its recipient */
		if (!wrapped[i].null_sender)
			assert_false(report.class != REPORT_CLASS_NONE &&
				     is_inner(&report));
		read_message(wrapped[i].message, REPORT_SENDER_ADDRESS,
			     &report);
		assert_false(report.null_sender);
		if (is_inner(&report) != wrapped[i].address)
			fail_msg("%s, an address", wrapped[i].name);
	}
}

static void test_inner_report_is_the_report(void **state ATTR_UNUSED)
{
	const struct report_recipient *rcpt;
	const struct report_message_id *id;
	struct report report;

	read_message(SAFE_HEADER FROM TO SUBJECT DATE ID SAFE_TYPE SAFE_1 DSN
		     SAFE_END, REPORT_SENDER_NULL, &report);
	assert_int_equal(report.class, REPORT_CLASS_DSN_FAILED);
	assert_int_equal(report.shape, REPORT_SHAPE_STRUCTURED);
	assert_string_equal(report.message_id, "report@mx.example.com");
	/* but our own host is the last one, not the filter's view of it */
	assert_string_equal(report.received_by, "mx.example.org");
	id = array_front(&report.message_ids);
	assert_string_equal(id->id, "one@example.org");
	assert_int_equal(array_count(&report.recipients), 1);
	rcpt = array_front(&report.recipients);
	assert_string_equal(rcpt->final_recipient, "bob@example.net");
}

/* A person forwards it, or something that writes like one: it may acquit, but the
   outer envelope is not the report's. */
static void test_forwarded(void **state ATTR_UNUSED)
{
	const struct report_message_id *id;
	struct report report;

	read_message("From: kim@example.org\n" TO
		     "Subject: Fwd: Undelivered Mail Returned to Sender\n"
		     "Message-ID: <f@example.org>\n" MIXED DSN MIXED_END,
		     REPORT_SENDER_NULL, &report);
	assert_int_equal(report.class, REPORT_CLASS_DSN_FAILED);
	assert_int_equal(report.shape, REPORT_SHAPE_WORDED);
	assert_false(report.null_sender);
	id = array_front(&report.message_ids);
	assert_string_equal(id->id, "one@example.org");
}

/* The envelope is the outer one's, whatever a Return-Path inside says. */
static void test_outer_envelope(void **state ATTR_UNUSED)
{
	static const char message[] =
		SAFE_HEADER FROM TO SUBJECT DATE ID SAFE_TYPE SAFE_1
		"Return-Path: <>\n" DSN SAFE_END;
	struct report report;

	read_message(message, REPORT_SENDER_ADDRESS, &report);
	assert_false(report.null_sender);
	read_message(t_strconcat("Return-Path: <>\n", message, NULL),
		     REPORT_SENDER_UNKNOWN, &report);
	assert_true(report.null_sender);
	read_message(t_strconcat("Return-Path: <a@b>\n", message, NULL),
		     REPORT_SENDER_UNKNOWN, &report);
	assert_false(report.null_sender);
}

/* Read as the inner one once: the next ones are what it returns. */
static void test_wrapped_in_wrapped(void **state ATTR_UNUSED)
{
	const struct report_original *original;
	struct report report;

	read_message(FROM TO SUBJECT DATE ID
		"Content-Type: multipart/mixed; boundary=h\n\n"
		"--h\nContent-Type: message/rfc822\n\n"
		FROM TO SUBJECT DATE ID MIXED DSN MIXED_END "--h--\n",
		REPORT_SENDER_NULL, &report);
	array_foreach(&report.originals, original)
		assert_false(original->message_id_proves);
}

/* A mail system that keeps the original's Message-ID for its report. */
static void test_reporter_keeps_message_id(void **state ATTR_UNUSED)
{
	static const char answer[] = "From: jane@example.org\n"
		"To: bob@example.net\nSubject: Away\nIn-Reply-To: <x@example.net>\n"
		"Auto-Submitted: auto-replied\nMessage-ID: <one@example.org>\n\n"
		"I am away\n";
	struct report report;

	read_message(t_strconcat(FROM TO SUBJECT
		"Message-ID: <one@example.org>\n" MIXED, answer, MIXED_END,
		NULL), REPORT_SENDER_NULL, &report);
	assert_int_equal(report.class, REPORT_CLASS_BOUNCE);
	read_message(t_strconcat(FROM TO SUBJECT
		"Message-ID: <one@example.org>\n"
		"Content-Type: multipart/report; boundary=b\n\n"
		"--b\nContent-Type: message/delivery-status\n\n"
		"Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n"
		"--b\nContent-Type: message/rfc822\n\n", answer, "--b--\n",
		NULL), REPORT_SENDER_NULL, &report);
	assert_int_equal(report.class, REPORT_CLASS_DSN_FAILED);
}

static int setup(void **state ATTR_UNUSED)
{
	pool = pool_alloconly_create("test report wrapped", 4096);
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
		TEST(test_wrapped),
		TEST(test_inner_report_is_the_report),
		TEST(test_forwarded),
		TEST(test_outer_envelope),
		TEST(test_wrapped_in_wrapped),
		TEST(test_reporter_keeps_message_id),
	};
	int ret;

	lib_init();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	lib_deinit();
	return ret;
}
