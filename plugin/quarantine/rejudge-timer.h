#ifndef REJUDGE_TIMER_H
#define REJUDGE_TIMER_H

/* Judging again in a process that goes on: not where something was logged, but
   shortly afterwards, as soon as none of the user's mailboxes has a transaction
   open. */

struct backscatter_user;
struct timeout;

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
