#ifndef CATCH_UP_H
#define CATCH_UP_H

/* The Sent mailboxes are the truth, and the log is their index (docs/design.md, section
   5): before a report is called backscatter, what lies there unread is logged. So
   nothing is lost where a copy was stored past the plugin: by an imap without it, a
   server-side copy, dsync, a restored backup. */

#include "user/backscatter-user.h"

enum catch_up_result {
	/* Everything that lies in the Sent mailboxes is in the log. */
	CATCH_UP_DONE = 0,
	/* Not all of it: the time is used up, another process is at it, a lock is
	   held. What was read is in the log; the next call goes on from there. */
	CATCH_UP_UNFINISHED,
	/* A mailbox, or a copy in it, can't be read in a delivery. */
	CATCH_UP_UNREADABLE,
	/* An error that an administrator should see. The log may be closed now. */
	CATCH_UP_FAILED,
};

/* Opens mailboxes only where something in them is new, read-only, and waits for no
   process: not while this one has a transaction open in one of the user's mailboxes.
   now: this host's clock. *error_r: what keeps it from being done, for the log line
   of the report; allocated from log->pool. */
enum catch_up_result
catch_up(struct backscatter_user *buser, time_t now, const char **error_r);

#endif
