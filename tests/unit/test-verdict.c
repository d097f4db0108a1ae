/* The verdict table: every row, and that no combination of inputs condemns what
   the table protects (DESIGN.md section 4). */

#include "unit.h"
#include "verdict/verdict.h"

#define DAY (24 * 60 * 60)
#define NOW (1000 * DAY)

/* A failed DSN to an own address about a whole Message-ID that a long covered
   log doesn't have: as guilty as can be. Tests change what they are about. */
static struct verdict_facts guilty_facts(void)
{
	struct verdict_facts facts = {
		.class = REPORT_CLASS_DSN_FAILED,
		.named_evidence = VERDICT_EVIDENCE_MESSAGE_ID,
		.coverage = {
			.sources_listed = TRUE,
			.log_start = NOW - 100 * DAY,
			.now = NOW,
			.report_age = 14 * DAY,
			.retention = 90 * DAY,
			.original_date = (time_t)-1,
			.arrival_date = (time_t)-1,
		},
		.log_available = TRUE,
		.log_has_rows = TRUE,
		.to_own_address = TRUE,
		.whole_message_id = TRUE,
	};
	return facts;
}

static void
assert_row(const struct verdict_facts *facts, unsigned int row,
	   const char *verdict, const char *reason, const char *evidence)
{
	struct verdict_result result;

	verdict_decide(facts, &result);
	assert_string_equal(verdict_reason_name(result.reason), reason);
	assert_int_equal(result.row, row);
	assert_string_equal(verdict_name(result.verdict), verdict);
	assert_string_equal(verdict_evidence_name(result.evidence), evidence);
}

static void test_row_1_replayed(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.budget_used_up = TRUE;
	facts.keyed = VERDICT_KEYED_VALID;
	facts.keyed_evidence = VERDICT_EVIDENCE_TAG;
	assert_row(&facts, 1, "backscatter", "replayed", "tag");

	facts.keyed = VERDICT_KEYED_NONE;
	facts.logged_evidence = VERDICT_EVIDENCE_MESSAGE_ID;
	assert_row(&facts, 1, "backscatter", "replayed", "message-id");

	/* a report to other recipients uses the budget too */
	facts.recipients_compared = TRUE;
	assert_row(&facts, 1, "backscatter", "replayed", "message-id");

	/* no evidence, no budget */
	facts.logged_evidence = VERDICT_EVIDENCE_NONE;
	assert_row(&facts, 13, "backscatter", "not-sent", "message-id");
}

static void test_row_2_keyed(void **state ATTR_UNUSED)
{
	static const struct {
		enum verdict_evidence evidence;
		const char *reason;
	} tests[] = {
		{ VERDICT_EVIDENCE_TAG, "tag" },
		{ VERDICT_EVIDENCE_ENVELOPE_ID, "envid" },
		{ VERDICT_EVIDENCE_SERIAL, "serial" },
	};
	struct verdict_facts facts = guilty_facts();

	facts.keyed = VERDICT_KEYED_VALID;
	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		facts.keyed_evidence = tests[i].evidence;
		assert_row(&facts, 2, "genuine", tests[i].reason,
			   tests[i].reason);
	}
	/* even where there is no log, and beside a recipient never written to */
	facts.log_available = FALSE;
	assert_row(&facts, 2, "genuine", "serial", "serial");
	facts.log_available = TRUE;
	facts.logged_evidence = VERDICT_EVIDENCE_MESSAGE_ID;
	facts.recipients_compared = TRUE;
	assert_row(&facts, 2, "genuine", "serial", "serial");
}

static void test_row_3_log_unavailable(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.log_available = FALSE;
	assert_row(&facts, 3, "unknown", "log-unavailable", "message-id");
	facts.keyed = VERDICT_KEYED_BAD;
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	assert_row(&facts, 3, "unknown", "log-unavailable", "message-id");
}

static void test_row_4_expired(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.keyed = VERDICT_KEYED_EXPIRED;
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	assert_row(&facts, 4, "unknown", "expired", "serial");
	facts.logged_evidence = VERDICT_EVIDENCE_MESSAGE_ID;
	assert_row(&facts, 6, "genuine", "message-id", "message-id");
	facts.recipients_compared = TRUE;
	assert_row(&facts, 5, "unknown", "other-recipient", "message-id");
}

static void test_row_5_other_recipient(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.logged_evidence = VERDICT_EVIDENCE_MESSAGE_ID;
	facts.recipients_compared = TRUE;
	assert_row(&facts, 5, "unknown", "other-recipient", "message-id");
}

static void test_row_6_logged(void **state ATTR_UNUSED)
{
	static const struct {
		enum verdict_evidence evidence;
		const char *reason;
	} tests[] = {
		{ VERDICT_EVIDENCE_MESSAGE_ID, "message-id" },
		{ VERDICT_EVIDENCE_ENVELOPE_ID, "envid" },
		{ VERDICT_EVIDENCE_REFERENCE, "reference" },
	};
	struct verdict_facts facts = guilty_facts();

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		facts.logged_evidence = tests[i].evidence;
		facts.recipients_compared = FALSE;
		assert_row(&facts, 6, "genuine", tests[i].reason,
			   tests[i].reason);
		facts.recipients_compared = TRUE;
		facts.recipient_shared = TRUE;
		assert_row(&facts, 6, "genuine", tests[i].reason,
			   tests[i].reason);
	}
}

static void test_row_7_never_condemned(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.class = REPORT_CLASS_AUTO_REPLY;
	assert_row(&facts, 7, "unknown", "no-match", "message-id");
	facts.class = REPORT_CLASS_ARF;
	assert_row(&facts, 7, "unknown", "no-match", "message-id");
	facts.logged_evidence = VERDICT_EVIDENCE_REFERENCE;
	assert_row(&facts, 6, "genuine", "reference", "reference");
}

static void test_row_8_other_address(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.to_own_address = FALSE;
	assert_row(&facts, 8, "unknown", "other-address", "message-id");
}

static void test_row_9_server_sent(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.server_sent = TRUE;
	assert_row(&facts, 9, "unknown", "server-sent", "message-id");
}

static void test_row_10_recipient_known(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.recipient_known = TRUE;
	assert_row(&facts, 10, "unknown", "recipient-known", "recipient");
}

static void test_row_11_bad_serial(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.keyed = VERDICT_KEYED_BAD;
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	assert_row(&facts, 11, "backscatter", "bad-serial", "serial");
	/* needs no coverage: a serial of ours can't be wrong */
	facts.coverage.sources_listed = FALSE;
	assert_row(&facts, 11, "backscatter", "bad-serial", "serial");
	/* a key that isn't ours is no evidence */
	facts.keyed = VERDICT_KEYED_UNKNOWN_KEY;
	assert_row(&facts, 12, "unknown", "not-covered", "message-id");
}

static void test_row_12_not_covered(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();
	struct verdict_result result;

	facts.coverage.sources_listed = FALSE;
	assert_row(&facts, 12, "unknown", "not-covered", "message-id");
	verdict_decide(&facts, &result);
	assert_int_equal(result.coverage, COVERAGE_NO_SOURCES);

	facts.coverage.sources_listed = TRUE;
	facts.coverage.log_start = NOW - DAY;
	assert_row(&facts, 12, "unknown", "not-covered", "message-id");
	verdict_decide(&facts, &result);
	assert_int_equal(result.coverage, COVERAGE_TOO_YOUNG);
}

static void test_row_13_not_sent(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	assert_row(&facts, 13, "backscatter", "not-sent", "message-id");
	facts.log_has_rows = FALSE;
	assert_row(&facts, 13, "backscatter", "not-sent", "message-id");
}

static void test_row_14_nothing_sent(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.whole_message_id = FALSE;
	facts.named_evidence = VERDICT_EVIDENCE_NONE;
	facts.log_has_rows = FALSE;
	assert_row(&facts, 14, "backscatter", "nothing-sent", "none");
}

static void test_row_15_no_identity(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	/* a Message-ID that was cut off is no negative evidence */
	facts.whole_message_id = FALSE;
	assert_row(&facts, 15, "unknown", "no-identity", "message-id");
	facts.log_has_rows = FALSE;
	assert_row(&facts, 15, "unknown", "no-identity", "message-id");
	facts.named_evidence = VERDICT_EVIDENCE_NONE;
	facts.log_has_rows = TRUE;
	assert_row(&facts, 15, "unknown", "no-identity", "none");
}

static void test_truncated_may_have_an_identity(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.truncated = TRUE;
	facts.whole_message_id = FALSE;
	facts.named_evidence = VERDICT_EVIDENCE_NONE;
	facts.log_has_rows = FALSE;
	assert_row(&facts, 15, "unknown", "no-identity", "none");
}

static void test_rows_explain_themselves(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();
	struct verdict_result result;
	const char *saw;

	verdict_decide(&facts, &result);
	for (unsigned int row = 1; row <= VERDICT_ROW_COUNT; row++) {
		bool matches = verdict_row_matches(row, &facts, &saw);

		assert_true(*saw != '\0');
		assert_true(*verdict_row_situation(row) != '\0');
		if (row < result.row)
			assert_false(matches);
		else if (row == result.row)
			assert_true(matches);
	}
}

/*
 * All combinations
 */

struct walk {
	unsigned int combinations;
	unsigned int condemned;
};

static void
assert_condemned_rightly(const struct verdict_facts *facts,
			 const struct verdict_result *result)
{
	bool keyed = facts->keyed == VERDICT_KEYED_VALID;
	bool logged = facts->logged_evidence != VERDICT_EVIDENCE_NONE;

	assert_true(facts->log_available);
	if (result->reason == VERDICT_REASON_REPLAYED) {
		assert_true((keyed || logged) && facts->budget_used_up);
		return;
	}
	/* what the table protects */
	assert_false(keyed || logged);
	assert_false(facts->keyed == VERDICT_KEYED_EXPIRED);
	assert_false(facts->class == REPORT_CLASS_AUTO_REPLY);
	assert_false(facts->class == REPORT_CLASS_ARF);
	assert_true(facts->to_own_address);
	assert_false(facts->server_sent);
	assert_false(facts->recipient_known);
	if (result->reason == VERDICT_REASON_BAD_SERIAL) {
		assert_true(facts->keyed == VERDICT_KEYED_BAD);
		return;
	}
	assert_true(coverage_decide(&facts->coverage) == COVERAGE_COVERED);
	if (result->reason == VERDICT_REASON_NOT_SENT) {
		assert_true(facts->whole_message_id);
		return;
	}
	assert_int_equal(result->reason, VERDICT_REASON_NOTHING_SENT);
	assert_true(facts->named_evidence == VERDICT_EVIDENCE_NONE);
	assert_false(facts->log_has_rows);
	assert_false(facts->truncated);
}

static void walk_one(struct walk *walk, const struct verdict_facts *facts)
{
	struct verdict_result result;

	verdict_decide(facts, &result);
	walk->combinations++;
	if (result.verdict == VERDICT_BACKSCATTER) {
		walk->condemned++;
		assert_condemned_rightly(facts, &result);
	}
	if (result.verdict == VERDICT_GENUINE) {
		assert_true(facts->keyed == VERDICT_KEYED_VALID ||
			    (facts->log_available && facts->logged_evidence !=
			     VERDICT_EVIDENCE_NONE));
	}
}

static void walk_flags(struct walk *walk, struct verdict_facts facts)
{
	for (unsigned int flags = 0; flags < 1 << 10; flags++) {
		facts.log_available = (flags & 0x01) != 0;
		facts.log_has_rows = (flags & 0x02) != 0;
		facts.recipients_compared = (flags & 0x04) != 0;
		facts.recipient_shared = (flags & 0x08) != 0;
		facts.budget_used_up = (flags & 0x10) != 0;
		facts.to_own_address = (flags & 0x20) != 0;
		facts.server_sent = (flags & 0x40) != 0;
		facts.recipient_known = (flags & 0x80) != 0;
		facts.whole_message_id = (flags & 0x100) != 0;
		facts.truncated = (flags & 0x200) != 0;
		walk_one(walk, &facts);
	}
}

static void walk_coverage(struct walk *walk, struct verdict_facts facts)
{
	static const struct coverage_facts coverages[] = {
		{ .sources_listed = FALSE, .log_start = 1 },
		{ .sources_listed = TRUE, .log_start = 1 },
		{ .sources_listed = TRUE, .log_start = NOW },
		{ .sources_listed = TRUE, .log_start = NOW - 20 * DAY,
		  .original_date = NOW - 30 * DAY },
		{ .sources_listed = TRUE, .log_start = 1,
		  .unlisted_copy = TRUE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(coverages); i++) {
		facts.coverage = coverages[i];
		facts.coverage.now = NOW;
		facts.coverage.report_age = 14 * DAY;
		facts.coverage.retention = 90 * DAY;
		walk_flags(walk, facts);
	}
}

static void walk_evidence(struct walk *walk, struct verdict_facts facts)
{
	static const enum verdict_evidence evidences[] = {
		VERDICT_EVIDENCE_NONE, VERDICT_EVIDENCE_MESSAGE_ID,
		VERDICT_EVIDENCE_ENVELOPE_ID, VERDICT_EVIDENCE_REFERENCE,
	};

	for (unsigned int i = 0; i < N_ELEMENTS(evidences); i++) {
		for (unsigned int j = 0; j < N_ELEMENTS(evidences); j++) {
			facts.logged_evidence = evidences[i];
			facts.named_evidence = evidences[j];
			walk_coverage(walk, facts);
		}
	}
}

static void test_all_combinations(void **state ATTR_UNUSED)
{
	struct verdict_facts facts;
	struct walk walk = { 0, 0 };
	unsigned int class, keyed;

	i_zero(&facts);
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	for (class = 1; class < REPORT_CLASS_COUNT; class++) {
		for (keyed = 0; keyed <= VERDICT_KEYED_VALID; keyed++) {
			facts.class = (enum report_class)class;
			facts.keyed = (enum verdict_keyed)keyed;
			walk_evidence(&walk, facts);
		}
	}
	assert_int_equal(walk.combinations, 9 * 5 * 16 * 5 * 1024);
	/* the walk did reach what it is about */
	assert_true(walk.condemned > 1000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row_1_replayed),
		cmocka_unit_test(test_row_2_keyed),
		cmocka_unit_test(test_row_3_log_unavailable),
		cmocka_unit_test(test_row_4_expired),
		cmocka_unit_test(test_row_5_other_recipient),
		cmocka_unit_test(test_row_6_logged),
		cmocka_unit_test(test_row_7_never_condemned),
		cmocka_unit_test(test_row_8_other_address),
		cmocka_unit_test(test_row_9_server_sent),
		cmocka_unit_test(test_row_10_recipient_known),
		cmocka_unit_test(test_row_11_bad_serial),
		cmocka_unit_test(test_row_12_not_covered),
		cmocka_unit_test(test_row_13_not_sent),
		cmocka_unit_test(test_row_14_nothing_sent),
		cmocka_unit_test(test_row_15_no_identity),
		cmocka_unit_test(test_truncated_may_have_an_identity),
		cmocka_unit_test(test_rows_explain_themselves),
		cmocka_unit_test(test_all_combinations),
	};

	return UNIT_RUN(tests);
}
