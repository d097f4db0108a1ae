#ifndef TEST_SPOOL_COMMON_H
#define TEST_SPOOL_COMMON_H

/* What the tests of the spool share: one in a folder of its own, and no Dovecot. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "milter/doveadm/doveadm-client.h"
#include "milter/spool/spool-private.h"
#include "milter/spool/spool-row.h"

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

static inline void write_file(const char *path, const void *content, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static inline int try_open(struct fixture *f, struct spool **spool_r)
{
	const struct spool_settings set = {
		.path = f->path, .max_rows = f->max_rows, .connections = 2,
		.client = f->client,
	};

	free(f->error);
	f->error = NULL;
	return spool_open(&set, spool_r, &f->error);
}

static inline void open_spool(struct fixture *f)
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

static inline void reopen(struct fixture *f)
{
	spool_close(&f->spool);
	open_spool(f);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline int add_to(struct fixture *f, struct spool *spool, const char *user,
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

static inline int add(struct fixture *f, const char *user)
{
	return add_to(f, f->spool, user, "<a@example.com>");
}

#define SESSIONS 50
#define ROWS_OF_SESSION 20
#define ROWS (SESSIONS * ROWS_OF_SESSION)

static inline void *session_main(void *context)
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
static inline void add_rows(struct fixture *f)
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
static inline int64_t number_in_file(struct fixture *f, const char *sql)
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

static inline size_t count_files(struct fixture *f, const char *name)
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

static inline size_t count_waiting(struct fixture *f)
{
	size_t count;

	(void)pthread_mutex_lock(&f->spool->lock);
	count = f->spool->queue.waiting;
	(void)pthread_mutex_unlock(&f->spool->lock);
	return count;
}

/* Of a user; NULL = of all. A gap of all is one of each. */
static inline bool has_gap(struct fixture *f, const char *user)
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
static inline void forget_gaps(struct fixture *f)
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

static inline void assert_private(struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

#endif
