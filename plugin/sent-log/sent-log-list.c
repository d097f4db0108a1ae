/* Rows as an administrator sees them: listing, counting, and the copy that
   betrays another way out. */

#include "sent-log-private.h"

#include <string.h>

/* docs/design.md, section 5, rule 5 */
#define UNLISTED_COPY_MAX_AGE_SECS (30 * 24 * 3600)
#define UNLISTED_COPY_MIN_SAVED_SECS 3600
/* the sender's clock may be ahead of ours */
#define DATE_SLACK_SECS 3600

/* ROW_COLUMNS of sent-log-statement.c */
static void read_row(sqlite3_stmt *stmt, struct sent_log_row *row_r)
{
	const char *serial = (const char *)sqlite3_column_text(stmt, 7);

	memset(row_r, 0, sizeof(*row_r));
	row_r->id = sqlite3_column_int64(stmt, 0);
	row_r->source = sqlite3_column_int(stmt, 1);
	row_r->logged_at = sqlite3_column_int64(stmt, 2);
	row_r->date = sqlite3_column_int64(stmt, 3);
	row_r->identity_count = (unsigned int)sqlite3_column_int(stmt, 4);
	row_r->recipient_count = (unsigned int)sqlite3_column_int(stmt, 5);
	if (row_r->identity_count > 0) {
		sent_log_hash_text(sqlite3_column_int64(stmt, 6),
				   row_r->identity_hash);
	}
	/* never what somebody else has put into the file */
	if (serial != NULL && !serial_normalise(serial, row_r->serial))
		row_r->serial[0] = '\0';
}

static int list(struct sent_log *log, int64_t after_id,
		struct sent_log_row *rows_r, size_t max, size_t *count_r)
{
	sqlite3_stmt *stmt;
	int ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	stmt = sent_log_statement(log, SENT_LOG_LIST_ROWS);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after_id);
	(void)sqlite3_bind_int64(stmt, 2, (int64_t)max);
	while (*count_r < max && (ret = sent_log_step(log, stmt)) > 0)
		read_row(stmt, &rows_r[(*count_r)++]);
	(void)sqlite3_reset(stmt);
	return ret < 0 ? -1 : *count_r > 0;
}

int sent_log_list(struct sent_log *log, int64_t after_id,
		  struct sent_log_row *rows_r, size_t max, size_t *count_r,
		  const char **error_r)
{
	*count_r = 0;
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log, list(log, after_id, rows_r, max, count_r),
				 error_r);
}

static int count_messages(struct sent_log *log, enum sent_log_source source,
			  uint64_t *count_r)
{
	sqlite3_stmt *stmt;
	int64_t count = 0;
	int ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret < 0 ? -1 : 1;
	stmt = sent_log_statement(log, SENT_LOG_COUNT_MESSAGES);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, source);
	if (sent_log_get_int64(log, stmt, &count) < 0)
		return -1;
	*count_r = (uint64_t)count;
	return 1;
}

int sent_log_count(struct sent_log *log, enum sent_log_source source,
		   uint64_t *count_r, const char **error_r)
{
	*count_r = 0;
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log, count_messages(log, source, count_r),
				 error_r);
}

static int find_unlisted_copy(struct sent_log *log, time_t after,
			      struct sent_log_row *row_r)
{
	time_t month_ago = log->now - UNLISTED_COPY_MAX_AGE_SECS;
	sqlite3_stmt *stmt;
	int ret;

	if (sent_log_file_open(log) < 0)
		return -1;
	stmt = sent_log_statement(log, SENT_LOG_FIND_UNLISTED_COPY);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, after > month_ago ? after :
							      month_ago);
	(void)sqlite3_bind_int64(stmt, 2, log->now + DATE_SLACK_SECS);
	(void)sqlite3_bind_int64(stmt, 3, sent_log_cutoff(log));
	(void)sqlite3_bind_int64(stmt, 4,
				 log->now - UNLISTED_COPY_MIN_SAVED_SECS);
	(void)sqlite3_bind_int64(stmt, 5, log->set.listed_sources);
	ret = sent_log_step(log, stmt);
	if (ret > 0) {
		read_row(stmt, row_r);
		(void)sqlite3_reset(stmt);
	}
	return ret;
}

int sent_log_find_unlisted_copy(struct sent_log *log, time_t after, time_t now,
				struct sent_log_row *row_r,
				const char **error_r)
{
	memset(row_r, 0, sizeof(*row_r));
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, find_unlisted_copy(log, after, row_r),
				 error_r);
}
