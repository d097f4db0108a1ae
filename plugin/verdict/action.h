#ifndef ACTION_H
#define ACTION_H

/* What is done with a judged report: docs/design.md, section 6, as a pure function. */

#include "verdict.h"

enum action {
	/* delivered with its header; Sieve decides */
	ACTION_ANNOTATE = 0,
	/* into the quarantine mailbox */
	ACTION_QUARANTINE,
	/* not stored */
	ACTION_DISCARD,
	/* LMTP: 550 for this recipient */
	ACTION_REJECT,

	ACTION_COUNT
};

struct action_facts {
	/* what the settings want for this report's class */
	enum action wanted;
	/* backscatter_sources is exactly "submission", the one source that logs
	   before anything leaves */
	bool only_submission_listed:1;
	/* the delivery can refuse a single recipient (LMTP) */
	bool can_reject:1;
};

/* Discard and reject lose mail, so they fall back to quarantine wherever the
   verdict could be mistaken. Whatever is not backscatter is delivered. */
enum action action_decide(const struct verdict_facts *verdict,
			  const struct verdict_result *result,
			  const struct action_facts *facts);

/* "annotate", ... as the settings write it */
const char *action_name(enum action action);
/* Returns 0 and the action, or -1 if there is none of that name. */
int action_parse(const char *name, enum action *action_r);

#endif
