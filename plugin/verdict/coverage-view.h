#ifndef COVERAGE_VIEW_H
#define COVERAGE_VIEW_H

/* What a log says of its coverage: the same for a delivery, for "doveadm backscatter
   explain" and for "doveadm backscatter coverage". */

#include "sent-log/sent-log.h"
#include "coverage.h"

/* What the settings say. */
struct coverage_policy {
	/* enum sent_log_source bits */
	unsigned int listed_sources;
	/* seconds */
	unsigned int report_age;
	unsigned int retention;
};

struct coverage_view {
	/* For a report that comes now, is no MDN and returns no date. */
	struct coverage_facts facts;
	struct sent_log_coverage log;
	/* where facts.unlisted_copy */
	struct sent_log_row unlisted_copy;
	/* the sources are others than those stored: the next delivered report
	   starts coverage anew */
	bool sources_changed;
};

/* log: NULL = there is none yet: nothing is logged, and coverage would begin now.
   Returns 0, or -1 if the log is unavailable: then no facts are to be believed. */
int coverage_view_read(struct sent_log *log,
		       const struct coverage_policy *policy, time_t now,
		       struct coverage_view *view_r, const char **error_r);

#endif
