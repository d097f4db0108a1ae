/* Names of sources and causes, as settings, doveadm and logs write them. Needs
   nothing else of the room: doveconf checks settings with it. */

#include "sent-log-private.h"

#include <string.h>

static const struct {
	enum sent_log_source source;
	const char *name;
} sources[] = {
	{ SENT_LOG_SOURCE_SUBMISSION, "submission" },
	{ SENT_LOG_SOURCE_MILTER, "milter" },
	{ SENT_LOG_SOURCE_SENT, "sent" },
	{ SENT_LOG_SOURCE_ADMIN, "admin" },
};
#define SOURCE_COUNT (sizeof(sources) / sizeof(sources[0]))

static const char *const coverage_cause_names[] = {
	[SENT_LOG_COVERAGE_CREATED] = "created",
	[SENT_LOG_COVERAGE_SOURCES_CHANGED] = "sources-changed",
	[SENT_LOG_COVERAGE_RESTORED] = "restored",
	[SENT_LOG_COVERAGE_CORRUPT] = "corrupt",
	[SENT_LOG_COVERAGE_GAP] = "gap",
	[SENT_LOG_COVERAGE_CLOCK] = "clock",
	[SENT_LOG_COVERAGE_NO_MESSAGE_ID] = "no-message-id",
	[SENT_LOG_COVERAGE_RESTARTED] = "restarted",
	[SENT_LOG_COVERAGE_SET] = "set",
	[SENT_LOG_COVERAGE_IMPORTED] = "imported",
	[SENT_LOG_COVERAGE_EXPIRED] = "retention",
	[SENT_LOG_COVERAGE_ROWS_LOST] = "rows-lost",
	[SENT_LOG_COVERAGE_INCOMPLETE] = "incomplete",
};
#define CAUSE_COUNT \
	(sizeof(coverage_cause_names) / sizeof(coverage_cause_names[0]))

const char *sent_log_source_name(enum sent_log_source source)
{
	for (size_t i = 0; i < SOURCE_COUNT; i++) {
		if (sources[i].source == source)
			return sources[i].name;
	}
	return "unknown";
}

unsigned int sent_log_source_parse(const char *name)
{
	for (size_t i = 0; i < SOURCE_COUNT; i++) {
		if (strcmp(sources[i].name, name) == 0)
			return sources[i].source;
	}
	return 0;
}

const char *sent_log_coverage_cause_name(enum sent_log_coverage_cause cause)
{
	return (size_t)cause < CAUSE_COUNT ? coverage_cause_names[cause] :
					     "unknown";
}
