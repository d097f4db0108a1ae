/* Log lines. */

#include "log.h"
#include "milter/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#define LIMIT_MSECS (60 * 1000)

static bool uses_syslog;

void log_to_syslog(const char *program)
{
	openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
	uses_syslog = true;
}

static void
log_line(int priority, const char *prefix, const char *format, va_list args)
{
	char *line;

	if (vasprintf(&line, format, args) < 0)
		abort();
	for (char *p = line; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	if (uses_syslog)
		syslog(priority, "%s%s", prefix, line);
	else
		(void)fprintf(stderr, "backscatter-milter: %s%s\n", prefix, line);
	free(line);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_ERR, "error: ", format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_WARNING, "warning: ", format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_INFO, "", format, args);
	va_end(args);
}

bool log_limit_allows(struct log_limit *limit, unsigned int *left_out_r)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	int64_t now = clock_msecs();
	bool allowed;

	(void)pthread_mutex_lock(&mutex);
	allowed = now >= limit->next;
	*left_out_r = limit->left_out;
	limit->left_out = allowed ? 0 : limit->left_out + 1;
	if (allowed)
		limit->next = now + LIMIT_MSECS;
	(void)pthread_mutex_unlock(&mutex);
	return allowed;
}
