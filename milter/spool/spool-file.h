#ifndef SPOOL_FILE_H
#define SPOOL_FILE_H

/* The spool's file: an SQLite database in WAL mode, used by one process alone. What was
   committed survives a power cut. Knows nothing of what a row says. One thread at a time. */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct spool_file;

/* Rows that Dovecot will never take stay for the administrator, the latest so many. */
#define SPOOL_FILE_MAX_SET_ASIDE 1000

/* Opens the file, or makes it (mode 0600). One that is torn or no spool is moved aside, which
   is logged. Returns 0, or -1 and a malloced error that names the file. */
int spool_file_open(const char *path, struct spool_file **file_r,
		    char **error_r);
void spool_file_close(struct spool_file **file);

/* The present or last process was there: 0 = it was never written. */
time_t spool_file_last_seen(struct spool_file *file);

typedef void spool_file_callback(void *context, int64_t id, const char *user);
/* Calls back for every row that waits, in the order of their ids. Returns 0 or -1. */
int spool_file_each(struct spool_file *file, spool_file_callback *callback,
		    void *context);
/* Of all rows that it has; 0 = none. Returns 0 or -1. */
int spool_file_last_id(struct spool_file *file, int64_t *id_r);
/* Returns 1 and what spool_file_insert() was given, malloced; 0 if there is no such row; -1 */
int spool_file_get(struct spool_file *file, int64_t id, char **user_r,
		   char **arguments_r);

/* A transaction. After any -1 it is rolled back. */
int spool_file_begin(struct spool_file *file);
int spool_file_insert(struct spool_file *file, int64_t id, const char *user,
		      const char *arguments);
int spool_file_delete(struct spool_file *file, int64_t id);
/* It doesn't wait any more. reason: why Dovecot will never take it */
int spool_file_set_aside(struct spool_file *file, int64_t id,
			 const char *reason);
/* now: the sign of life */
int spool_file_commit(struct spool_file *file, time_t now);

/* What the last -1 was about; names the file. Until the next call. */
const char *spool_file_error(const struct spool_file *file);
/* It was that the file is none any more: open it again, which replaces it. */
bool spool_file_is_broken(const struct spool_file *file);

#endif
