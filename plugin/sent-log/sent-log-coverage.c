/* From when on the log is complete as far as it knows itself (docs/design.md,
   section 5, rules 2 to 4), and what ends that: the clock, the gap mark and whatever
   else is a break. So each write begins here. What follows from it for a report is
   left to plugin/verdict/. */

#include "sent-log-private.h"

#include <stdlib.h>
#include <string.h>

int sent_log_break_coverage(struct sent_log *log,
			    enum sent_log_coverage_cause cause)
{
	return store_put(log->store, STORE_BREAK_COVERAGE,
			 store_number(log->now), store_number(cause));
}

int sent_log_raise_coverage(struct sent_log *log)
{
	return store_put(log->store, STORE_RAISE_COVERAGE,
			 store_number(sent_log_cutoff(log)),
			 store_number(SENT_LOG_COVERAGE_EXPIRED));
}

/* A cause that is not the administrator's word ends that one. */
static int write_coverage(struct sent_log *log, time_t start,
			  enum sent_log_coverage_cause cause)
{
	if (cause == SENT_LOG_COVERAGE_SET ||
	    cause == SENT_LOG_COVERAGE_IMPORTED) {
		return store_put(log->store, STORE_SET_WORD,
				 store_number(start), store_number(cause),
				 store_number(log->now));
	}
	return store_put(log->store, STORE_SET_COVERAGE, store_number(start),
			 store_number(cause));
}

/* A clock that falls far back, or was far ahead once (a machine that starts with
   a wrong date). Either way the log knows of later times than now, and nobody can
   tell which of the two clocks is the right one. So coverage starts anew by the
   present clock, and once more when it has caught up with what the log knew:
   what was logged meanwhile looks old by then, and may be missing. */

struct clock_state {
	/* the time that has to be reached again; 0 = all is well */
	int64_t behind;
	/* the latest that the log knows of */
	int64_t known;
	int64_t coverage_start;
};

/* Returns 0 or -1. */
static int read_meta(struct sent_log *log, struct store_row *row_r)
{
	int ret = store_get(log->store, STORE_GET_META, row_r);

	if (ret == 0) {
		return store_fail_corrupt(log->store,
					  "the start of coverage is missing");
	}
	return ret < 0 ? -1 : 0;
}

/* When one of these sources logged something last, 0 = never. */
static int last_logged(struct sent_log *log, unsigned int sources, int64_t *last_r)
{
	struct store_row row;

	*last_r = 0;
	for (unsigned int i = 0; i < SENT_LOG_SOURCE_COUNT; i++) {
		if ((sources & (1U << i)) == 0)
			continue;
		if (store_get(log->store, STORE_GET_LAST_LOGGED, &row,
			      store_number(1U << i)) < 0)
			return -1;
		if (row.columns[0].number > *last_r)
			*last_r = row.columns[0].number;
	}
	return 0;
}

static int read_state(struct sent_log *log, struct clock_state *state_r)
{
	struct store_row meta;

	if (read_meta(log, &meta) < 0 ||
	    last_logged(log, SENT_LOG_SOURCES_ALL, &state_r->known) < 0)
		return -1;
	state_r->behind = meta.columns[STORE_META_CLOCK_BEHIND].number;
	state_r->coverage_start =
		meta.columns[STORE_META_COVERAGE_START].number;
	if (state_r->known < state_r->coverage_start)
		state_r->known = state_r->coverage_start;
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

/* Inside a write transaction. */
static int settle_clock(struct sent_log *log)
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
	if (store_put(log->store, STORE_SET_CLOCK,
		      store_number(state.behind)) < 0)
		return -1;
	return write_coverage(log, log->now, SENT_LOG_COVERAGE_CLOCK);
}

/* The gap mark: a message left without its row. It is set without the file, and taken
   up by whoever writes next. Inside the write transaction it becomes a taken one, and
   the transaction remembers which it was. So a mark made meanwhile is another, a crash
   before the commit leaves one that is not yet remembered, and only a remembered one is
   ever removed. */

/* Returns 1 if coverage already speaks of this mark, 0 or -1. */
static int is_remembered(struct sent_log *log, const struct store_mark *mark)
{
	struct store_row meta;

	if (read_meta(log, &meta) < 0)
		return -1;
	return meta.columns[STORE_META_GAP_INODE].number == mark->inode &&
	       meta.columns[STORE_META_GAP_TIME].number == mark->time;
}

static int remember(struct sent_log *log, const struct store_mark *mark)
{
	if (store_put(log->store, STORE_SET_GAP, store_number(mark->inode),
		      store_number(mark->time)) < 0)
		return -1;
	log->gap_taken = true;
	return sent_log_break_coverage(log, SENT_LOG_COVERAGE_GAP);
}

/* Something else stands where a mark has to be, so a message may have left without
   one: for as long as it is there, coverage starts anew with every write. It stays
   where it is: an IMAP folder of that name, where the home is a Maildir. */
static int obstructed(struct sent_log *log)
{
	free(log->gap_obstacle);
	log->gap_obstacle = store_format("%s", store_error(log->store));
	log->gap_obstructed = true;
	log->gap_taken = true;
	return sent_log_break_coverage(log, SENT_LOG_COVERAGE_GAP);
}

/* Removes a taken mark that is remembered. Returns 0 if there is none left, 1 and
   the mark if it is not yet remembered, 2 if it is no mark, -1 on error. */
static int remove_remembered(struct sent_log *log, struct store_mark *mark_r)
{
	int ret = store_mark_look(log->store, STORE_MARK_TAKEN, mark_r);

	if (ret <= 0)
		return ret < 0 ? 2 : 0;
	ret = is_remembered(log, mark_r);
	if (ret > 0) {
		store_mark_remove_taken(log->store);
		return 0;
	}
	return ret < 0 ? -1 : 1;
}

static int take_set_mark(struct sent_log *log)
{
	struct store_mark mark;
	int ret = store_mark_look(log->store, STORE_MARK_SET, &mark);

	if (ret <= 0)
		return ret < 0 ? obstructed(log) : 0;
	if (store_mark_take(log->store) < 0)
		return -1;
	/* another may have come in between */
	if (store_mark_look(log->store, STORE_MARK_TAKEN, &mark) <= 0)
		return obstructed(log);
	return remember(log, &mark);
}

/* Inside a write transaction. */
static int take_gap(struct sent_log *log)
{
	struct store_mark mark;

	log->gap_taken = false;
	log->gap_obstructed = false;
	switch (remove_remembered(log, &mark)) {
	case 0:
		return take_set_mark(log);
	case 1:
		return remember(log, &mark);
	case 2:
		return obstructed(log);
	default:
		return -1;
	}
}

/* After its commit. */
static void gap_taken(struct sent_log *log)
{
	struct store_mark mark;

	log->gap_taken = false;
	if (log->gap_obstructed) {
		log->gap_obstructed = false;
		store_notice(log->store, "%s - a message that leaves without "
			     "being logged can't be marked there, so coverage "
			     "starts anew with each write", log->gap_obstacle);
		return;
	}
	store_notice(log->store, "a message left without being logged, so "
		     "coverage starts anew");
	/* Whoever gets the lock next may do it as well. */
	if (store_begin(log->store) <= 0)
		return;
	(void)remove_remembered(log, &mark);
	(void)store_commit(log->store);
}

/* Writing */

int sent_log_write_begin_figures(struct sent_log *log)
{
	for (unsigned int i = 0; i < SENT_LOG_OPEN_ATTEMPTS; i++) {
		int ret = sent_log_file_open(log);

		if (ret == 0)
			ret = store_begin(log->store);
		if (ret != 0)
			return ret < 0 ? -1 : 0;
	}
	return store_fail(log->store, "is replaced again and again");
}

int sent_log_write_begin(struct sent_log *log)
{
	if (sent_log_write_begin_figures(log) < 0 || settle_clock(log) < 0)
		return -1;
	return take_gap(log);
}

int sent_log_write_commit(struct sent_log *log)
{
	if (store_commit(log->store) < 0)
		return -1;
	if (log->clock_notice != NULL)
		store_notice(log->store, "%s", log->clock_notice);
	log->clock_notice = NULL;
	if (log->gap_taken)
		gap_taken(log);
	return 0;
}

/* The calls */

static int read_coverage(struct sent_log *log,
			 struct sent_log_coverage *coverage_r)
{
	int64_t last, last_listed, cutoff = sent_log_cutoff(log);
	struct store_row meta;

	/* never is before it, however long the retention */
	if (cutoff < 1)
		cutoff = 1;

	if (read_meta(log, &meta) < 0 ||
	    last_logged(log, SENT_LOG_SOURCES_ALL, &last) < 0 ||
	    last_logged(log, log->set.listed_sources, &last_listed) < 0)
		return -1;
	coverage_r->start = meta.columns[STORE_META_COVERAGE_START].number;
	coverage_r->cause = (int)meta.columns[STORE_META_COVERAGE_CAUSE].number;
	coverage_r->created = meta.columns[STORE_META_CREATED].number;
	coverage_r->listed_sources =
		(unsigned int)meta.columns[STORE_META_LISTED_SOURCES].number;
	coverage_r->has_rows = last >= cutoff;
	coverage_r->listed_source_logged = last_listed >= cutoff;
	coverage_r->word = (int)meta.columns[STORE_META_WORD].number;
	coverage_r->word_given = meta.columns[STORE_META_WORD_GIVEN].number;
	coverage_r->word_since = meta.columns[STORE_META_WORD_SINCE].number;
	return 0;
}

/* What has to be written before coverage may be believed. */
static int settle_coverage(struct sent_log *log)
{
	struct clock_state state;

	if (read_state(log, &state) < 0)
		return -1;
	if (is_settled(log, &state) && !store_mark_exists(log->store))
		return 0;
	/* it takes up both */
	if (sent_log_write_begin(log) < 0 || sent_log_write_commit(log) < 0)
		return -1;
	/* another file may have taken its place */
	return sent_log_file_open(log);
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
	return sent_log_call(log, now, error_r, get_coverage(log, coverage_r));
}

static int set_coverage(struct sent_log *log, time_t start,
			enum sent_log_coverage_cause cause)
{
	bool broken;

	if (sent_log_write_begin(log) < 0)
		return -1;
	/* a mark made since the caller looked at the log: it stands */
	broken = log->gap_taken && start < log->now;
	if ((!broken && write_coverage(log, start, cause) < 0) ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return broken ? 0 : 1;
}

int sent_log_set_coverage(struct sent_log *log, time_t start,
			  enum sent_log_coverage_cause cause, time_t now,
			  const char **error_r)
{
	return sent_log_call(log, now, error_r,
			     set_coverage(log, start, cause));
}

/* Returns 1 if they are those of the settings, 0 or -1. */
static int has_listed_sources(struct sent_log *log)
{
	struct store_row meta;

	if (read_meta(log, &meta) < 0)
		return -1;
	return meta.columns[STORE_META_LISTED_SOURCES].number ==
	       (int64_t)log->set.listed_sources;
}

static int write_listed_sources(struct sent_log *log)
{
	if (store_put(log->store, STORE_SET_LISTED_SOURCES,
		      store_number(log->set.listed_sources)) < 0)
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
	return sent_log_call(log, now, error_r, set_listed_sources(log));
}

/* The whole log */

static int open_for_writing(struct sent_log *log)
{
	if (sent_log_write_begin(log) < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_open(struct sent_log *log, time_t now, const char **error_r)
{
	return sent_log_call(log, now, error_r, open_for_writing(log));
}

int sent_log_read_begin(struct sent_log *log, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, 0);
	ret = sent_log_file_open(log);
	if (ret == 0)
		ret = store_read_begin(log->store);
	return sent_log_call_end(log, ret < 0 ? -1 : 1, error_r);
}

void sent_log_read_end(struct sent_log *log)
{
	store_read_end(log->store);
}

int sent_log_is_unchanged(struct sent_log *log, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, 0);
	ret = sent_log_file_open(log);
	if (ret == 0)
		ret = store_is_unchanged(log->store);
	/* set without the file: coverage ends with it */
	if (ret > 0 && store_mark_exists(log->store))
		ret = 0;
	return sent_log_call_end(log, ret, error_r);
}

static int adopt_owner(struct sent_log *log)
{
	/* the owner was asked for when it was opened */
	store_close(log->store);
	log->adopting = true;
	if (sent_log_write_begin(log) < 0 || sent_log_write_owner(log) < 0 ||
	    sent_log_break_coverage(log, SENT_LOG_COVERAGE_RESTARTED) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_adopt_owner(struct sent_log *log, time_t now, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, now);
	ret = adopt_owner(log);
	log->adopting = false;
	return sent_log_call_end(log, ret, error_r);
}

int sent_log_mark_gap(struct sent_log *log, const char **error_r)
{
	int ret = store_mark_set(log->store);

	if (ret < 0)
		*error_r = store_error(log->store);
	return ret;
}
