/* What is refused at the sent log's door, and what a hostile file may cost. */

#include "test-sent-log-common.h"

/* another user's; the tests that need it are root's */
#define STRANGER 12345

typedef void obstacle_function(const char *path);

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_link(const char *path)
{
	assert_int_equal(symlink("elsewhere", path), 0);
}

static void make_socket(const char *path)
{
	assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
}

/* These change a file that is there, or make one. */

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void give_away(const char *path)
{
	touch(path);
	assert_int_equal(chown(path, STRANGER, STRANGER), 0);
}

static void let_all_write(const char *path)
{
	touch(path);
	assert_int_equal(chmod(path, 0666), 0);
}

static void let_the_group_write(const char *path)
{
	touch(path);
	assert_int_equal(chmod(path, 0620), 0);
}

static void name_twice(const char *path)
{
	char other[200];

	touch(path);
	snprintf(other, sizeof(other), "%s.other", path);
	assert_int_equal(link(path, other), 0);
}

static const struct obstacle {
	obstacle_function *make;
	const char *error;
	/* what is there is changed, not replaced */
	bool keeps;
} obstacles[] = {
	{ make_directory, "is a directory", false },
	{ make_fifo, "is a FIFO", false },
	{ make_link, "is a symbolic link", false },
	{ make_socket, "is a socket", false },
	{ give_away, "belongs to uid 12345, not to uid 0", true },
	{ let_all_write, "may be written by others (mode 0666)", true },
	{ let_the_group_write, "may be written by others (mode 0620)", true },
	{ name_twice, "has 2 names", true },
};
#define OBSTACLE_COUNT (sizeof(obstacles) / sizeof(obstacles[0]))

/* Each begins with a log that has one row. */
static void place(struct fixture *f, const struct obstacle *obstacle,
		  const char *name)
{
	const char *path = in_folder(f, name);

	sent_log_deinit(&f->log);
	(void)nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(mkdir(f->folder, 0700), 0);
	f->log = sent_log_init(&f->set);
	f->notices[0] = '\0';
	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	if (!obstacle->keeps && exists(path))
		assert_int_equal(unlink(path), 0);
	obstacle->make(path);
	f->log = sent_log_init(&f->set);
}

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	skip();
	return false;
}

static void assert_refused(struct fixture *f, const struct obstacle *obstacle,
			   const char *name)
{
	struct stat before, after;
	const char *path = in_folder(f, name);

	place(f, obstacle, name);
	assert_int_equal(lstat(path, &before), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_failed(f, find(f, "a"), obstacle->error);
		assert_failed(f, add(f, "b", NULL), obstacle->error);
		assert_failed(f, sent_log_open(f->log, NOW, &f->error),
			      obstacle->error);
		/* a cure */
		if (strstr(f->error, "chown") == NULL &&
		    strstr(f->error, "chmod") == NULL &&
		    strstr(f->error, "move it away") == NULL &&
		    strstr(f->error, "copy in its place") == NULL)
			fail_msg("%s", f->error);
	}
	/* it stands where it stood */
	assert_int_equal(lstat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_string_equal(f->notices, "");
}

static void test_log(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < OBSTACLE_COUNT && is_root(); i++)
		assert_refused(f, &obstacles[i], "log.db");
}

static void test_what_lies_beside_it(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "log.db-wal", "log.db-shm",
					     "log.db-journal", "log.db.lock" };

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		for (size_t i = 0; i < OBSTACLE_COUNT && is_root(); i++) {
			assert_refused(f, &obstacles[i], names[n]);
			assert_non_null(strstr(f->error, names[n]));
		}
	}
}

/* The lock of who judges reports again, which isn't opened here. */
static void test_look_beside(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(sent_log_look_beside(f->log, ".rejudge", &f->error), 0);
	touch(in_folder(f, "log.db.rejudge"));
	assert_int_equal(sent_log_look_beside(f->log, ".rejudge", &f->error), 1);
	for (size_t i = 0; i < OBSTACLE_COUNT && is_root(); i++) {
		int ret;

		place(f, &obstacles[i], "log.db.rejudge");
		ret = sent_log_look_beside(f->log, ".rejudge", &f->error);
		/* who was killed while he made a lock leaves it two names */
		if (obstacles[i].make == name_twice)
			assert_int_equal(ret, 1);
		else
			assert_failed(f, ret, obstacles[i].error);
		assert_done(f, add(f, "b", NULL));
	}
}

/* A file of the new log's name: an IMAP folder, too. */
static void test_new_log_obstructed(void **state)
{
	struct fixture *f = *state;

	make_directory(in_folder(f, "log.db.new"));
	assert_failed(f, add(f, "a", NULL), "log.db.new is a directory");
	assert_false(exists(f->path));
}

/* A -wal that would take SQLite minutes to read. */
static void test_huge_wal(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	touch(in_folder(f, "log.db-wal"));
	assert_int_equal(truncate(in_folder(f, "log.db-wal"),
				  (off_t)10 << 30), 0);
	assert_failed(f, find(f, "a"), "log.db-wal is larger than 256 MiB");
}

/* What was fit when it was opened needn't stay so. */
static void test_opened_to_others_meanwhile(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_failed(f, add(f, "b", NULL), "may be written by others");
	assert_int_equal(chmod(f->path, 0600), 0);
	assert_done(f, add(f, "b", NULL));
}

/* Who may read is the owner's affair. */
static void test_readable_by_others(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	assert_int_equal(chmod(f->path, 0644), 0);
	assert_done(f, find(f, "a"));
}

/* Corrupt, but another's: it is not moved. */
static void test_corrupt_and_anothers(void **state)
{
	struct fixture *f = *state;

	if (!is_root())
		return;
	write_file(f->path, "no database", 11);
	give_away(f->path);
	assert_failed(f, add(f, "a", NULL), "belongs to uid");
	assert_true(exists(f->path));
}

/* The gap mark */

static void test_gap_obstructed(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "log.db.gap", "log.db.gap-taken" };
	struct sent_log_coverage coverage;

	for (size_t n = 0; n < 2; n++) {
		for (size_t i = 0; i < OBSTACLE_COUNT && is_root(); i++) {
			place(f, &obstacles[i], names[n]);
			if (n == 0) {
				assert_failed(f, sent_log_mark_gap(f->log,
								   &f->error),
					      obstacles[i].error);
			}
			/* rows are found and written, coverage isn't believed */
			assert_done(f, find(f, "a"));
			assert_done(f, add(f, "b", NULL));
			coverage = coverage_at(f, NOW + 100);
			assert_int_equal(coverage.start, NOW + 100);
			assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_GAP);
			assert_int_equal(sent_log_set_coverage(
				f->log, NOW - DAY, SENT_LOG_COVERAGE_SET,
				NOW + 200, &f->error), 0);
			assert_non_null(strstr(f->notices, obstacles[i].error));
			assert_non_null(strstr(f->notices, names[n]));
			assert_true(exists(in_folder(f, names[n])));
		}
	}
}

/* Once it is gone, the log is believed from the last write on. */
static void test_gap_obstacle_removed(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	make_directory(in_folder(f, "log.db.gap"));
	assert_int_equal(coverage_at(f, NOW + 100).start, NOW + 100);
	assert_int_equal(rmdir(in_folder(f, "log.db.gap")), 0);
	assert_int_equal(coverage_at(f, NOW + 200).start, NOW + 100);
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(coverage_at(f, NOW + 300).start, NOW + 300);
}

/* The schema */

#define ENDLESS \
	"(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)" \
	" SELECT count(*) FROM c)"

static const struct {
	const char *sql, *error;
} schemas[] = {
	{ "CREATE TABLE extra (x)", "table extra is not ours" },
	{ "CREATE VIEW extra AS SELECT " ENDLESS, "view extra is not ours" },
	{ "CREATE TRIGGER extra AFTER INSERT ON message BEGIN"
	  " DELETE FROM message; END", "trigger extra is not ours" },
	{ "CREATE INDEX extra ON message (source + 1)",
	  "index extra is not ours" },
	{ "CREATE INDEX zzz ON message (date) WHERE abs(date) > 1",
	  "index zzz is not ours" },
	{ "ALTER TABLE meta ADD COLUMN burn AS (hex(zeroblob(100000000)))",
	  "table meta is not ours" },
	{ "ALTER TABLE message ADD COLUMN more INTEGER DEFAULT 5",
	  "table message is not ours" },
	{ "ANALYZE", "table sqlite_stat" },
	/* an index on the schema, which says of it what it likes */
	{ "CREATE TABLE u (type, name, tbl_name, rootpage, sql);"
	  "INSERT INTO u SELECT * FROM sqlite_master WHERE name != 'u';"
	  "CREATE INDEX extra ON u (type, name, tbl_name, sql);"
	  "PRAGMA writable_schema = ON;"
	  "UPDATE sqlite_master SET tbl_name = 'sqlite_master',"
	  " sql = 'CREATE INDEX extra ON sqlite_master"
	  " (type, name, tbl_name, sql)' WHERE name = 'extra'",
	  "index extra is not ours" },
	{ "DROP TABLE recipient", "is missing" },
	{ "DROP INDEX message_copy;"
	  "CREATE INDEX message_copy ON message (date)"
	  " WHERE source = 4 AND from_own_address = 2",
	  "index message_copy is not ours" },
	{ "DROP TABLE meta; CREATE TABLE meta (id INTEGER PRIMARY KEY"
	  " CHECK (id = 1 OR length(hex(zeroblob(100000000)))))",
	  "table meta is not ours" },
	{ "PRAGMA user_version = 0", "is not ours" },
	{ "PRAGMA user_version = -1", "another program" },
};

/* Refused, untouched, and at once. */
static void test_schemas(void **state)
{
	struct fixture *f = *state;
	static const struct obstacle nothing = { touch, "", true };

	f->set.deadline_msecs = 2000;
	for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		place(f, &nothing, "log.db");
		exec_sql(f->path, schemas[i].sql);
		assert_failed(f, find(f, "a"), schemas[i].error);
		assert_failed(f, add(f, "b", NULL), schemas[i].error);
		assert_string_equal(f->notices, "");
	}
}

/* Where SQLite keeps a comment, it says nothing about the schema. */
static void test_comments_and_spaces(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	exec_sql(f->path, "DROP INDEX recipient_address;"
			  "CREATE INDEX recipient_address -- of whom?\n"
			  "  ON recipient /* all */ ( address )");
	assert_done(f, find(f, "a"));
}

/* The deadline */

/* A statement that runs for ever, as none of ours does. */
static void test_one_deadline_for_all_calls(void **state)
{
	struct fixture *f = *state;
	uint64_t messages;

	assert_done(f, add(f, "a", NULL));
	f->set.deadline_msecs = 50;
	fixture_reopen(f);
	/* ours, but no honest log's size */
	exec_sql(f->path, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL"
			  " SELECT x + 1 FROM c LIMIT 3000000)"
			  " INSERT INTO message (source, logged_at, date,"
			  " from_own_address) SELECT 1, 0, 0, 0 FROM c");
	assert_failed(f, sent_log_count(f->log, SENT_LOG_SOURCE_SUBMISSION,
					&messages, &f->error),
		      "no answer within 50 ms");
	/* the others aren't even asked */
	assert_failed(f, sent_log_count(f->log, SENT_LOG_SOURCE_SUBMISSION,
					&messages, &f->error),
		      "not asked again");
	assert_failed(f, sent_log_open(f->log, NOW, &f->error),
		      "not asked again");
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	/* the next message */
	sent_log_begin(f->log);
	assert_done(f, find(f, "a"));
}

/* Memory */

static void test_huge_blob(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	exec_sql(f->path, "UPDATE meta SET hash_key = zeroblob(500000000)");
	(void)sqlite3_memory_highwater(1);
	assert_failed(f, find(f, "a"), "too big");
	assert_true(sqlite3_memory_highwater(0) < 64 * 1024 * 1024);
	assert_string_equal(f->notices, "");
}

/* Holes cost nothing. */
static void test_huge_sparse_file(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	assert_int_equal(truncate(f->path, (off_t)10 << 30), 0);
	assert_done(f, find(f, "a"));
	assert_done(f, add(f, "b", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(test_log),
		room_test(test_what_lies_beside_it),
		room_test(test_look_beside),
		room_test(test_new_log_obstructed),
		both(test_huge_wal),
		both(test_opened_to_others_meanwhile),
		room_test(test_readable_by_others),
		room_test(test_corrupt_and_anothers),
		both(test_gap_obstructed),
		both(test_gap_obstacle_removed),
		both(test_schemas),
		room_test(test_comments_and_spaces),
		both(test_one_deadline_for_all_calls),
		room_test(test_huge_blob),
		both(test_huge_sparse_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
