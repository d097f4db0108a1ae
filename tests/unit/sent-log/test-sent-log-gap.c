/* The gap mark: what left without its row. */

#include "test-sent-log-file.h"

static void assert_gap(struct fixture *f, time_t now)
{
	struct sent_log_coverage coverage = coverage_at(f, now);

	assert_int_equal(coverage.start, now);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_GAP);
	assert_non_null(strstr(f->notices, "without being logged"));
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	f->notices[0] = '\0';
}

static void test_gap_mark(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	/* seen by whoever asks */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_true(exists(in_folder(f, "log.db.gap")));
	assert_gap(f, NOW + 10);

	/* by whoever writes */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_done(f, add_at(f, SENT_LOG_SOURCE_SUBMISSION, "a", NULL,
			      NOW + 20, NOW + 20));
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	assert_int_equal(coverage_at(f, NOW + 30).start, NOW + 20);
	assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, "a", NULL, NOW + 30,
				 &(struct sent_log_entry){ 0 }));

	/* by whoever opens */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	fixture_reopen(f);
	assert_done(f, sent_log_open(f->log, NOW + 40, &f->error));
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	assert_int_equal(coverage_at(f, NOW + 50).start, NOW + 40);
	assert_int_equal(coverage_at(f, NOW + 50).cause, SENT_LOG_COVERAGE_GAP);
}

static void test_gap_mark_is_renewed(void **state)
{
	struct fixture *f = *state;
	const struct timespec old[2] = { { .tv_sec = 1000 },
					 { .tv_sec = 1000 } };
	struct stat st;

	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(count_files(f, "*"), 1);
	assert_int_equal(utimensat(AT_FDCWD, in_folder(f, "log.db.gap"), old,
				   0), 0);
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(stat(in_folder(f, "log.db.gap"), &st), 0);
	assert_true(st.st_mtime > NOW);
	assert_int_equal(st.st_size, 0);
}

/* A process died between the rename and the commit. */
static void test_gap_taken_but_not_committed(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(rename(in_folder(f, "log.db.gap"),
				in_folder(f, "log.db.gap-taken")), 0);
	assert_gap(f, NOW + 10);
}

/* A mark that has been taken, and coverage that speaks of it. */
static void leave_committed_mark(struct fixture *f, const char *taken)
{
	struct stat st;
	char sql[160];

	write_file(taken, "", 0);
	assert_int_equal(stat(taken, &st), 0);
	snprintf(sql, sizeof(sql), "UPDATE meta SET gap_inode = %lld,"
		 " gap_time = %lld", (long long)st.st_ino,
		 (long long)st.st_mtim.tv_sec * 1000000000 +
			 st.st_mtim.tv_nsec);
	exec_sql(f->path, sql);
}

/* A process died between the commit and the unlink: counted once. */
static void test_gap_committed_but_not_removed(void **state)
{
	struct fixture *f = *state;
	const char *taken = in_folder(f, "log.db.gap-taken");

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	leave_committed_mark(f, taken);
	assert_int_equal(coverage_at(f, NOW + 20).start, NOW);
	assert_false(exists(taken));
	assert_string_equal(f->notices, "");

	/* with a new mark beside it */
	leave_committed_mark(f, taken);
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_gap(f, NOW + 40);
}

/* The transaction that took it up fails. */
static void test_gap_survives_a_rollback(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	exec_sql(f->path, "CREATE UNIQUE INDEX full ON message (source)");
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_failed(f, add(f, "b", NULL), "UNIQUE");
	assert_int_equal(count_files(f, "log.db.gap*"), 1);
	assert_string_equal(f->notices, "");
	assert_gap(f, NOW + 10);
}

static void test_gap_without_a_log(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(coverage_at(f, NOW + 5).start, NOW);
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
}

/* The administrator's word was given before he could know of the mark. */
static void test_gap_before_set_coverage(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(sent_log_set_coverage(f->log, NOW - DAY,
					       SENT_LOG_COVERAGE_SET, NOW,
					       &f->error), 0);
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	assert_done(f, sent_log_set_coverage(f->log, NOW - DAY,
					     SENT_LOG_COVERAGE_SET, NOW,
					     &f->error));
	assert_int_equal(coverage_at(f, NOW).start, NOW - DAY);
}

static bool mark_gap_100_times(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	const char *error = "";
	bool ok = true;

	(void)number;
	for (unsigned int i = 0; i < 100 && ok; i++)
		ok = expect(sent_log_mark_gap(log, &error) == 1, "mark", error);
	sent_log_deinit(&log);
	return ok;
}

/* After the last mark there is one more new start. */
static void test_gap_marks_while_others_write(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other = another_handle(f);
	pid_t pid;
	int status;

	assert_done(f, add(f, "a", NULL));
	pid = start_child(f, mark_gap_100_times, 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		assert_done(f, add(f, "a", NULL));
		assert_done(f, add_to(other, "a", &f->error));
	}
	assert_int_equal(status, 0);
	sent_log_deinit(&other);
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_GAP);
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_gap_mark),
		room_test(test_gap_mark_is_renewed),
		room_test(test_gap_taken_but_not_committed),
		room_test(test_gap_committed_but_not_removed),
		both(test_gap_survives_a_rollback),
		room_test(test_gap_without_a_log),
		room_test(test_gap_before_set_coverage),
		both(test_gap_marks_while_others_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
