/* The purse: arithmetic only, the caller brings the time. */

#include "lib.h"
#include "spf-dns-patience.h"

static void patience_fill(struct spf_dns_patience *patience, uint64_t now)
{
	uint64_t full = (uint64_t)patience->timeout_msecs *
		SPF_DNS_PATIENCE_EVALUATIONS;
	uint64_t gained;

	full = I_MIN(full, UINT_MAX);
	if (patience->filled_msecs == 0) {
		patience->purse_msecs = full;
		patience->filled_msecs = now;
		return;
	}
	gained = (now - patience->filled_msecs) / SPF_DNS_PATIENCE_SHARE;
	/* what is too little for a millisecond counts the next time */
	patience->filled_msecs += gained * SPF_DNS_PATIENCE_SHARE;
	patience->purse_msecs = I_MIN(patience->purse_msecs + gained, full);
}

void spf_dns_patience_begin(struct spf_dns_patience *patience,
			    unsigned int timeout_msecs, uint64_t now)
{
	patience->started_msecs = now;
	patience->timeout_msecs = timeout_msecs;
	patience_fill(patience, now);
}

uint64_t spf_dns_patience_deadline(const struct spf_dns_patience *patience,
				   uint64_t asked_msecs)
{
	uint64_t purse = patience->purse_msecs;
	uint64_t evaluation = patience->started_msecs +
		I_MIN(patience->timeout_msecs,
		      SPF_DNS_PATIENCE_EVALUATION_MSECS + purse);

	return I_MIN(evaluation,
		     asked_msecs + SPF_DNS_PATIENCE_QUESTION_MSECS + purse);
}

void spf_dns_patience_pay(struct spf_dns_patience *patience, bool late,
			  uint64_t now)
{
	uint64_t spent = now - patience->started_msecs;
	unsigned int free = late ? SPF_DNS_PATIENCE_QUESTION_MSECS :
		SPF_DNS_PATIENCE_EVALUATION_MSECS;

	if (spent <= free)
		return;
	patience->purse_msecs -= I_MIN(patience->purse_msecs, spent - free);
}
