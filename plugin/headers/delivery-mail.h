#ifndef DELIVERY_MAIL_H
#define DELIVERY_MAIL_H

/* The message as it is delivered: streams and raw mails with our header in front
   and forged ones taken out. May read the message and know which fields are forged;
   opens no mailbox of the user and no log, reads no setting. */

#include "report/report-scan.h"
#include "spf/spf-forged.h"

struct istream;
struct mail;
struct mail_user;
struct mailbox;
struct mailbox_transaction_context;

/* Returns the message of input (at its first byte) without the headers that are
   forged: those that the scan found, and results in our own names (own->authserv_id
   NULL: we have none). *size is corrected. The stream owns its memory: an LMTP proxy
   may keep it longer than we live. */
struct istream *
delivery_stream_without_forged(struct istream *input,
			       const struct report_scan *scan,
			       const struct spf_own_names *own, uoff_t *size);

/* Returns the message of input with this header ("Name: value\r\n" or "") on top.
   *size is corrected. */
struct istream *
delivery_stream_with_header(struct istream *input, const char *header,
			    uoff_t *size);

/* A message in a raw mailbox of its own. */
struct delivery_mail {
	struct mail *mail;
	struct mailbox *box;
	struct mailbox_transaction_context *trans;
	struct istream *input;
};

/* Makes a raw mail of header ("Name: value\r\n" or "") and the message in input.
   Returns 0, or -1 and an error. */
int delivery_mail_open(struct delivery_mail *mail, struct mail_user *raw_user,
		       struct istream *input, const char *header,
		       const char *mail_from, const char **error_r);
void delivery_mail_close(struct delivery_mail *mail);

#endif
