#ifndef SENT_COPY_H
#define SENT_COPY_H

/* The copy of a sent message that a mail client stores: which mailboxes hold such
   copies, and what the log needs to know of one. The room finds a user's Sent
   mailboxes and reads them into the log, for whoever judges (catch-up.h), imports or
   saves. Opens them read-only, and judges nothing. */

#include "user/backscatter-user.h"

struct mail;
struct mailbox;

struct sent_copy {
	/* Message-IDs, normalised (at most one in a valid message), or else what
	   the copy can be recognised by when it is read again */
	ARRAY(struct sent_log_identity) identities;
	/* addresses of To, Cc, Bcc and their Resent- forms, lower-case */
	ARRAY_TYPE(const_string) recipients;
	/* Date:, 0 = absent or unreadable */
	time_t date;
	/* the time that the log counts from */
	time_t logged_at;
	bool from_own_address;
	bool has_message_id;
	/* Not from an own address, and a mail server has passed it on: received, not
	   sent, wherever it lies now. */
	bool was_delivered;
};
ARRAY_DEFINE_TYPE(sent_copy, struct sent_copy);

/* The mailbox is one of the user's own that his clients save Sent copies to:
   special-use \Sent or in backscatter_sent_mailboxes, in a private namespace. */
bool sent_copy_is_sent_mailbox(struct mailbox *box,
			       const struct backscatter_settings *set);

/* Calls back with each of them, not opened. Returns 0, or -1 if they can't be listed
   (to the end). */
typedef void sent_copy_mailbox_t(struct mailbox *box, void *context);
int sent_copy_foreach_mailbox(struct mail_user *user,
			      const struct backscatter_settings *set,
			      sent_copy_mailbox_t *callback, void *context);

/* All that sent_copy_read() looks at, for mail_alloc(); NULL-terminated. */
extern const char *const sent_copy_headers[];

/* Reads the headers of mail. logged_at: see struct sent_log_message. Everything is
   allocated from pool. Returns 0, or -1 and an error. */
int sent_copy_read(pool_t pool, struct mail *mail,
		   const struct own_addresses *own, time_t logged_at,
		   struct sent_copy *copy_r, const char **error_r);

/* Of the time that it was stored at and its own date the younger one: what was stored
   long ago by a broken clock, or dated wrongly, may still have been sent within the
   retention. Returns FALSE if neither can be believed. */
bool sent_copy_set_logged_at(struct sent_copy *copy, time_t received, time_t now);

/* The same from a header block, of a message that became no mail. Uses the data
   stack. */
int sent_copy_read_block(pool_t pool, const void *block, size_t size,
			 const struct own_addresses *own, time_t logged_at,
			 struct sent_copy *copy_r, const char **error_r);

/* Writes copies into the log as source "sent". A copy without Message-ID restarts
   coverage where "sent" is the only source listed: a report on it could not be
   recognised. Returns 1, or -1 and an error. */
int sent_copy_log(struct backscatter_user *buser, const ARRAY_TYPE(sent_copy) *copies,
		  time_t now, const char **error_r);
/* The same for copies (or none) read from this mailbox, together with how far it has
   been read now. */
int sent_copy_log_read(struct backscatter_user *buser,
		       const ARRAY_TYPE(sent_copy) *copies, const char *mailbox,
		       const struct sent_log_mailbox_mark *mark, time_t now,
		       const char **error_r);

/* The copy in a Sent mailbox that a row of the log stands for, which has only its hash:
   "Sent UID 12 (<id@example.org>)", or NULL if it isn't there any more. Allocated from
   buser->pool. */
const char *sent_copy_find(struct backscatter_user *buser,
			   const struct sent_log_row *row);

#endif
