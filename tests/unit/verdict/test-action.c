/* Actions: what may lose mail acts only where the verdict is certain (docs/design.md,
   section 6). */

#include "unit.h"
#include "verdict/action.h"

static const struct verdict_result not_sent = {
	.row = 17, .verdict = VERDICT_BACKSCATTER,
	.reason = VERDICT_REASON_NOT_SENT,
};

/* What discard and reject ask for. */
static const struct verdict_facts certain = {
	.shape = REPORT_SHAPE_STRUCTURED,
	.original_count = 1,
	.original_in_part = TRUE,
	.null_sender = TRUE,
};

static struct action_facts facts_for(enum action wanted)
{
	struct action_facts facts = {
		.wanted = wanted,
		.only_submission_listed = TRUE,
		.can_reject = TRUE,
	};
	return facts;
}

static void test_wanted_action(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < ACTION_COUNT; i++) {
		struct action_facts facts = facts_for((enum action)i);

		assert_int_equal(action_decide(&certain, &not_sent, &facts), i);
	}
}

static void test_only_backscatter_is_acted_upon(void **state ATTR_UNUSED)
{
	static const enum verdict delivered[] = {
		VERDICT_GENUINE, VERDICT_UNKNOWN
	};

	for (unsigned int i = 0; i < ACTION_COUNT; i++) {
		struct action_facts facts = facts_for((enum action)i);

		for (unsigned int j = 0; j < N_ELEMENTS(delivered); j++) {
			struct verdict_result result = not_sent;

			result.verdict = delivered[j];
			assert_int_equal(action_decide(&certain, &result,
						       &facts),
					 ACTION_ANNOTATE);
		}
	}
}

/* Both lose mail: every doubt sends them to the quarantine. */
static void test_losing_actions_need_certainty(void **state ATTR_UNUSED)
{
	static const enum action losing[] = { ACTION_DISCARD, ACTION_REJECT };

	for (unsigned int i = 0; i < N_ELEMENTS(losing); i++) {
		struct action_facts facts = facts_for(losing[i]);
		struct verdict_result result = not_sent;

		for (unsigned int reason = 0;
		     reason <= VERDICT_REASON_NO_IDENTITY; reason++) {
			result.reason = (enum verdict_reason)reason;
			assert_int_equal(
				action_decide(&certain, &result, &facts),
				reason == VERDICT_REASON_BAD_SERIAL ||
				reason == VERDICT_REASON_NOT_SENT ?
				losing[i] : ACTION_QUARANTINE);
		}
		facts.only_submission_listed = FALSE;
		assert_int_equal(action_decide(&certain, &not_sent, &facts),
				 ACTION_QUARANTINE);
	}
}

static void test_losing_actions_need_a_certain_report(void **state ATTR_UNUSED)
{
	static const enum action losing[] = { ACTION_DISCARD, ACTION_REJECT };

	for (unsigned int i = 0; i < N_ELEMENTS(losing); i++) {
		struct action_facts facts = facts_for(losing[i]);
		struct verdict_facts doubts[] = {
			certain, certain, certain, certain, certain
		};

		doubts[0].null_sender = FALSE;
		doubts[1].shape = REPORT_SHAPE_DAEMON;
		doubts[2].original_in_part = FALSE;
		doubts[3].original_count = 0;
		doubts[4].original_count = 2;
		for (unsigned int j = 0; j < N_ELEMENTS(doubts); j++) {
			assert_int_equal(action_decide(&doubts[j], &not_sent,
						       &facts),
					 ACTION_QUARANTINE);
		}
	}
}

static void test_reject_needs_lmtp(void **state ATTR_UNUSED)
{
	struct action_facts facts = facts_for(ACTION_REJECT);

	facts.can_reject = FALSE;
	assert_int_equal(action_decide(&certain, &not_sent, &facts),
			 ACTION_QUARANTINE);
}

static void test_names(void **state ATTR_UNUSED)
{
	enum action action;

	for (unsigned int i = 0; i < ACTION_COUNT; i++) {
		assert_int_equal(action_parse(action_name((enum action)i),
					      &action), 0);
		assert_int_equal(action, i);
	}
	assert_int_equal(action_parse("drop", &action), -1);
	assert_int_equal(action_parse("", &action), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wanted_action),
		cmocka_unit_test(test_only_backscatter_is_acted_upon),
		cmocka_unit_test(test_losing_actions_need_certainty),
		cmocka_unit_test(test_losing_actions_need_a_certain_report),
		cmocka_unit_test(test_reject_needs_lmtp),
		cmocka_unit_test(test_names),
	};

	return UNIT_RUN(tests);
}
