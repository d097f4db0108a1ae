/* How far each Sent mailbox has been read into the log. Reading it, and in which
   order, is left to the adapters. */

#include "sent-log-private.h"

#include <string.h>

static int hash_mailbox(struct sent_log *log, const char *mailbox,
			struct sent_log_hash *hash_r)
{
	return sent_log_hash(log, SENT_LOG_HASH_MAILBOX, mailbox, hash_r);
}

/* The file is its owner's: what doesn't fit counts as not read. */
static uint32_t column_uid(sqlite3_stmt *stmt, int column)
{
	int64_t value = sqlite3_column_int64(stmt, column);

	return value < 0 || value > UINT32_MAX ? 0 : (uint32_t)value;
}

static int read_mark(struct sent_log *log, const struct sent_log_hash *name,
		     struct sent_log_mailbox_mark *mark_r)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_MARK);
	int ret;

	if (stmt == NULL)
		return -1;
	sent_log_bind_hash(stmt, 1, name);
	ret = sent_log_step(log, stmt);
	if (ret <= 0)
		return ret;
	mark_r->uid_validity = column_uid(stmt, 0);
	mark_r->next_uid = column_uid(stmt, 1);
	mark_r->unread_from = column_uid(stmt, 2);
	mark_r->unread_to = column_uid(stmt, 3);
	mark_r->stopped_at = sqlite3_column_int64(stmt, 4);
	(void)sqlite3_reset(stmt);
	return 1;
}

static int read_unreadable(struct sent_log *log,
			   const struct sent_log_hash *name,
			   struct sent_log_mailbox_mark *mark)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_LIST_UNREADABLE);
	int ret = 0;

	if (stmt == NULL)
		return -1;
	sent_log_bind_hash(stmt, 1, name);
	(void)sqlite3_bind_int64(stmt, 2, SENT_LOG_MAX_UNREADABLE);
	while (mark->unreadable_count < SENT_LOG_MAX_UNREADABLE &&
	       (ret = sent_log_step(log, stmt)) > 0) {
		mark->unreadable[mark->unreadable_count++] =
			column_uid(stmt, 0);
	}
	(void)sqlite3_reset(stmt);
	return ret < 0 ? -1 : 0;
}

static int get_mark(struct sent_log *log, const char *mailbox,
		    struct sent_log_mailbox_mark *mark_r)
{
	struct sent_log_hash name;
	int ret;

	if (sent_log_file_open(log) < 0 ||
	    hash_mailbox(log, mailbox, &name) < 0)
		return -1;
	ret = read_mark(log, &name, mark_r);
	if (ret > 0 && read_unreadable(log, &name, mark_r) < 0)
		return -1;
	return ret;
}

int sent_log_get_mark(struct sent_log *log, const char *mailbox,
		      struct sent_log_mailbox_mark *mark_r,
		      const char **error_r)
{
	memset(mark_r, 0, sizeof(*mark_r));
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log, get_mark(log, mailbox, mark_r), error_r);
}

static int write_unreadable(struct sent_log *log,
			    const struct sent_log_hash *name,
			    const struct sent_log_mailbox_mark *mark)
{
	sqlite3_stmt *delete_all =
		sent_log_statement(log, SENT_LOG_DELETE_UNREADABLE);
	sqlite3_stmt *insert =
		sent_log_statement(log, SENT_LOG_INSERT_UNREADABLE);

	if (delete_all == NULL || insert == NULL)
		return -1;
	sent_log_bind_hash(delete_all, 1, name);
	if (sent_log_run(log, delete_all) < 0)
		return -1;
	for (unsigned int i = 0; i < mark->unreadable_count; i++) {
		sent_log_bind_hash(insert, 1, name);
		(void)sqlite3_bind_int64(insert, 2, mark->unreadable[i]);
		if (sent_log_run(log, insert) < 0)
			return -1;
	}
	return 0;
}

int sent_log_write_mark(struct sent_log *log,
			const struct sent_log_read_mailbox *read)
{
	const struct sent_log_mailbox_mark *mark = read->mark;
	struct sent_log_hash name;
	sqlite3_stmt *stmt;

	/* inside the transaction, since the hash key is the file's */
	if (hash_mailbox(log, read->name, &name) < 0)
		return -1;
	stmt = sent_log_statement(log, SENT_LOG_SET_MARK);
	if (stmt == NULL)
		return -1;
	sent_log_bind_hash(stmt, 1, &name);
	(void)sqlite3_bind_int64(stmt, 2, mark->uid_validity);
	(void)sqlite3_bind_int64(stmt, 3, mark->next_uid);
	(void)sqlite3_bind_int64(stmt, 4, mark->unread_from);
	(void)sqlite3_bind_int64(stmt, 5, mark->unread_to);
	(void)sqlite3_bind_int64(stmt, 6, mark->stopped_at);
	if (sent_log_run(log, stmt) < 0)
		return -1;
	return write_unreadable(log, &name, mark);
}

static int stop_reading(struct sent_log *log, const char *mailbox)
{
	struct sent_log_hash name;
	sqlite3_stmt *stmt;

	if (sent_log_write_begin(log) < 0 ||
	    hash_mailbox(log, mailbox, &name) < 0)
		return -1;
	stmt = sent_log_statement(log, SENT_LOG_STOP_READING);
	if (stmt == NULL)
		return -1;
	sent_log_bind_hash(stmt, 1, &name);
	(void)sqlite3_bind_int64(stmt, 2, log->now);
	if (sent_log_run(log, stmt) < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_stop_reading(struct sent_log *log, const char *mailbox,
			  time_t now, const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, stop_reading(log, mailbox), error_r);
}

static int raise_mark(struct sent_log *log, const char *mailbox,
		      uint32_t uid_validity, uint32_t first_uid,
		      uint32_t last_uid, const struct sent_log_identity *last)
{
	struct sent_log_hash name;
	int64_t identity;
	sqlite3_stmt *stmt;
	int raised, ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	if (sent_log_write_begin(log) < 0 ||
	    hash_mailbox(log, mailbox, &name) < 0 ||
	    sent_log_hash_identity(log, last, &identity) < 0)
		return -1;
	stmt = sent_log_statement(log, SENT_LOG_RAISE_MARK);
	if (stmt == NULL)
		return -1;
	sent_log_bind_hash(stmt, 1, &name);
	(void)sqlite3_bind_int64(stmt, 2, uid_validity);
	(void)sqlite3_bind_int64(stmt, 3, first_uid);
	(void)sqlite3_bind_int64(stmt, 4, last_uid);
	(void)sqlite3_bind_int64(stmt, 5, identity);
	if (sent_log_run(log, stmt) < 0)
		return -1;
	raised = sqlite3_changes(log->db);
	if (sent_log_write_commit(log) < 0)
		return -1;
	return raised > 0 ? 1 : 0;
}

int sent_log_raise_mark(struct sent_log *log, const char *mailbox,
			uint32_t uid_validity, uint32_t first_uid,
			uint32_t last_uid,
			const struct sent_log_identity *last,
			const char **error_r)
{
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log,
				 raise_mark(log, mailbox, uid_validity,
					    first_uid, last_uid, last),
				 error_r);
}
