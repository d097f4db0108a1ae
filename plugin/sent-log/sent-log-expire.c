/* Removes what is older than the retention, in steps too small to be noticed. A
   message with many recipients goes in several. */

#include "sent-log-private.h"

/* Returns the number of rows removed, or -1. */
static int delete_rows(struct sent_log *log, enum sent_log_statement statement,
		       int64_t value, int64_t max_rows)
{
	sqlite3_stmt *stmt = sent_log_statement(log, statement);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, value);
	if (sqlite3_bind_parameter_count(stmt) > 1)
		(void)sqlite3_bind_int64(stmt, 2, max_rows);
	if (sent_log_run(log, stmt) < 0)
		return -1;
	return sqlite3_changes(log->db);
}

/* Returns 1, 0 if there is none, -1 on error. */
static int find_old_message(struct sent_log *log, int64_t *id_r)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_FIND_OLD_MESSAGE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, sent_log_cutoff(log));
	return sent_log_get_int64(log, stmt, id_r);
}

/* Returns the number of rows removed (the message's own comes last), or -1. */
static int expire_message(struct sent_log *log, int64_t id, int64_t max_rows)
{
	int recipients, identities;

	recipients = delete_rows(log, SENT_LOG_DELETE_RECIPIENTS, id, max_rows);
	if (recipients < 0 || recipients >= max_rows)
		return recipients;
	identities = delete_rows(log, SENT_LOG_DELETE_IDENTITIES, id,
				 max_rows - recipients);
	if (identities < 0)
		return -1;
	if (recipients + identities >= max_rows)
		return recipients + identities;
	if (delete_rows(log, SENT_LOG_DELETE_MESSAGE, id, 0) < 0)
		return -1;
	return recipients + identities + 1;
}

/* The same for what is no message. */
static int expire_others(struct sent_log *log, int64_t max_rows)
{
	int counts, reports;

	/* A few at most, and none that is in use. */
	if (delete_rows(log, SENT_LOG_DELETE_OLD_KEYS, sent_log_cutoff(log),
			0) < 0)
		return -1;
	if (max_rows <= 0)
		return 0;
	counts = delete_rows(log, SENT_LOG_DELETE_OLD_REPORTS,
			     sent_log_cutoff(log), max_rows);
	if (counts < 0)
		return -1;
	reports = sent_log_expire_remembered(log, max_rows - counts);
	return reports < 0 ? -1 : counts + reports;
}

int sent_log_expire_step(struct sent_log *log, unsigned int max_rows)
{
	int64_t id, left = max_rows;
	int ret, removed = 0;

	while (left > 0 && (ret = find_old_message(log, &id)) != 0) {
		if (ret > 0)
			ret = removed = expire_message(log, id, left);
		if (ret < 0)
			return -1;
		left -= removed;
	}
	if (removed > 0 && sent_log_raise_coverage(log) < 0)
		return -1;
	ret = expire_others(log, left);
	return ret < 0 ? -1 : left - ret <= 0;
}

static int expire(struct sent_log *log, unsigned int max_rows)
{
	int more, ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	if (sent_log_write_begin(log) < 0)
		return -1;
	more = sent_log_expire_step(log, max_rows);
	if (more < 0 || sent_log_raise_coverage(log) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return more;
}

int sent_log_expire(struct sent_log *log, time_t now, unsigned int max_rows,
		    const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, expire(log, max_rows), error_r);
}
