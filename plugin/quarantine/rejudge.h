#ifndef REJUDGE_H
#define REJUDGE_H

/* Reports that came before their original was logged: an MTA that refuses at once
   is faster than a client that stores its Sent copy. They are remembered when they
   are delivered, and judged again when their original turns up. */

#include "judging/judge.h"

struct timeout;

/* Remembers a report that was stored at this place just now; place->quarantined
   must be set, and the log have answered so far. Does nothing if its original is
   known already, or if it names none. An error is logged. */
void rejudge_remember(struct backscatter_user *buser, const struct report *report,
		      const struct judgement *judgement,
		      const struct sent_log_stored_report *place);

/* Judges again what is due (see sent-log.h): a report that lies in the quarantine
   and is no backscatter now moves to INBOX with its new header; one that the user
   has moved or deleted, or that was never quarantined, is only forgotten. To be called
   after something was logged, and never while this process has a transaction open
   in one of the user's mailboxes: its locks would be waited for in vain. Each report
   that is judged leaves a line in log->event; one that fails stays where it is, is
   logged as an error, and is due again the next time. */
void rejudge_due_reports(struct backscatter_user *buser);

/* Judging again in a process that goes on: not where something was logged, but
   shortly afterwards, as soon as none of the user's mailboxes has a transaction
   open. */
struct rejudge_timer {
	struct backscatter_user *buser;
	/* NULL = nothing is due as far as we know */
	struct timeout *timeout;
};

/* Something was logged. */
void rejudge_timer_start(struct rejudge_timer *timer);
/* The session ends, its mailboxes are still there: what was to be done is done
   now. */
void rejudge_timer_end(struct rejudge_timer *timer);

#endif
