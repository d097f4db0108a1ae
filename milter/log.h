#ifndef LOG_H
#define LOG_H

/* Lines for the administrator: to stderr where that is wanted, else to syslog(3) as
   LOG_MAIL. What stands in a line may come from the net: everything outside printable
   ASCII becomes a "?". Any thread. */

/* Until this is called, lines go to stderr. */
void log_to_syslog(const char *program);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
