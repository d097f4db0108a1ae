/* The serial keys of this mailbox: the one that issues, and those that it
   replaced. What a key does is left to serial.c. */

#include "sent-log-private.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the columns secret, created, retired. */
static int read_key(struct sent_log *log, sqlite3_stmt *stmt,
		    struct serial_key *key_r)
{
	memset(key_r, 0, sizeof(*key_r));
	memcpy(key_r->secret, sqlite3_column_blob(stmt, 0),
	       sizeof(key_r->secret));
	key_r->created = sqlite3_column_int64(stmt, 1);
	key_r->retired = sqlite3_column_int64(stmt, 2);
	if (serial_key_set_id(key_r) < 0)
		return sent_log_fail(log, "SHA-256 failed in OpenSSL");
	return 0;
}

/* Returns 1, 0 if there is none, or -1. */
static int find_issuing_key(struct sent_log *log, struct serial_key *key_r)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_ISSUING_KEY);
	int ret;

	if (stmt == NULL)
		return -1;
	ret = sent_log_step(log, stmt);
	if (ret > 0) {
		if (read_key(log, stmt, key_r) < 0)
			ret = -1;
		(void)sqlite3_reset(stmt);
	}
	return ret;
}

/* Inside a write transaction. */
static int insert_key(struct sent_log *log, struct serial_key *key_r)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_INSERT_KEY);

	if (stmt == NULL)
		return -1;
	if (serial_key_make(key_r, log->now) < 0)
		return sent_log_fail(log, "OpenSSL has no random bytes");
	(void)sqlite3_bind_blob(stmt, 1, key_r->secret, sizeof(key_r->secret),
				SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 2, key_r->created);
	return sent_log_run(log, stmt);
}

static int get_issuing_key(struct sent_log *log, struct serial_key *key_r)
{
	int ret;

	if (sent_log_file_open(log) < 0)
		return -1;
	ret = find_issuing_key(log, key_r);
	if (ret != 0)
		return ret;

	if (sent_log_write_begin(log) < 0)
		return -1;
	/* another process may have been first */
	ret = find_issuing_key(log, key_r);
	if (ret < 0 || (ret == 0 && insert_key(log, key_r) < 0) ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

/* Returns a malloced file: URI (RFC 3986) of the path. */
static char *immutable_uri(const char *path)
{
	char *uri = sent_log_alloc(strlen(path) * 3 +
				   sizeof("file:?immutable=1"));
	char *p = uri + sprintf(uri, "file:");

	for (; *path != '\0'; path++) {
		if (isalnum((unsigned char)*path) ||
		    strchr("/-._~", *path) != NULL)
			*p++ = *path;
		else
			p += sprintf(p, "%%%02X", (unsigned char)*path);
	}
	(void)strcpy(p, "?immutable=1");
	return uri;
}

/* Without the disk room for -wal and -shm the log can't even be opened for reading,
   but its key can be read as of a file that nobody writes: for as long as the disk is
   full, nobody does. Only where the log isn't open in this process: SQLite closes such
   a file behind the back of its locks. Returns 1, 0 if there is none, or -1. */
static int read_issuing_key(struct sent_log *log, struct serial_key *key_r)
{
	const char *sql = sent_log_statement_sql(SENT_LOG_GET_ISSUING_KEY);
	char *uri = immutable_uri(log->real_path);
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = sent_log_connect(log, uri, SQLITE_OPEN_READONLY |
						 SQLITE_OPEN_URI);
	int ret = 0;

	free(uri);
	if (db == NULL)
		return -1;
	if (sent_log_check_schema(log, db) >= 0 &&
	    sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		ret = read_key(log, stmt, key_r) < 0 ? -1 : 1;
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return ret;
}

/* After a call that failed, whose error stays the caller's. */
static int rescue_issuing_key(struct sent_log *log, struct serial_key *key_r)
{
	struct sent_log_file file;
	char *error = log->error;
	int ret;

	log->error = NULL;
	/* a lock has used up the time, most likely */
	sent_log_wait_start(log);
	ret = sent_log_file_look(log, &file);
	if (ret > 0)
		ret = read_issuing_key(log, key_r);
	sent_log_call_stop(log);
	log->corrupt = false;
	free(log->error);
	log->error = error;
	return ret;
}

/* Nobody gets the secret of a call that failed. */
static int key_call_end(struct sent_log *log, int ret, struct serial_key *key_r,
			const char **error_r)
{
	if (ret < 0)
		OPENSSL_cleanse(key_r, sizeof(*key_r));
	return sent_log_call_end(log, ret, error_r);
}

int sent_log_get_issuing_key(struct sent_log *log, time_t now,
			     struct serial_key *key_r, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, now);
	ret = key_call_end(log, get_issuing_key(log, key_r), key_r, error_r);
	if (ret < 0 && log->db == NULL && rescue_issuing_key(log, key_r) > 0)
		return 1;
	return ret;
}

static int retire_keys(struct sent_log *log)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_RETIRE_KEYS);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, log->now);
	return sent_log_run(log, stmt);
}

static int rotate_key(struct sent_log *log, struct serial_key *key_r)
{
	if (sent_log_write_begin(log) < 0 || retire_keys(log) < 0 ||
	    insert_key(log, key_r) < 0 ||
	    sent_log_expire_step(log, SENT_LOG_EXPIRE_STEP) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_rotate_serial_key(struct sent_log *log, time_t now,
			       struct serial_key *key_r, const char **error_r)
{
	sent_log_call_begin(log, now);
	return key_call_end(log, rotate_key(log, key_r), key_r, error_r);
}

/* The statement tells the newest first, so that the oldest are left out. */
static void reverse(struct serial_keys *keys)
{
	for (size_t i = 0, j = keys->count; i + 1 < j; i++) {
		struct serial_key key = keys->keys[i];

		keys->keys[i] = keys->keys[--j];
		keys->keys[j] = key;
		OPENSSL_cleanse(&key, sizeof(key));
	}
}

static int get_keys(struct sent_log *log, struct serial_keys *keys)
{
	int ret = sent_log_file_open_existing(log);
	sqlite3_stmt *stmt;

	if (ret <= 0)
		return ret;
	stmt = sent_log_statement(log, SENT_LOG_LIST_KEYS);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, sent_log_cutoff(log));
	(void)sqlite3_bind_int64(stmt, 2, SERIAL_KEYS_MAX);
	while ((ret = sent_log_step(log, stmt)) > 0) {
		ret = read_key(log, stmt, &keys->keys[keys->count]);
		if (ret < 0)
			break;
		keys->count++;
	}
	(void)sqlite3_reset(stmt);
	reverse(keys);
	return ret < 0 ? -1 : keys->count > 0;
}

int sent_log_get_serial_keys(struct sent_log *log, time_t now,
			     struct serial_keys *keys_r, const char **error_r)
{
	int ret;

	memset(keys_r, 0, sizeof(*keys_r));
	sent_log_call_begin(log, now);
	ret = get_keys(log, keys_r);
	if (ret < 0)
		serial_keys_clear(keys_r);
	return sent_log_call_end(log, ret, error_r);
}
