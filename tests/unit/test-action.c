/* Actions: what may lose mail acts only where the verdict is certain (DESIGN.md
   section 6). */

#include "unit.h"
#include "verdict/action.h"

static const struct verdict_result not_sent = {
	.row = 13, .verdict = VERDICT_BACKSCATTER,
	.reason = VERDICT_REASON_NOT_SENT,
};

static struct action_facts facts_for(enum action wanted)
{
	struct action_facts facts = {
		.wanted = wanted,
		.only_submission_listed = TRUE,
		.null_sender = TRUE,
		.can_reject = TRUE,
	};
	return facts;
}

static void test_wanted_action(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < ACTION_COUNT; i++) {
		struct action_facts facts = facts_for((enum action)i);

		assert_int_equal(action_decide(&not_sent, &facts), i);
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
			assert_int_equal(action_decide(&result, &facts),
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

		result.reason = VERDICT_REASON_BAD_SERIAL;
		assert_int_equal(action_decide(&result, &facts), losing[i]);
		result.reason = VERDICT_REASON_REPLAYED;
		assert_int_equal(action_decide(&result, &facts),
				 ACTION_QUARANTINE);
		result.reason = VERDICT_REASON_NOTHING_SENT;
		assert_int_equal(action_decide(&result, &facts),
				 ACTION_QUARANTINE);

		facts.only_submission_listed = FALSE;
		assert_int_equal(action_decide(&not_sent, &facts),
				 ACTION_QUARANTINE);
		facts = facts_for(losing[i]);
		facts.serial_of_unknown_key = TRUE;
		assert_int_equal(action_decide(&not_sent, &facts),
				 ACTION_QUARANTINE);
	}
}

static void test_reject_needs_null_sender_and_lmtp(void **state ATTR_UNUSED)
{
	struct action_facts facts = facts_for(ACTION_REJECT);

	facts.null_sender = FALSE;
	assert_int_equal(action_decide(&not_sent, &facts), ACTION_QUARANTINE);
	facts = facts_for(ACTION_REJECT);
	facts.can_reject = FALSE;
	assert_int_equal(action_decide(&not_sent, &facts), ACTION_QUARANTINE);
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
		cmocka_unit_test(test_reject_needs_null_sender_and_lmtp),
		cmocka_unit_test(test_names),
	};

	return UNIT_RUN(tests);
}
