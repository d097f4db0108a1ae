/* A clock that falls far back, or was far ahead once (a machine that starts with
   a wrong date). Either way the log knows of later times than now, and nobody can
   tell which of the two clocks is the right one. So coverage starts anew by the
   present clock, and once more when it has caught up with what the log knew:
   what was logged meanwhile looks old by then, and may be missing. */

#include "sent-log-private.h"

struct clock_state {
	/* the time that has to be reached again; 0 = all is well */
	int64_t behind;
	/* the latest that the log knows of */
	int64_t known;
	int64_t coverage_start;
};

static int read_state(struct sent_log *log, struct clock_state *state_r)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_CLOCK);
	int ret;

	if (stmt == NULL)
		return -1;
	ret = sent_log_step(log, stmt);
	if (ret < 0)
		return -1;
	if (ret == 0) {
		log->corrupt = true;
		return sent_log_fail(log, "the start of coverage is missing");
	}
	state_r->behind = sqlite3_column_int64(stmt, 0);
	state_r->coverage_start = sqlite3_column_int64(stmt, 1);
	state_r->known = sqlite3_column_int64(stmt, 2);
	(void)sqlite3_reset(stmt);
	return 0;
}

static bool is_future(const struct sent_log *log, int64_t time)
{
	return time > (int64_t)log->now + SENT_LOG_CLOCK_SLACK_SECS;
}

static bool has_caught_up(const struct sent_log *log,
			  const struct clock_state *state)
{
	return state->behind != 0 && !is_future(log, state->behind);
}

static bool is_settled(const struct sent_log *log,
		       const struct clock_state *state)
{
	if (has_caught_up(log, state))
		return false;
	/* once it is known to be behind, only one that falls further counts */
	return !is_future(log, state->behind != 0 ? state->coverage_start :
						    state->known);
}

int sent_log_clock_is_settled(struct sent_log *log)
{
	struct clock_state state;

	if (read_state(log, &state) < 0)
		return -1;
	return is_settled(log, &state) ? 1 : 0;
}

static int write_behind(struct sent_log *log, int64_t behind)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_SET_CLOCK);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, behind);
	return sent_log_run(log, stmt);
}

int sent_log_clock_settle(struct sent_log *log)
{
	struct clock_state state;

	if (read_state(log, &state) < 0)
		return -1;
	if (is_settled(log, &state))
		return 0;

	if (has_caught_up(log, &state)) {
		log->clock_notice = "the clock has caught up with the log, so "
				    "coverage starts anew";
		state.behind = 0;
	} else {
		log->clock_notice = "it has rows or a start of coverage in the "
				    "future (is the clock wrong, or was it?), "
				    "so coverage starts anew";
		if (state.behind < state.known)
			state.behind = state.known;
	}
	if (write_behind(log, state.behind) < 0)
		return -1;
	return sent_log_write_coverage(log, log->now, SENT_LOG_COVERAGE_CLOCK);
}
