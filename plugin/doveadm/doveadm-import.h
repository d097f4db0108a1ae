#ifndef DOVEADM_IMPORT_H
#define DOVEADM_IMPORT_H

/* What the two files of "doveadm backscatter import" share: doveadm-import.c reads the
   Sent mailboxes, doveadm-import-search.c looks for sent messages in all others. What
   was delivered there, and so was not sent, is left out. */

#include "doveadm-backscatter.h"
#include "sent/sent-copy.h"

struct mail;
struct mailbox;

struct import {
	struct doveadm_run *run;
	struct own_addresses *own;

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
void import_failed(struct import *import, const char *error);

/* Calls back with each mail of the mailbox. Returns 0, or -1 if it can't be opened
   (which is an error, unless it isn't there). */
typedef void import_mail_t(struct import *import, struct mail *mail, void *context);
int import_foreach_mail(struct import *import, struct mailbox *box,
			import_mail_t *callback, void *context);

/* Returns 1 and the copy that the mail is, allocated from pool, 0 if it is older than
   the retention, -1 after an error. */
int import_read(struct import *import, pool_t pool, struct mail *mail,
		struct sent_copy *copy_r);
/* It goes into the log with the next batch; copy: from import->batch_pool. */
void import_add(struct import *import, const struct sent_copy *copy);

/* It is there, and not only because its settings would create it. */
bool import_mailbox_exists(struct mailbox *box);

/* Headers that import_was_delivered() and import_search() look at, and those of
   sent_copy_read(); NULL-terminated. */
extern const char *const import_headers[];
/* It came here by delivery: a client's copy has none of these fields. */
bool import_was_delivered(struct mail *mail);

/* Looks through all private mailboxes that are no Sent mailboxes: what was sent from
   here and is not in the log is counted in import->unlisted, or, where it lies in
   Trash, logged. except: mailboxes that are left out, NULL-terminated. Returns 0,
   or -1 after an error. */
int import_search(struct import *import, const char *const *except);

#endif
