/* From when on the log is complete as far as it knows itself (docs/design.md,
   section 5, rules 2 to 4). What follows from it for a report is left to
   plugin/verdict/. */

#include "sent-log-private.h"

#include <string.h>

static bool is_administrators_word(enum sent_log_coverage_cause cause)
{
	return cause == SENT_LOG_COVERAGE_SET ||
	       cause == SENT_LOG_COVERAGE_IMPORTED;
}

int sent_log_write_coverage(struct sent_log *log, time_t start,
			    enum sent_log_coverage_cause cause)
{
	bool is_word = is_administrators_word(cause);
	sqlite3_stmt *stmt = sent_log_statement(log,
		is_word ? SENT_LOG_SET_WORD : SENT_LOG_SET_COVERAGE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, start);
	(void)sqlite3_bind_int64(stmt, 2, cause);
	if (is_word)
		(void)sqlite3_bind_int64(stmt, 3, log->now);
	return sent_log_run(log, stmt);
}

int sent_log_break_coverage(struct sent_log *log,
			    enum sent_log_coverage_cause cause)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_BREAK_COVERAGE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, log->now);
	(void)sqlite3_bind_int64(stmt, 2, cause);
	return sent_log_run(log, stmt);
}

int sent_log_raise_coverage(struct sent_log *log)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_RAISE_COVERAGE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, sent_log_cutoff(log));
	(void)sqlite3_bind_int64(stmt, 2, SENT_LOG_COVERAGE_EXPIRED);
	return sent_log_run(log, stmt);
}

static int read_coverage(struct sent_log *log,
			 struct sent_log_coverage *coverage_r)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_COVERAGE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, sent_log_cutoff(log));
	(void)sqlite3_bind_int64(stmt, 2, log->set.listed_sources);
	switch (sent_log_step(log, stmt)) {
	case -1:
		return -1;
	case 0:
		log->corrupt = true;
		return sent_log_fail(log, "the start of coverage is missing");
	}
	coverage_r->start = sqlite3_column_int64(stmt, 0);
	coverage_r->cause = sqlite3_column_int(stmt, 1);
	coverage_r->created = sqlite3_column_int64(stmt, 2);
	coverage_r->listed_sources = (unsigned int)sqlite3_column_int(stmt, 3);
	coverage_r->has_rows = sqlite3_column_int(stmt, 4) != 0;
	coverage_r->listed_source_logged = sqlite3_column_int(stmt, 5) != 0;
	coverage_r->word = sqlite3_column_int(stmt, 6);
	coverage_r->word_given = sqlite3_column_int64(stmt, 7);
	coverage_r->word_since = sqlite3_column_int64(stmt, 8);
	(void)sqlite3_reset(stmt);
	return 0;
}

/* What has to be written before coverage may be believed. */
static int settle_coverage(struct sent_log *log)
{
	int settled = sent_log_clock_is_settled(log);

	if (settled < 0)
		return -1;
	if (settled > 0 && !sent_log_gap_exists(log))
		return 0;
	/* it takes up both */
	if (sent_log_write_begin(log) < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return 0;
}

static int get_coverage(struct sent_log *log,
			struct sent_log_coverage *coverage_r)
{
	if (sent_log_file_open(log) < 0 || settle_coverage(log) < 0 ||
	    read_coverage(log, coverage_r) < 0)
		return -1;

	/* Rows before count as absent, removed or not. */
	if (coverage_r->start < sent_log_cutoff(log)) {
		coverage_r->start = sent_log_cutoff(log);
		coverage_r->cause = SENT_LOG_COVERAGE_EXPIRED;
	}
	return 1;
}

int sent_log_get_coverage(struct sent_log *log, time_t now,
			  struct sent_log_coverage *coverage_r,
			  const char **error_r)
{
	memset(coverage_r, 0, sizeof(*coverage_r));
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, get_coverage(log, coverage_r), error_r);
}

static int set_coverage(struct sent_log *log, time_t start,
			enum sent_log_coverage_cause cause)
{
	bool broken;

	if (sent_log_write_begin(log) < 0)
		return -1;
	/* a mark made since the caller looked at the log: it stands */
	broken = log->gap_taken && start < log->now;
	if ((!broken && sent_log_write_coverage(log, start, cause) < 0) ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return broken ? 0 : 1;
}

int sent_log_set_coverage(struct sent_log *log, time_t start,
			  enum sent_log_coverage_cause cause, time_t now,
			  const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, set_coverage(log, start, cause), error_r);
}

/* Returns 1 if they are those of the settings, 0 or -1. */
static int has_listed_sources(struct sent_log *log)
{
	sqlite3_stmt *stmt =
		sent_log_statement(log, SENT_LOG_GET_LISTED_SOURCES);
	int64_t listed_sources = -1;

	if (stmt == NULL || sent_log_get_int64(log, stmt, &listed_sources) < 0)
		return -1;
	return listed_sources == (int64_t)log->set.listed_sources ? 1 : 0;
}

static int write_listed_sources(struct sent_log *log)
{
	sqlite3_stmt *stmt =
		sent_log_statement(log, SENT_LOG_SET_LISTED_SOURCES);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, log->set.listed_sources);
	if (sent_log_run(log, stmt) < 0)
		return -1;
	return sent_log_break_coverage(log, SENT_LOG_COVERAGE_SOURCES_CHANGED);
}

static int set_listed_sources(struct sent_log *log)
{
	int ret;

	if (sent_log_file_open(log) < 0)
		return -1;
	ret = has_listed_sources(log);
	if (ret != 0)
		return ret;

	if (sent_log_write_begin(log) < 0)
		return -1;
	/* another delivery may have been first */
	ret = has_listed_sources(log);
	if (ret < 0 || (ret == 0 && write_listed_sources(log) < 0) ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return ret;
}

int sent_log_set_listed_sources(struct sent_log *log, time_t now,
				const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, set_listed_sources(log), error_r);
}
