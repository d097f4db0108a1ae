/* Coverage: the numbered rules of docs/design.md, section 5, that are decided here. The
   breaks of rule 3 and the expiry of rule 4 are the sent log's. */

#include "unit.h"
#include "verdict/coverage.h"

#define HOUR (60 * 60)
#define DAY (24 * HOUR)
#define NOW (1000 * DAY)

struct coverage_test {
	const char *what;
	/* seconds before NOW */
	time_t log_start;
	/* the same; NONE = not returned */
	time_t original_date, arrival_date;
	bool no_sources, nothing_logged, said, unlisted_copy, late_report;
	bool other_source_logged;
	enum coverage_state state;
};

#define NONE INT_MAX
#define UNDATED .original_date = NONE, .arrival_date = NONE
#define DATED(date) .original_date = (date), .arrival_date = NONE

static const struct coverage_test coverage_tests[] = {
	{ "rule 1: no sources", 1000 * DAY, UNDATED, .no_sources = TRUE,
	  .state = COVERAGE_NO_SOURCES },
	{ "rule 1: whatever was said", 1000 * DAY, UNDATED, .no_sources = TRUE,
	  .said = TRUE, .state = COVERAGE_NO_SOURCES },
	{ "rule 2: nothing was ever logged", 1000 * DAY, UNDATED,
	  .nothing_logged = TRUE, .state = COVERAGE_NOTHING_LOGGED },
	{ "rule 2: of a dated original, too", 1000 * DAY, DATED(HOUR),
	  .nothing_logged = TRUE, .state = COVERAGE_NOTHING_LOGGED },
	{ "rule 2: another source has", 1000 * DAY, UNDATED,
	  .nothing_logged = TRUE, .other_source_logged = TRUE,
	  .state = COVERAGE_SENDS_PAST_SOURCES },
	{ "rule 2: the administrator said so all the same", 14 * DAY, UNDATED,
	  .nothing_logged = TRUE, .other_source_logged = TRUE, .said = TRUE,
	  .state = COVERAGE_COVERED },
	{ "rule 2: the administrator said so", 14 * DAY, UNDATED,
	  .nothing_logged = TRUE, .said = TRUE, .state = COVERAGE_COVERED },
	{ "rule 2: which moves no start", 14 * DAY - 1, UNDATED,
	  .nothing_logged = TRUE, .said = TRUE, .state = COVERAGE_TOO_YOUNG },
	{ "rule 5: another way out", 500 * DAY, UNDATED, .unlisted_copy = TRUE,
	  .state = COVERAGE_UNLISTED_COPY },
	{ "rule 5: whatever was said", 500 * DAY, UNDATED, .unlisted_copy = TRUE,
	  .nothing_logged = TRUE, .said = TRUE,
	  .state = COVERAGE_UNLISTED_COPY },

	{ "rule 6: exactly the report age", 14 * DAY, UNDATED,
	  .state = COVERAGE_COVERED },
	{ "rule 6: less", 14 * DAY - 1, UNDATED, .state = COVERAGE_TOO_YOUNG },
	{ "rule 6: an MDN may come as late as the retention", 90 * DAY - 1,
	  UNDATED, .late_report = TRUE, .state = COVERAGE_TOO_YOUNG },
	{ "rule 6: and not later", 90 * DAY, UNDATED, .late_report = TRUE,
	  .state = COVERAGE_COVERED },

	{ "rule 7: a date within the report age counts, less one day", 3 * DAY,
	  DATED(2 * DAY), .state = COVERAGE_COVERED },
	{ "rule 7: the day is needed", 3 * DAY - 1, DATED(2 * DAY),
	  .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: of an MDN, too", 3 * DAY, DATED(2 * DAY),
	  .late_report = TRUE, .state = COVERAGE_COVERED },
	{ "rule 7: as old as the report age", 15 * DAY, DATED(14 * DAY),
	  .state = COVERAGE_COVERED },
	{ "rule 7: then it needs a day more than none would",
	  15 * DAY - 1, DATED(14 * DAY), .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: older, it counts for nothing", 15 * DAY - 1,
	  DATED(14 * DAY + 1), .state = COVERAGE_COVERED },
	{ "rule 7: of an MDN it does as for any other", 89 * DAY,
	  DATED(14 * DAY + 1), .late_report = TRUE,
	  .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: an hour in the future is a wrong clock", DAY - HOUR,
	  DATED(-HOUR), .state = COVERAGE_COVERED },
	{ "rule 7: more is the sender's word", 13 * DAY, DATED(-HOUR - 1),
	  .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: which takes nothing away either", 14 * DAY, DATED(-HOUR - 1),
	  .state = COVERAGE_COVERED },

	{ "rule 7: an earlier Arrival-Date wins", 4 * DAY - 1, 2 * DAY, 3 * DAY,
	  .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: and needs its day", 4 * DAY, 2 * DAY, 3 * DAY,
	  .state = COVERAGE_COVERED },
	{ "rule 7: a later one doesn't", 3 * DAY, 2 * DAY, DAY,
	  .state = COVERAGE_COVERED },
	{ "rule 7: nor one that is too old", 3 * DAY, 2 * DAY, 14 * DAY + 1,
	  .state = COVERAGE_COVERED },
	{ "rule 7: nor one without a Date", 3 * DAY, NONE, DAY,
	  .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: nor with a Date that doesn't count", 13 * DAY, 300 * DAY, DAY,
	  .state = COVERAGE_DATED_BEFORE },

	{ "rule 7: dated before the start", 20 * DAY, DATED(20 * DAY + 1),
	  .state = COVERAGE_DATED_BEFORE },
	{ "rule 7: dated at the start", 20 * DAY, DATED(20 * DAY),
	  .state = COVERAGE_COVERED },
	{ "rule 7: as long as the start is younger than the retention",
	  90 * DAY - 1, DATED(300 * DAY), .state = COVERAGE_DATED_BEFORE },
	{ "rule 7: after that no date matters", 90 * DAY, DATED(300 * DAY),
	  .state = COVERAGE_COVERED },
};

static time_t before_now(time_t seconds)
{
	return seconds == NONE ? (time_t)-1 : NOW - seconds;
}

static void test_rules(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(coverage_tests); i++) {
		const struct coverage_test *test = &coverage_tests[i];
		struct coverage_facts facts = {
			.sources_listed = !test->no_sources,
			.listed_source_logged = !test->nothing_logged,
			.said_for_mailbox = test->said,
			.any_source_logged = !test->nothing_logged ||
				test->other_source_logged,
			.unlisted_copy = test->unlisted_copy,
			.late_report = test->late_report,
			.log_start = before_now(test->log_start),
			.now = NOW,
			.report_age = 14 * DAY,
			.retention = 90 * DAY,
			.original_date = before_now(test->original_date),
			.arrival_date = before_now(test->arrival_date),
		};
		enum coverage_state result = coverage_decide(&facts);

		if (result != test->state) {
			fail_msg("%s: %s instead of %s", test->what,
				 coverage_state_name(result),
				 coverage_state_name(test->state));
		}
	}
}

/* What "coverage" says of the time to wait is what is decided then. */
static void test_until_when(void **state ATTR_UNUSED)
{
	struct coverage_facts facts = {
		.sources_listed = TRUE,
		.listed_source_logged = TRUE,
		.log_start = NOW,
		.report_age = 14 * DAY,
		.retention = 90 * DAY,
		.original_date = (time_t)-1,
		.arrival_date = (time_t)-1,
	};

	facts.now = coverage_complete_at(&facts);
	assert_int_equal(coverage_decide(&facts), COVERAGE_COVERED);
	facts.now--;
	assert_int_equal(coverage_decide(&facts), COVERAGE_TOO_YOUNG);
	facts.original_date = coverage_dated_from(&facts);
	assert_int_equal(coverage_decide(&facts), COVERAGE_COVERED);
	facts.original_date--;
	assert_int_equal(coverage_decide(&facts), COVERAGE_TOO_YOUNG);
}

static void test_rows_that_never_expire(void **state ATTR_UNUSED)
{
	/* what a wrong backscatter_retention stands for */
	struct coverage_facts facts = {
		.sources_listed = TRUE,
		.listed_source_logged = TRUE,
		.log_start = NOW - 20 * DAY,
		.now = NOW,
		.report_age = 14 * DAY,
		.retention = INT_MAX,
		.original_date = (time_t)-1,
		.arrival_date = (time_t)-1,
	};

	assert_int_equal(coverage_decide(&facts), COVERAGE_COVERED);
	facts.late_report = TRUE;
	assert_int_equal(coverage_decide(&facts), COVERAGE_TOO_YOUNG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_until_when),
		cmocka_unit_test(test_rows_that_never_expire),
	};

	return UNIT_RUN(tests);
}
