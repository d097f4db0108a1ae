/* Many processes: locks and the deadline, eight writers, a killed one, a full disk. */

#include "test-sent-log-file.h"

#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>

/* A process that holds something until it is told to end. */
struct holder {
	pid_t pid;
	int ready[2], end[2];
};

static void holder_start(struct holder *holder, struct fixture *f,
			 bool (*hold)(struct fixture *f))
{
	char byte;

	assert_int_equal(pipe(holder->ready), 0);
	assert_int_equal(pipe(holder->end), 0);
	holder->pid = fork();
	assert_true(holder->pid >= 0);
	if (holder->pid == 0) {
		close(holder->end[1]);
		if (!hold(f))
			_exit(1);
		(void)!write(holder->ready[1], "1", 1);
		(void)!read(holder->end[0], &byte, 1);
		_exit(0);
	}
	close(holder->ready[1]);
	close(holder->end[0]);
	assert_int_equal(read(holder->ready[0], &byte, 1), 1);
	close(holder->ready[0]);
}

static void holder_end(struct holder *holder)
{
	close(holder->end[1]);
	(void)wait_child(holder->pid);
}

static int64_t now_msecs(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Locks */

static bool hold_exclusive(struct fixture *f)
{
	sqlite3 *db;

	return sqlite3_open(f->path, &db) == SQLITE_OK &&
	       sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE;"
				"BEGIN EXCLUSIVE; UPDATE meta SET id = 1",
			    NULL, NULL, NULL) == SQLITE_OK;
}

static bool hold_write_lock(struct fixture *f)
{
	sqlite3 *db;

	return sqlite3_open(f->path, &db) == SQLITE_OK &&
	       sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) ==
		       SQLITE_OK;
}

static bool hold_flock(struct fixture *f)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s.lock", f->path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	return fd >= 0 && flock(fd, LOCK_EX) == 0;
}

static void assert_locked(struct fixture *f, int ret, int64_t started)
{
	assert_int_equal(ret, -1);
	if (strstr(f->error, "locked by another process for ") == NULL)
		fail_msg("%s", f->error);
	assert_true(now_msecs() - started >= 100);
	/* generous: valgrind, a busy machine */
	assert_in_range(now_msecs() - started, 100, 2000);
}

static void test_locked_within_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct holder holder;
	int64_t started;

	assert_done(f, add(f, "a", NULL));
	f->set.deadline_msecs = 100;
	fixture_reopen(f);
	holder_start(&holder, f, hold_exclusive);
	for (unsigned int i = 0; i < SENT_LOG_CALLS; i++) {
		started = now_msecs();
		assert_locked(f, call_any(f, i), started);
	}
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	holder_end(&holder);
	/* and the handle works again */
	assert_done(f, find(f, "a"));
	assert_done(f, add(f, "b", NULL));
	assert_int_equal(count_files(f, "*corrupt*"), 0);
}

/* In WAL mode others' write lock keeps nobody from reading. */
static void test_write_lock(void **state)
{
	struct fixture *f = *state;
	struct holder holder;
	int64_t started;

	assert_done(f, add(f, "a", NULL));
	f->set.deadline_msecs = 100;
	fixture_reopen(f);
	assert_done(f, find(f, "a"));
	holder_start(&holder, f, hold_write_lock);
	assert_done(f, find(f, "a"));
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	started = now_msecs();
	assert_locked(f, add(f, "b", NULL), started);
	started = now_msecs();
	assert_locked(f, call_any(f, 0), started);
	assert_done(f, find(f, "a"));
	holder_end(&holder);
	assert_done(f, add(f, "b", NULL));
}

static void test_creation_is_locked(void **state)
{
	struct fixture *f = *state;
	struct holder holder;
	int64_t started;

	f->set.deadline_msecs = 100;
	fixture_reopen(f);
	holder_start(&holder, f, hold_flock);
	started = now_msecs();
	assert_locked(f, add(f, "a", NULL), started);
	assert_false(exists(f->path));
	holder_end(&holder);
	assert_done(f, add(f, "a", NULL));

	/* an open log doesn't care */
	holder_start(&holder, f, hold_flock);
	assert_done(f, add(f, "b", NULL));
	fixture_reopen(f);
	assert_done(f, find(f, "b"));
	holder_end(&holder);
}

/* A corrupt file stays where it is until the lock is free. */
static void test_corrupt_but_locked(void **state)
{
	struct fixture *f = *state;
	struct holder holder;

	assert_done(f, add(f, "a", NULL));
	f->set.deadline_msecs = 50;
	fixture_reopen(f);
	random_bytes(f->path, 5000, false);
	holder_start(&holder, f, hold_flock);
	assert_failed(f, find(f, "a"), "locked by another process");
	assert_int_equal(count_files(f, "*corrupt*"), 0);
	holder_end(&holder);
	assert_failed(f, find(f, "a"), "moved to");
	assert_replaced(f, 1);
}

/* Many processes */

#define WRITERS 8
#define WRITER_ROWS 200

static bool writer(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	const char *error = "";
	char value[64];
	bool ok = true;

	for (int i = 0; i < WRITER_ROWS && ok; i++) {
		snprintf(value, sizeof(value), "%d.%d@example.org", number, i);
		ok = expect(add_to(log, value, &error) == 1, value, error);
	}
	sent_log_deinit(&log);
	return ok;
}

static void test_eight_writers(void **state)
{
	struct fixture *f = *state;
	pid_t pids[WRITERS];
	char value[64];
	unsigned int reads = 0;

	f->set.deadline_msecs = 60000;
	fixture_reopen(f);
	for (int i = 0; i < WRITERS; i++)
		pids[i] = start_child(f, writer, i);
	/* a delivery reads meanwhile */
	do {
		int ret = find(f, "7.199@example.org");

		assert_true(ret >= 0);
		(void)coverage_at(f, NOW);
		if (reads++ % 10 == 0)
			fixture_reopen(f);
	} while (count(f, SENT_LOG_SOURCE_SUBMISSION) < WRITERS * WRITER_ROWS &&
		 reads < 100000);
	for (int i = 0; i < WRITERS; i++)
		assert_true(wait_child(pids[i]));

	for (int i = 0; i < WRITERS; i++) {
		for (int j = 0; j < WRITER_ROWS; j++) {
			snprintf(value, sizeof(value), "%d.%d@example.org", i,
				 j);
			assert_done(f, find(f, value));
		}
	}
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION),
			 WRITERS * WRITER_ROWS);
	assert_string_equal(f->notices, "");
	assert_int_equal(count_files(f, "*corrupt*"), 0);
	assert_intact(f->path);
}

static bool opening_writer(struct fixture *f, int number)
{
	char value[64];
	bool ok = true;

	for (int i = 0; i < 20 && ok; i++) {
		fixture_reopen(f);
		snprintf(value, sizeof(value), "%d.%d@example.org", number, i);
		ok = expect(add(f, value, NULL) == 1, value, f->error);
	}
	sent_log_deinit(&f->log);
	return ok;
}

/* As deliveries do: open, write, close; all begin with no log at all. */
static void test_eight_openers(void **state)
{
	struct fixture *f = *state;
	pid_t pids[WRITERS];

	f->set.deadline_msecs = 60000;
	fixture_reopen(f);
	for (int i = 0; i < WRITERS; i++)
		pids[i] = start_child(f, opening_writer, i);
	for (int i = 0; i < WRITERS; i++)
		assert_true(wait_child(pids[i]));
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), WRITERS * 20);
	assert_done(f, find(f, "0.0@example.org"));
	assert_done(f, find(f, "7.19@example.org"));
}

/* Whoever finds it corrupt fails, perhaps others that had it open; and with a
   rollback journal also a writer whose journal one of those took for the moved
   file's ("disk I/O error"). All of that is over once it has been moved. */
#define CORRUPT_ATTEMPTS 50

static int start_writing[2];

static bool corrupt_writer(struct fixture *f, int number)
{
	char value[64], byte;
	int ret = -1;

	close(start_writing[1]);
	(void)!read(start_writing[0], &byte, 1);
	snprintf(value, sizeof(value), "%d@example.org", number);
	for (unsigned int i = 0; i < CORRUPT_ATTEMPTS && ret < 0; i++)
		ret = add(f, value, NULL);
	return expect(ret == 1, value, f->error);
}

/* How many of them see it before it has been moved is chance. */
static void test_eight_write_to_a_corrupt_one_and_it_is_replaced_once(void **state)
{
	struct fixture *f = *state;
	pid_t pids[WRITERS];
	char value[64];

	f->set.deadline_msecs = 60000;
	for (unsigned int round = 0; round < 5; round++) {
		fixture_reopen(f);
		random_bytes(f->path, 50000, false);
		assert_int_equal(pipe(start_writing), 0);
		for (int i = 0; i < WRITERS; i++)
			pids[i] = start_child(f, corrupt_writer, i);
		close(start_writing[0]);
		close(start_writing[1]);
		for (int i = 0; i < WRITERS; i++)
			assert_true(wait_child(pids[i]));
		assert_int_equal(count_files(f, "log.db.corrupt-*"), round + 1);
		for (int i = 0; i < WRITERS; i++) {
			snprintf(value, sizeof(value), "%d@example.org", i);
			assert_done(f, find(f, value));
		}
	}
}

/* What was acknowledged is there after a kill -9. */
static void test_killed_writer(void **state)
{
	struct fixture *f = *state;
	int acknowledged[2], last = -1, number;
	char value[64];
	pid_t pid;

	assert_int_equal(pipe(acknowledged), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0;; i++) {
			snprintf(value, sizeof(value), "%d", i);
			if (add(f, value, value) != 1 ||
			    write(acknowledged[1], &i, sizeof(i)) < 0)
				_exit(1);
		}
	}
	close(acknowledged[1]);
	while (last < 50 &&
	       read(acknowledged[0], &number, sizeof(number)) == sizeof(number))
		last = number;
	kill(pid, SIGKILL);
	(void)wait_child(pid);
	while (read(acknowledged[0], &number, sizeof(number)) == sizeof(number))
		last = number;
	close(acknowledged[0]);

	assert_true(last >= 50);
	for (int i = 0; i <= last; i++) {
		snprintf(value, sizeof(value), "%d", i);
		assert_done(f, find(f, value));
	}
	assert_done(f, add(f, "after", NULL));
	assert_string_equal(f->notices, "");
	assert_intact(f->path);
}

/* A full disk */

/* Adds until it fails; then what was there is still found, and once there is
   room again, everything works. */
static bool fill_up(struct fixture *f, unsigned int *added_r)
{
	char value[64];
	int ret = 1;

	for (*added_r = 0; *added_r < 100000; (*added_r)++) {
		snprintf(value, sizeof(value), "%u", *added_r);
		ret = add(f, value, value);
		if (ret < 0)
			break;
	}
	return expect(ret == -1, "full", "never") &&
	       expect(strstr(f->error, "full") != NULL ||
			      strstr(f->error, "disk I/O error") != NULL,
		      "error", f->error) &&
	       expect(find(f, "0") == 1, "find", f->error) &&
	       expect(find(f, value) == 0, "rolled back", "found");
}

static bool full_by_limit(struct fixture *f, int number)
{
	struct rlimit limit, old;
	unsigned int added;

	(void)number;
	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &old) < 0 || add(f, "0", NULL) != 1)
		return false;
	limit = old;
	limit.rlim_cur = 300 * 1024;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || !fill_up(f, &added))
		return false;
	if (setrlimit(RLIMIT_FSIZE, &old) < 0)
		return false;
	return expect(add(f, "later", NULL) == 1, "add", f->error) &&
	       expect(find(f, "0") == 1, "find", f->error);
}

static void test_full_by_limit(void **state)
{
	struct fixture *f = *state;

	run_child(f, full_by_limit);
	assert_done(f, find(f, "later"));
	assert_int_equal(count_files(f, "*corrupt*"), 0);
}

static int unmount_teardown(void **state)
{
	struct fixture *f = *state;

	sent_log_deinit(&f->log);
	(void)umount2(in_folder(f, "small"), MNT_DETACH);
	return fixture_teardown(state);
}

static void test_full_tmpfs(void **state)
{
	struct fixture *f = *state;
	char folder[128], *filler;
	unsigned int added;

	snprintf(folder, sizeof(folder), "%s", in_folder(f, "small"));
	assert_int_equal(mkdir(folder, 0700), 0);
	if (mount("tmpfs", folder, "tmpfs", 0, "size=512k") < 0) {
		print_message("skipped: test_full_tmpfs: "
			      "mount() needs root\n");
		skip();
	}
	set_path(f, "small/log.db");
	if (!fill_up(f, &added))
		fail();
	/* an empty file can still be made there */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	fixture_reopen(f);
	print_message("%u rows in 512 KiB\n", added);
	assert_int_equal(umount2(folder, MNT_DETACH), 0);

	/* no room for a new log: nothing half made stays behind */
	assert_int_equal(mount("tmpfs", folder, "tmpfs", 0, "size=96k"), 0);
	filler = calloc(1, 80 * 1024);
	write_file(in_folder(f, "small/filler"), filler, 80 * 1024);
	free(filler);
	assert_int_equal(add(f, "a", NULL), -1);
	assert_false(exists(f->path));
	assert_false(exists(in_folder(f, "small/log.db.new")));
	assert_int_equal(unlink(in_folder(f, "small/filler")), 0);
	sent_log_deinit(&f->log);
	f->set.network_filesystem = true;
	f->log = sent_log_init(&f->set);
	assert_done(f, sent_log_open(f->log, NOW, &f->error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_locked_within_the_deadline),
		room_test(test_write_lock),
		room_test(test_creation_is_locked),
		room_test(test_corrupt_but_locked),
		both(test_eight_writers),
		both(test_eight_openers),
		both(test_eight_write_to_a_corrupt_one_and_it_is_replaced_once),
		both(test_killed_writer),
		both(test_full_by_limit),
		cmocka_unit_test_setup_teardown(test_full_tmpfs, fixture_setup,
						unmount_teardown),
		cmocka_unit_test_setup_teardown(test_full_tmpfs,
						fixture_setup_rollback,
						unmount_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
