/* Coverage: the numbered rules of DESIGN.md section 5 that are decided here. The
   breaks of rule 3 and the expiry of rule 4 are the sent log's. */

#include "unit.h"
#include "verdict/coverage.h"

#define HOUR (60 * 60)
#define DAY (24 * HOUR)
#define NOW (1000 * DAY)

struct coverage_test {
	const char *what;
	/* days before NOW; 0 = not set */
	double log_start, since;
	double original_date, arrival_date;
	bool no_sources, unlisted_copy, late_report;
	enum coverage_state state;
};

static const struct coverage_test coverage_tests[] = {
	{ "rule 1: no sources", .log_start = 1000, .no_sources = TRUE,
	  .state = COVERAGE_NO_SOURCES },
	{ "rule 2: a date of the administrator's moves the start", .log_start = 500,
	  .since = 3, .state = COVERAGE_TOO_YOUNG },
	{ "rule 2: but only forward", .log_start = 15, .since = 500,
	  .state = COVERAGE_COVERED },
	{ "rule 5: another way out", .log_start = 500, .unlisted_copy = TRUE,
	  .state = COVERAGE_UNLISTED_COPY },
	{ "rule 6: exactly the report age", .log_start = 14,
	  .state = COVERAGE_COVERED },
	{ "rule 6: less", .log_start = 13.9, .state = COVERAGE_TOO_YOUNG },
	{ "rule 6: an MDN may come as late as the retention", .log_start = 60,
	  .late_report = TRUE, .state = COVERAGE_TOO_YOUNG },
	{ "rule 6: and not later", .log_start = 90, .late_report = TRUE,
	  .state = COVERAGE_COVERED },
	{ "rule 7: a date within the report age counts, less one day",
	  .log_start = 3.1, .original_date = 2, .state = COVERAGE_COVERED },
	{ "rule 7: the day is needed", .log_start = 2.9, .original_date = 2,
	  .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: of an MDN, too", .log_start = 4, .original_date = 2,
	  .late_report = TRUE, .state = COVERAGE_COVERED },
	{ "rule 7: an earlier Arrival-Date wins", .log_start = 3.5,
	  .original_date = 2, .arrival_date = 3, .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: a later one doesn't", .log_start = 3.5, .original_date = 2,
	  .arrival_date = 1, .state = COVERAGE_COVERED },
	{ "rule 7: nor one that is too old", .log_start = 3.5,
	  .original_date = 2, .arrival_date = 20, .state = COVERAGE_COVERED },
	{ "rule 7: nor one without a Date", .log_start = 3.5, .arrival_date = 1,
	  .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: an hour in the future is a wrong clock", .log_start = 3,
	  .original_date = -1.0 / 24, .state = COVERAGE_COVERED },
	{ "rule 7: more is the sender's word", .log_start = 3,
	  .original_date = -1.1 / 24, .state = COVERAGE_TOO_YOUNG },
	{ "rule 7: dated before the start", .log_start = 20, .original_date = 21,
	  .state = COVERAGE_DATED_BEFORE },
	{ "rule 7: as long as the start is younger than the retention",
	  .log_start = 89, .original_date = 300,
	  .state = COVERAGE_DATED_BEFORE },
	{ "rule 7: after that no date matters", .log_start = 90,
	  .original_date = 300, .state = COVERAGE_COVERED },
	{ "rule 7: dates older than the report age count for nothing else",
	  .log_start = 13, .original_date = 14.5,
	  .state = COVERAGE_DATED_BEFORE },
};

static time_t days_before(double days)
{
	return NOW - (time_t)(days * DAY);
}

static void test_rules(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(coverage_tests); i++) {
		const struct coverage_test *test = &coverage_tests[i];
		struct coverage_facts facts = {
			.sources_listed = !test->no_sources,
			.unlisted_copy = test->unlisted_copy,
			.late_report = test->late_report,
			.log_start = days_before(test->log_start),
			.since = test->since == 0 ? 0 : days_before(test->since),
			.now = NOW,
			.report_age = 14 * DAY,
			.retention = 90 * DAY,
			.original_date = test->original_date == 0 ?
				(time_t)-1 : days_before(test->original_date),
			.arrival_date = test->arrival_date == 0 ?
				(time_t)-1 : days_before(test->arrival_date),
		};
		enum coverage_state result = coverage_decide(&facts);

		if (result != test->state) {
			fail_msg("%s: %s instead of %s", test->what,
				 coverage_state_name(result),
				 coverage_state_name(test->state));
		}
	}
}

static void test_rows_that_never_expire(void **state ATTR_UNUSED)
{
	/* what a wrong backscatter_retention stands for */
	struct coverage_facts facts = {
		.sources_listed = TRUE,
		.log_start = days_before(20),
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
		cmocka_unit_test(test_rows_that_never_expire),
	};

	return UNIT_RUN(tests);
}
