#ifndef SPOOL_GAPS_H
#define SPOOL_GAPS_H

/* For which users Dovecot has to be told that mail left without a row. In memory only: each
   start tells it for all users. No threads, no clock of its own: as spool-queue.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Of more than so many users it is told for all. */
#define SPOOL_GAPS_MAX_USERS 1000
/* Telling it for all asks Dovecot for each of them: ever more seldom, in the end every 85
   minutes. It goes on for ever: whom Dovecot didn't come to, because a user before him could
   not be looked up, or whose log can't be written yet, is still taken for covered, and his
   bounces would be convicted. The others lose nothing by it: it is told until when. */
#define SPOOL_GAPS_ALL_PAUSE_MSECS 5000
#define SPOOL_GAPS_ALL_DOUBLINGS 10

struct spool_gap {
	/* NULL = all users */
	char *user;
	/* when it was first told; 0 = not yet, or not since it was marked again */
	time_t until;
	int64_t not_before;
	unsigned int failures, refusals;
	bool sending:1;
	/* another one while it was sent */
	bool again:1;
	struct spool_gap *next;
};

struct spool_gaps {
	struct spool_gap *first;
	size_t count;
};

void spool_gaps_deinit(struct spool_gaps *gaps);
/* user: NULL = all */
void spool_gaps_mark(struct spool_gaps *gaps, const char *user);
/* The one to be told now, or NULL: then *next_r is when to ask again, if that is sooner. */
struct spool_gap *spool_gaps_take(struct spool_gaps *gaps, int64_t now,
				  int64_t *next_r);

/* What became of the one that was taken */

/* Dovecot knows it, has no such user, or knows of all whom it could mark. */
void spool_gaps_done(struct spool_gaps *gaps, struct spool_gap *gap);
/* It could not be asked. */
void spool_gaps_put_back(struct spool_gap *gap);
/* It doesn't do such a thing: later, perhaps. */
void spool_gaps_refused(struct spool_gap *gap, int64_t now);
/* It tried, and may have marked some logs: again, each time later. */
void spool_gaps_retry(struct spool_gap *gap, int64_t now);

#endif
