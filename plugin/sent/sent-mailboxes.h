#ifndef SENT_MAILBOXES_H
#define SENT_MAILBOXES_H

/* A user's Sent mailboxes by name: those that the configuration gives the special use
   \Sent, and backscatter_sent_mailboxes. Never by walking through his folders: a
   delivery has no time for that. Only in his own private namespaces. */

#include "user/backscatter-user.h"

struct mailbox;
struct mailbox_status;

/* box: not opened, and it need not exist; read-only, and without the ACL plugin's
   rights (they are the user's, and so is the log). why_not: NULL, or why it is not
   opened in a delivery, a sentence's end for an administrator ("is of the type mbox,
   ..."): then nothing but its name may be asked. Returns FALSE to end here. */
typedef bool sent_mailboxes_callback_t(struct mailbox *box, const char *why_not,
				       void *context);
/* Each once. */
void sent_mailboxes_foreach(struct mail_user *user,
			    const struct backscatter_settings *set,
			    sent_mailboxes_callback_t *callback, void *context);

/* Looks at UIDVALIDITY and UIDNEXT; creates nothing, and opens what it has to in
   order to know. Returns 1, 0 if there is no such mailbox, or -1 and an error (data
   stack). */
int sent_mailbox_get_status(struct mailbox *box,
			    struct mailbox_status *status_r,
			    const char **error_r);
/* Not the mailbox that the mark was made for, but another, or an older copy of it. */
bool sent_mailbox_is_other(const struct sent_log_mailbox_mark *mark,
			   const struct mailbox_status *status);
/* Nothing in it is left to be read. */
bool sent_mailbox_is_read(const struct sent_log_mailbox_mark *mark,
			  const struct mailbox_status *status);

/* For "doveadm backscatter coverage": what is to be said of one Sent mailbox. */
struct sent_mailbox_state {
	const char *name;
	/* as in sent_mailboxes_callback_t: the mailbox's user is not covered. Then only
	   the name and exists are set. */
	const char *why_not;
	/* why it couldn't be looked at just now; NULL = it was */
	const char *error;
	bool exists;
	/* everything in it is in the log, as far as it can be read */
	bool all_read;
	/* copies that can't be read: not covered for as long as they are there */
	unsigned int unreadable;
};
ARRAY_DEFINE_TYPE(sent_mailbox_state, struct sent_mailbox_state);
/* All of them. log: the user's, NULL = he has none. Allocated from pool. Returns 0, or -1
   and the log's error. */
int sent_mailboxes_get_state(struct backscatter_user *buser,
			     struct sent_log *log, pool_t pool,
			     ARRAY_TYPE(sent_mailbox_state) *states_r,
			     const char **error_r);

/* Reading the copies in one of them into the log (read-copies.c). */
struct read_copies {
	struct backscatter_user *buser;
	const struct own_addresses *own;
	time_t now;
	/* CLOCK_MONOTONIC: whoever waits for this waits no longer */
	int64_t deadline_msecs;
};

int64_t read_copies_clock_msecs(void);

/* Reads what the mark calls unread in the opened mailbox, the newest first: that one
   is reported on. The mark advances, in the log as in *mark, together with the
   rows. A copy that can't be read is named in an error line once, and in the mark.
   Returns 1 if all has been read, 0 if the deadline came first, or -1 and an error
   (data stack) of the mailbox; an error of the log closes it (see
   backscatter_user_set_unavailable()). */
int read_copies(const struct read_copies *read, struct mailbox *box,
		struct sent_log_mailbox_mark *mark, const char **error_r);

#endif
