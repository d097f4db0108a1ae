/* Actions (docs/design.md, section 6): pure. */

#include "lib.h"
#include "action.h"

static const char *const action_names[ACTION_COUNT] = {
	[ACTION_ANNOTATE] = "annotate",
	[ACTION_QUARANTINE] = "quarantine",
	[ACTION_DISCARD] = "discard",
	[ACTION_REJECT] = "reject",
};

const char *action_name(enum action action)
{
	return action_names[action];
}

int action_parse(const char *name, enum action *action_r)
{
	for (unsigned int i = 0; i < ACTION_COUNT; i++) {
		if (strcmp(action_names[i], name) == 0) {
			*action_r = (enum action)i;
			return 0;
		}
	}
	return -1;
}

/* The report names an original that was certainly not sent, returns its header, and
   is certainly a report. The null sender also means that a refusal creates no
   backscatter of its own. */
static bool
may_lose_report(const struct verdict_facts *verdict,
		const struct verdict_result *result,
		const struct action_facts *facts)
{
	if (result->reason != VERDICT_REASON_BAD_SERIAL &&
	    result->reason != VERDICT_REASON_NOT_SENT)
		return FALSE;
	return facts->only_submission_listed && verdict->null_sender &&
		verdict->shape == REPORT_SHAPE_STRUCTURED &&
		verdict->original_count == 1 && verdict->original_in_part;
}

enum action action_decide(const struct verdict_facts *verdict,
			  const struct verdict_result *result,
			  const struct action_facts *facts)
{
	if (result->verdict != VERDICT_BACKSCATTER)
		return ACTION_ANNOTATE;

	switch (facts->wanted) {
	case ACTION_ANNOTATE:
	case ACTION_QUARANTINE:
		return facts->wanted;
	case ACTION_DISCARD:
		return may_lose_report(verdict, result, facts) ?
			ACTION_DISCARD : ACTION_QUARANTINE;
	case ACTION_REJECT:
		return may_lose_report(verdict, result, facts) &&
			facts->can_reject ?
			ACTION_REJECT : ACTION_QUARANTINE;
	case ACTION_COUNT:
		break;
	}
	i_unreached();
}
