#ifndef DELIVERY_REPORT_H
#define DELIVERY_REPORT_H

/* What delivery-lmtp.c and delivery-lda.c share: one report on its way into one
   mailbox. */

#include "report/report.h"
#include "report/report-scan.h"

struct istream;
struct mail;
struct mail_deliver_context;
struct mail_storage;
struct mail_user;
struct smtp_address;

struct delivery_report;

/* Reads input as a report. Returns NULL if it is none, or can't be read (which
   is logged): then it is delivered as any message. Allocated from pool. */
const struct report *
delivery_read_report(pool_t pool, struct istream *input, bool null_sender,
		     struct event *event);

/* The report's envelope, as far as it is about this recipient. */
struct delivery_envelope {
	/* the mailbox's own address; NULL = unknown */
	const struct smtp_address *recipient;
	/* see struct judge_envelope */
	const struct smtp_address *original_recipient;
	/* this recipient can be refused alone */
	bool can_reject:1;
};

/* MAIL FROM:<>. A broken address that was taken for one doesn't count. */
bool delivery_sender_is_null(const struct smtp_address *mail_from);

/* Judges the report for this user. event: for log lines. */
struct delivery_report *
delivery_report_begin(const struct report *report, struct mail_user *user,
		      const struct delivery_envelope *envelope,
		      struct event *event);
/* Counts the report if it was stored, writes the one log line, remembers it where
   its original may still be logged, judges again what is due, and closes the
   log. */
void delivery_report_end(struct delivery_report **report, bool stored);

/* The header line, with CRLF. */
const char *delivery_report_header(const struct delivery_report *report);
bool delivery_report_is_rejected(const struct delivery_report *report);

/* In a deliver hook, before any other hook: quarantines or discards. Returns TRUE
   if the report needs no further delivery. Otherwise *storage_r is NULL, and the
   report goes the usual way. */
bool delivery_report_act(struct delivery_report *report,
			 struct mail_deliver_context *ctx,
			 struct mail_storage **storage_r);

#endif
