#ifndef DELIVERY_H
#define DELIVERY_H

/* What the files of this room share: one message that lmtp or lda delivers. plugin.c
   is the way in, delivery.c the deliver hook; delivery-lmtp.c and delivery-lda.c say
   which message and which recipient, delivery-report.c and delivery-spf.c what is
   done with it. May change the mail that is being delivered, and know all rooms but
   submission and doveadm; the user and his log come with judging/judge.h. */

#include "mail-deliver.h"
#include "net.h"
#include "report/report-scan.h"
#include "report/report.h"
#include "settings/backscatter-settings.h"
#include "spf/spf-forged.h"

struct delivery_report;
struct istream;
struct mail;
struct mail_deliver_context;
struct mail_storage;
struct mail_user;
struct module;
struct smtp_address;

/* delivery.c: the deliver hook, and whom the plugin is there for */

void delivery_init(void);
void delivery_deinit(void);

/* Whom the plugin is there for. An lmtp process has it for good once one of its
   recipients, or the protocol, has loaded it; a user's own mail_plugins may leave it
   out all the same. */
void delivery_user_init(struct module *module);
void delivery_user_deinit(void);

/* The plugin is in this user's mail_plugins. */
bool delivery_user_has_plugin(struct mail_user *user);

/* delivery-lmtp.c */

/* TRUE in the lmtp process. */
bool delivery_is_lmtp(void);

void delivery_lmtp_init(void);
void delivery_lmtp_deinit(void);

/* The report that is being delivered to the current recipient; NULL = the message
   is no report. */
struct delivery_report *delivery_lmtp_current_report(void);

/* delivery-lda.c */

/* Delivers one message in dovecot-lda: what delivery-lmtp.c does in two places is
   done here in one. next: the next deliver hook, may be NULL. Returns as a deliver
   hook does. */
int delivery_lda(struct mail_deliver_context *ctx,
		 struct mail_storage **storage_r, deliver_mail_func_t *next);

/* delivery-report.c: one report on its way into one mailbox */

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

/* delivery-spf.c: the SPF result of a message, once for all its recipients */

struct delivery_spf_message {
	/* its header block, as it came, or what was read of a very long one */
	const unsigned char *header;
	size_t header_size;
	/* What XCLIENT said, see struct spf_origin_source. */
	struct ip_addr xclient_ip;
	const char *xclient_helo;
	/* of the envelope; "" = null sender, NULL = unknown */
	const char *mail_from;
};

/* The settings as they are without any user: of the raw storage's user. Wrong ones
   are logged as errors. Allocated from pool, which must not be the data
   stack's. */
const struct spf_settings *
delivery_spf_settings(struct mail_user *raw_user, pool_t pool,
		      struct event *event);

/* Under which names we write: nobody else may, also where we don't. */
void delivery_spf_own_names(const struct spf_settings *set,
			    struct spf_own_names *names_r);

/* The header fields to be put in front of the message, with CRLF; "" = none. From
   the data stack. Never fails. event: for log lines. */
const char *
delivery_spf_header(const struct spf_settings *set,
		    const struct delivery_spf_message *message,
		    struct event *event);

#endif
