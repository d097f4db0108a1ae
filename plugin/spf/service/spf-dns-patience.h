#ifndef SPF_DNS_PATIENCE_H
#define SPF_DNS_PATIENCE_H

/* Inside the room: how long a question may wait. Deliveries wait for SPF, and
   anybody can own a name whose server never answers, and send from as many names
   below it as he likes. So the time lost to such names comes out of a purse,
   which the clock fills again, slowly, and nothing else: a good answer doesn't,
   or a good message between two slow ones would pay for the next.

   With an empty purse every question still has SPF_DNS_PATIENCE_QUESTION_MSECS
   and an evaluation SPF_DNS_PATIENCE_EVALUATION_MSECS, so that names whose servers
   do answer get their results while somebody attacks. */

/* An evaluation takes nothing out of the purse if it waits no longer than this
   for an answer that doesn't come, */
#define SPF_DNS_PATIENCE_QUESTION_MSECS 250
/* or no longer than this in all where each answer came. */
#define SPF_DNS_PATIENCE_EVALUATION_MSECS 1000
/* The purse holds as much as so many evaluations may take, */
#define SPF_DNS_PATIENCE_EVALUATIONS 2
/* and one part of so many of the time that passes is added to it. */
#define SPF_DNS_PATIENCE_SHARE 20

/* All zero: before the first evaluation. Times are of spf_clock_msecs(). */
struct spf_dns_patience {
	unsigned int purse_msecs;
	/* until when it was filled; 0: never yet */
	uint64_t filled_msecs;

	uint64_t started_msecs;
	unsigned int timeout_msecs;
};

void spf_dns_patience_begin(struct spf_dns_patience *patience,
			    unsigned int timeout_msecs, uint64_t now);
/* Until when a question of this evaluation may wait that was asked then. */
uint64_t spf_dns_patience_deadline(const struct spf_dns_patience *patience,
				   uint64_t asked_msecs);
/* Takes out what the evaluation has cost. late: an answer did not come. */
void spf_dns_patience_pay(struct spf_dns_patience *patience, bool late,
			  uint64_t now);

#endif
