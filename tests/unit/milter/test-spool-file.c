/* What becomes of the spool's file: used by another, somebody else's, torn, full. */

#include "test-spool-common.h"

/* In a child that was forked before this process had threads: a lock that one of them
   holds, of SQLite's memory for example, would be held in the child for ever. */
static void open_when_told(struct fixture *f, int fd)
{
	struct spool *spool;
	char byte;
	int ret = read(fd, &byte, 1) == 1 ? try_open(f, &spool) : 0;

	_exit(ret == -1 && strstr(f->error, "another process") != NULL ? 0 : 1);
}

static void test_second_process(void **state)
{
	struct fixture *f = *state;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		open_when_told(f, fds[0]);
	open_spool(f);
	assert_int_equal(add(f, "bob"), 0);
	assert_int_equal(write(fds[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(add(f, "bob"), 0);
	assert_int_equal(count_files(f, "spool.db.broken*"), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void test_can_not_be_made(void **state)
{
	struct fixture *f = *state;
	struct spool *spool;

	(void)snprintf(f->path, sizeof(f->path), "%s/none/spool.db", f->folder);
	assert_int_equal(try_open(f, &spool), -1);
	assert_non_null(strstr(f->error, f->path));
	(void)snprintf(f->path, sizeof(f->path), "%s", f->folder);
	assert_int_equal(try_open(f, &spool), -1);
	assert_non_null(strstr(f->error, f->path));
	assert_null(spool);
}

static void assert_replaced(struct fixture *f, size_t times)
{
	assert_int_equal(count_waiting(f), 0);
	assert_true(has_gap(f, NULL));
	assert_int_equal(count_files(f, "spool.db.broken-*Z*") -
			 count_files(f, "spool.db.broken-*Z*-wal") -
			 count_files(f, "spool.db.broken-*Z*-shm"), times);
	assert_int_equal(add(f, "bob"), 0);
	assert_private(f);
}

static void random_bytes(const char *path, size_t size)
{
	char *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)rand();
	write_file(path, bytes, size);
	free(bytes);
}

static void test_no_database(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 512, 4096, 100000 };
	char path[140];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		spool_close(&f->spool);
		random_bytes(f->path, sizes[i]);
		(void)snprintf(path, sizeof(path), "%s-wal", f->path);
		random_bytes(path, sizes[i]);
		open_spool(f);
		assert_replaced(f, i + 1);
	}
}

/* What touch(1) makes, or has not even room for a database's page. */
static void test_no_file_yet(void **state)
{
	struct fixture *f = *state;

	for (size_t size = 0; size < 512; size += 64) {
		spool_close(&f->spool);
		(void)unlink(f->path);
		random_bytes(f->path, size);
		open_spool(f);
		assert_true(has_gap(f, NULL));
		assert_int_equal(add(f, "bob"), 0);
	}
}

static void change_file(struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

static void test_somebody_elses(void **state)
{
	struct fixture *f = *state;
	static const char *const changes[] = {
		"PRAGMA application_id = 7",
		"PRAGMA user_version = 2",
		"DROP TABLE row",
		"ALTER TABLE row RENAME COLUMN arguments TO other",
		"DROP TABLE life",
	};

	open_spool(f);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		assert_int_equal(add(f, "bob"), 0);
		spool_close(&f->spool);
		change_file(f, changes[i]);
		open_spool(f);
		assert_replaced(f, i + 1);
	}
	spool_close(&f->spool);
	(void)unlink(f->path);
	change_file(f, "CREATE TABLE song (name); INSERT INTO song VALUES (1)");
	open_spool(f);
	assert_replaced(f, sizeof(changes) / sizeof(*changes) + 1);
}

static void test_torn(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	for (size_t i = 1; i <= 5; i++) {
		open_spool(f);
		add_rows(f);
		spool_close(&f->spool);
		assert_int_equal(stat(f->path, &st), 0);
		assert_int_equal(truncate(f->path, st.st_size *
						   (off_t)i / 6), 0);
		open_spool(f);
		assert_replaced(f, i);
		spool_close(&f->spool);
		(void)unlink(f->path);
	}
}

static void scribble(struct fixture *f)
{
	struct stat st;
	FILE *file;

	assert_int_equal(stat(f->path, &st), 0);
	file = fopen(f->path, "r+b");
	assert_non_null(file);
	for (off_t i = 0; i < st.st_size; i++)
		(void)fputc('x', file);
	assert_int_equal(fclose(file), 0);
}

/* While it is open: what SQLite doesn't have in its memory is read again, as a thread does that
   sends. */
static void test_breaks_in_use(void **state)
{
	struct fixture *f = *state;
	char *user, *arguments;
	int64_t id = 1;

	f->max_rows = 10 * ROWS;
	open_spool(f);
	forget_gaps(f);
	for (unsigned int i = 0; i < 5; i++)
		add_rows(f);
	assert_int_equal(count_waiting(f), 5 * ROWS);
	scribble(f);
	for (; id <= 5 * ROWS; id++) {
		if (spool_store_get(f->spool, id, &user, &arguments) != 1)
			break;
		free(user);
		free(arguments);
	}
	assert_true(id <= 5 * ROWS);
	/* the next row finds another file */
	assert_int_equal(add(f, "bob"), 0);
	assert_true(has_gap(f, NULL));
	assert_true(count_waiting(f) <= 1);
	assert_int_equal(count_files(f, "spool.db.broken-*Z"), 1);
	assert_int_equal(add(f, "bob"), 0);
}

/* A full disk, as far as it can be had without one. */
static void test_no_room_in_the_file(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, limit;

	f->max_rows = 100000;
	open_spool(f);
	forget_gaps(f);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 200000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while (add(f, "bob") == 0)
		;
	assert_non_null(strstr(f->error, f->path));
	assert_true(has_gap(f, "bob"));
	assert_false(has_gap(f, "ann"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(add(f, "bob"), 0);
	assert_int_equal(count_files(f, "spool.db.broken*"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_second_process),
		TEST(test_can_not_be_made),
		TEST(test_no_database),
		TEST(test_no_file_yet),
		TEST(test_somebody_elses),
		TEST(test_torn),
		TEST(test_breaks_in_use),
		TEST(test_no_room_in_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
