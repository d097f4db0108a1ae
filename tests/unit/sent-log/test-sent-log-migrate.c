/* A log that an earlier version made: brought up to date with all its rows, also while a
   process of version 1 has it open. */

#include "test-sent-log-common.h"
#include "sent-log-migrations.h"

#include <glob.h>
#include <sys/resource.h>

#define SUBMISSION SENT_LOG_SOURCE_SUBMISSION
#define ROWS 50
#define CREATED (NOW - 30 * DAY)
/* today's */
#define VERSION \
	((int)(sizeof(sent_log_migrations) / sizeof(sent_log_migrations[0])))

static sqlite3 *open_sql(const char *path)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* The rows of a log of today, in the tables of version 1. */
static void write_version_1(struct fixture *f, const char *path)
{
	static const char *const tables[][2] = {
		{ "meta", "id, created, hash_key, 0, 0, listed_sources,"
			  " coverage_start, coverage_cause, gap_inode,"
			  " gap_time" },
		{ "message", "id, source, logged_at, date, from_own_address" },
		{ "identity", "hash, source, kind, message" },
		{ "recipient", "message, address, domain" },
		{ "report_count", "original, class, recipient, reports,"
				  " last_at" },
	};
	sqlite3 *db = open_sql(path);
	struct sent_log_file file;
	char *sql;

	assert_int_equal(sent_log_stat(path, &file), 1);
	run_sql(db, sent_log_migrations[0]);
	sql = sent_log_format("ATTACH '%s' AS today", f->path);
	run_sql(db, sql);
	free(sql);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		sql = sent_log_format("INSERT INTO main.%s SELECT %s"
				      " FROM today.%s",
				      tables[i][0], tables[i][1], tables[i][0]);
		run_sql(db, sql);
		free(sql);
	}
	sql = sent_log_format("DETACH today; PRAGMA journal_mode = WAL;"
			      "PRAGMA user_version = 1;"
			      "PRAGMA application_id = %d;"
			      "UPDATE meta SET file_inode = %lld",
			      SENT_LOG_APPLICATION_ID, (long long)file.inode);
	run_sql(db, sql);
	free(sql);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void count_one(struct fixture *f)
{
	static const char *const recipients[] = { "0@example.net" };
	static const struct sent_log_identity original = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "0"
	};

	assert_done(f, sent_log_count_report(f->log, &original, "bounce",
					     recipients, 1, NOW, &f->error));
}

/* ROWS messages, a report on the first of them, coverage since CREATED. */
static void make_version_1(struct fixture *f)
{
	const char *old_path = in_folder(f, "old.db");
	char value[32], recipient[32];

	assert_done(f, sent_log_open(f->log, CREATED, &f->error));
	/* not durable, so as to be quick */
	run_sql(f->log->db, "PRAGMA synchronous = OFF");
	for (unsigned int i = 0; i < ROWS; i++) {
		snprintf(value, sizeof(value), "%u", i);
		snprintf(recipient, sizeof(recipient), "%u@example.net", i);
		assert_done(f, add_at(f, SUBMISSION, value, recipient,
				      NOW - DAY, NOW));
	}
	count_one(f);
	sent_log_deinit(&f->log);
	write_file(old_path, "", 0);
	write_version_1(f, old_path);
	assert_int_equal(rename(old_path, f->path), 0);
	(void)unlink(in_folder(f, "log.db.lock"));
	f->log = sent_log_init(&f->set);
}

static void assert_all_there(struct fixture *f)
{
	static const struct sent_log_identity original = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "0"
	};
	struct sent_log_report_count reports;
	struct sent_log_entry entry;
	struct sent_log_coverage coverage;
	char value[32], recipient[32];

	for (unsigned int i = 0; i < ROWS; i++) {
		snprintf(value, sizeof(value), "%u", i);
		snprintf(recipient, sizeof(recipient), "%u@example.net", i);
		assert_done(f, find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, value,
					 recipient, NOW, &entry));
		assert_true(entry.recipient_matches);
		assert_int_equal(entry.logged_at, NOW - DAY);
	}
	assert_done(f, sent_log_get_report_count(f->log, &original, "bounce",
						 "0@example.net", &reports,
						 &f->error));
	assert_int_equal(reports.reports, 1);
	coverage = coverage_at(f, NOW);
	assert_int_equal(coverage.start, CREATED);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_CREATED);
	assert_string_equal(f->notices, "");
}

static int version_of(struct fixture *f)
{
	sqlite3 *db = open_sql(f->path);
	sqlite3_stmt *stmt;
	int version;

	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1,
					    &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	version = sqlite3_column_int(stmt, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return version;
}

static void test_all_rows_stay(void **state)
{
	struct fixture *f = *state;

	make_version_1(f);
	assert_int_equal(version_of(f), 1);
	assert_all_there(f);
	assert_int_equal(version_of(f), VERSION);
	fixture_reopen(f);
	assert_all_there(f);
	assert_intact(f->path);
}

static void test_everything_new_works(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_identity remembered = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "later"
	};
	static const struct sent_log_identity serial = {
		SENT_LOG_IDENTITY_SERIAL,
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEA"
	};
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = &serial,
		.identity_count = 1,
		.logged_at = NOW,
	};
	struct sent_log_stored_report report = { .uid = 1 };
	struct sent_log_row rows[ROWS + 1];
	struct serial_key key;
	size_t found;

	make_version_1(f);
	assert_done(f, sent_log_get_issuing_key(f->log, NOW, &key, &f->error));
	assert_done(f, sent_log_remember_report(f->log, &report, &remembered, 1,
						DAY, NOW, &f->error));
	assert_done(f, add(f, "later", NULL));
	assert_done(f, sent_log_list_due_reports(f->log, &report, 1, &found,
						 &f->error));
	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_done(f, sent_log_list(f->log, 0, rows, ROWS + 1, &found,
				     &f->error));
	assert_string_equal(rows[0].serial, "");
	assert_int_equal(rows[0].identity_count, 1);
	assert_done(f, sent_log_list(f->log, rows[ROWS].id, rows, 1, &found,
				     &f->error));
	assert_string_equal(rows[0].serial, serial.value);
	/* those of before, counted on */
	count_one(f);
}

/* A process of version 1 that was there before goes on with the statements that it
   has prepared: what it logs is found. */
static void test_version_1_writes_on(void **state)
{
	struct fixture *f = *state;
	static const char *const sql[] = {
		"INSERT INTO message (source, logged_at, date,"
		" from_own_address) VALUES (8, ?1, 0, 0)",
		"INSERT OR IGNORE INTO identity (hash, source, kind, message)"
		" VALUES (?1, 8, 0, last_insert_rowid())",
		"SELECT 1 FROM identity i CROSS JOIN message m"
		" ON m.id = i.message WHERE i.hash = ?1",
		"DELETE FROM identity WHERE message = ?1",
	};
	sqlite3_stmt *stmts[4];
	struct sent_log_hash hash;
	struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "old"
	};
	sqlite3 *old;

	make_version_1(f);
	old = open_sql(f->path);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(sqlite3_prepare_v2(old, sql[i], -1, &stmts[i],
						    NULL),
				 SQLITE_OK);
	}
	/* it has read, so it knows the old schema */
	(void)sqlite3_bind_int64(stmts[3], 1, 4711);
	assert_int_equal(sqlite3_step(stmts[3]), SQLITE_DONE);

	assert_all_there(f);
	assert_int_equal(sent_log_hash_identity(f->log, &identity, &hash), 0);
	run_sql(old, "BEGIN IMMEDIATE");
	(void)sqlite3_bind_int64(stmts[0], 1, NOW);
	assert_int_equal(sqlite3_step(stmts[0]), SQLITE_DONE);
	sent_log_bind_hash(stmts[1], 1, &hash);
	assert_int_equal(sqlite3_step(stmts[1]), SQLITE_DONE);
	run_sql(old, "COMMIT");
	assert_done(f, find(f, "old"));
	assert_done(f, add(f, "new", NULL));
	sent_log_bind_hash(stmts[2], 1, &hash);
	assert_int_equal(sqlite3_step(stmts[2]), SQLITE_ROW);

	for (unsigned int i = 0; i < 4; i++)
		(void)sqlite3_finalize(stmts[i]);
	assert_int_equal(sqlite3_close(old), SQLITE_OK);
	assert_all_there(f);
}

/* The one that is first migrates, the others find it done. */
static bool open_and_add(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	char value[32];
	struct sent_log_identity identity = { SENT_LOG_IDENTITY_MESSAGE_ID,
					      value };
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = &identity,
		.identity_count = 1,
		.logged_at = NOW,
	};
	bool ok;

	snprintf(value, sizeof(value), "process %d", number);
	ok = expect(sent_log_add(log, &message, 1, NOW, &f->error) == 1, value,
		    f->error);
	sent_log_deinit(&log);
	return ok;
}

static void test_eight_migrate_at_once(void **state)
{
	struct fixture *f = *state;
	pid_t pids[8];
	char value[32];

	f->set.deadline_msecs = 60000;
	fixture_reopen(f);
	make_version_1(f);
	for (int i = 0; i < 8; i++)
		pids[i] = start_child(f, open_and_add, i);
	for (int i = 0; i < 8; i++)
		assert_true(wait_child(pids[i]));
	for (int i = 0; i < 8; i++) {
		snprintf(value, sizeof(value), "process %d", i);
		assert_done(f, find(f, value));
	}
	assert_all_there(f);
}

/* With all that lies beside it: whoever is killed leaves a journal behind, which
   the next log of this name must not meet. */
static void remove_log(struct fixture *f)
{
	glob_t found;

	assert_int_equal(glob(in_folder(f, "log.db*"), 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		assert_int_equal(unlink(found.gl_pathv[i]), 0);
	globfree(&found);
}

/* Killed on the way: it is of the one version or of the other. */
static void test_killed_while_it_migrates(void **state)
{
	struct fixture *f = *state;
	struct timespec delay = { .tv_nsec = 0 };

	for (unsigned int round = 0; round < 10; round++) {
		pid_t pid;

		make_version_1(f);
		pid = start_child(f, open_and_add, 0);
		delay.tv_nsec = (long)round * 400000;
		nanosleep(&delay, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		(void)wait_child(pid);
		assert_all_there(f);
		assert_int_equal(version_of(f), VERSION);
		fixture_reopen(f);
		remove_log(f);
	}
}

/* No room for it: the log is unavailable, and nothing is lost. */
static bool migrate_without_room(struct fixture *f, int number)
{
	struct rlimit limit, old;
	bool ok;

	(void)number;
	(void)signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &old) < 0)
		return false;
	limit = old;
	limit.rlim_cur = 4096;
	ok = setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	     expect(find(f, "0") == -1, "find", "worked") &&
	     expect(strstr(f->error, "can't") != NULL, "error", f->error);
	sent_log_deinit(&f->log);
	return ok;
}

static void test_no_room_to_migrate(void **state)
{
	struct fixture *f = *state;

	make_version_1(f);
	run_child(f, migrate_without_room);
	assert_int_equal(version_of(f), 1);
	assert_all_there(f);
	assert_int_equal(version_of(f), VERSION);
}

/* One that issues serials and waits for an original: both go on. */
static void test_version_2(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_identity waiting = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "later"
	};
	struct sent_log_stored_report report = { .uid = 1 };
	struct sent_log_mailbox_mark mark = { .uid_validity = 7,
					      .next_uid = 10 };
	struct serial_key before, after;
	size_t found;

	make_version_1(f);
	assert_done(f, sent_log_get_issuing_key(f->log, NOW, &before,
						&f->error));
	assert_done(f, sent_log_remember_report(f->log, &report, &waiting, 1,
						DAY, NOW, &f->error));
	sent_log_deinit(&f->log);
	exec_sql(f->path, "DROP INDEX message_source;"
			  "ALTER TABLE meta DROP COLUMN word;"
			  "ALTER TABLE meta DROP COLUMN word_given;"
			  "ALTER TABLE meta DROP COLUMN word_since;"
			  "ALTER TABLE meta DROP COLUMN owner_name;"
			  "ALTER TABLE meta DROP COLUMN owner_mail;"
			  "DROP TABLE sent_mailbox;"
			  "DROP TABLE unreadable_copy;"
			  "PRAGMA user_version = 2");
	f->log = sent_log_init(&f->set);

	assert_all_there(f);
	assert_int_equal(version_of(f), VERSION);
	assert_none(f, sent_log_get_mark(f->log, "Sent", &mark, &f->error));
	assert_done(f, sent_log_add_read(f->log, NULL, 0, "Sent", &mark, NOW,
					 &f->error));
	assert_done(f, sent_log_get_mark(f->log, "Sent", &mark, &f->error));
	assert_done(f, sent_log_get_issuing_key(f->log, NOW, &after,
						&f->error));
	assert_memory_equal(after.secret, before.secret, sizeof(after.secret));
	assert_done(f, add(f, "later", NULL));
	assert_done(f, sent_log_list_due_reports(f->log, &report, 1, &found,
						 &f->error));
	assert_intact(f->path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_all_rows_stay),
		both(test_everything_new_works),
		both(test_version_1_writes_on),
		both(test_eight_migrate_at_once),
		both(test_killed_while_it_migrates),
		both(test_no_room_to_migrate),
		both(test_version_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
