/* The spool while Dovecot isn't there: what is in the file, and what becomes of a file. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "milter/doveadm-client.h"
#include "milter/spool-private.h"
#include "milter/spool-row.h"

#include <glob.h>
#include <json-c/json.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ROWS 1000
#define SENT_AT 1700000000

struct fixture {
	char folder[64], path[128], key_path[128], socket_path[128];
	struct doveadm_client *client;
	struct spool *spool;
	unsigned int max_rows;
	/* of the last call */
	char *error;
	int64_t id;
};

static void write_file(const char *path, const void *content, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static int try_open(struct fixture *f, struct spool **spool_r)
{
	const struct spool_settings set = {
		.path = f->path, .max_rows = f->max_rows, .connections = 2,
		.client = f->client,
	};

	free(f->error);
	f->error = NULL;
	return spool_open(&set, spool_r, &f->error);
}

static void open_spool(struct fixture *f)
{
	const struct doveadm_client_settings set = {
		.socket = f->socket_path, .api_key_file = f->key_path,
		.connections = 2,
	};

	/* closing a spool stops its client */
	doveadm_client_deinit(&f->client);
	assert_int_equal(doveadm_client_init(&set, &f->client, &f->error), 0);
	assert_int_equal(try_open(f, &f->spool), 0);
}

static void reopen(struct fixture *f)
{
	spool_close(&f->spool);
	open_spool(f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->max_rows = MAX_ROWS;
	strcpy(f->folder, "/tmp/test-spool-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof(f->path), "%s/spool.db", f->folder);
	(void)snprintf(f->key_path, sizeof(f->key_path), "%s/key", f->folder);
	(void)snprintf(f->socket_path, sizeof(f->socket_path), "%s/none",
		       f->folder);
	write_file(f->key_path, "secret\n", 7);
	assert_int_equal(chmod(f->key_path, 0600), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char pattern[256];
	glob_t found;

	spool_close(&f->spool);
	doveadm_client_deinit(&f->client);
	(void)snprintf(pattern, sizeof(pattern), "%s/*", f->folder);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			(void)unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	(void)rmdir(f->folder);
	free(f->error);
	free(f);
	return 0;
}

static int add_to(struct fixture *f, struct spool *spool, const char *user,
		  const char *message_id)
{
	static const char *const recipients[] = { "ann@example.net" };
	const struct sent_message message = {
		.user = user, .message_id = message_id,
		.recipients = recipients, .recipient_count = 1,
		.sent_at = SENT_AT,
	};

	free(f->error);
	f->error = NULL;
	return spool_add(spool, &message, &f->id, &f->error);
}

static int add(struct fixture *f, const char *user)
{
	return add_to(f, f->spool, user, "<a@example.com>");
}

#define SESSIONS 50
#define ROWS_OF_SESSION 20
#define ROWS (SESSIONS * ROWS_OF_SESSION)

static void *session_main(void *context)
{
	struct fixture *f = context;
	char message_id[SPOOL_ROW_MESSAGE_ID_MAX + 1];
	const struct sent_message message = {
		.user = "bob", .message_id = message_id, .sent_at = SENT_AT,
	};
	char *error;
	int64_t id;

	memset(message_id, 'a', SPOOL_ROW_MESSAGE_ID_MAX);
	message_id[0] = '<';
	message_id[SPOOL_ROW_MESSAGE_ID_MAX] = '\0';
	for (unsigned int i = 0; i < ROWS_OF_SESSION; i++) {
		if (spool_add(f->spool, &message, &id, &error) != 0)
			return f;
	}
	return NULL;
}

/* ROWS of a KiB, by SESSIONS threads. */
static void add_rows(struct fixture *f)
{
	pthread_t threads[SESSIONS];
	void *failed;

	for (unsigned int i = 0; i < SESSIONS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, session_main,
						f), 0);
	}
	for (unsigned int i = 0; i < SESSIONS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

/* Of the file, which nobody has open. */
static int64_t number_in_file(struct fixture *f, const char *sql)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int64_t number;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	number = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return number;
}

static size_t count_files(struct fixture *f, const char *name)
{
	char pattern[256];
	glob_t found;
	size_t count = 0;

	(void)snprintf(pattern, sizeof(pattern), "%s/%s", f->folder, name);
	if (glob(pattern, 0, NULL, &found) == 0) {
		count = found.gl_pathc;
		globfree(&found);
	}
	return count;
}

static size_t count_waiting(struct fixture *f)
{
	size_t count;

	(void)pthread_mutex_lock(&f->spool->lock);
	count = f->spool->queue.waiting;
	(void)pthread_mutex_unlock(&f->spool->lock);
	return count;
}

/* Of a user; NULL = of all. A gap of all is one of each. */
static bool has_gap(struct fixture *f, const char *user)
{
	bool found = false;

	(void)pthread_mutex_lock(&f->spool->lock);
	for (struct spool_gap *gap = f->spool->gaps.first; gap != NULL;
	     gap = gap->next) {
		if (gap->user == NULL ||
		    (user != NULL && strcmp(gap->user, user) == 0))
			found = true;
	}
	(void)pthread_mutex_unlock(&f->spool->lock);
	return found;
}

/* Until no thread is at Dovecot's door: it isn't there, so this takes a moment. */
static void forget_gaps(struct fixture *f)
{
	bool sending = true;

	while (sending) {
		sending = false;
		(void)pthread_mutex_lock(&f->spool->lock);
		for (struct spool_gap *gap = f->spool->gaps.first; gap != NULL;
		     gap = gap->next)
			sending = sending || gap->sending;
		if (!sending)
			spool_gaps_deinit(&f->spool->gaps);
		(void)pthread_mutex_unlock(&f->spool->lock);
		if (sending)
			(void)sched_yield();
	}
}

static void assert_private(struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_rows_stay(void **state)
{
	struct fixture *f = *state;
	int64_t last = 0;

	open_spool(f);
	assert_private(f);
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(add(f, "bob"), 0);
		assert_null(f->error);
		assert_true(f->id > last);
		last = f->id;
	}
	reopen(f);
	assert_int_equal(count_waiting(f), 10);
	assert_int_equal(add(f, "bob"), 0);
	assert_int_equal(f->id, last + 1);
	spool_close(&f->spool);
	assert_int_equal(number_in_file(f, "SELECT count(*) FROM row"), 11);
	assert_true(number_in_file(f, "SELECT seen FROM life") >=
		    time(NULL) - 10);
}

/* Each start: mail left meanwhile. */
static void test_gap_at_start(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 3; i++) {
		open_spool(f);
		assert_true(has_gap(f, NULL));
		spool_close(&f->spool);
	}
}

static void test_full(void **state)
{
	struct fixture *f = *state;

	f->max_rows = 5;
	open_spool(f);
	forget_gaps(f);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(add(f, "bob"), 0);
	assert_false(has_gap(f, "bob"));
	assert_int_equal(add(f, "bob"), 1);
	assert_non_null(strstr(f->error, "is full: 5 rows"));
	assert_true(has_gap(f, "bob"));
	assert_false(has_gap(f, "ann"));
	assert_int_equal(count_waiting(f), 5);
	/* so it is after a start */
	reopen(f);
	assert_int_equal(add(f, "ann"), 1);
	assert_true(has_gap(f, "ann"));
}

static void test_no_such_user(void **state)
{
	struct fixture *f = *state;
	static const char *const users[] = { "", "a\nb", "\xff", "\xc3", "\xed\xa0\x80" };
	char *long_user = malloc(SPOOL_ROW_USER_MAX + 2);

	open_spool(f);
	for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++)
		assert_int_equal(add(f, users[i]), -1);
	memset(long_user, 'a', SPOOL_ROW_USER_MAX + 1);
	long_user[SPOOL_ROW_USER_MAX + 1] = '\0';
	assert_int_equal(add(f, long_user), -1);
	assert_int_equal(add(f, long_user + 1), 0);
	assert_int_equal(add(f, "j\xc3\xb6rg"), 0);
	free(long_user);
}

static void assert_says(struct json_object *object, const char *name,
			const char *json)
{
	struct json_object *value = json_object_object_get(object, name);

	if (json == NULL)
		assert_null(value);
	else {
		assert_string_equal(json_object_to_json_string_ext(
			value, JSON_C_TO_STRING_PLAIN), json);
	}
}

static void test_what_a_row_says(void **state)
{
	static const char *const recipients[] = {
		"\"a b\"@example.net", "\xff@example.net", "", "c@example.net",
		"j\xc3\xb6rg@example.net", "<d@example.net>", "e@", "@example.net",
		"f@example .net", "root",
	};
	struct sent_message message = {
		.user = "bob", .message_id = "\r\n\t<\"\\\"@example.com>",
		.serial = "ABC", .envelope_id = "a\tb",
		.recipients = recipients, .recipient_count = 10,
		.sent_at = SENT_AT, .date = SENT_AT - 5,
	};
	char *text = spool_row_arguments(&message);
	struct json_object *row = spool_row_parse(text);

	(void)state;
	assert_non_null(row);
	assert_says(row, "user", "\"bob\"");
	assert_says(row, "source", "\"milter\"");
	assert_says(row, "serial", "\"ABC\"");
	assert_says(row, "envelopeId", NULL);
	assert_says(row, "date", "1699999995");
	assert_says(row, "sentAt", "1700000000");
	assert_says(row, "messageId", "\"   <\\\"\\\\\\\"@example.com>\"");
	assert_says(row, "recipient",
		    "[\"\\\"a b\\\"@example.net\",\"c@example.net\","
		    "\"j\xc3\xb6rg@example.net\",\"root\"]");
	json_object_put(row);
	free(text);
}

static void test_message_ids(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *message_id, *json;
	} ids[] = {
		{ "<a@example.com>", "\"<a@example.com>\"" },
		{ "a@example.com", "\"a@example.com\"" },
		{ "12345", "\"<12345>\"" },
		{ "<j\xc3\xb6rg@example.com>", NULL },
		{ "<a\001@example.com>", NULL },
		{ NULL, NULL },
	};

	open_spool(f);
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		struct sent_message message = {
			.user = "bob", .message_id = ids[i].message_id,
		};
		char *text = spool_row_arguments(&message);
		struct json_object *row = text == NULL ? NULL :
						spool_row_parse(text);

		assert_int_equal(row != NULL, ids[i].json != NULL);
		if (row != NULL)
			assert_says(row, "messageId", ids[i].json);
		json_object_put(row);
		free(text);
		assert_int_equal(add_to(f, f->spool, "bob", ids[i].message_id),
				 0);
	}
	assert_int_equal(count_waiting(f), 3);
	assert_true(spool_wait(f->spool, f->id, 0));
}

/* What Dovecot doesn't answer is not waited for. */
static void test_nobody_waits(void **state)
{
	struct fixture *f = *state;
	struct timespec before, after;

	open_spool(f);
	assert_int_equal(add(f, "bob"), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	for (unsigned int i = 0; i < 100; i++)
		assert_false(spool_wait(f->spool, f->id, 200));
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 15);
	/* no such row: it has left */
	assert_true(spool_wait(f->spool, f->id + 1, 200));
}

/* Files */

static void test_second_process(void **state)
{
	struct fixture *f = *state;
	struct spool *spool;
	pid_t pid;
	int status;

	open_spool(f);
	assert_int_equal(add(f, "bob"), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int ret = try_open(f, &spool);

		_exit(ret == -1 && strstr(f->error, "another process") != NULL ?
			      0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(add(f, "bob"), 0);
	assert_int_equal(count_files(f, "spool.db.broken*"), 0);
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

/* Crashes */

/* Adds rows, and tells of each that is in. */
static void add_and_tell(struct fixture *f, int fd)
{
	char id[40];

	open_spool(f);
	for (int64_t i = 0; ; i++) {
		(void)snprintf(id, sizeof(id), "<%lld@example.com>",
			       (long long)i);
		if (add_to(f, f->spool, "bob", id) != 0 ||
		    write(fd, &f->id, sizeof(f->id)) != sizeof(f->id))
			_exit(1);
	}
}

static void test_killed(void **state)
{
	struct fixture *f = *state;
	int64_t id, last = 0;
	int fds[2], status;

	f->max_rows = 1000000;
	for (unsigned int i = 0; i < 50; i++) {
		unsigned int rows = (unsigned int)rand() % 50;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			add_and_tell(f, fds[1]);
		(void)close(fds[1]);
		while (rows-- > 0 && read(fds[0], &id, sizeof(id)) == sizeof(id))
			last = id;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (read(fds[0], &id, sizeof(id)) == sizeof(id))
			last = id;
		(void)close(fds[0]);
	}
	open_spool(f);
	assert_true(has_gap(f, NULL));
	/* none that was told is missing, and one that was not may be there */
	assert_true(last > 0);
	assert_true(count_waiting(f) >= (size_t)last);
	assert_true(count_waiting(f) <= (size_t)last + 50);
	assert_int_equal(count_files(f, "spool.db.broken*"), 0);
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;

	open_spool(f);
	add_rows(f);
	assert_int_equal(count_waiting(f), ROWS);
	assert_int_equal(add(f, "bob"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_stay),
		TEST(test_gap_at_start),
		TEST(test_full),
		TEST(test_no_such_user),
		TEST(test_what_a_row_says),
		TEST(test_message_ids),
		TEST(test_nobody_waits),
		TEST(test_second_process),
		TEST(test_can_not_be_made),
		TEST(test_no_database),
		TEST(test_no_file_yet),
		TEST(test_somebody_elses),
		TEST(test_torn),
		TEST(test_breaks_in_use),
		TEST(test_no_room_in_the_file),
		TEST(test_killed),
		TEST(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
