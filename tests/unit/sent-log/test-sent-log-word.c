/* The administrator's word, what ends it, and whose log it is. */

#include "test-sent-log-common.h"

#define SUBMISSION SENT_LOG_SOURCE_SUBMISSION
#define SENT SENT_LOG_SOURCE_SENT
#define SAID (NOW - 30 * DAY)

static void say(struct fixture *f, enum sent_log_coverage_cause cause,
		time_t start)
{
	assert_done(f, sent_log_set_coverage(f->log, start, cause, NOW,
					     &f->error));
}

static void assert_word(struct fixture *f, int word)
{
	struct sent_log_coverage coverage = coverage_at(f, NOW);

	assert_int_equal(coverage.word, word);
	/* of a word that has ended, too */
	assert_int_equal(coverage.word_given, NOW);
	assert_int_equal(coverage.word_since, SAID);
}

static void test_nothing_was_said(void **state)
{
	struct fixture *f = *state;
	struct sent_log_coverage coverage = coverage_at(f, NOW);

	assert_int_equal(coverage.word, 0);
	assert_int_equal(coverage.word_given, 0);
}

static void test_word_stays(void **state)
{
	struct fixture *f = *state;

	say(f, SENT_LOG_COVERAGE_SET, SAID);
	assert_word(f, SENT_LOG_COVERAGE_SET);
	fixture_reopen(f);
	assert_done(f, add(f, "a", NULL));
	assert_done(f, sent_log_set_listed_sources(f->log, NOW, &f->error));
	assert_word(f, SENT_LOG_COVERAGE_SET);
	/* the start has moved, the word has not */
	assert_int_equal(coverage_at(f, NOW + RETENTION).cause,
			 SENT_LOG_COVERAGE_EXPIRED);
	assert_int_equal(coverage_at(f, NOW + RETENTION).word,
			 SENT_LOG_COVERAGE_SET);
	assert_none(f, expire_old(f, NOW + 50 * DAY, 100));
	assert_word(f, SENT_LOG_COVERAGE_SET);
}

static void test_import_does_not_take_back_what_was_set(void **state)
{
	struct fixture *f = *state;

	say(f, SENT_LOG_COVERAGE_IMPORTED, SAID);
	assert_word(f, SENT_LOG_COVERAGE_IMPORTED);
	say(f, SENT_LOG_COVERAGE_SET, SAID);
	assert_word(f, SENT_LOG_COVERAGE_SET);
	say(f, SENT_LOG_COVERAGE_IMPORTED, SAID);
	assert_word(f, SENT_LOG_COVERAGE_SET);
}

static void break_gap(struct fixture *f)
{
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_done(f, sent_log_open(f->log, NOW, &f->error));
}

static void break_sources(struct fixture *f)
{
	f->set.listed_sources = SENT;
	fixture_reopen(f);
	assert_none(f, sent_log_set_listed_sources(f->log, NOW, &f->error));
}

static void break_restart(struct fixture *f)
{
	say(f, SENT_LOG_COVERAGE_RESTARTED, NOW);
}

static void break_no_message_id(struct fixture *f)
{
	say(f, SENT_LOG_COVERAGE_NO_MESSAGE_ID, NOW);
}

static void break_restore(struct fixture *f)
{
	const char *copy = in_folder(f, "copy");
	char *sql = store_format("VACUUM INTO '%s'", copy);
	sqlite3 *db;

	/* by another program: the log's own handle attaches no file */
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(sql);
	assert_int_equal(chmod(copy, 0600), 0);
	assert_int_equal(rename(copy, f->path), 0);
}

static void break_clock(struct fixture *f)
{
	/* by a wrong clock, then by the right one */
	assert_done(f, sent_log_open(f->log, NOW - 100 * DAY, &f->error));
	assert_done(f, sent_log_open(f->log, NOW, &f->error));
}

static void break_adopted(struct fixture *f)
{
	assert_done(f, sent_log_adopt_owner(f->log, NOW, &f->error));
}

static void test_a_break_ends_the_word(void **state)
{
	struct fixture *f = *state;
	static void (*const breaks[])(struct fixture *f) = {
		break_gap, break_restart, break_no_message_id, break_restore,
		break_clock, break_adopted, break_sources,
	};

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		say(f, SENT_LOG_COVERAGE_SET, SAID);
		assert_word(f, SENT_LOG_COVERAGE_SET);
		breaks[i](f);
		assert_word(f, 0);
	}
}

static void test_listed_source_logged(void **state)
{
	struct fixture *f = *state;

	assert_false(coverage_at(f, NOW).listed_source_logged);
	assert_done(f, add_at(f, SENT, "a", NULL, NOW, NOW));
	assert_done(f, add_at(f, SENT_LOG_SOURCE_ADMIN, "b", NULL, NOW, NOW));
	assert_true(coverage_at(f, NOW).has_rows);
	assert_false(coverage_at(f, NOW).listed_source_logged);
	assert_done(f, add_at(f, SUBMISSION, "c", NULL, NOW, NOW));
	assert_true(coverage_at(f, NOW).listed_source_logged);
	assert_true(coverage_at(f, NOW + RETENTION).listed_source_logged);
	assert_false(coverage_at(f, NOW + RETENTION + 1).listed_source_logged);
}

/* Whose log it is */

static void get_owner(struct sent_log_owner *owner_r, void *context)
{
	*owner_r = *(const struct sent_log_owner *)context;
}

static void open_as(struct fixture *f, const char *name, const char *mail)
{
	static struct sent_log_owner owner;

	owner.name = name;
	owner.mail = mail;
	f->set.get_owner = get_owner;
	f->set.owner_context = &owner;
	f->set.owner_hint = "the cure";
	fixture_reopen(f);
}

#define OTHERS "is the log of another user: the cure"

static void test_the_first_user_is_the_owner(void **state)
{
	struct fixture *f = *state;

	open_as(f, "alice", "/mail/alice");
	assert_done(f, add(f, "a", NULL));
	open_as(f, "bob", "/mail/bob");
	assert_failed(f, find(f, "a"), OTHERS);
	assert_failed(f, add(f, "b", NULL), OTHERS);
	assert_failed(f, sent_log_open(f->log, NOW, &f->error), OTHERS);
	open_as(f, "bob", NULL);
	assert_failed(f, find(f, "a"), OTHERS);
	open_as(f, "alice", "/mail/alice");
	assert_done(f, find(f, "a"));
	assert_none(f, find(f, "b"));
}

static void test_the_same_user_in_another_way(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_owner same[] = {
		{ "alice", "/mail/alice" },
		{ "Alice", "/mail/alice" },
		{ "alice", "/srv/mail/alice" }, /* moved */
		{ "ann", "/mail/alice" },	/* renamed, or an alias */
		{ "alice", NULL },
		{ NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		open_as(f, same[i].name, same[i].mail);
		assert_done(f, sent_log_open(f->log, NOW, &f->error));
	}
}

static void test_a_log_of_nobody_is_taken(void **state)
{
	struct fixture *f = *state;

	/* as version 2 made it */
	assert_done(f, add(f, "a", NULL));
	open_as(f, "alice", NULL);
	assert_done(f, find(f, "a"));
	open_as(f, "bob", NULL);
	assert_failed(f, find(f, "a"), OTHERS);
}

static void test_adopted(void **state)
{
	struct fixture *f = *state;

	open_as(f, "alice", "/mail/alice");
	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW - DAY, NOW - DAY));
	open_as(f, "bob", "/mail/bob");
	assert_done(f, sent_log_adopt_owner(f->log, NOW, &f->error));
	assert_done(f, find(f, "a"));
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	assert_int_equal(coverage_at(f, NOW).cause,
			 SENT_LOG_COVERAGE_RESTARTED);
	open_as(f, "alice", "/mail/alice");
	assert_failed(f, find(f, "a"), OTHERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_nothing_was_said),
		both(test_word_stays),
		both(test_import_does_not_take_back_what_was_set),
		both(test_a_break_ends_the_word),
		both(test_listed_source_logged),
		both(test_the_first_user_is_the_owner),
		both(test_the_same_user_in_another_way),
		both(test_a_log_of_nobody_is_taken),
		both(test_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
