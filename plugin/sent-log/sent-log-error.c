/* Errors, notices, the deadline and memory: what every file of this room needs
   to say that something went wrong. What an error does to a mail is decided by
   the caller of the room. */

#include "sent-log-private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lock that is waited for is free for some microseconds only when many
   write at once, so looking often is what gets it. */
#define WAIT_STEP_USECS 250
/* Long enough that whoever waits finds the lock free. */
#define YIELD_USECS (4 * WAIT_STEP_USECS)

void *sent_log_alloc(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		abort();
	return memory;
}

static char *format_args(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		abort();
	/* SQLite quotes what stands in the file: one line stays one line */
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return text;
}

char *sent_log_format(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_args(format, args);
	va_end(args);
	return text;
}

int sent_log_fail(struct sent_log *log, const char *format, ...)
{
	va_list args;
	char *error;

	va_start(args, format);
	error = format_args(format, args);
	va_end(args);

	free(log->error);
	log->error = error;
	return -1;
}

static int64_t monotonic_msecs(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t waited_msecs(const struct sent_log *log)
{
	return monotonic_msecs() - log->waiting_since_msecs;
}

bool sent_log_time_is_up(const struct sent_log *log)
{
	int64_t msecs = log->set.deadline_msecs;

	if (log->migrates && msecs < SENT_LOG_MIGRATION_MSECS)
		msecs = SENT_LOG_MIGRATION_MSECS;
	return log->used_msecs + waited_msecs(log) > msecs;
}

/* SQLite was stopped at its work (see sent-log-door.c). */
static int fail_interrupted(struct sent_log *log, const char *what)
{
	if (log->used_too_much_memory) {
		return sent_log_fail(log, "%s: needs more memory than any sent "
				     "log", what);
	}
	return sent_log_fail(log, "%s: no answer within %u ms", what,
			     log->set.deadline_msecs);
}

int sent_log_fail_sqlite(struct sent_log *log, sqlite3 *db, int rc,
			 const char *what)
{
	const char *reason = db != NULL ? sqlite3_errmsg(db) :
					  sqlite3_errstr(rc);
	int system_errno = db != NULL ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return sent_log_fail(
			log, "locked by another process for %lld ms",
			(long long)waited_msecs(log));
	case SQLITE_INTERRUPT:
		return fail_interrupted(log, what);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		log->corrupt = true;
		break;
	case SQLITE_IOERR:
	case SQLITE_FULL:
	case SQLITE_CANTOPEN:
		if (system_errno != 0) {
			return sent_log_fail(log, "%s: %s (%s)", what, reason,
					     strerror(system_errno));
		}
		break;
	}
	return sent_log_fail(log, "%s: %s", what, reason);
}

void sent_log_notice(struct sent_log *log, const char *format, ...)
{
	va_list args;
	char *text, *line;

	if (log->set.notice == NULL)
		return;

	va_start(args, format);
	text = format_args(format, args);
	va_end(args);
	line = sent_log_format("sent log %s: %s", log->path, text);
	log->set.notice(line, log->set.notice_context);
	free(line);
	free(text);
}

void sent_log_call_start(struct sent_log *log)
{
	log->waiting_since_msecs = monotonic_msecs();
}

void sent_log_call_stop(struct sent_log *log)
{
	log->used_msecs += waited_msecs(log);
}

void sent_log_wait_start(struct sent_log *log)
{
	log->used_msecs = 0;
	sent_log_call_start(log);
}

static void sleep_usecs(long usecs)
{
	const struct timespec time = { .tv_nsec = usecs * 1000 };

	(void)nanosleep(&time, NULL);
}

bool sent_log_wait(struct sent_log *log)
{
	if (log->used_msecs + waited_msecs(log) >=
	    (int64_t)log->set.deadline_msecs)
		return false;
	log->others_write = true;
	sleep_usecs(WAIT_STEP_USECS);
	return true;
}

void sent_log_yield(struct sent_log *log)
{
	if (log->others_write)
		sleep_usecs(YIELD_USECS);
	log->others_write = false;
}
