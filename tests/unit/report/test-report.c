/* plugin/report/: what reports of all shapes are taken for. Messages are written
   by hand after the RFCs and after what mail systems do; "" marks a value that
   has to be absent. */

#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "istream.h"
#include "str.h"
#include "report/report.h"
#include "report/report-limits.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define DAEMON "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\n" \
	"To: jane@example.org\nMessage-ID: <report@mx.example.com>\n"
#define HUMAN "Return-Path: <joe@example.com>\nFrom: Joe <joe@example.com>\n" \
	"To: jane@example.org\nMessage-ID: <letter@example.com>\n"
#define REPORT_HEADER "Subject: Undelivered Mail Returned to Sender\n" \
	"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
#define REPORT_OF(type) \
	"Content-Type: multipart/report; report-type=" type "; boundary=b\n\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"
#define NOTICE "--b\n\nIt could not be delivered.\n"
#define STATUS(action, status) \
	"--b\nContent-Type: message/delivery-status\n\n" \
	"Reporting-MTA: dns; mx.example.com\n\n" \
	"Final-Recipient: rfc822; bob@example.net\n" \
	"Action: " action "\nStatus: " status "\n\n"
#define ORIGINAL \
	"Received: from a by b\nFrom: jane@example.org\nTo: bob@example.net\n" \
	"Message-ID: <Original@Example.ORG>\nSubject: Hello\n\nHello Bob\n"
#define RETURNED "--b\nContent-Type: message/rfc822\n\n" ORIGINAL
#define HEADERS(type) "--b\nContent-Type: " type "\n\n" ORIGINAL
#define END "--b--\n"
#define ID "original@example.org"
#define BOB "bob@example.net"

struct shape {
	const char *name;
	const char *message;
	enum report_class class;
	/* first ones found */
	const char *message_id;
	const char *recipient;
};

static const struct shape dsn_shapes[] = {
	{ "as RFC 3464 wants it",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1") RETURNED END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "structure decides alone, whoever speaks",
	  HUMAN REPORT_HEADER NOTICE STATUS("failed", "5.1.1") RETURNED END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "delayed",
	  DAEMON REPORT_HEADER NOTICE STATUS("delayed", "4.4.1") RETURNED END,
	  REPORT_CLASS_DSN_DELAYED, ID, BOB },
	{ "delivered",
	  DAEMON REPORT_HEADER NOTICE STATUS("delivered", "2.0.0") RETURNED END,
	  REPORT_CLASS_DSN_SUCCESS, ID, BOB },
	{ "relayed",
	  DAEMON REPORT_HEADER NOTICE STATUS("Relayed", "2.0.0") RETURNED END,
	  REPORT_CLASS_DSN_SUCCESS, ID, BOB },
	{ "expanded",
	  DAEMON REPORT_HEADER NOTICE STATUS("expanded", "2.0.0") RETURNED END,
	  REPORT_CLASS_DSN_SUCCESS, ID, BOB },
	{ "action in another case, with a comment",
	  DAEMON REPORT_HEADER NOTICE STATUS("FAILED (no such user)", "5.1.1")
	  RETURNED END, REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "no action: the status says it",
	  DAEMON REPORT_HEADER NOTICE
	  "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nStatus: 4.2.0\n\n" END,
	  REPORT_CLASS_DSN_DELAYED, "", BOB },
	{ "the strongest of several actions wins",
	  DAEMON REPORT_HEADER NOTICE STATUS("delivered", "2.0.0")
	  "Final-Recipient: rfc822; eve@example.net\nAction: failed\n\n"
	  "Final-Recipient: rfc822; kim@example.net\nAction: delayed\n\n" END,
	  REPORT_CLASS_DSN_FAILED, "", BOB },
	{ "action before recipient",
	  DAEMON REPORT_HEADER NOTICE
	  "--b\nContent-Type: message/delivery-status\n\nAction: failed\n"
	  "Final-Recipient: rfc822;bob@example.net\n\n" END,
	  REPORT_CLASS_DSN_FAILED, "", BOB },
	{ "no address type, brackets",
	  DAEMON REPORT_HEADER NOTICE
	  "--b\nContent-Type: message/delivery-status\n\n"
	  "Final-Recipient: <Bob@Example.NET>\nAction: failed\n\n" END,
	  REPORT_CLASS_DSN_FAILED, "", BOB },
	{ "no report-type",
	  DAEMON "Content-Type: multipart/report; boundary=b\n\n" NOTICE
	  STATUS("failed", "5.0.0") RETURNED END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "no delivery-status part",
	  DAEMON REPORT_HEADER NOTICE RETURNED END,
	  REPORT_CLASS_BOUNCE, ID, "" },
	{ "parts in the wrong order",
	  DAEMON REPORT_HEADER RETURNED STATUS("failed", "5.1.1") NOTICE END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "first part missing",
	  DAEMON REPORT_HEADER STATUS("failed", "5.1.1") RETURNED END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "returned part twice: the first is the original",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1") RETURNED
	  "--b\nContent-Type: message/rfc822\n\nFrom: a\nTo: b\n"
	  "Message-ID: <other@example.org>\n\n" END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "text/rfc822-headers",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  HEADERS("text/rfc822-headers") END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "message/rfc822-headers",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  HEADERS("message/rfc822-headers") END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "text/plain as third part",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  HEADERS("text/plain") END, REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "RFC 6533",
	  DAEMON REPORT_HEADER NOTICE
	  "--b\nContent-Type: message/global-delivery-status\n\n"
	  "Reporting-MTA: dns; x\n\n"
	  "Original-Recipient: utf-8; b\\x{F6}b@example.net\nAction: failed\n\n"
	  HEADERS("message/global-headers") END,
	  REPORT_CLASS_DSN_FAILED, ID, "b\xc3\xb6" "b@example.net" },
	{ "message/global",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  HEADERS("message/global") END, REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "delivery-status in base64",
	  DAEMON REPORT_HEADER NOTICE
	  "--b\nContent-Type: message/delivery-status\n"
	  "Content-Transfer-Encoding: base64\n\n"
	  "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGJvYkBleGFtcGxlLm5ldApBY3Rpb246IGZh\n"
	  "aWxlZAo=\n" RETURNED END, REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "returned message in base64",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  "--b\nContent-Type: message/rfc822\n"
	  "Content-Transfer-Encoding: base64\n\n"
	  "RnJvbTogamFuZUBleGFtcGxlLm9yZwpNZXNzYWdlLUlEOiA8b3JpZ2luYWxAZXhhbXBs\n"
	  "ZS5vcmc+CgpIaQo=\n" END, REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "returned message in quoted-printable",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  "--b\nContent-Type: message/rfc822\n"
	  "Content-Transfer-Encoding: quoted-printable\n\n"
	  "From: jane@example.org\nMessage-ID: <origi=\nnal=40example.org>\n\n"
	  END, REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "unknown transfer encoding",
	  DAEMON REPORT_HEADER NOTICE
	  "--b\nContent-Type: message/delivery-status\n"
	  "Content-Transfer-Encoding: 7 bit ascii\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n" END,
	  REPORT_CLASS_DSN_FAILED, "", BOB },
	{ "empty line before the returned header",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  "--b\nContent-Type: message/rfc822\n\n\n" ORIGINAL END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "returned header in place of a part's header",
	  DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
	  "--b\n" ORIGINAL END, REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "boundary that never comes",
	  DAEMON "Content-Type: multipart/report; report-type=delivery-status;"
	  " boundary=other\n\n" NOTICE STATUS("failed", "5.1.1") RETURNED END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "returned message is a report itself: its fields are not ours",
	  DAEMON REPORT_HEADER NOTICE STATUS("delayed", "4.0.0")
	  "--b\nContent-Type: message/rfc822\n\n"
	  "From: jane@example.org\nMessage-ID: <original@example.org>\n"
	  "Content-Type: multipart/report; boundary=c\n\n"
	  "--c\nContent-Type: message/delivery-status\n\n"
	  "Final-Recipient: rfc822; eve@example.net\nAction: failed\n\n"
	  "--c--\n" END, REPORT_CLASS_DSN_DELAYED, ID, BOB },
	{ "multipart/mixed, but a daemon sent it",
	  DAEMON MIXED NOTICE STATUS("failed", "5.1.1") RETURNED END,
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "a list's wrapper around a report",
	  "Sender: list-owner@example.org\nFrom: Mail Delivery System "
	  "<MAILER-DAEMON@mx.example.com>\nTo: jane@example.org\n"
	  "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
	  REPORT_OF("delivery-status") NOTICE STATUS("failed", "5.1.1") RETURNED
	  END "--a\n\nfooter of the list\n--a--\n",
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
};

static const struct shape text_shapes[] = {
	{ "qmail", DAEMON "Subject: failure notice\n\n"
	  "I'm afraid I wasn't able to deliver your message.\n\n"
	  "<bob@example.net>:\n192.0.2.1 does not like recipient.\n\n"
	  "--- Below this line is a copy of the message.\n\n" ORIGINAL,
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "nobody knows which line introduces it",
	  DAEMON "Subject: xyzzy\n\nbob@example.net plugh 5.1.1\n%%%\n" ORIGINAL,
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "a boundary line right above it",
	  DAEMON "Subject: Returned mail\n\nbob@example.net: no\n"
	  "-------------------------------------\n" ORIGINAL,
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "quoted", DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
	  "> Received: from a by b\n> \tfor bob\n> From: jane@example.org\n"
	  "> Message-ID:\n>   <original@example.org>\n>\n> Hello\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "indented", DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
	  "    Received: from a by b\n      for bob\n    From: jane@example.org\n"
	  "    Message-ID: <original@example.org>\n\n    Hello\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "folding lost", DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
	  "Received: from a by b\nfor bob; Thu, 1 Apr 2021\n"
	  "From: jane@example.org\nMessage-ID:\n<original@example.org>\n\nHello\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "HTML with <br>", DAEMON "Subject: Returned mail\n"
	  "Content-Type: text/html\n\n<html><body><p>bob@example.net: no</p>"
	  "<div>Received: from a by b<br>From: jane@example.org<br>"
	  "Message-ID: &lt;original@example.org&gt;</div><p>Hello</body>\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "HTML with <pre>", DAEMON "Subject: Returned mail\n"
	  "Content-Type: text/html\n\n<p>bob@example.net: no<pre>\n"
	  "Received: from a by b\n  for bob\nFrom: jane@example.org\n"
	  "Message-ID: &lt;original@example.org&gt;\n\nHello</pre>\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "every second line empty",
	  DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
	  "Received: from a by b\n\nFrom: jane@example.org\n\n"
	  "Message-ID: <original@example.org>\n\nSubject: Hello\n\nHi\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "text in base64", DAEMON "Subject: Returned mail\n"
	  "Content-Transfer-Encoding: base64\n\n"
	  "Ym9iQGV4YW1wbGUubmV0OiBubwoKUmVjZWl2ZWQ6IGZyb20gYSBieSBiCkZyb206IGphbmVA\n"
	  "ZXhhbXBsZS5vcmcKTWVzc2FnZS1JRDogPG9yaWdpbmFsQGV4YW1wbGUub3JnPgoKSGkK\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "the original quotes another header in its body",
	  DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n" ORIGINAL
	  "\nReceived: from c by d\nFrom: eve@example.net\n"
	  "Message-ID: <other@example.net>\n\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "returned header without Message-ID: its body has none of ours",
	  DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
	  "Received: from a by b\nFrom: jane@example.org\nTo: bob@example.net\n\n"
	  "Message-ID: <other@example.net>\n", REPORT_CLASS_BOUNCE, "", BOB },
	{ "a summary instead of the header",
	  DAEMON "Subject: Undeliverable\n\nYour message\n\n"
	  "  To:      bob@example.net\n  Subject: Hello\n  Sent:    today\n\n"
	  "did not reach the following recipient(s):\n\nbob@example.net on Thu\n",
	  REPORT_CLASS_BOUNCE, "", BOB },
	{ "Message-ID in the running text",
	  DAEMON "Subject: Undeliverable\n\nCould not deliver to bob@example.net\n"
	  "Message-ID: <original@example.org>\n\nBye\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "X-Failed-Recipients comes before addresses in the text",
	  DAEMON "X-Failed-Recipients: Bob@example.net\n"
	  "Subject: Mail delivery failed\n\neve@example.net wrote\n",
	  REPORT_CLASS_BOUNCE, "", BOB },
	{ "delivery-status fields in a text",
	  DAEMON "Subject: Delayed\n\nSorry\n\nReporting-MTA: dns; x\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nAction: delayed\n"
	  "Status: 4.4.1\n\n" ORIGINAL, REPORT_CLASS_DSN_DELAYED, ID, BOB },
	{ "returned part, text/plain and a daemon",
	  DAEMON "Subject: Undeliverable: Hello\n" MIXED
	  "--b\n\nbob@example.net\n" RETURNED END,
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "null sender and null From, no subject, a sentence",
	  "Return-Path: <>\nFrom: <>\nTo: jane@example.org\n\n"
	  "That's not a valid user here: bob@example.net\n",
	  REPORT_CLASS_BOUNCE, "", BOB },
	{ "role and own addresses are no failed recipients",
	  DAEMON "Subject: Returned mail\n\nmailer-daemon@mx.example.com\n"
	  "postmaster@example.com\njane@example.org\n  <bob@example.net>: no\n",
	  REPORT_CLASS_BOUNCE, "", BOB },
	{ "the report's own Message-ID in its text is looked up",
	  DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
	  "Received: from a by b\nFrom: MAILER-DAEMON@mx.example.com\n"
	  "Message-ID: <Report@mx.example.com>\n\n", REPORT_CLASS_BOUNCE,
	  "report@mx.example.com", BOB },
	{ "the report's own Message-ID comes last",
	  DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
	  "Received: from a by b\nFrom: MAILER-DAEMON@mx.example.com\n"
	  "Message-ID: <Report@mx.example.com>\n\n" ORIGINAL,
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "a summary doesn't end the search for recipients",
	  DAEMON "Subject: Returned mail\n\nYour message\n\n"
	  "  To: jane@example.org\n  Subject: Hello\n"
	  "  Message-ID: <original@example.org>\n\n"
	  "failed for\n\nbob@example.net: no\n", REPORT_CLASS_BOUNCE, ID, BOB },
	{ "but the returned header does",
	  DAEMON "Subject: Returned mail\n\nIt failed\n\n" ORIGINAL
	  "eve@example.net\n", REPORT_CLASS_BOUNCE, ID, "" },
	{ "the own address first",
	  DAEMON "Subject: Returned mail\n\njane@example.org\nwrote to "
	  "bob@example.net\n", REPORT_CLASS_BOUNCE, "", BOB },
	{ "a line end in the source of HTML behind <br>",
	  DAEMON "Subject: Returned mail\nContent-Type: text/html\n\n"
	  "<p>bob@example.net: no</p>\nReceived: from a by b<br>\n"
	  "&nbsp;for bob<br />\nFrom: jane@example.org<BR>\nMessage-ID:<br>\n"
	  "&nbsp;&lt;original@example.org&gt;<br>\n<br>\nHello\n",
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "the address type twice",
	  DAEMON REPORT_HEADER NOTICE
	  "--b\nContent-Type: message/delivery-status\n\n"
	  "Final-Recipient: rfc822; rfc822; bob@example.net\nAction: failed\n\n"
	  END, REPORT_CLASS_DSN_FAILED, "", BOB },
	{ "JSON of a notification service",
	  "From: no-reply@example.com\nSubject: Notification\n\n"
	  "{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":"
	  "[{\"emailAddress\":\"bob@example.net\",\"action\":\"failed\","
	  "\"status\":\"5.1.1\"}]},\"mail\":{\"messageId\":\"0101-22\",\"headers\":"
	  "[{\"name\":\"From\",\"value\":\"jane@example.org\"},"
	  "{\"name\":\"Message-ID\",\"value\":\"<original@example.org>\"}]}}\n",
	  REPORT_CLASS_DSN_FAILED, ID, BOB },
	{ "JSON in a string of JSON",
	  "From: no-reply@example.com\nSubject: Notification\n\n"
	  "{\"Message\" : \"{\\\"eventType\\\":\\\"Delivery\\\",\\\"delivery\\\":"
	  "{\\\"recipients\\\":[\\\"bob@example.net\\\"]}}\"}\n",
	  REPORT_CLASS_DSN_SUCCESS, "", BOB },
};

static const struct shape other_shapes[] = {
	{ "MDN", HUMAN REPORT_OF("disposition-notification") "--b\n\nread\n"
	  "--b\nContent-Type: message/disposition-notification\n\n"
	  "Reporting-UA: x\nFinal-Recipient: rfc822; bob@example.net\n"
	  "Original-Message-ID: <original@example.org>\n"
	  "Disposition: manual-action/MDN-sent-manually; displayed\n\n" END,
	  REPORT_CLASS_MDN, ID, BOB },
	{ "MDN of a user agent that deleted it",
	  HUMAN REPORT_OF("disposition-notification") "--b\n\nnot read\n"
	  "--b\nContent-Type: message/disposition-notification\n\n"
	  "Final-Recipient: rfc822; bob@example.net\n"
	  "Original-Message-ID: <original@example.org>\n"
	  "Disposition: automatic-action/MDN-sent-automatically; deleted\n\n" END,
	  REPORT_CLASS_MDN, ID, BOB },
	{ "MDN by which a mail system rejects (RFC 5429)",
	  DAEMON REPORT_OF("disposition-notification") "--b\n\nrejected\n"
	  "--b\nContent-Type: message/disposition-notification\n\n"
	  "Final-Recipient: rfc822; bob@example.net\n"
	  "Original-Message-ID: <original@example.org>\n"
	  "Disposition: automatic-action/MDN-sent-automatically; deleted\n\n" END,
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "ARF", HUMAN REPORT_OF("feedback-report") "--b\n\nabuse\n"
	  "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
	  "Original-Rcpt-To: <bob@example.net>\n\n" RETURNED END,
	  REPORT_CLASS_ARF, ID, BOB },
	{ "vacation (RFC 3834)", HUMAN "Auto-Submitted: auto-replied (vacation)\n"
	  "In-Reply-To: <original@example.org>\nSubject: Away\n\nI am away\n",
	  REPORT_CLASS_AUTO_REPLY, "", "" },
	{ "vacation with nothing but a subject and the null sender",
	  "Return-Path: <>\nFrom: bob@example.net\n"
	  "Subject: Automatic reply: Hello\n\nI am away\n",
	  REPORT_CLASS_AUTO_REPLY, "", "" },
	{ "vacation of an old responder",
	  HUMAN "Precedence: auto_reply\nSubject: Away\n\nI am away\n",
	  REPORT_CLASS_AUTO_REPLY, "", "" },
	{ "ticket system", HUMAN "Auto-Submitted: auto-generated\n"
	  "References: <original@example.org>\nSubject: [#1] Hello\n\nGot it\n",
	  REPORT_CLASS_AUTO_REPLY, "", "" },
	{ "challenge", "Return-Path: <>\nFrom: bob@example.net\n"
	  "In-Reply-To: <original@example.org>\nSubject: Re: Hello\n\n"
	  "Please click on the following link to have your address added to the\n"
	  "allowed list.\n", REPORT_CLASS_CHALLENGE, "", "" },
	{ "virus notice", "Return-Path: <>\nFrom: antivirus@example.com\n"
	  "Subject: Virus alert\n\nA virus was found in your mail.\n",
	  REPORT_CLASS_VIRUS_NOTICE, "", "" },
	{ "a bounce that speaks of a virus, too",
	  DAEMON "Subject: Undeliverable mail\n\nbob@example.net: 550 5.7.1 "
	  "message was rejected, a virus was found\n\n" ORIGINAL,
	  REPORT_CLASS_BOUNCE, ID, BOB },
	{ "a virus notice to nobody's return path",
	  "Return-Path: <>\nFrom: MailScanner <postmaster@example.com>\n"
	  "Subject: Virus detected in your message\n\n"
	  "A virus was found in your mail. It was not delivered.\n",
	  REPORT_CLASS_VIRUS_NOTICE, "", "" },
	/* no reports */
	{ "null sender and null From are one thing, not two",
	  "Return-Path: <>\nFrom: <>\nTo: jane@example.org\n"
	  "Subject: Quarantine digest\n\n3 messages were held.\n",
	  REPORT_CLASS_NONE, "", "" },
	{ "null sender alone", "Return-Path: <>\nFrom: list@example.com\n"
	  "Subject: Hello everybody\n\nHi\n", REPORT_CLASS_NONE, "", "" },
	{ "a daemon's name alone", "From: MAILER-DAEMON@example.com\n"
	  "Subject: Maintenance tonight\n\nWe will be offline.\n",
	  REPORT_CLASS_NONE, "", "" },
	{ "a postmaster who is human", "From: Postmaster <postmaster@example.com>\n"
	  "Subject: Re: your question\nIn-Reply-To: <original@example.org>\n\n"
	  "> could not be delivered\nWe fixed it, bob@example.net works.\n",
	  REPORT_CLASS_NONE, "", "" },
	{ "cron", "From: root@example.com (Cron Daemon)\n"
	  "Auto-Submitted: auto-generated\nSubject: Cron <root> backup\n\nok\n",
	  REPORT_CLASS_NONE, "", "" },
	{ "a notification that answers nothing",
	  "From: noreply@example.com\nAuto-Submitted: auto-generated\n"
	  "Precedence: bulk\nX-Auto-Response-Suppress: All\n"
	  "Subject: Your invoice\n\nPlease pay\n", REPORT_CLASS_NONE, "", "" },
	{ "a service that wants an address confirmed",
	  "From: noreply@example.com\nAuto-Submitted: auto-generated\n"
	  "Subject: Please confirm your address\n\n"
	  "click on the following link to confirm your account\n",
	  REPORT_CLASS_NONE, "", "" },
	{ "somebody asks about a bounce",
	  HUMAN "Subject: Mail delivery failed?\n\nWhat does this mean?\n\n"
	  "bob@example.net: user unknown, 550 5.1.1\n\n" ORIGINAL,
	  REPORT_CLASS_NONE, "", "" },
	{ "a report forwarded as attachment",
	  HUMAN "Subject: Fwd: Undelivered Mail\n" MIXED "--b\n\nlook\n"
	  "--b\nContent-Type: message/rfc822\n\n" DAEMON
	  "Content-Type: multipart/report; boundary=c\n\n"
	  "--c\nContent-Type: message/delivery-status\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n--c--\n"
	  END, REPORT_CLASS_NONE, "", "" },
	{ "a report in a digest",
	  HUMAN "Content-Type: multipart/digest; boundary=b\n\n--b\n\n" DAEMON
	  "Content-Type: multipart/report; boundary=c\n\n"
	  "--c\nContent-Type: message/delivery-status\n\n"
	  "Final-Recipient: rfc822; bob@example.net\nAction: failed\n\n--c--\n"
	  END, REPORT_CLASS_NONE, "", "" },
	{ "a delivery-status part in a human's mail",
	  HUMAN MIXED "--b\n\nlook\n" STATUS("failed", "5.1.1") END,
	  REPORT_CLASS_NONE, "", "" },
};

static pool_t pool;

static int
read_stream(struct istream *input, enum report_sender sender,
	    struct report *report_r)
{
	const char *error = NULL;
	int ret = report_read(pool, input, sender, report_r, &error);

	assert_int_not_equal(ret, -1);
	return ret;
}

static int
read_string(const char *message, enum report_sender sender,
	    struct report *report_r)
{
	struct istream *input =
		i_stream_create_from_data(message, strlen(message));
	int ret = read_stream(input, sender, report_r);

	i_stream_unref(&input);
	return ret;
}

static const char *first_id(const struct report *report)
{
	const struct report_message_id *id;

	if (array_is_empty(&report->message_ids))
		return "";
	id = array_front(&report->message_ids);
	return id->id;
}

static const char *first_recipient(const struct report *report)
{
	const struct report_recipient *rcpt;

	if (array_is_empty(&report->recipients))
		return "";
	rcpt = array_front(&report->recipients);
	return rcpt->original_recipient != NULL ? rcpt->original_recipient :
		rcpt->final_recipient;
}

/* The same message with CRLF line ends. */
static const char *with_crlf(const char *message)
{
	string_t *str = t_str_new(strlen(message) * 2);

	for (; *message != '\0'; message++) {
		if (*message == '\n')
			str_append_c(str, '\r');
		str_append_c(str, *message);
	}
	return str_c(str);
}

static void check_shape(const struct shape *shape, const char *message)
{
	struct report report;
	int ret = read_string(message, REPORT_SENDER_UNKNOWN, &report);

	if (report.class != shape->class) {
		fail_msg("%s: class is %s", shape->name,
			 report_class_name(report.class));
	}
	assert_int_equal(ret, report.class != REPORT_CLASS_NONE);
	if (ret == 0)
		return;
	if (strcmp(first_id(&report), shape->message_id) != 0)
		fail_msg("%s: Message-ID is %s", shape->name, first_id(&report));
	if (strcmp(first_recipient(&report), shape->recipient) != 0) {
		fail_msg("%s: recipient is %s", shape->name,
			 first_recipient(&report));
	}
}

static void check_shapes(const struct shape *shapes, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) T_BEGIN {
		check_shape(&shapes[i], shapes[i].message);
		check_shape(&shapes[i], with_crlf(shapes[i].message));
	} T_END;
}

static void test_dsn_shapes(void **state ATTR_UNUSED)
{
	check_shapes(dsn_shapes, N_ELEMENTS(dsn_shapes));
}

static void test_text_shapes(void **state ATTR_UNUSED)
{
	check_shapes(text_shapes, N_ELEMENTS(text_shapes));
}

static void test_other_shapes(void **state ATTR_UNUSED)
{
	check_shapes(other_shapes, N_ELEMENTS(other_shapes));
}

static void test_class_names(void **state ATTR_UNUSED)
{
	assert_string_equal(report_class_name(REPORT_CLASS_NONE), "none");
	assert_string_equal(report_class_name(REPORT_CLASS_DSN_FAILED),
			    "dsn-failed");
	assert_string_equal(report_class_name(REPORT_CLASS_AUTO_REPLY),
			    "auto-reply");
	assert_string_equal(report_class_name(REPORT_CLASS_ARF), "arf");
}

/* A returned header with these fields; LF at their end. */
static void read_returned(const char *fields, struct report *report_r)
{
	const char *message = t_strconcat(
		DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
		"--b\nContent-Type: message/rfc822\n\nFrom: jane@example.org\n"
		"Subject: Hello\n", fields, "\nHello\n" END, NULL);

	assert_int_equal(read_string(message, REPORT_SENDER_NULL, report_r), 1);
}

static const struct {
	const char *fields;
	/* separated by spaces; a trailing "!" says that it is not whole */
	const char *ids;
} message_ids[] = {
	{ "Message-ID: <Left@Right.Example>\n", "left@right.example" },
	{ "Message-Id:\n\t<left@right.example>\n", "left@right.example" },
	{ "MESSAGE-ID : <left@ right.\n\texample>\n", "left@right.example" },
	{ "Message-ID: (a comment) <left@right.example> (b)\n",
	  "left@right.example" },
	{ "Message-ID: left@right.example\n", "left@right.example" },
	{ "Message-ID: <\"left\"@right.example>\n", "left@right.example" },
	{ "Message-ID: <left@[192.0.2.1]>\n", "left@[192.0.2.1]" },
	{ "Message-ID: <left@right.exam\n", "left@right.exam!" },
	{ "Message-ID: <left@right...>\n", "left@right...!" },
	{ "Message-ID: <lef...@right.example>\n", "lef...@right.example!" },
	{ "Message-ID: <left>\n", "left!" },
	{ "Message-ID: 20210401\n", "20210401!" },
	{ "Message-ID: <@right>\n", "@right!" },
	{ "Message-ID: <left@>\n", "left@!" },
	{ "Message-ID: <>\n", "" },
	{ "Message-ID:\n", "" },
	{ "Message-ID: <a <b@c>>\n", "b@c" },
	{ "Message-ID: <new@relay>\nX-Google-Original-Message-ID: <old@host>\n",
	  "new@relay old@host" },
	{ "Message-ID: <new@relay>\n"
	  "X-Microsoft-Original-Message-ID: <old@host>\n", "new@relay old@host" },
	{ "Message-ID: <same@host>\nX-Original-Message-ID: <SAME@host>\n",
	  "same@host" },
	{ "In-Reply-To: <earlier@host>\nReferences: <first@host>\n", "" },
	/* a reporter that keeps the original's ID for itself */
	{ "Message-ID: <report@mx.example.com>\n", "report@mx.example.com" },
};

static void test_message_ids(void **state ATTR_UNUSED)
{
	const struct report_message_id *id;
	struct report report;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(message_ids); i++) T_BEGIN {
		string_t *found = t_str_new(64);

		read_returned(message_ids[i].fields, &report);
		array_foreach(&report.message_ids, id) {
			if (str_len(found) > 0)
				str_append_c(found, ' ');
			str_append(found, id->id);
			if (!id->whole)
				str_append_c(found, '!');
		}
		if (strcmp(str_c(found), message_ids[i].ids) != 0)
			fail_msg("%s: %s", message_ids[i].fields, str_c(found));
	} T_END;
}

/* What is logged is what a report will show. */
static void test_message_id_first(void **state ATTR_UNUSED)
{
	static const struct {
		const char *value;
		const char *id;
	} values[] = {
		{ "<Left@Right>", "left@right" },
		{ "\r\n\t<left@\r\n right> <second@x>", "left@right" },
		{ " left@right (x)", "left@right" },
		{ "<a <b@c>", "b@c" },
		{ "<left@right", "left@right" },
		{ "<>", NULL },
		{ "", NULL },
		{ " \r\n", NULL },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(values); i++) {
		const char *id = report_message_id_first(pool, values[i].value);

		if (values[i].id == NULL)
			assert_null(id);
		else {
			assert_non_null(id);
			assert_string_equal(id, values[i].id);
		}
	}
}

/* A report that ends in the middle of the returned header. */
static void test_message_id_cut_off(void **state ATTR_UNUSED)
{
	static const struct {
		const char *line;
		bool whole;
	} lines[] = {
		{ "Message-ID: <left@right>", TRUE },
		{ "Message-ID: <left@ri", FALSE },
		{ "Message-ID: left@ri", FALSE },
		{ "Message-ID: left@right\n", TRUE },
	};
	static const char *const starts[] = {
		DAEMON REPORT_HEADER NOTICE STATUS("failed", "5.1.1")
		"--b\nContent-Type: message/rfc822\n\nFrom: a\nReceived: b\n",
		DAEMON "Subject: Returned mail\n\nbob@example.net: no\n\n"
		"From: a\nReceived: b\n",
	};
	const struct report_message_id *id;
	struct report report;
	unsigned int i, j;

	for (i = 0; i < N_ELEMENTS(starts); i++) {
		for (j = 0; j < N_ELEMENTS(lines); j++) {
			(void)read_string(t_strconcat(starts[i], lines[j].line,
						      NULL),
					  REPORT_SENDER_NULL, &report);
			assert_int_equal(array_count(&report.message_ids), 1);
			id = array_front(&report.message_ids);
			assert_int_equal(id->whole, lines[j].whole);
		}
	}
}

/* All that may acquit, best first. */
static void test_ids_of_all_places(void **state ATTR_UNUSED)
{
	static const char *const expected[] = {
		ID, "second@example.org", "field@example.org", "text@example.org",
		"nested@example.org", "running@example.org",
		"report@mx.example.com",
	};
	const struct report_message_id *id;
	struct report report;
	unsigned int i = 0;

	(void)read_string(DAEMON REPORT_HEADER
		"--b\n\nWe failed\nMessage-ID: <running@example.org>\n\n"
		"and\nReceived: a\nFrom: b\nMessage-ID: <text@example.org>\n\n"
		"--b\n\nReceived: a\nFrom: b\n"
		"Message-ID: <report@mx.example.com>\n\n"
		"--b\nContent-Type: message/delivery-status\n\n"
		"Final-Recipient: rfc822; bob@example.net\nAction: failed\n"
		"Original-Message-ID: <field@example.org>\n\n" RETURNED
		"--b\nContent-Type: message/rfc822\n\n"
		"From: Mailer-Daemon@example.org\nTo: a@example.net\n"
		"Message-ID: <second@example.org\n"
		"Content-Type: multipart/report; boundary=c\n\n"
		"--c\nContent-Type: text/rfc822-headers\n\n"
		"From: a\nTo: b\nMessage-ID: <nested@example.org>\n\n--c--\n"
		END, REPORT_SENDER_NULL, &report);
	array_foreach(&report.message_ids, id) {
		assert_true(i < N_ELEMENTS(expected));
		assert_string_equal(id->id, expected[i++]);
	}
	assert_int_equal(i, N_ELEMENTS(expected));
}

/* What the returned message itself answers or forwards is no evidence. */
static void test_ids_inside_the_original(void **state ATTR_UNUSED)
{
	struct report report;

	(void)read_string(DAEMON REPORT_HEADER STATUS("failed", "5.1.1")
		"--b\nContent-Type: message/rfc822\n\n"
		"From: jane@example.org\nTo: bob@example.net\n"
		"Message-ID: <original@example.org>\n"
		"References: <first@example.org>\n"
		"Content-Type: multipart/mixed; boundary=c\n\n"
		"--c\nContent-Type: message/rfc822\n\nFrom: a\nTo: b\n"
		"Message-ID: <forwarded@example.org>\n\n--c--\n" END,
		REPORT_SENDER_NULL, &report);
	assert_int_equal(array_count(&report.message_ids), 1);
	assert_string_equal(first_id(&report), ID);
}

static void test_text_id_yields_to_part(void **state ATTR_UNUSED)
{
	struct report report;

	(void)read_string(DAEMON REPORT_HEADER
		"--b\n\nReceived: a\nFrom: b\nMessage-ID: <text@example.org>\n\n"
		STATUS("failed", "5.1.1") RETURNED END,
		REPORT_SENDER_NULL, &report);
	assert_int_equal(array_count(&report.message_ids), 2);
	assert_string_equal(first_id(&report), ID);
}

static void test_returned_header(void **state ATTR_UNUSED)
{
	struct report report;
	const char *const *addresses;
	unsigned int count;

	read_returned("To: Bob <BOB@example.net>, undisclosed:;\n"
		      "Cc: kim@example.net\nDate: Thu, 1 Apr 2021 02:00:00 +0200\n"
		      "X-Backscatter-Serial: 7M4QK\n", &report);
	assert_string_equal(array_idx_elem(&report.serials, 0), "7M4QK");
	assert_int_equal(report.original_date, 1617235200);
	addresses = array_get(&report.original_to, &count);
	assert_int_equal(count, 2);
	assert_string_equal(addresses[0], "bob@example.net");
	assert_string_equal(addresses[1], "kim@example.net");
}

static void test_absent_values(void **state ATTR_UNUSED)
{
	struct report report;

	read_returned("X-Backscatter-Serial: two words\nDate: yesterday\n",
		      &report);
	assert_int_equal(array_count(&report.serials), 0);
	assert_null(report.envelope_id);
	assert_int_equal(report.original_date, (time_t)-1);
	assert_int_equal(report.arrival_date, (time_t)-1);
	assert_true(array_is_empty(&report.message_ids));
	assert_true(array_is_empty(&report.references));
	assert_false(report.truncated);
}

static void test_delivery_status_fields(void **state ATTR_UNUSED)
{
	const struct report_recipient *rcpt;
	struct report report;
	unsigned int count;

	(void)read_string(DAEMON REPORT_HEADER
		"--b\nContent-Type: message/delivery-status\n\n"
		"Original-Envelope-Id: A+2BB+3Dc@x\n"
		"Arrival-Date: Thu, 1 Apr 2021 00:00:01 +0000\n\n"
		"Original-Recipient: rfc822;Alias@example.net\n"
		"Final-Recipient: RFC822; BOB@example.net\n"
		"Action: Failed\nStatus: 5.1.1 (unknown)\n\n"
		"Final-Recipient: rfc822;kim@example.net\nAction: delayed\n\n" END,
		REPORT_SENDER_NULL, &report);
	assert_string_equal(report.envelope_id, "A+B=c@x");
	assert_int_equal(report.arrival_date, 1617235201);
	rcpt = array_get(&report.recipients, &count);
	assert_int_equal(count, 2);
	assert_string_equal(rcpt[0].original_recipient, "alias@example.net");
	assert_string_equal(rcpt[0].final_recipient, "bob@example.net");
	assert_string_equal(rcpt[0].action, "failed");
	assert_string_equal(rcpt[0].status, "5.1.1");
	assert_null(rcpt[1].original_recipient);
	assert_string_equal(rcpt[1].final_recipient, "kim@example.net");
	assert_null(rcpt[1].status);
}

static void test_own_header(void **state ATTR_UNUSED)
{
	const char *const *values;
	struct report report;
	unsigned int count;

	(void)read_string("References: <A@x> <b@x>\n <c@x>\n"
		"Message-ID: <Own@MX>\nTo: Jane@example.org, Kim <kim@example.org>\n"
		"In-Reply-To: <c@x>\nFrom: mailer-daemon@x\n\n",
		REPORT_SENDER_NULL, &report);
	assert_string_equal(report.message_id, "own@mx");
	values = array_get(&report.to, &count);
	assert_int_equal(count, 2);
	assert_string_equal(values[0], "jane@example.org");
	assert_string_equal(values[1], "kim@example.org");
	values = array_get(&report.references, &count);
	assert_int_equal(count, 3);
	assert_string_equal(values[0], "c@x");
	assert_string_equal(values[1], "b@x");
	assert_string_equal(values[2], "a@x");
}

/* The envelope is what the MTA says, Return-Path only what the header says. */
static void test_envelope_beats_return_path(void **state ATTR_UNUSED)
{
	static const char message[] = "Return-Path: <>\nFrom: bob@example.net\n"
		"Subject: Automatic reply: Hello\n\nI am away\n";
	struct report report;

	assert_int_equal(read_string(message, REPORT_SENDER_ADDRESS,
				     &report), 0);
	assert_int_equal(read_string(message, REPORT_SENDER_NULL, &report), 1);
}

static void test_unreadable(void **state ATTR_UNUSED)
{
	struct istream *input = i_stream_create_error_str(EIO, "disk on fire");
	struct report report;
	const char *error;

	assert_int_equal(report_read(pool, input, REPORT_SENDER_NULL, &report,
				     &error), -1);
	assert_non_null(strstr(error, "disk on fire"));
	i_stream_unref(&input);
}

/* Bounds. A message of many times the same, read from memory; returns how many
   of its bytes were looked at. */
static uoff_t
read_repeated(const char *start, const char *repeated, size_t size,
	      const char *end, struct report *report_r)
{
	string_t *message = str_new(default_pool, size + 4096);
	struct istream *input;
	uoff_t read;

	str_append(message, start);
	while (str_len(message) < size)
		str_append(message, repeated);
	str_append(message, end);
	input = i_stream_create_from_data(str_data(message), str_len(message));
	(void)read_stream(input, REPORT_SENDER_NULL, report_r);
	read = input->v_offset;
	i_stream_unref(&input);
	str_free(&message);
	return read;
}

/* Another original may follow; the body between them isn't kept. */
static void test_reads_on_behind_returned_body(void **state ATTR_UNUSED)
{
	struct report report;

	(void)read_repeated(DAEMON REPORT_HEADER NOTICE
			     STATUS("failed", "5.1.1") RETURNED,
			     "a body that nobody needs\n", 1024 * 1024,
			    "--b\nContent-Type: message/rfc822\n\n"
			    "From: jane@example.org\nTo: kim@example.net\n"
			    "Message-ID: <second@example.org>\n\n" END, &report);
	assert_string_equal(first_id(&report), ID);
	assert_int_equal(array_count(&report.message_ids), 2);
	assert_int_equal(array_count(&report.originals), 2);
	assert_false(report.truncated);
}

static void test_50_mib_body(void **state ATTR_UNUSED)
{
	struct report report;
	uoff_t read;

	read = read_repeated(DAEMON "Subject: Returned mail\n\n"
			     "bob@example.net: unknown user\n\n",
			     "noise\n", 50 * 1024 * 1024, "", &report);
	assert_int_equal(report.class, REPORT_CLASS_BOUNCE);
	assert_true(report.truncated);
	assert_true(read <= REPORT_MAX_BYTES);
}

static void test_100000_parts(void **state ATTR_UNUSED)
{
	struct report report;

	(void)read_repeated(DAEMON REPORT_HEADER STATUS("failed", "5.1.1"),
			    "--b\n\n\n", 700 * 1000, END, &report);
	assert_int_equal(report.class, REPORT_CLASS_DSN_FAILED);
	assert_string_equal(first_recipient(&report), BOB);
}

static void test_5_mib_header(void **state ATTR_UNUSED)
{
	struct report report;

	(void)read_repeated(DAEMON, "X-Filler: a very long header\n",
			    5 * 1024 * 1024, REPORT_HEADER, &report);
	assert_true(report.truncated);
	(void)read_repeated(DAEMON "X-Filler: a", " very long field\n",
			    5 * 1024 * 1024, REPORT_HEADER, &report);
	assert_true(report.truncated);
}

static void test_nested_1000_deep(void **state ATTR_UNUSED)
{
	string_t *message = str_new(default_pool, 256 * 1024);
	struct report report;
	unsigned int i;

	str_append(message, DAEMON "Subject: Returned mail\n");
	for (i = 0; i < 1000; i++) {
		str_printfa(message, "Content-Type: multipart/mixed; "
			    "boundary=b%u\n\n--b%u\n", i, i);
	}
	str_append(message, "\nnothing\n");
	(void)read_string(str_c(message), REPORT_SENDER_NULL, &report);
	assert_int_equal(report.class, REPORT_CLASS_BOUNCE);

	str_truncate(message, 0);
	for (i = 0; i < 1000; i++)
		str_append(message, "Content-Type: message/rfc822\n\n");
	(void)read_string(str_c(message), REPORT_SENDER_NULL, &report);
	str_free(&message);
}

static void test_many_recipients_and_ids(void **state ATTR_UNUSED)
{
	struct report report;

	(void)read_repeated(DAEMON REPORT_HEADER STATUS("failed", "5.1.1"),
			    "Final-Recipient: rfc822; a@example.net\n"
			    "Action: failed\n\n", 64 * 1024, END, &report);
	assert_int_equal(array_count(&report.recipients), REPORT_MAX_RECIPIENTS);
	assert_true(report.truncated);

	(void)read_repeated(DAEMON REPORT_HEADER STATUS("failed", "5.1.1")
			    "--b\nContent-Type: message/rfc822\n\n",
			    "Message-ID: <a@b>\n", 64 * 1024, END, &report);
	assert_true(array_count(&report.message_ids) <= REPORT_MAX_MESSAGE_IDS);
}

/* Many of what is collected: of each no more than the limits say. */
static void test_many_lines_and_blocks(void **state ATTR_UNUSED)
{
	const struct report_original *original;
	struct report report;
	string_t *message = str_new(default_pool, 1024 * 1024);
	unsigned int i;

	str_append(message, DAEMON REPORT_HEADER STATUS("failed", "5.1.1")
		   "--b\nContent-Type: message/rfc822\n\nFrom: a\nTo: b\n"
		   "Message-ID: <original@example.org>\n");
	for (i = 0; i < 100000; i++) {
		str_printfa(message, "Received: from a by h%u.example with ESMTPA"
			    " for <r%u@example.org>; x\n", i, i);
	}
	(void)read_string(str_c(message), REPORT_SENDER_NULL, &report);
	original = array_front(&report.originals);
	assert_int_equal(array_count(&original->hops), REPORT_MAX_HOPS);
	assert_true(report.truncated);
	/* cut off */
	assert_false(original->message_id_proves);

	str_truncate(message, 0);
	str_append(message, DAEMON "Subject: Returned mail\n\n");
	for (i = 0; i < 10000; i++) {
		str_printfa(message, "From: a\nTo: r%u@example.org\n"
			    "Message-ID: <%u@example.org>\n\n", i, i);
	}
	(void)read_string(str_c(message), REPORT_SENDER_NULL, &report);
	assert_int_equal(array_count(&report.originals), REPORT_MAX_ORIGINALS);
	assert_int_equal(array_count(&report.message_ids),
			 REPORT_MAX_MESSAGE_IDS);
	str_free(&message);
}

/* Input that makes a careless parser start again and again. */
static void test_repetitive_input(void **state ATTR_UNUSED)
{
	static const char *const repeated[] = {
		"<", "@", "a@", "(", "\"", "Message-ID: <(\n", "{\"a\":\"{",
		"To: a@b, \n", "> ", "5.", "\\x{", "=?a?b?c", "Subject:\n",
		"<p>", "&amp", "From:\n\n",
	};
	struct report report;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(repeated); i++) {
		(void)read_repeated(DAEMON "Content-Type: text/html\n\n",
				    repeated[i], 512 * 1024, "", &report);
		(void)read_repeated(DAEMON "\n", repeated[i], 512 * 1024, "",
				    &report);
		(void)read_repeated(DAEMON "References: ", repeated[i],
				    512 * 1024, "\n\n", &report);
		(void)read_repeated(DAEMON REPORT_HEADER
				    "--b\nContent-Type: message/delivery-status\n\n"
				    "Final-Recipient: ", repeated[i],
				    512 * 1024, "\n\n", &report);
	}
}

static int setup(void **state ATTR_UNUSED)
{
	pool = pool_alloconly_create("test report", 4096);
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
		TEST(test_dsn_shapes),
		TEST(test_text_shapes),
		TEST(test_other_shapes),
		TEST(test_class_names),
		TEST(test_message_ids),
		TEST(test_message_id_first),
		TEST(test_message_id_cut_off),
		TEST(test_ids_of_all_places),
		TEST(test_ids_inside_the_original),
		TEST(test_text_id_yields_to_part),
		TEST(test_returned_header),
		TEST(test_absent_values),
		TEST(test_delivery_status_fields),
		TEST(test_own_header),
		TEST(test_envelope_beats_return_path),
		TEST(test_unreadable),
		TEST(test_reads_on_behind_returned_body),
		TEST(test_50_mib_body),
		TEST(test_100000_parts),
		TEST(test_5_mib_header),
		TEST(test_nested_1000_deep),
		TEST(test_many_recipients_and_ids),
		TEST(test_many_lines_and_blocks),
		TEST(test_repetitive_input),
	};
	int ret;

	lib_init();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	lib_deinit();
	return ret;
}
