/* Errors, notices, the deadline and memory: what every file of this room needs
   to say that something went wrong. What an error does to a mail is decided by
   the caller of the room. */

#include "store-private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lock that is waited for is free for some microseconds only when many
   write at once, so looking often is what gets it. */
#define WAIT_STEP_USECS 250
/* Long enough that whoever waits finds the lock free. */
#define YIELD_USECS (4 * WAIT_STEP_USECS)

void *store_alloc(size_t size)
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

char *store_format(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_args(format, args);
	va_end(args);
	return text;
}

int store_fail(struct sent_store *store, const char *format, ...)
{
	va_list args;
	char *error;

	va_start(args, format);
	error = format_args(format, args);
	va_end(args);

	free(store->error);
	store->error = error;
	return -1;
}

int store_fail_corrupt(struct sent_store *store, const char *reason)
{
	store->corrupt = true;
	return store_fail(store, "%s", reason);
}

const char *store_error(const struct sent_store *store)
{
	return store->error;
}

static int64_t monotonic_msecs(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t waited_msecs(const struct sent_store *store)
{
	return monotonic_msecs() - store->waiting_since_msecs;
}

bool store_time_is_up(const struct sent_store *store)
{
	int64_t msecs = store->set.deadline_msecs;

	if (store->migrates && msecs < STORE_MIGRATION_MSECS)
		msecs = STORE_MIGRATION_MSECS;
	return store->used_msecs + waited_msecs(store) > msecs;
}

/* SQLite was stopped at its work (see store-door.c). */
static int fail_interrupted(struct sent_store *store, const char *what)
{
	if (store->used_too_much_memory) {
		return store_fail(store, "%s: needs more memory than any sent "
				  "log", what);
	}
	return store_fail(store, "%s: no answer within %u ms", what,
			  store->set.deadline_msecs);
}

int store_fail_sqlite(struct sent_store *store, sqlite3 *db, int rc,
		      const char *what)
{
	const char *reason = db != NULL ? sqlite3_errmsg(db) :
					  sqlite3_errstr(rc);
	int system_errno = db != NULL ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return store_fail(
			store, "locked by another process for %lld ms",
			(long long)waited_msecs(store));
	case SQLITE_INTERRUPT:
		return fail_interrupted(store, what);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		store->corrupt = true;
		break;
	case SQLITE_IOERR:
	case SQLITE_FULL:
	case SQLITE_CANTOPEN:
		if (system_errno != 0) {
			return store_fail(store, "%s: %s (%s)", what, reason,
					  strerror(system_errno));
		}
		break;
	}
	return store_fail(store, "%s: %s", what, reason);
}

void store_notice(struct sent_store *store, const char *format, ...)
{
	va_list args;
	char *text, *line;

	if (store->set.notice == NULL)
		return;

	va_start(args, format);
	text = format_args(format, args);
	va_end(args);
	line = store_format("sent log %s: %s", store->set.path, text);
	store->set.notice(line, store->set.notice_context);
	free(line);
	free(text);
}

void store_call_start(struct sent_store *store)
{
	store->waiting_since_msecs = monotonic_msecs();
}

void store_call_stop(struct sent_store *store)
{
	store->used_msecs += waited_msecs(store);
}

void store_wait_start(struct sent_store *store)
{
	store->used_msecs = 0;
	store_call_start(store);
}

void store_begin_anew(struct sent_store *store)
{
	store->used_msecs = 0;
}

static void sleep_usecs(long usecs)
{
	const struct timespec time = { .tv_nsec = usecs * 1000 };

	(void)nanosleep(&time, NULL);
}

bool store_wait(struct sent_store *store)
{
	if (store->used_msecs + waited_msecs(store) >=
	    (int64_t)store->set.deadline_msecs)
		return false;
	store->others_write = true;
	sleep_usecs(WAIT_STEP_USECS);
	return true;
}

void store_yield(struct sent_store *store)
{
	if (store->others_write)
		sleep_usecs(YIELD_USECS);
	store->others_write = false;
}
