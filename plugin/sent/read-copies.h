#ifndef READ_COPIES_H
#define READ_COPIES_H

/* Reads the copies in one Sent mailbox into the log. */

#include "user/backscatter-user.h"

struct mailbox;

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
