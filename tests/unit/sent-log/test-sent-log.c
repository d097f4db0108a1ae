/* The sent log's interface: what is added is found, and nothing else; retention,
   coverage, counters, listing. Files, faults and other processes are
   test-sent-log-file.c's. */

#include "test-sent-log-common.h"

#define SUBMISSION SENT_LOG_SOURCE_SUBMISSION
#define MILTER SENT_LOG_SOURCE_MILTER
#define SENT SENT_LOG_SOURCE_SENT
#define ADMIN SENT_LOG_SOURCE_ADMIN

static void test_names(void **state)
{
	static const char *const names[] = { "submission", "milter", "sent",
					     "admin" };
	(void)state;

	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(sent_log_source_parse(names[i]), 1U << i);
		assert_string_equal(
			sent_log_source_name((enum sent_log_source)(1U << i)),
			names[i]);
	}
	assert_int_equal(sent_log_source_parse("postfix"), 0);
	assert_string_equal(sent_log_source_name((enum sent_log_source)3),
			    "unknown");
	assert_string_equal(
		sent_log_coverage_cause_name(SENT_LOG_COVERAGE_CREATED),
		"created");
	assert_string_equal(
		sent_log_coverage_cause_name(SENT_LOG_COVERAGE_NO_MESSAGE_ID),
		"no-message-id");
	assert_string_equal(
		sent_log_coverage_cause_name(SENT_LOG_COVERAGE_EXPIRED),
		"retention");
	assert_string_equal(
		sent_log_coverage_cause_name(SENT_LOG_COVERAGE_INCOMPLETE + 1),
		"unknown");
}

/* Adding and finding */

static void test_add_and_find(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;

	assert_done(f, add(f, "a@example.org", "ann@example.net"));
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID,
				 "a@example.org", NULL, NOW, &entry));
	assert_int_equal(entry.sources, SUBMISSION);
	assert_int_equal(entry.logged_at, NOW);
	assert_int_equal(entry.recipient_count, 1);
	assert_false(entry.recipient_matches);
	assert_false(entry.domain_matches);
	assert_none(f, find(f, "b@example.org"));
	assert_none(f, find(f, ""));
	assert_string_equal(f->notices, "");
}

static void test_found_by_another_handle(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a@example.org", "ann@example.net"));
	fixture_reopen(f);
	assert_done(f, find(f, "a@example.org"));
}

static void test_kinds_are_kept_apart(void **state)
{
	struct fixture *f = *state;
	const struct sent_log_identity identities[] = {
		{ SENT_LOG_IDENTITY_MESSAGE_ID, "one" },
		{ SENT_LOG_IDENTITY_ENVELOPE_ID, "two" },
		{ SENT_LOG_IDENTITY_SERIAL, "three" },
	};
	static const char *const values[] = { "one", "two", "three" };
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = identities,
		.identity_count = 3,
		.logged_at = NOW,
	};
	struct sent_log_entry entry;

	for (unsigned int i = 0; i < 2; i++)
		assert_done(f, sent_log_add(f->log, &message, 1, NOW,
					    &f->error));
	for (unsigned int kind = 0; kind < 3; kind++) {
		for (unsigned int value = 0; value < 3; value++) {
			assert_ret(f, kind == value ? 1 : 0,
				   find_kind(f,
					     (enum sent_log_identity_kind)kind,
					     values[value], NULL, NOW, &entry));
		}
	}
	assert_int_equal(count(f, SUBMISSION), 1);
	/* an address is no Message-ID, and the other way round */
	assert_none(f, sent_log_find_recipient(f->log, "one", NOW, &f->error));
}

static void test_recipient_and_domain_match(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *asked;
		bool recipient, domain;
	} tests[] = {
		{ "ann@example.net", true, true },
		{ "bob@example.net", false, true },
		{ "ann@example.com", false, false },
		{ "ann@sub.example.net", false, false },
		{ "\"x@example.com\"@example.net", false, true },
		{ "example.net", false, false },
		{ "ann@", false, false },
		{ "", false, false },
		{ "local", true, true },
	};
	static const char *const recipients[] = { "ann@example.net", "local",
						  "eve@" };
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org"
	};
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = &identity,
		.identity_count = 1,
		.recipients = recipients,
		.recipient_count = 3,
		.logged_at = NOW,
	};
	struct sent_log_entry entry;

	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	for (unsigned int i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID,
					 "a@example.org", tests[i].asked, NOW,
					 &entry));
		assert_int_equal(entry.recipient_count, 3);
		assert_int_equal(entry.recipient_matches, tests[i].recipient);
		assert_int_equal(entry.domain_matches, tests[i].domain);
	}
}

static void test_one_of_several_asked_matches(void **state)
{
	struct fixture *f = *state;
	static const char *const asked[] = { "x@example.com", "nobody",
					     "y@example.net" };
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org"
	};
	struct sent_log_entry entry;

	assert_done(f, add(f, "a@example.org", "ann@example.net"));
	assert_done(f, sent_log_find(f->log, &identity, asked, 3, NOW, &entry,
				     &f->error));
	assert_false(entry.recipient_matches);
	assert_true(entry.domain_matches);
	assert_done(f, sent_log_find(f->log, &identity, asked, 2, NOW, &entry,
				     &f->error));
	assert_false(entry.domain_matches);
	assert_done(f, sent_log_find(f->log, &identity, NULL, 0, NOW, &entry,
				     &f->error));
	assert_false(entry.domain_matches);
}

static void test_sources_are_united(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;

	assert_done(f, add_at(f, SUBMISSION, "a", "ann@example.net", NOW - 5,
			      NOW));
	assert_done(f, add_at(f, SENT, "a", "bob@example.com", NOW, NOW));
	assert_done(f, add_at(f, SENT, "a", "ann@example.net", NOW, NOW));
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a",
				 "bob@example.com", NOW, &entry));
	assert_int_equal(entry.sources, SUBMISSION | SENT);
	assert_int_equal(entry.recipient_count, 2);
	assert_int_equal(entry.logged_at, NOW);
	assert_true(entry.recipient_matches);
	assert_int_equal(count(f, SUBMISSION), 1);
	assert_int_equal(count(f, SENT), 1);
	assert_int_equal(count(f, MILTER), 0);
}

static void test_same_id_again_adds_recipients(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;

	assert_done(f, add(f, "a", "ann@example.net"));
	assert_done(f, add(f, "a", "ann@example.net"));
	assert_done(f, add(f, "a", "bob@example.com"));
	assert_int_equal(count(f, SUBMISSION), 1);
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a",
				 "bob@example.com", NOW, &entry));
	assert_int_equal(entry.recipient_count, 2);
	assert_true(entry.recipient_matches);
}

/* Two rows that turn out to be one message: both get the recipients. */
static void test_identities_of_two_rows(void **state)
{
	struct fixture *f = *state;
	const struct sent_log_identity identities[] = {
		{ SENT_LOG_IDENTITY_MESSAGE_ID, "a" },
		{ SENT_LOG_IDENTITY_MESSAGE_ID, "b" },
		{ SENT_LOG_IDENTITY_MESSAGE_ID, "c" },
		{ SENT_LOG_IDENTITY_MESSAGE_ID, "" },
		{ SENT_LOG_IDENTITY_MESSAGE_ID, NULL },
	};
	static const char *const recipients[] = { "new@example.net", "", NULL };
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = identities,
		.identity_count = 5,
		.recipients = recipients,
		.recipient_count = 3,
		.logged_at = NOW,
	};
	static const char *const ids[] = { "a", "b", "c" };
	struct sent_log_entry entry;

	assert_done(f, add(f, "a", "ann@example.net"));
	assert_done(f, add(f, "b", "bob@example.net"));
	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_int_equal(count(f, SUBMISSION), 2);
	for (unsigned int i = 0; i < 3; i++) {
		assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID,
					 ids[i], "new@example.net", NOW,
					 &entry));
		assert_int_equal(entry.recipient_count, 2);
		assert_true(entry.recipient_matches);
	}
}

static void test_without_message_id(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add_at(f, SENT, NULL, "ann@example.net", NOW, NOW));
	assert_done(f, add_at(f, SENT, NULL, NULL, NOW, NOW));
	assert_int_equal(count(f, SENT), 2);
	assert_done(f, sent_log_find_recipient(f->log, "ann@example.net", NOW,
					       &f->error));
	assert_true(coverage_at(f, NOW).has_rows);
}

static void test_nothing_to_add(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_add(f->log, NULL, 0, NOW, &f->error));
}

static void test_no_such_source(void **state)
{
	struct fixture *f = *state;

	assert_failed(f, add_at(f, (enum sent_log_source)(SUBMISSION | SENT),
				"a", NULL, NOW, NOW),
		      "no such source");
	assert_failed(f, add_at(f, (enum sent_log_source)0, "a", NULL, NOW,
				NOW),
		      "no such source");
}

static void test_find_recipient(void **state)
{
	struct fixture *f = *state;

	assert_none(f, sent_log_find_recipient(f->log, "ann@example.net", NOW,
					       &f->error));
	assert_done(f, add(f, "a", "ann@example.net"));
	assert_done(f, sent_log_find_recipient(f->log, "ann@example.net", NOW,
					       &f->error));
	assert_none(f, sent_log_find_recipient(f->log, "bob@example.net", NOW,
					       &f->error));
	assert_none(f, sent_log_find_recipient(f->log, "", NOW, &f->error));
}

/* More than one transaction, more rows than one batch takes. */
static void test_many_messages_at_once(void **state)
{
	enum { COUNT = 1234 };
	struct fixture *f = *state;
	struct sent_log_message *messages = calloc(COUNT, sizeof(*messages));
	struct sent_log_identity *identities =
		calloc(COUNT, sizeof(*identities));
	char(*values)[32] = calloc(COUNT, sizeof(*values));
	const char *recipient = "ann@example.net";

	for (unsigned int i = 0; i < COUNT; i++) {
		snprintf(values[i], sizeof(values[i]), "%u@example.org", i);
		identities[i].value = values[i];
		messages[i].source = SENT;
		messages[i].identities = &identities[i];
		messages[i].identity_count = 1;
		messages[i].recipients = &recipient;
		messages[i].recipient_count = 1;
		messages[i].logged_at = NOW - (time_t)i;
	}
	assert_done(f, sent_log_add(f->log, messages, COUNT, NOW, &f->error));
	assert_int_equal(count(f, SENT), COUNT);
	assert_done(f, find(f, values[0]));
	assert_done(f, find(f, values[COUNT - 1]));
	free(messages);
	free(identities);
	free(values);
}

static void test_bounds_of_one_message(void **state)
{
	enum { RECIPIENTS = SENT_LOG_MAX_RECIPIENTS + 50, IDENTITIES = 40 };
	struct fixture *f = *state;
	char(*values)[32] = calloc(RECIPIENTS, sizeof(*values));
	const char **recipients = calloc(RECIPIENTS, sizeof(*recipients));
	struct sent_log_identity identities[IDENTITIES];
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = identities,
		.identity_count = IDENTITIES,
		.recipients = recipients,
		.recipient_count = RECIPIENTS,
		.logged_at = NOW,
	};
	struct sent_log_entry entry;

	for (unsigned int i = 0; i < RECIPIENTS; i++) {
		snprintf(values[i], sizeof(values[i]), "%u@example.net", i);
		recipients[i] = values[i];
	}
	for (unsigned int i = 0; i < IDENTITIES; i++) {
		identities[i].kind = SENT_LOG_IDENTITY_MESSAGE_ID;
		identities[i].value = values[i];
	}
	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, values[0],
				 values[SENT_LOG_MAX_RECIPIENTS - 1], NOW,
				 &entry));
	assert_int_equal(entry.recipient_count, SENT_LOG_MAX_RECIPIENTS);
	assert_true(entry.recipient_matches);
	assert_done(f, find(f, values[SENT_LOG_MAX_IDENTITIES - 1]));
	assert_none(f, find(f, values[SENT_LOG_MAX_IDENTITIES]));

	/* nor by adding to it */
	assert_done(f, add(f, values[0], "late@example.net"));
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, values[0],
				 "late@example.net", NOW, &entry));
	assert_int_equal(entry.recipient_count, SENT_LOG_MAX_RECIPIENTS);
	assert_false(entry.recipient_matches);
	free(values);
	free(recipients);
}

static void test_long_and_strange_strings(void **state)
{
	enum { SIZE = 3 * 1024 * 1024 };
	struct fixture *f = *state;
	char *value = malloc(SIZE + 1);
	static const char *const strange[] = {
		"\r\n", "'; DROP TABLE message; --", "%s%n", "\xff\xfe", "@",
		"\xc3\xa4@m\xc3\xbcller.example",
	};

	memset(value, 'x', SIZE);
	value[SIZE] = '\0';
	assert_done(f, add(f, value, value));
	assert_done(f, find(f, value));
	assert_done(f, sent_log_find_recipient(f->log, value, NOW, &f->error));
	value[SIZE - 1] = 'y';
	assert_none(f, find(f, value));
	free(value);

	for (unsigned int i = 0; i < sizeof(strange) / sizeof(strange[0]);
	     i++) {
		assert_none(f, find(f, strange[i]));
		assert_done(f, add(f, strange[i], strange[i]));
		assert_done(f, find(f, strange[i]));
	}
}

/* Retention and expiry */

static void test_retention_boundary(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;
	static const struct {
		time_t now;
		int found;
	} tests[] = {
		{ NOW - DAY, 1 },	    { NOW, 1 },
		{ NOW + RETENTION - 1, 1 }, { NOW + RETENTION, 1 },
		{ NOW + RETENTION + 1, 0 }, { NOW + 10 * RETENTION, 0 },
	};

	assert_done(f, add(f, "a", "ann@example.net"));
	for (unsigned int i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		assert_ret(f, tests[i].found,
			   find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a",
				     "ann@example.net", tests[i].now, &entry));
		assert_int_equal(entry.recipient_matches, tests[i].found);
		assert_ret(f, tests[i].found,
			   sent_log_find_recipient(f->log, "ann@example.net",
						   tests[i].now, &f->error));
		assert_int_equal(coverage_at(f, tests[i].now).has_rows,
				 tests[i].found);
	}
}

/* Only what is young enough is united. */
static void test_retention_of_one_source(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;

	assert_done(f, add_at(f, SUBMISSION, "a", "ann@example.net", NOW, NOW));
	assert_done(f, add_at(f, SENT, "a", "bob@example.net", NOW + DAY,
			      NOW + DAY));
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a",
				 "ann@example.net", NOW + RETENTION + 1,
				 &entry));
	assert_int_equal(entry.sources, SENT);
	assert_int_equal(entry.recipient_count, 1);
	assert_false(entry.recipient_matches);
	assert_true(entry.domain_matches);
}

static void test_sent_again_renews(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;
	time_t later = NOW + 80 * DAY;

	assert_done(f, add(f, "a", "ann@example.net"));
	assert_done(f, add_at(f, SUBMISSION, "a", NULL, later, later));
	/* an import of the old copy doesn't take it back */
	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW, later));
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a",
				 "ann@example.net", NOW + RETENTION + 1,
				 &entry));
	assert_int_equal(entry.logged_at, later);
	assert_true(entry.recipient_matches);
}

static void test_too_old_to_be_added(void **state)
{
	struct fixture *f = *state;
	time_t cutoff = NOW - RETENTION;

	assert_done(f, sent_log_set_coverage(f->log, cutoff - DAY,
					     SENT_LOG_COVERAGE_SET, NOW,
					     &f->error));
	assert_done(f, add_at(f, ADMIN, "old", NULL, cutoff - 1, NOW));
	assert_int_equal(count(f, ADMIN), 0);
	/* with a longer retention, too, nothing before is complete */
	f->set.retention_secs = 10 * RETENTION;
	fixture_reopen(f);
	assert_int_equal(coverage_at(f, NOW).start, cutoff);
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_EXPIRED);
}

static void test_logged_in_the_future(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;

	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW + 1000 * DAY, NOW));
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a", NULL,
				 NOW, &entry));
	assert_int_equal(entry.logged_at, NOW);
}

static void test_expire_in_steps(void **state)
{
	struct fixture *f = *state;
	char value[32];
	unsigned int steps = 0;
	int ret;

	for (unsigned int i = 0; i < 30; i++) {
		snprintf(value, sizeof(value), "%u@example.org", i);
		assert_done(f, add(f, value, value));
	}
	assert_none(f, expire_old(f, NOW + RETENTION, 100));
	assert_int_equal(count(f, SUBMISSION), 30);

	/* three rows a message */
	assert_done(f, expire_old(f, NOW + RETENTION + 1, 9));
	assert_int_equal(count(f, SUBMISSION), 27);
	while ((ret = expire_old(f, NOW + RETENTION + 1, 9)) > 0)
		steps++;
	assert_none(f, ret);
	assert_in_range(steps, 8, 10);
	assert_int_equal(count(f, SUBMISSION), 0);
	assert_none(f, find(f, value));
	assert_none(f, sent_log_find_recipient(f->log, value, NOW, &f->error));
	assert_int_equal(coverage_at(f, NOW + RETENTION + 1).start, NOW + 1);
}

static void test_expire_message_with_many_recipients(void **state)
{
	struct fixture *f = *state;
	char values[100][32];
	const char *recipients[100];
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "a"
	};
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = &identity,
		.identity_count = 1,
		.recipients = recipients,
		.recipient_count = 100,
		.logged_at = NOW,
	};
	unsigned int steps = 1;

	for (unsigned int i = 0; i < 100; i++) {
		snprintf(values[i], sizeof(values[i]), "%u@example.net", i);
		recipients[i] = values[i];
	}
	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	while (expire_old(f, NOW + RETENTION + 1, 10) > 0)
		steps++;
	assert_in_range(steps, 10, 12);
	assert_int_equal(count(f, SUBMISSION), 0);
	assert_none(f, sent_log_find_recipient(f->log, values[99], NOW,
					       &f->error));
}

static void test_expire_without_a_log(void **state)
{
	struct fixture *f = *state;

	assert_none(f, expire_old(f, NOW, 10));
	assert_false(exists(f->path));
}

/* By the way, while adding and while counting reports. */
static struct sent_log_report_count
get_report_count(struct fixture *f, const char *original,
		 const char *class_name, const char *recipient)
{
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, original
	};
	struct sent_log_report_count report_count;

	assert_true(sent_log_get_report_count(f->log, &identity, class_name,
					      recipient, &report_count,
					      &f->error) >= 0);
	return report_count;
}

static void test_expiry_keeps_pace(void **state)
{
	struct fixture *f = *state;
	const char *recipients[] = { "" };
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_SERIAL, "s"
	};
	time_t later = NOW + RETENTION + 1;
	char value[32];
	uint64_t before;

	for (unsigned int i = 0; i < 100; i++) {
		snprintf(value, sizeof(value), "%u@example.org", i);
		assert_done(f, add(f, value, value));
	}
	assert_done(f, add_at(f, SUBMISSION, "new", NULL, later, later));
	before = count(f, SUBMISSION);
	assert_in_range(before, 90, 96);
	/* a report that is counted removes what is counted only */
	assert_done(f, sent_log_count_report(f->log, &identity, "mdn",
					     recipients, 1, NOW, &f->error));
	assert_done(f, sent_log_count_report(f->log, &identity, "bounce",
					     recipients, 1, later, &f->error));
	assert_int_equal(get_report_count(f, "s", "mdn", "").reports, 0);
	assert_int_equal(count(f, SUBMISSION), before);
	for (unsigned int i = 0; i < 30; i++)
		assert_done(f, add_at(f, SUBMISSION, "new", NULL, later,
				      later));
	assert_int_equal(count(f, SUBMISSION), 1);
}

/* Coverage */

static void test_coverage_of_a_new_log(void **state)
{
	struct fixture *f = *state;
	struct sent_log_coverage coverage = coverage_at(f, NOW);

	assert_int_equal(coverage.start, NOW);
	assert_int_equal(coverage.created, NOW);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_CREATED);
	assert_int_equal(coverage.listed_sources, SUBMISSION);
	assert_false(coverage.has_rows);
}

static void test_coverage_can_be_moved(void **state)
{
	struct fixture *f = *state;
	struct sent_log_coverage coverage;

	assert_done(f, sent_log_set_coverage(f->log, NOW - 30 * DAY,
					     SENT_LOG_COVERAGE_IMPORTED, NOW,
					     &f->error));
	coverage = coverage_at(f, NOW);
	assert_int_equal(coverage.start, NOW - 30 * DAY);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_IMPORTED);
	assert_int_equal(coverage.created, NOW);

	assert_done(f, sent_log_set_coverage(f->log, NOW + DAY,
					     SENT_LOG_COVERAGE_RESTARTED,
					     NOW + DAY, &f->error));
	coverage = coverage_at(f, NOW + DAY);
	assert_int_equal(coverage.start, NOW + DAY);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_RESTARTED);
}

static void test_coverage_ends_with_the_retention(void **state)
{
	struct fixture *f = *state;
	struct sent_log_coverage coverage;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	coverage = coverage_at(f, NOW + RETENTION);
	assert_int_equal(coverage.start, NOW);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_CREATED);
	coverage = coverage_at(f, NOW + RETENTION + 10);
	assert_int_equal(coverage.start, NOW + 10);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_EXPIRED);
	/* read, not written: a longer retention still has all rows */
	f->set.retention_secs = 2 * RETENTION;
	fixture_reopen(f);
	assert_int_equal(coverage_at(f, NOW + RETENTION + 10).start, NOW);
}

static void test_expiry_moves_coverage(void **state)
{
	struct fixture *f = *state;
	time_t later = NOW + RETENTION + DAY;

	assert_done(f, add(f, "a", NULL));
	assert_done(f, add_at(f, SUBMISSION, "b", NULL, later, later));
	f->set.retention_secs = 2 * RETENTION;
	fixture_reopen(f);
	assert_int_equal(coverage_at(f, later).start, NOW + DAY);
	assert_int_equal(coverage_at(f, later).cause,
			 SENT_LOG_COVERAGE_EXPIRED);
}

static void test_coverage_in_the_future(void **state)
{
	struct fixture *f = *state;
	struct sent_log_coverage coverage;
	time_t wrong = NOW + 400 * DAY;

	assert_done(f, sent_log_open(f->log, wrong, &f->error));
	coverage = coverage_at(f, NOW);
	assert_int_equal(coverage.start, NOW);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_CLOCK);
	assert_non_null(strstr(f->notices, "future"));
	/* for good */
	assert_int_equal(coverage_at(f, NOW + DAY).start, NOW);
}

/* Two hosts whose clocks differ are no broken clock. */
static void test_clocks_a_little_apart(void **state)
{
	struct fixture *f = *state;
	static const time_t behind[] = { 2, 3600, DAY };

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	for (unsigned int i = 0; i < 3; i++) {
		time_t now = NOW - behind[i];

		assert_done(f, add_at(f, SUBMISSION, "a", NULL, now, now));
		assert_int_equal(coverage_at(f, now).cause,
				 SENT_LOG_COVERAGE_CREATED);
		assert_int_equal(coverage_at(f, now).start, NOW);
	}
	assert_string_equal(f->notices, "");
	assert_int_equal(coverage_at(f, NOW - DAY - 1).cause,
			 SENT_LOG_COVERAGE_CLOCK);
}

/* A clock that falls back: FALLEN instead of NOW. */
#define FALLEN (NOW - 400 * DAY)

static void assert_start(struct fixture *f, time_t now, time_t start,
			 enum sent_log_coverage_cause cause)
{
	struct sent_log_coverage coverage = coverage_at(f, now);

	assert_int_equal(coverage.start, start);
	assert_int_equal(coverage.cause, cause);
}

/* What was logged meanwhile is too old to be found, so coverage must not reach
   further back than the recovery. */
static void test_clock_falls_back_and_recovers(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW - 60 * DAY, &f->error));
	assert_done(f, add(f, "a", NULL));
	assert_done(f, add_at(f, SUBMISSION, "b", NULL, FALLEN, FALLEN));
	assert_start(f, FALLEN + 5, FALLEN, SENT_LOG_COVERAGE_CLOCK);
	assert_non_null(strstr(f->notices, "in the future"));
	f->notices[0] = '\0';
	/* once, whatever follows */
	assert_done(f, add_at(f, SUBMISSION, "c", NULL, FALLEN + DAY,
			      FALLEN + DAY));
	assert_start(f, FALLEN + DAY, FALLEN, SENT_LOG_COVERAGE_CLOCK);
	assert_string_equal(f->notices, "");

	assert_none(f, find(f, "b"));
	assert_start(f, NOW + 5, NOW + 5, SENT_LOG_COVERAGE_CLOCK);
	assert_non_null(strstr(f->notices, "caught up"));
	f->notices[0] = '\0';
	assert_done(f, add_at(f, SUBMISSION, "d", NULL, NOW + 6, NOW + 6));
	assert_start(f, NOW + DAY, NOW + 5, SENT_LOG_COVERAGE_CLOCK);
	assert_string_equal(f->notices, "");
}

/* Only a write has seen it, or only a report. */
static void test_fallen_clock_is_noticed_by_any_call(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_done(f, expire_old(f, FALLEN, 1) + 1);
	assert_start(f, NOW + 1, NOW + 1, SENT_LOG_COVERAGE_CLOCK);
	assert_start(f, FALLEN, FALLEN, SENT_LOG_COVERAGE_CLOCK);
	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW + 2, NOW + 2));
	assert_start(f, NOW + 3, NOW + 2, SENT_LOG_COVERAGE_CLOCK);
}

static void test_clock_falls_further(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_start(f, FALLEN, FALLEN, SENT_LOG_COVERAGE_CLOCK);
	assert_start(f, 1, 1, SENT_LOG_COVERAGE_CLOCK);
	/* half a recovery is none */
	assert_start(f, FALLEN, FALLEN - RETENTION,
		     SENT_LOG_COVERAGE_EXPIRED);
	assert_start(f, NOW, NOW, SENT_LOG_COVERAGE_CLOCK);
}

static void test_breaks_while_the_clock_is_behind(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_start(f, FALLEN, FALLEN, SENT_LOG_COVERAGE_GAP);
	f->set.listed_sources = SENT;
	fixture_reopen(f);
	assert_none(f, sent_log_set_listed_sources(f->log, FALLEN + 1,
						   &f->error));
	assert_start(f, FALLEN + 2, FALLEN + 1,
		     SENT_LOG_COVERAGE_SOURCES_CHANGED);
	/* the administrator's word holds, until the clock has recovered */
	assert_done(f, sent_log_set_coverage(f->log, FALLEN - DAY,
					     SENT_LOG_COVERAGE_SET, FALLEN + 3,
					     &f->error));
	assert_start(f, FALLEN + 4, FALLEN - DAY, SENT_LOG_COVERAGE_SET);
	assert_start(f, NOW, NOW, SENT_LOG_COVERAGE_CLOCK);
}

/* Rows of a clock that was ahead once stay in the future for long; coverage goes
   on by the clock that is right. */
static void test_clock_was_ahead_once(void **state)
{
	struct fixture *f = *state;
	time_t ahead = NOW + 100 * DAY;

	assert_done(f, add(f, "a", NULL));
	assert_done(f, add_at(f, SUBMISSION, "b", NULL, ahead, ahead));
	assert_start(f, NOW + 1, NOW + 1, SENT_LOG_COVERAGE_CLOCK);
	for (time_t now = NOW + DAY; now < ahead - DAY; now += DAY) {
		assert_done(f, add_at(f, SUBMISSION, "c", NULL, now, now));
		assert_int_equal(coverage_at(f, now).start,
				 now - RETENTION > NOW + 1 ? now - RETENTION :
							     NOW + 1);
	}
	assert_start(f, ahead, ahead, SENT_LOG_COVERAGE_CLOCK);
}

static void test_listed_sources(void **state)
{
	struct fixture *f = *state;
	struct sent_log_coverage coverage;

	assert_done(f, sent_log_open(f->log, NOW - DAY, &f->error));
	assert_done(f, sent_log_set_listed_sources(f->log, NOW, &f->error));
	assert_int_equal(coverage_at(f, NOW).start, NOW - DAY);

	f->set.listed_sources = SUBMISSION | SENT;
	fixture_reopen(f);
	/* other calls don't compare */
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(coverage_at(f, NOW).start, NOW - DAY);
	assert_none(f, sent_log_set_listed_sources(f->log, NOW, &f->error));
	coverage = coverage_at(f, NOW);
	assert_int_equal(coverage.start, NOW);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_SOURCES_CHANGED);
	assert_int_equal(coverage.listed_sources, SUBMISSION | SENT);
	assert_done(f, sent_log_set_listed_sources(f->log, NOW + 5,
						   &f->error));
	assert_int_equal(coverage_at(f, NOW + 5).start, NOW);
}

static void test_listed_sources_of_a_new_log(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_set_listed_sources(f->log, NOW, &f->error));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_CREATED);
}

/* The replay budget's figures */

static int count_report(struct fixture *f, const char *original,
			const char *class_name, const char *const *recipients,
			size_t recipient_count)
{
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, original
	};

	return sent_log_count_report(f->log, &identity, class_name, recipients,
				     recipient_count, NOW, &f->error);
}

static void test_report_counts(void **state)
{
	struct fixture *f = *state;
	static const char *const ann[] = { "ann@example.net" };
	static const char *const both[] = { "ann@example.net",
					    "bob@example.net",
					    "ann@example.net" };
	struct sent_log_report_count found;

	assert_done(f, add(f, "a", "ann@example.net"));
	assert_done(f, add(f, "a", "bob@example.net"));
	found = get_report_count(f, "a", "dsn-failed", "ann@example.net");
	assert_int_equal(found.reports, 0);
	assert_true(found.recipient_matches);

	assert_done(f, count_report(f, "a", "dsn-failed", ann, 1));
	assert_done(f, count_report(f, "a", "dsn-failed", both, 3));
	found = get_report_count(f, "a", "dsn-failed", "ann@example.net");
	assert_int_equal(found.reports, 2);
	assert_int_equal(found.recipient_count, 2);
	assert_true(found.recipient_matches);
	assert_int_equal(get_report_count(f, "a", "dsn-failed",
					  "bob@example.net").reports, 1);
	assert_int_equal(get_report_count(f, "a", "dsn-delayed",
					  "ann@example.net").reports, 0);
	assert_int_equal(get_report_count(f, "b", "dsn-failed",
					  "ann@example.net").reports, 0);
}

static void test_report_counts_of_others_are_shared(void **state)
{
	struct fixture *f = *state;
	static const char *const others[] = { "x@example.com", "y@example.com",
					      "ann@example.net" };
	static const char *const unnamed[] = { "" };
	struct sent_log_report_count found;

	assert_done(f, add(f, "a", "ann@example.net"));
	assert_done(f, count_report(f, "a", "bounce", others, 3));
	assert_done(f, count_report(f, "a", "bounce", unnamed, 1));
	assert_done(f, count_report(f, "a", "bounce", NULL, 0));
	found = get_report_count(f, "a", "bounce", "z@example.org");
	assert_int_equal(found.reports, 3);
	assert_false(found.recipient_matches);
	assert_int_equal(found.recipient_count, 1);
	assert_int_equal(get_report_count(f, "a", "bounce", "").reports, 3);
	assert_int_equal(get_report_count(f, "a", "bounce",
					  "ann@example.net").reports, 1);
}

/* A keyed evidence may name what has no row. */
static void test_report_counts_without_a_row(void **state)
{
	struct fixture *f = *state;
	static const char *const ann[] = { "ann@example.net" };
	struct sent_log_report_count found;

	assert_done(f, count_report(f, "a", "mdn", ann, 1));
	found = get_report_count(f, "a", "mdn", "ann@example.net");
	assert_int_equal(found.reports, 1);
	assert_int_equal(found.recipient_count, 0);
	assert_false(found.recipient_matches);
}

static void test_report_counts_expire(void **state)
{
	struct fixture *f = *state;

	assert_done(f, count_report(f, "a", "mdn", NULL, 0));
	assert_none(f, expire_old(f, NOW + RETENTION, 10));
	assert_int_equal(get_report_count(f, "a", "mdn", "").reports, 1);
	assert_done(f, expire_old(f, NOW + RETENTION + 1, 1));
	assert_int_equal(get_report_count(f, "a", "mdn", "").reports, 0);
}

/* Another way out */

static int add_copy(struct fixture *f, const char *message_id, time_t date,
		    time_t saved, bool own)
{
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, message_id
	};
	struct sent_log_message message = {
		.source = SENT,
		.identities = &identity,
		.identity_count = message_id != NULL ? 1 : 0,
		.logged_at = saved,
		.date = date,
		.from_own_address = own,
	};

	return sent_log_add(f->log, &message, 1, NOW, &f->error);
}

static void test_unlisted_copy(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *what;
		time_t date, saved;
		bool own;
		int found;
	} tests[] = {
		{ "yes", NOW - 5 * DAY, NOW - 5 * DAY, true, 1 },
		{ "another's From:", NOW - 5 * DAY, NOW - 5 * DAY, false, 0 },
		{ "no date", 0, NOW - 5 * DAY, true, 0 },
		{ "an hour ago", NOW - 5 * DAY, NOW - 3600, true, 0 },
		{ "over an hour ago", NOW - 5 * DAY, NOW - 3601, true, 1 },
		{ "at after", NOW - 20 * DAY, NOW - DAY, true, 0 },
		{ "after after", NOW - 20 * DAY + 1, NOW - DAY, true, 1 },
		{ "tomorrow", NOW + DAY, NOW - DAY, true, 0 },
	};
	struct sent_log_row row;

	for (unsigned int i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		sent_log_deinit(&f->log);
		assert_int_equal(unlink(f->path) < 0 && i > 0, 0);
		f->log = sent_log_init(&f->set);
		assert_done(f, add_copy(f, "copy", tests[i].date,
					tests[i].saved, tests[i].own));
		if (sent_log_find_unlisted_copy(f->log, NOW - 20 * DAY, NOW,
						&row, &f->error) !=
		    tests[i].found)
			fail_msg("%s", tests[i].what);
	}
}

static void test_unlisted_copy_of_the_last_30_days(void **state)
{
	struct fixture *f = *state;
	struct sent_log_row row;

	assert_done(f, add_copy(f, "old", NOW - 30 * DAY, NOW - DAY, true));
	assert_none(f, sent_log_find_unlisted_copy(f->log, NOW - 60 * DAY, NOW,
						   &row, &f->error));
	assert_done(f, add_copy(f, "new", NOW - 30 * DAY + 1, NOW - DAY, true));
	assert_done(f, sent_log_find_unlisted_copy(f->log, NOW - 60 * DAY, NOW,
						   &row, &f->error));
	assert_int_equal(row.date, NOW - 30 * DAY + 1);
	assert_int_equal(strlen(row.identity_hash), 16);
}

static void test_copy_of_a_listed_source(void **state)
{
	struct fixture *f = *state;
	struct sent_log_row row;

	assert_done(f, add_copy(f, "a", NOW - 5 * DAY, NOW - DAY, true));
	/* milter is not listed, so it doesn't count */
	assert_done(f, add_at(f, MILTER, "a", NULL, NOW - 5 * DAY, NOW));
	assert_done(f, sent_log_find_unlisted_copy(f->log, NOW - 20 * DAY, NOW,
						   &row, &f->error));
	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW - 5 * DAY, NOW));
	assert_none(f, sent_log_find_unlisted_copy(f->log, NOW - 20 * DAY, NOW,
						   &row, &f->error));
	assert_done(f, add_copy(f, NULL, NOW - 5 * DAY, NOW - DAY, true));
	assert_none(f, sent_log_find_unlisted_copy(f->log, NOW - 20 * DAY, NOW,
						   &row, &f->error));
}

/* Without a log it makes none. */
static void test_count(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(count(f, SUBMISSION), 0);
	assert_false(exists(f->path));
	assert_done(f, add(f, "a", NULL));
	assert_done(f, add_at(f, SENT, NULL, NULL, NOW, NOW));
	assert_int_equal(count(f, SUBMISSION), 1);
	assert_int_equal(count(f, SENT), 1);
}

/* What shows an unlisted copy is its Message-ID, whatever else there is. */
static void test_row_has_the_message_id(void **state)
{
	struct fixture *f = *state;
	const struct sent_log_identity identities[] = {
		{ SENT_LOG_IDENTITY_SERIAL, "serial" },
		{ SENT_LOG_IDENTITY_ENVELOPE_ID, "envelope" },
		{ SENT_LOG_IDENTITY_MESSAGE_ID, "a" },
	};
	struct sent_log_message message = {
		.source = SENT,
		.identities = identities,
		.identity_count = 3,
		.logged_at = NOW - DAY,
		.date = NOW - 2 * DAY,
		.from_own_address = true,
	};
	char hash[SENT_LOG_HASH_TEXT_SIZE];
	struct sent_log_row row;

	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_done(f, sent_log_find_unlisted_copy(f->log, NOW - 20 * DAY, NOW,
						   &row, &f->error));
	assert_int_equal(row.logged_at, NOW - DAY);
	assert_int_equal(row.date, NOW - 2 * DAY);
	assert_done(f, sent_log_identity_hash(f->log, &identities[2], hash,
					      &f->error));
	assert_string_equal(row.identity_hash, hash);
}

/* What is stored */

static void assert_not_in(const char *path, const char *const *secrets)
{
	size_t size;
	char *content = read_file(path, &size);

	for (; *secrets != NULL; secrets++)
		assert_null(memmem(content, size, *secrets, strlen(*secrets)));
	free(content);
}

static void test_nothing_in_clear(void **state)
{
	struct fixture *f = *state;
	static const char *const secrets[] = { "secret-message-id", "secretary",
					       "secret-domain", "secret-env",
					       "secret-serial", NULL };
	const struct sent_log_identity identities[] = {
		{ SENT_LOG_IDENTITY_MESSAGE_ID, "secret-message-id@x" },
		{ SENT_LOG_IDENTITY_ENVELOPE_ID, "secret-env" },
		{ SENT_LOG_IDENTITY_SERIAL, "secret-serial" },
	};
	static const char *const recipients[] = {
		"secretary@secret-domain.example"
	};
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = identities,
		.identity_count = 3,
		.recipients = recipients,
		.recipient_count = 1,
		.logged_at = NOW,
	};

	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_done(f, count_report(f, "secret-message-id@x", "bounce",
				    recipients, 1));
	assert_not_in(f->path, secrets);
	assert_not_in(in_folder(f, "log.db-wal"), secrets);
	fixture_reopen(f);
	assert_not_in(f->path, secrets);
}

/* The same Message-ID has another hash in another mailbox. */
static void test_key_is_per_file(void **state)
{
	struct fixture *f = *state;
	const struct sent_log_identity a = { SENT_LOG_IDENTITY_MESSAGE_ID, "a" };
	char hash[SENT_LOG_HASH_TEXT_SIZE], other_hash[SENT_LOG_HASH_TEXT_SIZE];

	assert_done(f, sent_log_identity_hash(f->log, &a, hash, &f->error));
	assert_string_equal(hash + 16, "");
	sent_log_deinit(&f->log);
	f->set.path = in_folder(f, "other.db");
	f->log = sent_log_init(&f->set);
	assert_done(f, sent_log_identity_hash(f->log, &a, other_hash, &f->error));
	assert_string_not_equal(hash, other_hash);
}

/* A million identities: every statement goes through an index. */

static void fill(struct fixture *f, unsigned int messages)
{
	static const char sql[] =
		"PRAGMA synchronous = OFF;"
		"BEGIN;"
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
		" SELECT i + 1 FROM n WHERE i < %u)"
		" INSERT INTO message SELECT i, 1 + 3 * (i %% 50 = 0),"
		" %lld - i, %lld - i, 1, NULL FROM n;"
		"INSERT INTO identity SELECT random() & ((1 << 61) - 1), id"
		" FROM message;"
		"INSERT INTO identity SELECT (random() & ((1 << 61) - 1))"
		" | (2 << 61), id FROM message;"
		"INSERT INTO recipient SELECT id, random(),"
		" random() & ((1 << 48) - 1) FROM message;"
		"COMMIT;";
	char *text = store_format(sql, messages, (long long)NOW,
				     (long long)NOW);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(text);
}

static int64_t vm_steps(struct sent_log *log)
{
	int64_t steps = 0;

	for (unsigned int i = 0; i < STORE_OPERATION_COUNT; i++) {
		if (log->store->statements[i] != NULL) {
			steps += sqlite3_stmt_status(log->store->statements[i],
						     SQLITE_STMTSTATUS_VM_STEP,
						     1);
		}
	}
	return steps;
}

static int64_t full_scan_steps(struct sent_log *log)
{
	int64_t steps = 0;

	for (unsigned int i = 0; i < STORE_OPERATION_COUNT; i++) {
		/* this one reads all that it is asked for */
		if (log->store->statements[i] != NULL &&
		    i != STORE_COUNT_MESSAGES) {
			steps += sqlite3_stmt_status(
				log->store->statements[i],
				SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
		}
	}
	return steps;
}

#define assert_steps(f, max) \
	do { \
		int64_t steps_ = vm_steps((f)->log); \
		if (steps_ > (max)) \
			fail_msg("%lld steps", (long long)steps_); \
	} while (0)

static void test_a_million_identities(void **state)
{
	struct fixture *f = *state;
	static const char *const ann[] = { "ann@example.net" };
	struct sent_log_entry entry;
	struct sent_log_row row;

	assert_done(f, add(f, "before", "ann@example.net"));
	sent_log_deinit(&f->log);
	f->log = sent_log_init(&f->set);
	assert_done(f, expire_old(f, NOW + RETENTION + 1, 3));
	fill(f, 500000);

	vm_steps(f->log);
	assert_done(f, add(f, "a", "ann@example.net"));
	assert_steps(f, 500);
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a",
				 "bob@example.net", NOW, &entry));
	assert_steps(f, 150);
	assert_none(f, find(f, "b"));
	assert_steps(f, 30);
	assert_done(f, sent_log_find_recipient(f->log, ann[0], NOW, &f->error));
	assert_steps(f, 30);
	assert_true(coverage_at(f, NOW).has_rows);
	assert_steps(f, 180);
	assert_done(f, count_report(f, "a", "bounce", ann, 1));
	assert_int_equal(get_report_count(f, "a", "bounce", ann[0]).reports, 1);
	assert_steps(f, 500);
	assert_done(f, sent_log_find_unlisted_copy(f->log, NOW - 30 * DAY, NOW,
						   &row, &f->error));
	/* it passes the 72 copies of the last hour */
	assert_steps(f, 1000);
	assert_done(f, expire_old(f, NOW + RETENTION, 20));
	assert_steps(f, 2000);
	/* meta has one row */
	assert_in_range(full_scan_steps(f->log), 0, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		room_test(test_add_and_find),
		room_test_rollback(test_add_and_find),
		room_test(test_found_by_another_handle),
		room_test_rollback(test_found_by_another_handle),
		room_test(test_kinds_are_kept_apart),
		room_test(test_recipient_and_domain_match),
		room_test(test_one_of_several_asked_matches),
		room_test(test_sources_are_united),
		room_test(test_same_id_again_adds_recipients),
		room_test(test_identities_of_two_rows),
		room_test(test_without_message_id),
		room_test(test_nothing_to_add),
		room_test(test_no_such_source),
		room_test(test_find_recipient),
		room_test(test_many_messages_at_once),
		room_test(test_bounds_of_one_message),
		room_test(test_long_and_strange_strings),
		room_test(test_retention_boundary),
		room_test(test_retention_of_one_source),
		room_test(test_sent_again_renews),
		room_test(test_too_old_to_be_added),
		room_test(test_logged_in_the_future),
		room_test(test_expire_in_steps),
		room_test(test_expire_message_with_many_recipients),
		room_test(test_expire_without_a_log),
		room_test(test_expiry_keeps_pace),
		room_test(test_coverage_of_a_new_log),
		room_test(test_coverage_can_be_moved),
		room_test(test_coverage_ends_with_the_retention),
		room_test(test_expiry_moves_coverage),
		room_test(test_coverage_in_the_future),
		room_test(test_clocks_a_little_apart),
		both(test_clock_falls_back_and_recovers),
		room_test(test_fallen_clock_is_noticed_by_any_call),
		room_test(test_clock_falls_further),
		room_test(test_breaks_while_the_clock_is_behind),
		room_test(test_clock_was_ahead_once),
		room_test(test_listed_sources),
		room_test(test_listed_sources_of_a_new_log),
		room_test(test_report_counts),
		room_test(test_report_counts_of_others_are_shared),
		room_test(test_report_counts_without_a_row),
		room_test(test_report_counts_expire),
		room_test(test_unlisted_copy),
		room_test(test_unlisted_copy_of_the_last_30_days),
		room_test(test_copy_of_a_listed_source),
		room_test(test_count),
		room_test(test_row_has_the_message_id),
		room_test(test_nothing_in_clear),
		room_test(test_key_is_per_file),
		room_test(test_a_million_identities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
