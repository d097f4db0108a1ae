/* A log that an earlier version made: brought up to date with all its rows, also while a
   process of that version has it open. Today's sql/ is version 1 here; what a later
   one may do stands below. */

#include "test-sent-log-common.h"
#include "sent-log-migrations.h"

#include <glob.h>
#include <sys/resource.h>

#define SUBMISSION SENT_LOG_SOURCE_SUBMISSION
#define ROWS 50
#define CREATED (NOW - 30 * DAY)
/* as a later version may change tables, indexes and rows */
static const char *const migrations[] = {
	NULL,
	"ALTER TABLE message ADD COLUMN size INTEGER NOT NULL DEFAULT 7;"
	"DROP INDEX identity_message;"
	"CREATE INDEX identity_message ON identity (message, hash DESC);"
	"CREATE TABLE later (name BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID;",
	"ALTER TABLE meta ADD COLUMN more INTEGER NOT NULL DEFAULT 0;"
	"UPDATE meta SET more = created;",
};
#define VERSION 3

/* The log of a process that knows the first `version` of them. */
static struct sent_log *log_of_version(struct fixture *f, int version)
{
	static const char *later[VERSION];
	struct sent_log *log = sent_log_init(&f->set);

	assert_int_equal(log->store->schema_version, 1);
	later[0] = sent_log_migrations[0];
	for (int i = 1; i < VERSION; i++)
		later[i] = migrations[i];
	log->store->migrations = later;
	log->store->schema_version = version;
	return log;
}

static void reopen_as(struct fixture *f, int version)
{
	sent_log_deinit(&f->log);
	f->log = log_of_version(f, version);
}

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

static void count_one(struct fixture *f)
{
	static const char *const recipients[] = { "0@example.net" };
	static const struct sent_log_identity original = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "0"
	};

	assert_done(f, sent_log_count_report(f->log, &original, "bounce",
					     recipients, 1, NOW, &f->error));
}

/* ROWS messages, a report on the first of them, coverage since CREATED; f->log
   becomes one of the latest version. */
static void make_version_1(struct fixture *f)
{
	char value[32], recipient[32];

	reopen_as(f, 1);
	assert_done(f, sent_log_open(f->log, CREATED, &f->error));
	/* not durable, so as to be quick */
	run_sql(f->log->store->db, "PRAGMA synchronous = OFF");
	for (unsigned int i = 0; i < ROWS; i++) {
		snprintf(value, sizeof(value), "%u", i);
		snprintf(recipient, sizeof(recipient), "%u@example.net", i);
		assert_done(f, add_at(f, SUBMISSION, value, recipient,
				      NOW - DAY, NOW));
	}
	count_one(f);
	reopen_as(f, VERSION);
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
	reopen_as(f, VERSION);
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
	assert_string_equal(query(f, "SELECT serial FROM message"), "");
	assert_string_equal(query(f, "SELECT serial FROM message"
				     " ORDER BY id DESC"), serial.value);
	/* those of before, counted on */
	count_one(f);
}

/* A process of version 1 that was there before goes on with the statements that it
   has prepared: what it logs is found. Once it has to open the file again it finds it
   too new. */
static void test_version_1_writes_on(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_identity identity = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "old"
	};
	const struct sent_log_message message = {
		.source = SENT_LOG_SOURCE_ADMIN,
		.identities = &identity,
		.identity_count = 1,
		.logged_at = NOW,
	};
	struct sent_log_entry entry;
	struct sent_log *old;

	make_version_1(f);
	old = log_of_version(f, 1);
	/* it has written, so it knows the old schema */
	assert_done(f, sent_log_add(old, &message, 1, NOW, &f->error));
	assert_int_equal(version_of(f), 1);

	assert_all_there(f);
	assert_int_equal(version_of(f), VERSION);
	assert_done(f, sent_log_add(old, &message, 1, NOW, &f->error));
	assert_done(f, sent_log_find(f->log, &identity, NULL, 0, NOW, &entry,
				     &f->error));
	assert_done(f, add(f, "new", NULL));
	assert_done(f, sent_log_find(old, &(struct sent_log_identity){
			SENT_LOG_IDENTITY_MESSAGE_ID, "new" }, NULL, 0, NOW,
			&entry, &f->error));
	sent_log_deinit(&old);

	old = log_of_version(f, 1);
	assert_failed(f, sent_log_add(old, &message, 1, NOW, &f->error),
		      "newer dovecot-backscatter (schema version 3, this one "
		      "knows 1)");
	sent_log_deinit(&old);
	assert_all_there(f);
}

/* It says to be of a version whose tables it doesn't have. */
static void test_says_another_version(void **state)
{
	struct fixture *f = *state;

	make_version_1(f);
	exec_sql(f->path, "PRAGMA user_version = 2");
	assert_failed(f, find(f, "0"), "index identity_message is not ours");
	exec_sql(f->path, "PRAGMA user_version = 1");
	assert_all_there(f);
	sent_log_deinit(&f->log);
	exec_sql(f->path, "PRAGMA user_version = 2");
	f->log = log_of_version(f, VERSION);
	assert_failed(f, find(f, "0"), "table meta is not ours");
}

/* The one that is first migrates, the others find it done. */
static bool open_and_add(struct fixture *f, int number)
{
	struct sent_log *log = log_of_version(f, VERSION);
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
		sent_log_deinit(&f->log);
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
	reopen_as(f, 2);
	assert_done(f, sent_log_get_issuing_key(f->log, NOW, &before,
						&f->error));
	assert_done(f, sent_log_remember_report(f->log, &report, &waiting, 1,
						DAY, NOW, &f->error));
	assert_int_equal(version_of(f), 2);
	reopen_as(f, VERSION);

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
		room_test(test_says_another_version),
		both(test_eight_migrate_at_once),
		both(test_killed_while_it_migrates),
		both(test_no_room_to_migrate),
		both(test_version_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
