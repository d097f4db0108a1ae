#ifndef SPOOL_H
#define SPOOL_H

/* What was sent, until Dovecot has logged it. A row is in a file (SQLite) before spool_add()
   returns, survives a power cut, and goes to Dovecot at once, or as soon as Dovecot answers.
   What could not be taken in is told as a gap: then Dovecot knows that the user's log is not
   complete. All functions may be called by several threads at once.

   Gaps are kept in memory only: each start tells Dovecot of a gap for all users, since mail
   left without us while we were down; so none is ever lost. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct doveadm_client;
struct spool;

struct spool_settings {
	/* spool: the file. Its folder is there, and ours. */
	const char *path;
	/* spool_max_rows */
	unsigned int max_rows;
	/* doveadm_connections: so many threads send */
	unsigned int connections;
	/* must live longer than the spool */
	struct doveadm_client *client;
};

/* A message that leaves. What Dovecot would refuse is left out: addresses and ids that are
   none, or too long. One without a Message-ID of printable ASCII gets no row: its bounces are
   never taken for somebody else's. */
struct sent_message {
	/* the login, as Dovecot knows it */
	const char *user;
	/* with brackets, folded or not */
	const char *message_id;
	/* or NULL */
	const char *serial;
	/* the client's own, decoded, or NULL */
	const char *envelope_id;
	const char *const *recipients;
	size_t recipient_count;
	time_t sent_at;
	/* of its Date: field; 0 = none */
	time_t date;
};

/* Opens or makes the file, alone (a second process fails), and starts the threads that send,
   beginning with what an earlier process left, and the gap. A file that is torn or no spool
   is moved aside, with an error line, and a new one made. Returns 0, or -1 and a malloced
   error that names the file: it can't be made or written, or another process has it. */
int spool_open(const struct spool_settings *set, struct spool **spool_r,
	       char **error_r);
/* What was not sent stays in the file. Ends within 2 seconds. */
void spool_close(struct spool **spool);

/* Returns
    0: the row is in the file, or none is needed; *id_r is for spool_wait();
    1: there was no room, or the file can't be written: a gap for this user is told instead;
   -1: not even that: there is no such user, by his name.
   *error_r is malloced, and names what is wrong, unless it returns 0. */
int spool_add(struct spool *spool, const struct sent_message *message,
	      int64_t *id_r, char **error_r);
/* Waits for Dovecot to have the row. Returns true as soon as it has, or never will take it;
   false after so many milliseconds, and at once while Dovecot is away. */
bool spool_wait(struct spool *spool, int64_t id, unsigned int msecs);

/* Tells Dovecot that a message of this user may have left without a row. */
void spool_mark_gap(struct spool *spool, const char *user);

#endif
