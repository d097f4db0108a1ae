/* Reports that came before their original was logged. Who judges a due one again,
   and where it is moved to, is left to the adapters.

   Adding a message marks what it makes due, and remembering a report looks into
   the log, each inside its write transaction: whichever comes second sees the
   other. */

#include "sent-log-private.h"

#include <string.h>

#define MAX_REMEMBERED 1000

/* Marking, forgetting */

int sent_log_mark_due(struct sent_log *log, int64_t hash)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_MARK_DUE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, hash);
	return sent_log_run(log, stmt);
}

static int delete_by_id(struct sent_log *log,
			enum sent_log_statement statement, int64_t id)
{
	sqlite3_stmt *stmt = sent_log_statement(log, statement);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, id);
	if (sent_log_run(log, stmt) < 0)
		return -1;
	return sqlite3_changes(log->db);
}

/* Returns the number of rows removed, 0 if there is no such report, or -1. */
static int delete_report(struct sent_log *log, int64_t id)
{
	int identities, reports;

	identities = delete_by_id(log, SENT_LOG_DELETE_REMEMBERED_IDENTITIES,
				  id);
	if (identities < 0)
		return -1;
	reports = delete_by_id(log, SENT_LOG_DELETE_REMEMBERED, id);
	return reports < 0 ? -1 : identities + reports;
}

/* Deletes the report that the statement names for this value. Returns the same. */
static int delete_one(struct sent_log *log, enum sent_log_statement statement,
		      int64_t value)
{
	sqlite3_stmt *stmt = sent_log_statement(log, statement);
	int64_t id;
	int ret;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, value);
	ret = sent_log_get_int64(log, stmt, &id);
	return ret <= 0 ? ret : delete_report(log, id);
}

int sent_log_expire_remembered(struct sent_log *log, int64_t max_rows)
{
	int64_t removed = 0;
	int ret;

	while (removed < max_rows &&
	       (ret = delete_one(log, SENT_LOG_FIND_OLD_REMEMBERED,
				 log->now)) != 0) {
		if (ret < 0)
			return -1;
		removed += ret;
	}
	return (int)removed;
}

static int forget_report(struct sent_log *log, int64_t id)
{
	int removed, ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	if (sent_log_write_begin(log) < 0)
		return -1;
	removed = delete_report(log, id);
	if (removed < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return removed > 0 ? 1 : 0;
}

int sent_log_forget_report(struct sent_log *log, int64_t id,
			   const char **error_r)
{
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log, forget_report(log, id), error_r);
}

/* Remembering */

/* Returns 1 if the log knows one of them within the retention, 0 or -1. */
static int find_original(struct sent_log *log,
			 const int64_t *hashes, int count)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_FIND_ENTRY);
	int64_t source;
	int ret = 0;

	if (stmt == NULL)
		return -1;
	for (int i = 0; i < count && ret == 0; i++) {
		(void)sqlite3_bind_int64(stmt, 1, hashes[i]);
		(void)sqlite3_bind_int64(stmt, 2, sent_log_cutoff(log));
		ret = sent_log_get_int64(log, stmt, &source);
	}
	return ret;
}

static int insert_report(struct sent_log *log,
			 const struct sent_log_stored_report *report,
			 unsigned int max_age, bool due)
{
	sqlite3_stmt *stmt = sent_log_statement(log,
						SENT_LOG_INSERT_REMEMBERED);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_blob(stmt, 1, report->mailbox_guid,
				sizeof(report->mailbox_guid), SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 2, report->uid_validity);
	(void)sqlite3_bind_int64(stmt, 3, report->uid);
	(void)sqlite3_bind_int64(stmt, 4, report->quarantined);
	(void)sqlite3_bind_int64(stmt, 5,
				 (int64_t)log->now + (int64_t)max_age);
	(void)sqlite3_bind_int64(stmt, 6, due);
	return sent_log_run(log, stmt);
}

static int insert_hashes(struct sent_log *log, int64_t id,
			 const int64_t *hashes, int count)
{
	sqlite3_stmt *stmt = sent_log_statement(
		log, SENT_LOG_INSERT_REMEMBERED_IDENTITY);

	if (stmt == NULL)
		return -1;
	for (int i = 0; i < count; i++) {
		(void)sqlite3_bind_int64(stmt, 1, hashes[i]);
		(void)sqlite3_bind_int64(stmt, 2, id);
		if (sent_log_run(log, stmt) < 0)
			return -1;
	}
	return 0;
}

/* One too many goes, which may be the one that has just come. */
static int make_room(struct sent_log *log)
{
	int ret;

	while ((ret = delete_one(log, SENT_LOG_FIND_SURPLUS_REMEMBERED,
				 MAX_REMEMBERED)) > 0)
		;
	return ret;
}

static int write_report(struct sent_log *log,
			const struct sent_log_stored_report *report,
			const int64_t *hashes, int count,
			unsigned int max_age)
{
	int due = find_original(log, hashes, count);

	if (due < 0 || insert_report(log, report, max_age, due > 0) < 0 ||
	    insert_hashes(log, sqlite3_last_insert_rowid(log->db), hashes,
			  count) < 0)
		return -1;
	return make_room(log);
}

static int remember_report(struct sent_log *log,
			   const struct sent_log_stored_report *report,
			   const struct sent_log_identity *identities,
			   size_t identity_count, unsigned int max_age)
{
	int64_t hashes[SENT_LOG_MAX_IDENTITIES];
	int count;

	if (sent_log_write_begin(log) < 0)
		return -1;
	/* after it, since the hash key is the file's */
	count = sent_log_hash_identities(log, identities, identity_count,
					 hashes);
	if (count < 0 ||
	    (count > 0 && write_report(log, report, hashes, count,
				       max_age) < 0) ||
	    sent_log_expire_step(log, SENT_LOG_EXPIRE_STEP) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_remember_report(struct sent_log *log,
			     const struct sent_log_stored_report *report,
			     const struct sent_log_identity *identities,
			     size_t identity_count, unsigned int max_age,
			     time_t now, const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log,
				 remember_report(log, report, identities,
						 identity_count, max_age),
				 error_r);
}

/* Listing */

static void read_report(sqlite3_stmt *stmt,
			struct sent_log_stored_report *report_r)
{
	const void *guid = sqlite3_column_blob(stmt, 1);

	memset(report_r, 0, sizeof(*report_r));
	report_r->id = sqlite3_column_int64(stmt, 0);
	if (sqlite3_column_bytes(stmt, 1) == SENT_LOG_MAILBOX_GUID_SIZE) {
		memcpy(report_r->mailbox_guid, guid,
		       SENT_LOG_MAILBOX_GUID_SIZE);
	}
	report_r->uid_validity = (uint32_t)sqlite3_column_int64(stmt, 2);
	report_r->uid = (uint32_t)sqlite3_column_int64(stmt, 3);
	report_r->quarantined = sqlite3_column_int(stmt, 4) != 0;
}

static int list_due_reports(struct sent_log *log,
			    struct sent_log_stored_report *reports_r,
			    size_t max, size_t *count_r)
{
	sqlite3_stmt *stmt;
	int ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	stmt = sent_log_statement(log, SENT_LOG_LIST_DUE);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, (int64_t)max);
	while (*count_r < max && (ret = sent_log_step(log, stmt)) > 0)
		read_report(stmt, &reports_r[(*count_r)++]);
	(void)sqlite3_reset(stmt);
	return ret < 0 ? -1 : *count_r > 0;
}

int sent_log_list_due_reports(struct sent_log *log,
			      struct sent_log_stored_report *reports_r,
			      size_t max, size_t *count_r,
			      const char **error_r)
{
	*count_r = 0;
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log,
				 list_due_reports(log, reports_r, max, count_r),
				 error_r);
}

static int has_remembered_reports(struct sent_log *log)
{
	sqlite3_stmt *stmt;
	int64_t one;
	int ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	stmt = sent_log_statement(log, SENT_LOG_HAS_REMEMBERED);
	return stmt == NULL ? -1 : sent_log_get_int64(log, stmt, &one);
}

int sent_log_has_remembered_reports(struct sent_log *log,
				    const char **error_r)
{
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log, has_remembered_reports(log), error_r);
}
