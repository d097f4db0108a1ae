#ifndef TEST_SENT_LOG_COMMON_H
#define TEST_SENT_LOG_COMMON_H

/* A temporary folder and a log in it for each test of the sent log's room. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sent-log/sent-log-private.h"
#include "sent-log/store/store-private.h"

#define DAY (24 * 3600)
#define RETENTION (90 * DAY)
#define NOW ((time_t)1700000000)

struct fixture {
	char folder[64];
	char path[96];
	struct sent_log_settings set;
	struct sent_log *log;
	/* of the last call */
	const char *error;
	/* all of them, one a line */
	char notices[4096];
};

/* Names the error where a call is expected to go well. */
#define assert_ret(f, expected, call) \
	do { \
		int ret_ = (call); \
		if (ret_ != (expected)) \
			print_error("%s: %d (%s)\n", #call, ret_, \
				    ret_ < 0 ? (f)->error : "no error"); \
		assert_int_equal(ret_, expected); \
	} while (0)
#define assert_done(f, call) assert_ret(f, 1, call)
#define assert_none(f, call) assert_ret(f, 0, call)
#define assert_failed(f, call, text) \
	do { \
		assert_int_equal(call, -1); \
		if (strstr((f)->error, text) == NULL) \
			fail_msg("error: %s", (f)->error); \
	} while (0)

static inline void fixture_notice(const char *line, void *context)
{
	struct fixture *f = context;
	size_t used = strlen(f->notices);

	snprintf(f->notices + used, sizeof(f->notices) - used, "%s\n", line);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	snprintf(f->folder, sizeof(f->folder), "%s/test-sent-log-XXXXXX",
		 tmp != NULL && strlen(tmp) < 32 ? tmp : "/tmp");
	if (mkdtemp(f->folder) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/log.db", f->folder);
	f->set.path = f->path;
	f->set.deadline_msecs = 10000;
	f->set.retention_secs = RETENTION;
	f->set.listed_sources = SENT_LOG_SOURCE_SUBMISSION;
	f->set.notice = fixture_notice;
	f->set.notice_context = f;
	f->log = sent_log_init(&f->set);
	f->error = "";
	*state = f;
	return 0;
}

static inline int fixture_setup_rollback(void **state)
{
	struct fixture *f;

	if (fixture_setup(state) < 0)
		return -1;
	f = *state;
	sent_log_deinit(&f->log);
	f->set.network_filesystem = true;
	f->log = sent_log_init(&f->set);
	return 0;
}

/* As another process or a later session would begin. */
static inline void fixture_reopen(struct fixture *f)
{
	sent_log_deinit(&f->log);
	f->log = sent_log_init(&f->set);
}

static inline int remove_one(const char *path, const struct stat *st, int flag,
			     struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	sent_log_deinit(&f->log);
	nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* A name in the test's folder; belongs to a small ring of buffers. */
static inline const char *in_folder(struct fixture *f, const char *name)
{
	static char names[8][160];
	static unsigned int next;
	char *path = names[next++ % 8];

	snprintf(path, sizeof(names[0]), "%s/%s", f->folder, name);
	return path;
}

static inline bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline char *read_file(const char *path, size_t *size_r)
{
	FILE *file = fopen(path, "rb");
	char *content;
	long size;

	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	content = malloc((size_t)size + 1);
	assert_int_equal(fread(content, 1, (size_t)size, file), size);
	content[size] = '\0';
	fclose(file);
	*size_r = (size_t)size;
	return content;
}

static inline void write_file(const char *path, const void *content, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static inline void copy_file(const char *from, const char *to)
{
	size_t size;
	char *content = read_file(from, &size);

	write_file(to, content, size);
	free(content);
}

/* One message with a Message-ID and a recipient, either may be NULL. */
static inline int add_at(struct fixture *f, enum sent_log_source source,
			 const char *message_id, const char *recipient,
			 time_t logged_at, time_t now)
{
	struct sent_log_identity identity = {
		.kind = SENT_LOG_IDENTITY_MESSAGE_ID,
		.value = message_id,
	};
	struct sent_log_message message = {
		.source = source,
		.identities = &identity,
		.identity_count = message_id != NULL ? 1 : 0,
		.recipients = &recipient,
		.recipient_count = recipient != NULL ? 1 : 0,
		.logged_at = logged_at,
		.date = logged_at,
	};

	/* each is a message of its own */
	sent_log_begin(f->log);
	return sent_log_add(f->log, &message, 1, now, &f->error);
}

static inline int add(struct fixture *f, const char *message_id,
		      const char *recipient)
{
	return add_at(f, SENT_LOG_SOURCE_SUBMISSION, message_id, recipient, NOW,
		      NOW);
}

static inline int find_kind(struct fixture *f, enum sent_log_identity_kind kind,
			    const char *value, const char *recipient,
			    time_t now, struct sent_log_entry *entry_r)
{
	struct sent_log_identity identity = { .kind = kind, .value = value };

	sent_log_begin(f->log);
	return sent_log_find(f->log, &identity, &recipient,
			     recipient != NULL ? 1 : 0, now, entry_r,
			     &f->error);
}

static inline int find(struct fixture *f, const char *message_id)
{
	struct sent_log_entry entry;

	return find_kind(f, SENT_LOG_IDENTITY_MESSAGE_ID, message_id, NULL, NOW,
			 &entry);
}

static inline struct sent_log_coverage coverage_at(struct fixture *f, time_t now)
{
	struct sent_log_coverage coverage;

	assert_done(f, sent_log_get_coverage(f->log, now, &coverage, &f->error));
	return coverage;
}

static inline uint64_t count(struct fixture *f, enum sent_log_source source)
{
	uint64_t messages;

	assert_done(f, sent_log_count(f->log, source, &messages, &f->error));
	return messages;
}

static inline void exec_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first column of the first row, as text. */
static inline const char *query(struct fixture *f, const char *sql)
{
	static char text[64];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	const char *value;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = (const char *)sqlite3_column_text(stmt, 0);
	snprintf(text, sizeof(text), "%s", value == NULL ? "" : value);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return text;
}

/* What a write removes by the way, alone. Returns 1 if there may be more, 0 if not (or
   there is no log), or -1. */
static inline int expire_old(struct fixture *f, time_t now, unsigned int max_rows)
{
	int ret;

	sent_log_call_begin(f->log, now);
	ret = sent_log_file_open_existing(f->log);
	if (ret > 0) {
		ret = sent_log_write_begin(f->log);
		if (ret == 0)
			ret = sent_log_expire_step(f->log, max_rows);
		if (ret >= 0 && (sent_log_raise_coverage(f->log) < 0 ||
				 sent_log_write_commit(f->log) < 0))
			ret = -1;
	}
	return sent_log_call_end(f->log, ret, &f->error);
}

/* What SQLite finds, its -wal included. */
static inline void assert_intact(const char *path)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1,
					    &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline struct sent_log *another_handle(struct fixture *f)
{
	return sent_log_init(&f->set);
}

/* Other processes. What runs in one answers true or false; a cmocka assertion
   there would run the rest of the tests a second time. */

typedef bool child_function(struct fixture *f, int number);

static inline pid_t start_child(struct fixture *f, child_function *function,
				int number)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(function(f, number) ? 0 : 1);
	return pid;
}

static inline bool wait_child(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline void run_child(struct fixture *f, child_function *function)
{
	assert_true(wait_child(start_child(f, function, 0)));
}

static inline bool complain(const char *what, const char *error)
{
	print_error("%s (%s)\n", what, error);
	return false;
}
/* error is looked at only after the call in condition has set it */
#define expect(condition, what, error) \
	((condition) ? true : complain(what, error))

#define room_test(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup, \
					fixture_teardown)
#define room_test_rollback(function) \
	{ \
		#function " (rollback journal)", function, \
			fixture_setup_rollback, fixture_teardown, NULL \
	}
/* Each in WAL mode and with a rollback journal. */
#define both(function) room_test(function), room_test_rollback(function)

#endif
