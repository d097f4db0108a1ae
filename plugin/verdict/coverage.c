/* Coverage (docs/design.md, section 5): pure, but for what reads the log at the end. */

#include "lib.h"
#include "coverage.h"

static const struct {
	const char *name;
	const char *explanation;
} coverage_states[] = {
	[COVERAGE_COVERED] = {
		"covered", "every message sent is in the log" },
	[COVERAGE_NO_SOURCES] = {
		"no-sources", "backscatter_sources is empty: nobody said which "
		"sources together see every message sent" },
	[COVERAGE_UNLISTED_COPY] = {
		"unlisted-copy", "a Sent copy that no listed source logged shows "
		"another way out: list it in backscatter_sources" },
	[COVERAGE_NOTHING_LOGGED] = {
		"nothing-logged", "no listed source has logged a message of this "
		"mailbox within the retention. If the user sends past the listed "
		"sources (POP3, several people, software): leave it so, or "
		"backscatter_sources = none. Only if this mailbox never sends "
		"anything: 'doveadm backscatter coverage --since DATE'" },
	[COVERAGE_SENDS_PAST_SOURCES] = {
		"sends-past-sources", "no listed source has logged a message of "
		"this mailbox within the retention, but another one has: the user "
		"sends past the listed sources. List the one that sees all that "
		"he sends in backscatter_sources, or leave it so, or "
		"backscatter_sources = none" },
	[COVERAGE_UNREAD_COPIES] = {
		"unread-copies", "a Sent mailbox, or a copy in it, can't be read "
		"when a report is delivered" },
	[COVERAGE_TOO_YOUNG] = {
		"too-young", "the log does not reach back as far as the original "
		"may: wait, or tell since when it is complete with 'doveadm "
		"backscatter coverage --since DATE' or 'import --complete'" },
	[COVERAGE_DATED_BEFORE] = {
		"dated-before", "the original is dated before the log's start: "
		"wait, or tell since when it is complete with 'doveadm "
		"backscatter coverage --since DATE' or 'import --complete'" },
};

const char *coverage_state_name(enum coverage_state state)
{
	return coverage_states[state].name;
}

const char *coverage_state_explanation(enum coverage_state state)
{
	return coverage_states[state].explanation;
}

static bool
coverage_date_is_plausible(const struct coverage_facts *facts, time_t date)
{
	return date != (time_t)-1 &&
		date >= facts->now - (time_t)facts->report_age &&
		date <= facts->now + COVERAGE_DATE_FUTURE_SECS;
}

/* E of rules 6 and 7: the log has to reach back to here. */
static time_t coverage_needed_from(const struct coverage_facts *facts)
{
	time_t date = facts->original_date;

	if (!coverage_date_is_plausible(facts, date)) {
		return facts->now - (time_t)(facts->late_report ?
			facts->retention : facts->report_age);
	}
	if (coverage_date_is_plausible(facts, facts->arrival_date))
		date = I_MIN(date, facts->arrival_date);
	return date - COVERAGE_DATE_SLACK_SECS;
}

enum coverage_state coverage_decide(const struct coverage_facts *facts)
{
	time_t start = facts->log_start;

	if (!facts->sources_listed)
		return COVERAGE_NO_SOURCES;
	if (facts->unread_copies)
		return COVERAGE_UNREAD_COPIES;
	if (facts->unlisted_copy)
		return COVERAGE_UNLISTED_COPY;
	if (!facts->listed_source_logged && !facts->said_for_mailbox) {
		return facts->any_source_logged ?
			COVERAGE_SENDS_PAST_SOURCES : COVERAGE_NOTHING_LOGGED;
	}
	/* After the retention no date matters: whatever is older than the log is
	   too old to be reported on. */
	if (start <= facts->now - (time_t)facts->retention)
		return COVERAGE_COVERED;
	if (facts->original_date != (time_t)-1 && facts->original_date < start)
		return COVERAGE_DATED_BEFORE;
	if (start > coverage_needed_from(facts))
		return COVERAGE_TOO_YOUNG;
	return COVERAGE_COVERED;
}

time_t coverage_complete_at(const struct coverage_facts *facts)
{
	return facts->log_start + (time_t)facts->report_age;
}

time_t coverage_dated_from(const struct coverage_facts *facts)
{
	return facts->log_start + COVERAGE_DATE_SLACK_SECS;
}

/*
 * From the log to the facts
 */

static int
coverage_view_find_unlisted(struct sent_log *log, struct coverage_view *view,
			    const char **error_r)
{
	int ret = sent_log_find_unlisted_copy(log, view->facts.log_start,
					      view->facts.now,
					      &view->unlisted_copy, error_r);

	view->facts.unlisted_copy = ret > 0;
	return ret < 0 ? -1 : 0;
}

int coverage_view_read(struct sent_log *log,
		       const struct coverage_policy *policy, time_t now,
		       struct coverage_view *view_r, const char **error_r)
{
	struct coverage_facts *facts = &view_r->facts;

	i_zero(view_r);
	facts->sources_listed = policy->listed_sources != 0;
	facts->now = facts->log_start = now;
	facts->report_age = policy->report_age;
	facts->retention = policy->retention;
	facts->original_date = facts->arrival_date = (time_t)-1;
	if (log == NULL)
		return 0;

	if (sent_log_get_coverage(log, now, &view_r->log, error_r) < 0)
		return -1;
	view_r->sources_changed =
		view_r->log.listed_sources != policy->listed_sources;
	if (!view_r->sources_changed)
		facts->log_start = view_r->log.start;
	facts->listed_source_logged = view_r->log.listed_source_logged;
	facts->any_source_logged = view_r->log.has_rows;
	facts->said_for_mailbox = !view_r->sources_changed &&
		view_r->log.word == SENT_LOG_COVERAGE_SET;
	if (!facts->sources_listed ||
	    (policy->listed_sources & SENT_LOG_SOURCE_SENT) != 0)
		return 0;
	return coverage_view_find_unlisted(log, view_r, error_r);
}
