#ifndef COVERAGE_H
#define COVERAGE_H

/* May "not in the log" be believed? docs/design.md, section 5. */

#include <time.h>

#include "sent-log/sent-log.h"

enum coverage_state {
	COVERAGE_COVERED = 0,
	/* rule 1: nobody said which sources see everything */
	COVERAGE_NO_SOURCES,
	/* rule 5: a Sent copy that no listed source logged */
	COVERAGE_UNLISTED_COPY,
	/* rule 2: no listed source has ever logged anything, and nobody said that
	   nothing is sent */
	COVERAGE_NOTHING_LOGGED,
	/* rule 2, and a source that isn't listed has logged something */
	COVERAGE_SENDS_PAST_SOURCES,
	/* rule 0: a Sent mailbox, or a copy in it, can't be read */
	COVERAGE_UNREAD_COPIES,
	/* rule 6 and 7: the log doesn't reach back as far as the original */
	COVERAGE_TOO_YOUNG,
	/* rule 7: the original is dated before the log's start */
	COVERAGE_DATED_BEFORE,
};

struct coverage_facts {
	/* backscatter_sources is not empty */
	bool sources_listed;
	/* rule 0 */
	bool unread_copies;
	/* rule 5 */
	bool unlisted_copy;
	/* rule 2: one of them has logged a message within the retention, or the
	   administrator said ("coverage --since") that the log is complete even if
	   it is empty */
	bool listed_source_logged;
	bool said_for_mailbox;
	/* any source has, also "admin" */
	bool any_source_logged;
	/* The report is an MDN: it may come as late as the retention. */
	bool late_report;
	/* S: the log is complete from here on, as far as it knows itself */
	time_t log_start;
	/* this host's clock at delivery, never a header */
	time_t now;
	/* seconds */
	unsigned int report_age;
	unsigned int retention;
	/* returned Date and Arrival-Date; (time_t)-1 = absent. The sender's word:
	   used within bounds only. */
	time_t original_date;
	time_t arrival_date;
};

/* Rule 7: a date may lie this much in the future, */
#define COVERAGE_DATE_FUTURE_SECS (60 * 60)
/* and a message may be dated this much after it was sent. */
#define COVERAGE_DATE_SLACK_SECS (24 * 60 * 60)

/* Pure. */
enum coverage_state coverage_decide(const struct coverage_facts *facts);
/* When a report that returns no date is covered, if nothing else is in its way and
   coverage is not broken: S plus the report age. */
time_t coverage_complete_at(const struct coverage_facts *facts);
/* The first Date with which a returned original is covered already: S and a day. */
time_t coverage_dated_from(const struct coverage_facts *facts);

/* "no-sources", "too-young", ... for doveadm and the log */
const char *coverage_state_name(enum coverage_state state);
/* One sentence for an administrator, with the cure. */
const char *coverage_state_explanation(enum coverage_state state);

/*
 * The log's part of the facts: the same for a delivery, for "doveadm backscatter explain"
 * and for "doveadm backscatter coverage"
 */

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
