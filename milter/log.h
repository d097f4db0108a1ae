#ifndef LOG_H
#define LOG_H

/* Lines for the administrator: to stderr where that is wanted, else to syslog(3) as
   LOG_MAIL. What stands in a line may come from the net: everything outside printable
   ASCII becomes a "?". Any thread. */

#include <stdbool.h>
#include <stdint.h>

/* Until this is called, lines go to stderr. */
void log_to_syslog(const char *program);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A kind of line that may be true of every message: once a minute. All zero at first. */
struct log_limit {
	int64_t next;
	unsigned int left_out;
};

/* Returns false if there was such a line within the minute. left_out_r: how many weren't
   written since the last one. Any thread. */
bool log_limit_allows(struct log_limit *limit, unsigned int *left_out_r);

#endif
