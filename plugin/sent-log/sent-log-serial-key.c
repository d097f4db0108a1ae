/* The serial keys of this mailbox: the one that issues, and those that it
   replaced. What a key does is left to serial.c. */

#include "sent-log-private.h"

#include <string.h>

/* The columns secret, created, retired, of 32 bytes the first. */
static int read_key(const struct store_row *row, struct serial_key *key_r)
{
	memset(key_r, 0, sizeof(*key_r));
	memcpy(key_r->secret, row->columns[0].bytes, sizeof(key_r->secret));
	key_r->created = row->columns[1].number;
	key_r->retired = row->columns[2].number;
	return serial_key_set_id(key_r);
}

/* Returns 1, 0 if there is none, or -1. */
static int find_issuing_key(struct sent_log *log, struct serial_key *key_r)
{
	struct store_row row;
	int ret = store_get(log->store, STORE_GET_ISSUING_KEY, &row);

	if (ret > 0 && read_key(&row, key_r) < 0)
		ret = store_fail(log->store, "SHA-256 failed in OpenSSL");
	explicit_bzero(&row, sizeof(row));
	return ret;
}

/* Inside a write transaction. */
static int insert_key(struct sent_log *log, struct serial_key *key_r)
{
	if (serial_key_make(key_r, log->now) < 0)
		return store_fail(log->store, "a key can't be made (random bytes, OpenSSL)");
	return store_put(log->store, STORE_INSERT_KEY,
			 store_bytes(key_r->secret, sizeof(key_r->secret)),
			 store_number(key_r->created));
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

/* After a call that failed, whose error stays the caller's. Returns 1, 0 or -1. */
static int rescue_issuing_key(struct sent_log *log, struct serial_key *key_r)
{
	struct store_row row;
	int ret;

	if (store_is_open(log->store) ||
	    store_get_without_room(log->store, STORE_GET_ISSUING_KEY,
				   &row) <= 0)
		return 0;
	ret = read_key(&row, key_r) < 0 ? -1 : 1;
	explicit_bzero(&row, sizeof(row));
	return ret;
}

/* Nobody gets the secret of a call that failed. */
static int key_call_end(struct sent_log *log, int ret, struct serial_key *key_r,
			const char **error_r)
{
	if (ret < 0)
		explicit_bzero(key_r, sizeof(*key_r));
	return sent_log_call_end(log, ret, error_r);
}

int sent_log_get_issuing_key(struct sent_log *log, time_t now,
			     struct serial_key *key_r, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, now);
	ret = key_call_end(log, get_issuing_key(log, key_r), key_r, error_r);
	if (ret < 0 && rescue_issuing_key(log, key_r) > 0)
		return 1;
	return ret;
}

static int rotate_key(struct sent_log *log, struct serial_key *key_r)
{
	if (sent_log_write_begin(log) < 0 ||
	    store_put(log->store, STORE_RETIRE_KEYS,
		      store_number(log->now)) < 0 ||
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

/* The newest first, so that of too many the oldest are left out. */
static void reverse(struct serial_keys *keys)
{
	for (size_t i = 0, j = keys->count; i + 1 < j; i++) {
		struct serial_key key = keys->keys[i];

		keys->keys[i] = keys->keys[--j];
		keys->keys[j] = key;
		explicit_bzero(&key, sizeof(key));
	}
}

static int get_keys(struct sent_log *log, struct serial_keys *keys)
{
	struct store_row row = { 0 };
	int64_t before_id = INT64_MAX;
	int ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	while (keys->count < SERIAL_KEYS_MAX &&
	       (ret = store_get(log->store, STORE_NEXT_KEY, &row,
				store_number(sent_log_cutoff(log)),
				store_number(before_id))) > 0) {
		if (read_key(&row, &keys->keys[keys->count++]) < 0) {
			return store_fail(log->store,
					  "SHA-256 failed in OpenSSL");
		}
		before_id = row.columns[3].number;
	}
	explicit_bzero(&row, sizeof(row));
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
