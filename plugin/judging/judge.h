#ifndef JUDGE_H
#define JUDGE_H

/* Judges one report for one mailbox: what the delivery does with it, and what
   "doveadm backscatter explain" shows. The room may ask the log, have the Sent
   mailboxes read into it, and count a genuine report. Opens no mailbox itself, and
   moves or changes no mail. */

#include "verdict/action.h"
#include "facts.h"
#include "user/backscatter-user.h"

/* What the delivery knows beside the message. */
struct judge_envelope {
	/* the mailbox's own address in the envelope, with its detail; NULL =
	   unknown */
	const char *recipient;
	/* What the message was sent to before it came here (ORCPT, lda's -a);
	   NULL = unknown. Not own: serves only to verify a keyed evidence. */
	const char *original_recipient;
	/* this way of delivery can refuse a single recipient */
	bool can_reject:1;
};

struct judgement {
	struct facts facts;
	struct verdict_result result;
	enum action action;
	/* It would have been backscatter, but the Sent mailboxes could not be read
	   to their end: why; NULL = they were, or that didn't matter. Of the
	   backscatter_user's pool. */
	const char *not_caught_up;
	/* the Sent mailboxes were read, and are in the log as they are now */
	bool caught_up;
	/* a fault, for an administrator to see */
	bool log_failed;
};

/* now: this host's clock. What would be called backscatter has the Sent mailboxes
   read into the log first (sent/catch-up.h), and is judged again by what it knows
   then. Never fails; strings in *judgement_r live in the data
   stack frame of the caller. */
void judge_report(struct backscatter_user *buser, const struct report *report,
		  const struct judge_envelope *envelope, time_t now,
		  struct judgement *judgement_r);

/* Counts a genuine report against its original's budget, after it was stored. An error
   is logged. */
void judgement_count(struct backscatter_user *buser,
		     const struct judgement *judgement,
		     const struct report *report, time_t now);

/* The X-Backscatter header with its line end, e.g. "X-Backscatter: genuine;
   class=dsn-failed; reason=message-id; evidence=message-id". Made of our own words
   only. */
const char *judgement_header(const struct judgement *judgement);

/* The log line about a judged report, without the action. Message-IDs are
   sanitised. */
const char *judgement_log_line(const struct judgement *judgement,
			       const struct report *report);

#endif
