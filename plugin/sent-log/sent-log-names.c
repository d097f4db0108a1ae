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

static const struct {
	const char *name;
	/* why coverage started anew; NULL = it didn't */
	const char *why;
} coverage_causes[] = {
	[SENT_LOG_COVERAGE_CREATED] = { "created", NULL },
	[SENT_LOG_COVERAGE_SOURCES_CHANGED] = {
		"sources-changed", "backscatter_sources was changed"
	},
	[SENT_LOG_COVERAGE_RESTORED] = {
		"restored", "the log's file is a copy"
	},
	[SENT_LOG_COVERAGE_CORRUPT] = {
		"corrupt", "a damaged file was replaced"
	},
	[SENT_LOG_COVERAGE_GAP] = {
		"gap", "a message may have left without being logged"
	},
	[SENT_LOG_COVERAGE_CLOCK] = {
		"clock", "the clock was wrong"
	},
	[SENT_LOG_COVERAGE_NO_MESSAGE_ID] = {
		"no-message-id", "a Sent copy has no Message-ID"
	},
	[SENT_LOG_COVERAGE_RESTARTED] = { "restarted", NULL },
	[SENT_LOG_COVERAGE_SET] = { "set", NULL },
	[SENT_LOG_COVERAGE_IMPORTED] = { "imported", NULL },
	[SENT_LOG_COVERAGE_EXPIRED] = { "retention", NULL },
	[SENT_LOG_COVERAGE_ROWS_LOST] = {
		"rows-lost", "a serial came back that has no row"
	},
	[SENT_LOG_COVERAGE_INCOMPLETE] = {
		"incomplete", "sent messages lie where nobody logs them"
	},
};
#define CAUSE_COUNT (sizeof(coverage_causes) / sizeof(coverage_causes[0]))

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
	return (size_t)cause < CAUSE_COUNT ? coverage_causes[cause].name :
					     "unknown";
}

const char *sent_log_coverage_cause_why(enum sent_log_coverage_cause cause)
{
	return (size_t)cause < CAUSE_COUNT ? coverage_causes[cause].why : NULL;
}
