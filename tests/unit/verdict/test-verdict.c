/* The verdict table: every row, and that no combination of inputs condemns what
   the table protects (docs/design.md, section 4). */

#include "unit.h"
#include "verdict/verdict.h"

#define DAY (24 * 60 * 60)
#define NOW (1000 * DAY)

/* A failed DSN to an own address that returns one original, which claims to come from
   here and has a whole Message-ID that a long covered log doesn't have: as guilty as
   can be. Tests change what they are about. */
static struct verdict_facts guilty_facts(void)
{
	struct verdict_facts facts = {
		.class = REPORT_CLASS_DSN_FAILED,
		.named_evidence = VERDICT_EVIDENCE_MESSAGE_ID,
		.coverage = {
			.sources_listed = TRUE,
			.listed_source_logged = TRUE,
			.log_start = NOW - 100 * DAY,
			.now = NOW,
			.report_age = 14 * DAY,
			.retention = 90 * DAY,
			.original_date = (time_t)-1,
			.arrival_date = (time_t)-1,
		},
		.shape = REPORT_SHAPE_STRUCTURED,
		.original_count = 1,
		.log_available = TRUE,
		.to_own_address = TRUE,
		.claims_own_address = TRUE,
		.message_id_proves = TRUE,
		.original_in_part = TRUE,
		.null_sender = TRUE,
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
	assert_row(&facts, 1, "unknown", "replayed", "tag");

	facts.keyed = VERDICT_KEYED_NONE;
	facts.logged_evidence = VERDICT_EVIDENCE_MESSAGE_ID;
	assert_row(&facts, 1, "unknown", "replayed", "message-id");

	/* a report to other recipients uses the budget too */
	facts.recipients_compared = TRUE;
	assert_row(&facts, 1, "unknown", "replayed", "message-id");

	/* no evidence, no budget */
	facts.logged_evidence = VERDICT_EVIDENCE_NONE;
	assert_row(&facts, 17, "backscatter", "not-sent", "message-id");
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

static void test_row_9_software(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.our_host = TRUE;
	assert_row(&facts, 9, "unknown", "our-host", "message-id");
	facts.automatic = TRUE;
	assert_row(&facts, 9, "unknown", "automatic", "message-id");
}

static void test_row_10_incoming(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.incoming = TRUE;
	assert_row(&facts, 10, "unknown", "incoming", "message-id");
}

static void test_row_11_recipient_known(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.recipient_known = TRUE;
	assert_row(&facts, 11, "unknown", "recipient-known", "recipient");
}

static void test_row_12_unknown_key(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.unknown_key = TRUE;
	facts.keyed = VERDICT_KEYED_UNKNOWN_KEY;
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	assert_row(&facts, 12, "unknown", "unknown-key", "serial");
	/* beside another that is wrong */
	facts.keyed = VERDICT_KEYED_BAD;
	assert_row(&facts, 12, "unknown", "unknown-key", "serial");
}

static void test_row_13_not_covered(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();
	struct verdict_result result;

	facts.coverage.sources_listed = FALSE;
	assert_row(&facts, 13, "unknown", "not-covered", "message-id");
	verdict_decide(&facts, &result);
	assert_int_equal(result.coverage, COVERAGE_NO_SOURCES);

	facts.coverage.sources_listed = TRUE;
	facts.coverage.log_start = NOW - DAY;
	assert_row(&facts, 13, "unknown", "not-covered", "message-id");
	verdict_decide(&facts, &result);
	assert_int_equal(result.coverage, COVERAGE_TOO_YOUNG);

	/* a serial that is wrong needs coverage, too */
	facts.keyed = VERDICT_KEYED_BAD;
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	assert_row(&facts, 13, "unknown", "not-covered", "message-id");
}

static void test_row_14_uncertain(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.shape = REPORT_SHAPE_WORDED;
	assert_row(&facts, 14, "unknown", "uncertain", "message-id");
	facts.keyed = VERDICT_KEYED_BAD;
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	assert_row(&facts, 14, "unknown", "uncertain", "message-id");
	facts.shape = REPORT_SHAPE_DAEMON;
	assert_row(&facts, 15, "backscatter", "bad-serial", "serial");
}

static void test_row_15_bad_serial(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.keyed = VERDICT_KEYED_BAD;
	facts.keyed_evidence = VERDICT_EVIDENCE_TAG;
	assert_row(&facts, 15, "backscatter", "bad-serial", "tag");
	/* a tag comes back without any original */
	facts.original_count = 0;
	assert_row(&facts, 15, "backscatter", "bad-serial", "tag");
}

static void test_row_16_other_sender(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	facts.claims_own_address = FALSE;
	assert_row(&facts, 16, "unknown", "other-sender", "message-id");
}

static void test_row_17_not_sent(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	assert_row(&facts, 17, "backscatter", "not-sent", "message-id");
	facts.shape = REPORT_SHAPE_DAEMON;
	assert_row(&facts, 17, "backscatter", "not-sent", "message-id");
}

static void test_row_18_no_identity(void **state ATTR_UNUSED)
{
	struct verdict_facts facts = guilty_facts();

	/* a Message-ID that was cut off, or in text only, is no proof */
	facts.message_id_proves = FALSE;
	assert_row(&facts, 18, "unknown", "no-identity", "message-id");
	facts = guilty_facts();
	facts.original_count = 2;
	assert_row(&facts, 18, "unknown", "no-identity", "message-id");
	facts.original_count = 0;
	facts.named_evidence = VERDICT_EVIDENCE_NONE;
	assert_row(&facts, 18, "unknown", "no-identity", "none");
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
 * All combinations, against the safety rules themselves
 */

struct walk {
	unsigned int combinations;
	unsigned int condemned;
	unsigned int acquitted;
};

/* docs/design.md, section 4, said another way than the table says it. */
static void
assert_condemned_rightly(const struct verdict_facts *facts,
			 const struct verdict_result *result)
{
	/* nothing may speak for the report ... */
	assert_false(facts->keyed == VERDICT_KEYED_VALID);
	assert_false(facts->keyed == VERDICT_KEYED_EXPIRED);
	assert_true(facts->logged_evidence == VERDICT_EVIDENCE_NONE);
	assert_false(facts->class == REPORT_CLASS_AUTO_REPLY);
	assert_false(facts->class == REPORT_CLASS_ARF);
	assert_false(facts->automatic || facts->our_host || facts->incoming);
	assert_false(facts->recipient_known || facts->unknown_key);
	/* ... the mailbox must be its true addressee, its log complete ... */
	assert_true(facts->log_available);
	assert_true(facts->to_own_address);
	assert_true(coverage_decide(&facts->coverage) == COVERAGE_COVERED);
	/* ... and it must certainly be a report. */
	assert_true(facts->shape == REPORT_SHAPE_STRUCTURED ||
		    facts->shape == REPORT_SHAPE_DAEMON);
	if (result->reason == VERDICT_REASON_BAD_SERIAL) {
		assert_true(facts->keyed == VERDICT_KEYED_BAD);
		return;
	}
	assert_int_equal(result->reason, VERDICT_REASON_NOT_SENT);
	assert_int_equal(facts->original_count, 1);
	assert_true(facts->claims_own_address && facts->message_id_proves);
}

static void
assert_acquitted_rightly(const struct verdict_facts *facts)
{
	assert_true(facts->keyed == VERDICT_KEYED_VALID ||
		    (facts->log_available &&
		     facts->logged_evidence != VERDICT_EVIDENCE_NONE));
	assert_false(facts->log_available && facts->budget_used_up);
}

static void walk_one(struct walk *walk, const struct verdict_facts *facts)
{
	struct verdict_result result;

	verdict_decide(facts, &result);
	walk->combinations++;
	if (result.verdict == VERDICT_BACKSCATTER) {
		walk->condemned++;
		assert_condemned_rightly(facts, &result);
	} else if (result.verdict == VERDICT_GENUINE) {
		walk->acquitted++;
		assert_acquitted_rightly(facts);
	}
}

static void walk_flags(struct walk *walk, struct verdict_facts facts)
{
	for (unsigned int flags = 0; flags < 1 << 12; flags++) {
		facts.log_available = (flags & 0x01) != 0;
		facts.recipients_compared = (flags & 0x02) != 0;
		facts.recipient_shared = (flags & 0x04) != 0;
		facts.budget_used_up = (flags & 0x08) != 0;
		facts.to_own_address = (flags & 0x10) != 0;
		facts.automatic = (flags & 0x20) != 0;
		facts.our_host = (flags & 0x40) != 0;
		facts.incoming = (flags & 0x80) != 0;
		facts.recipient_known = (flags & 0x100) != 0;
		facts.unknown_key = (flags & 0x200) != 0;
		facts.claims_own_address = (flags & 0x400) != 0;
		facts.message_id_proves = (flags & 0x800) != 0;
		walk_one(walk, &facts);
	}
}

static void walk_originals(struct walk *walk, struct verdict_facts facts)
{
	static const enum report_shape shapes[] = {
		REPORT_SHAPE_WORDED, REPORT_SHAPE_DAEMON,
		REPORT_SHAPE_STRUCTURED,
	};

	for (unsigned int i = 0; i < N_ELEMENTS(shapes); i++) {
		facts.shape = shapes[i];
		for (unsigned int count = 0; count <= 2; count++) {
			facts.original_count = count;
			walk_flags(walk, facts);
		}
	}
}

static void walk_coverage(struct walk *walk, struct verdict_facts facts)
{
	static const struct coverage_facts coverages[] = {
		{ .sources_listed = FALSE, .log_start = 1 },
		{ .sources_listed = TRUE, .listed_source_logged = TRUE,
		  .log_start = 1 },
		{ .sources_listed = TRUE, .listed_source_logged = TRUE,
		  .log_start = NOW },
		{ .sources_listed = TRUE, .listed_source_logged = TRUE,
		  .log_start = 1,
		  .unlisted_copy = TRUE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(coverages); i++) {
		facts.coverage = coverages[i];
		facts.coverage.now = NOW;
		facts.coverage.report_age = 14 * DAY;
		facts.coverage.retention = 90 * DAY;
		facts.coverage.original_date = (time_t)-1;
		facts.coverage.arrival_date = (time_t)-1;
		walk_originals(walk, facts);
	}
}

static void walk_evidence(struct walk *walk, struct verdict_facts facts)
{
	static const enum verdict_evidence evidences[] = {
		VERDICT_EVIDENCE_NONE, VERDICT_EVIDENCE_MESSAGE_ID,
		VERDICT_EVIDENCE_REFERENCE,
	};

	facts.named_evidence = VERDICT_EVIDENCE_MESSAGE_ID;
	for (unsigned int i = 0; i < N_ELEMENTS(evidences); i++) {
		facts.logged_evidence = evidences[i];
		walk_coverage(walk, facts);
	}
}

static void test_all_combinations(void **state ATTR_UNUSED)
{
	static const enum report_class classes[] = {
		REPORT_CLASS_DSN_FAILED, REPORT_CLASS_BOUNCE, REPORT_CLASS_MDN,
		REPORT_CLASS_AUTO_REPLY, REPORT_CLASS_ARF,
	};
	struct verdict_facts facts;
	struct walk walk = { 0, 0, 0 };

	i_zero(&facts);
	facts.keyed_evidence = VERDICT_EVIDENCE_SERIAL;
	for (unsigned int i = 0; i < N_ELEMENTS(classes); i++) {
		for (unsigned int keyed = 0; keyed <= VERDICT_KEYED_VALID;
		     keyed++) {
			facts.class = classes[i];
			facts.keyed = (enum verdict_keyed)keyed;
			walk_evidence(&walk, facts);
		}
	}
	assert_int_equal(walk.combinations, 5 * 5 * 3 * 4 * 9 * 4096);
	/* A wrong serial: 3 classes, 2 shapes, 3 counts of originals, 5 flags that
	   don't matter. Not sent: 3 classes, 2 shapes, 2 states of keyed, 3
	   flags. */
	assert_int_equal(walk.condemned, 3 * 2 * 3 * 32 + 3 * 2 * 2 * 8);
	assert_true(walk.acquitted > 100000);
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
		cmocka_unit_test(test_row_9_software),
		cmocka_unit_test(test_row_10_incoming),
		cmocka_unit_test(test_row_11_recipient_known),
		cmocka_unit_test(test_row_12_unknown_key),
		cmocka_unit_test(test_row_13_not_covered),
		cmocka_unit_test(test_row_14_uncertain),
		cmocka_unit_test(test_row_15_bad_serial),
		cmocka_unit_test(test_row_16_other_sender),
		cmocka_unit_test(test_row_17_not_sent),
		cmocka_unit_test(test_row_18_no_identity),
		cmocka_unit_test(test_rows_explain_themselves),
		cmocka_unit_test(test_all_combinations),
	};

	return UNIT_RUN(tests);
}
