/* Another file at the log's path: moved there, deleted, copied, restored. */

#include "test-sent-log-file.h"

/* Another file at the path */

static void make_other(struct fixture *f, const char *path)
{
	struct sent_log *other;

	f->set.path = path;
	other = sent_log_init(&f->set);
	assert_done(f, add_to(other, "other", &f->error));
	sent_log_deinit(&other);
	f->set.path = f->path;
}

static void test_replaced_while_open(void **state)
{
	struct fixture *f = *state;
	const char *other_path = in_folder(f, "other.db");

	make_other(f, other_path);
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(rename(other_path, f->path), 0);
	assert_done(f, add(f, "b", NULL));
	assert_done(f, find(f, "b"));
	assert_done(f, find(f, "other"));
	assert_none(f, find(f, "a"));
	/* it has lived elsewhere, so who knows what it missed */
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), 2);
	fixture_reopen(f);
	assert_done(f, find(f, "b"));
	assert_intact(f->path);
}

/* What the predecessor had in its -wal must not be read into the new file,
   whoever opens it first. */
static void test_replaced_beside_its_wal(void **state)
{
	struct fixture *f = *state;
	const char *other_path = in_folder(f, "other.db");
	struct sent_log *delivery = another_handle(f);

	make_other(f, other_path);
	assert_done(f, add(f, "a", "ann@example.net"));
	assert_int_equal(rename(other_path, f->path), 0);
	assert_true(exists(in_folder(f, "log.db-wal")));
	assert_done(f, find_in(delivery, "other", &f->error));
	assert_none(f, find_in(delivery, "a", &f->error));
	assert_done(f, add_to(delivery, "b", &f->error));
	assert_done(f, find(f, "b"));
	assert_intact(f->path);
	assert_int_equal(count_files(f, "log.db.left-*-wal"), 1);
	assert_non_null(strstr(f->notices, "another file stood here before"));
	sent_log_deinit(&delivery);
}

static void test_deleted_while_open(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW - DAY, &f->error));
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(unlink(f->path), 0);
	assert_none(f, find(f, "a"));
	assert_done(f, add(f, "b", NULL));
	assert_int_equal(mode_of(f->path), 0600);
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	/* nothing of the old -wal has got into it */
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), 1);
	assert_intact(f->path);
	fixture_reopen(f);
	assert_done(f, find(f, "b"));
	assert_none(f, find(f, "a"));
}

static void test_moved_away_while_open(void **state)
{
	struct fixture *f = *state;
	const char *away = in_folder(f, "away.db");
	size_t size, size_after;

	assert_done(f, add(f, "a", NULL));
	assert_int_equal(rename(f->path, away), 0);
	free(read_file(away, &size));
	for (unsigned int i = 0; i < 5; i++)
		assert_done(f, add(f, "b", "ann@example.net"));
	free(read_file(away, &size_after));
	assert_int_equal(size, size_after);
	assert_none(f, find(f, "a"));
	assert_done(f, find(f, "b"));
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), 1);
	assert_intact(f->path);
}

static void test_emptied_while_open(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	assert_int_equal(truncate(f->path, 0), 0);
	assert_done(f, add(f, "b", NULL));
	assert_done(f, find(f, "b"));
	assert_none(f, find(f, "a"));
}

static void test_handle_of_a_moved_file_harms_nothing(void **state)
{
	struct fixture *f = *state;
	struct sent_log *old = another_handle(f);
	char value[32];

	assert_done(f, add_to(old, "a", &f->error));
	assert_int_equal(unlink(f->path), 0);
	for (unsigned int i = 0; i < 50; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	/* its checkpoint would write into the -wal of the new one */
	sent_log_deinit(&old);
	for (unsigned int i = 50; i < 100; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	fixture_reopen(f);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, find(f, value));
	}
	assert_intact(f->path);
}

static void test_lock_file_is_removed(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	assert_int_equal(unlink(in_folder(f, "log.db.lock")), 0);
	assert_done(f, add(f, "b", NULL));
	struct sent_log *other = another_handle(f);
	assert_done(f, find_in(other, "b", &f->error));
	assert_done(f, add_to(other, "c", &f->error));
	assert_done(f, find(f, "c"));
	sent_log_deinit(&other);
	write_file(in_folder(f, "log.db.lock"), "nonsense", 8);
	fixture_reopen(f);
	assert_done(f, find(f, "c"));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_CREATED);
	assert_int_equal(count_files(f, "log.db.left*"), 0);
}

/* Copies */

static void assert_restored(struct fixture *f, time_t now)
{
	struct sent_log_coverage coverage = coverage_at(f, now);

	assert_int_equal(coverage.start, now);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_RESTORED);
	assert_non_null(strstr(f->notices, "copied or restored"));
	/* once */
	fixture_reopen(f);
	f->notices[0] = '\0';
	assert_int_equal(coverage_at(f, now + 5).start, now);
	assert_string_equal(f->notices, "");
}

static void test_restored_copy(void **state)
{
	struct fixture *f = *state;
	const char *backup = in_folder(f, "backup.db");

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	copy_file(f->path, backup);
	f->log = sent_log_init(&f->set);
	assert_done(f, add(f, "b", NULL));
	sent_log_deinit(&f->log);

	/* the freed inode may well be given out again */
	assert_int_equal(unlink(f->path), 0);
	copy_file(backup, f->path);
	f->log = sent_log_init(&f->set);
	assert_done(f, find(f, "a"));
	assert_none(f, find(f, "b"));
	assert_restored(f, NOW);
}

/* With a clock that has fallen back, too, and no row to tell. */
static void test_restored_by_a_fallen_clock(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	sent_log_deinit(&f->log);
	copy_file(f->path, in_folder(f, "copy.db"));
	assert_int_equal(rename(in_folder(f, "copy.db"), f->path), 0);
	f->log = sent_log_init(&f->set);
	assert_done(f, sent_log_open(f->log, NOW - 400 * DAY, &f->error));
	assert_int_equal(coverage_at(f, NOW + 1).start, NOW + 1);
}

static void test_restored_while_open(void **state)
{
	struct fixture *f = *state;
	const char *backup = in_folder(f, "backup.db");

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	copy_file(f->path, backup);
	f->log = sent_log_init(&f->set);
	assert_done(f, add(f, "b", NULL));
	assert_int_equal(rename(backup, f->path), 0);
	assert_restored(f, NOW + 7);
	assert_done(f, find(f, "a"));
	assert_none(f, find(f, "b"));
}

/* Copied to another host, with the -wal of a process that was writing. */
static void test_restored_with_its_wal(void **state)
{
	struct fixture *f = *state;
	const char *copy = in_folder(f, "copy.db");

	assert_done(f, add(f, "a", NULL));
	copy_file(f->path, copy);
	copy_file(in_folder(f, "log.db-wal"), in_folder(f, "copy.db-wal"));
	sent_log_deinit(&f->log);
	f->set.path = copy;
	f->log = sent_log_init(&f->set);
	assert_done(f, find(f, "a"));
	assert_restored(f, NOW);
	f->set.path = f->path;
}

static void test_renamed_folder_is_no_copy(void **state)
{
	struct fixture *f = *state;
	const char *moved = in_folder(f, "renamed.db");

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	assert_int_equal(rename(f->path, moved), 0);
	f->set.path = moved;
	f->log = sent_log_init(&f->set);
	assert_done(f, find(f, "a"));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_CREATED);
	f->set.path = f->path;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_replaced_while_open),
		room_test(test_replaced_beside_its_wal),
		both(test_deleted_while_open),
		both(test_moved_away_while_open),
		both(test_emptied_while_open),
		both(test_handle_of_a_moved_file_harms_nothing),
		both(test_lock_file_is_removed),
		both(test_restored_copy),
		room_test(test_restored_by_a_fallen_clock),
		both(test_restored_while_open),
		room_test(test_restored_with_its_wal),
		room_test(test_renamed_folder_is_no_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
