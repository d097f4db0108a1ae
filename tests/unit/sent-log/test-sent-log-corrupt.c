/* A file that is no database any more: moved aside, and replaced once. */

#include "test-sent-log-file.h"

static void test_random_bytes(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 2,    2,    50,	   100,	 512,
					1000, 4096, 10000, 100000 };
	size_t size;
	glob_t found;

	for (unsigned int i = 0; i < 18; i++) {
		sent_log_deinit(&f->log);
		f->log = sent_log_init(&f->set);
		random_bytes(f->path, sizes[i / 2], i % 2 != 0 && i > 9);
		assert_failed(f, add(f, "a", NULL), "moved to");
		assert_replaced(f, i + 1);
	}
	/* the first is still what it was */
	assert_int_equal(glob(in_folder(f, "log.db.corrupt-*"), 0, NULL,
			      &found), 0);
	assert_int_equal(found.gl_pathc, 18);
	free(read_file(found.gl_pathv[0], &size));
	assert_int_equal(size, 2);
	globfree(&found);
}

static void test_every_call_finds_it_corrupt(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < SENT_LOG_CALLS; i++) {
		sent_log_deinit(&f->log);
		f->log = sent_log_init(&f->set);
		random_bytes(f->path, 5000, false);
		assert_failed(f, call_any(f, i), "moved to");
		assert_int_equal(count_files(f, "log.db.corrupt-*"), i + 1);
		assert_true(call_any(f, i) >= 0);
	}
}

static void test_truncated(void **state)
{
	struct fixture *f = *state;
	static const off_t sizes[] = { 10, 100, 4096, 20480 };

	for (unsigned int i = 0; i < 4; i++) {
		assert_done(f, add(f, "a", "ann@example.net"));
		fixture_reopen(f);
		assert_int_equal(truncate(f->path, sizes[i]), 0);
		assert_failed(f, find(f, "a"), "moved to");
		assert_replaced(f, i + 1);
	}
}

/* Perhaps a later SQLite's: nobody knows, so it is left alone. */
static void test_unknown_file_format(void **state)
{
	struct fixture *f = *state;
	size_t size;
	char *content;

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	content = read_file(f->path, &size);
	content[47] = 5;
	write_file(f->path, content, size);
	free(content);
	f->log = sent_log_init(&f->set);
	assert_untouched(f, "unsupported file format");
}

/* The pages inside are random, the first is not. */
static void test_corrupt_inside(void **state)
{
	struct fixture *f = *state;
	size_t size;
	char *content, value[32];

	for (unsigned int i = 0; i < 300; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	sent_log_deinit(&f->log);
	content = read_file(f->path, &size);
	memset(content + 8192, 0x5a, size - 8192);
	write_file(f->path, content, size);
	free(content);
	f->log = sent_log_init(&f->set);
	assert_failed(f, find(f, "7"), "moved to");
	assert_replaced(f, 1);
}

static void test_corrupt_with_its_wal(void **state)
{
	struct fixture *f = *state;

	random_bytes(f->path, 5000, false);
	random_bytes(in_folder(f, "log.db-wal"), 6000, false);
	random_bytes(in_folder(f, "log.db-shm"), 7000, false);
	assert_failed(f, find(f, "a"), "moved to");
	assert_int_equal(count_files(f, "log.db.corrupt-*Z"), 1);
	assert_int_equal(count_files(f, "log.db.corrupt-*Z-wal"), 1);
	assert_int_equal(count_files(f, "log.db.corrupt-*Z-shm"), 1);
	assert_replaced(f, 1);
}

static void test_meta_is_gone(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	exec_sql(f->path, "DELETE FROM meta");
	/* open: the key is known, but coverage is not */
	assert_done(f, find(f, "a"));
	assert_failed(f, call_any(f, 6), "moved to");
	assert_replaced(f, 1);

	exec_sql(f->path, "UPDATE meta SET hash_key = x'00'");
	fixture_reopen(f);
	assert_failed(f, find(f, "a"), "hash key is missing; moved to");
	assert_replaced(f, 2);
}

/* Whoever comes second must not move the new one. */
static void test_corrupt_for_two_handles(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other = another_handle(f);
	char value[32];
	int fd;
	size_t size;
	char *garbage = calloc(1, 200000);

	for (unsigned int i = 0; i < 300; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	assert_done(f, find_in(other, "1", &f->error));
	exec_sql(f->path, "PRAGMA wal_checkpoint(TRUNCATE)");
	free(read_file(f->path, &size));
	fd = open(f->path, O_WRONLY);
	assert_int_equal(pwrite(fd, garbage, size - 4096, 4096), size - 4096);
	close(fd);
	free(garbage);

	/* the other has some of it in memory */
	fixture_reopen(f);
	assert_int_equal(add(f, "new", "new"), -1);
	assert_int_equal(count_files(f, "log.db.corrupt-*Z"), 1);
	assert_done(f, add(f, "newer", NULL));
	(void)add_to(other, "newest", &f->error);
	assert_done(f, add_to(other, "newest", &f->error));
	assert_int_equal(count_files(f, "log.db.corrupt-*Z"), 1);
	assert_done(f, find_in(other, "newer", &f->error));
	assert_done(f, find(f, "newest"));
	sent_log_deinit(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_random_bytes),
		both(test_every_call_finds_it_corrupt),
		both(test_truncated),
		room_test(test_unknown_file_format),
		both(test_corrupt_inside),
		room_test(test_corrupt_with_its_wal),
		room_test(test_meta_is_gone),
		both(test_corrupt_for_two_handles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
