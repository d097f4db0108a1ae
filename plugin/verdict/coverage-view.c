/* From the log to the facts that coverage is decided by. */

#include "lib.h"
#include "coverage-view.h"

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
