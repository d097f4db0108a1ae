#ifndef DOVEADM_IMPORT_H
#define DOVEADM_IMPORT_H

/* What the files of "doveadm backscatter import" share. */

#include "doveadm-log.h"
#include "sent/sent-copy.h"

#include <time.h>

struct mail;
struct mailbox;

struct import_context {
	struct doveadm_mail_cmd_context *ctx;
	struct mail_user *user;
	struct backscatter_user *buser;
	struct own_addresses *own;
	time_t now;

	/* those that aren't logged yet */
	pool_t batch_pool;
	ARRAY_TYPE(sent_copy) batch;

	unsigned int mailboxes, messages, too_old;
	/* newest copy that no report could be matched with */
	time_t last_without_message_id;
	/* the mailboxes with sent messages that are no Sent mailboxes: "Gesendet (5),
	   Archive (2)" */
	string_t *unlisted;
	/* as it was before they were looked for */
	struct sent_log_coverage coverage;
	/* one of them was sent when the log counted as complete */
	bool contradicted;
	bool failed;
};

/* Something could not be read: an error line, and the import is not complete. */
void import_failed(struct import_context *import, const char *error);

/* Calls back with each mail of the mailbox. Returns 0, or -1 if it can't be opened
   (which is an error, unless it isn't there). */
typedef void import_mail_t(struct import_context *import, struct mail *mail,
			   void *context);
int import_foreach_mail(struct import_context *import, struct mailbox *box,
			import_mail_t *callback, void *context);

/* Returns 1 and the copy that the mail is, allocated from pool, 0 if it is older than
   the retention, -1 after an error. */
int import_read(struct import_context *import, pool_t pool, struct mail *mail,
		struct sent_copy *copy_r);
/* It goes into the log with the next batch; copy: from import->batch_pool. */
void import_add(struct import_context *import, const struct sent_copy *copy);

/* Looks through all private mailboxes that are no Sent mailboxes: what was sent from
   here and is not in the log is counted in import->unlisted, or, where it lies in
   Trash, logged. except: mailboxes that are left out, NULL-terminated. Returns 0,
   or -1 after an error. */
int import_search(struct import_context *import, const char *const *except);

#endif
