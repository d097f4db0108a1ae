#ifndef SPOOL_QUEUE_H
#define SPOOL_QUEUE_H

/* Which rows of the spool wait, and which of them are sent next: alone as they come, several
   at once when there are more than threads that send. Knows their ids, not what they say; no
   threads, no file, no clock of its own. Times are milliseconds of one monotonic clock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A row that isn't taken while others are is given up after so many tries. */
#define SPOOL_QUEUE_MAX_STRIKES 5
#define SPOOL_QUEUE_FIRST_PAUSE_MSECS 1000
#define SPOOL_QUEUE_MAX_PAUSE_MSECS (5 * 60 * 1000)
#define SPOOL_QUEUE_MAX_HOLDS 64
#define SPOOL_QUEUE_NEVER INT64_MAX
/* Rows that are sent at once, at most. */
#define SPOOL_QUEUE_MAX_SHARE 50
/* Of users' hashes. */
#define SPOOL_QUEUE_BUCKETS 4096

struct spool_row {
	int64_t id;
	/* a hash of his name */
	uint64_t user;
	int64_t not_before;
	/* queue->done when it last wasn't taken */
	uint64_t done_then;
	unsigned int failures, strikes;
	bool sending:1;
	/* not together with others */
	bool alone:1;
	bool settled:1;
};

/* A user whose log can't be written now: after a while one row tries for all of his. */
struct spool_hold {
	uint64_t user;
	int64_t until;
	unsigned int failures;
};

struct spool_queue {
	/* by id; settled ones are taken out now and then */
	struct spool_row *rows;
	size_t count, allocated;
	/* not settled, and those of them that are under way */
	size_t waiting, sending;
	struct spool_hold holds[SPOOL_QUEUE_MAX_HOLDS];
	size_t hold_count;
	/* Rows under way, by user: those who write to one log only wait for each other. */
	unsigned short busy[SPOOL_QUEUE_BUCKETS];
	/* rows that Dovecot has taken */
	uint64_t done;
};

void spool_queue_deinit(struct spool_queue *queue);
/* Its id is higher than any before. */
void spool_queue_add(struct spool_queue *queue, int64_t id, uint64_t user);
/* It was added, and is not settled. */
bool spool_queue_has(const struct spool_queue *queue, int64_t id);

/* Which rows one of so many threads sends now; none of a user of whom one is under way.
   Returns their number; if there is none, *next_r is when to ask again, unless something
   happens before. */
size_t spool_queue_take(struct spool_queue *queue, int64_t now,
			unsigned int threads,
			int64_t ids_r[SPOOL_QUEUE_MAX_SHARE], int64_t *next_r);

/* What became of a row that was taken */

/* Dovecot has it. */
void spool_queue_done(struct spool_queue *queue, int64_t id);
/* It will never be sent again. */
void spool_queue_settle(struct spool_queue *queue, int64_t id);
void spool_queue_settle_all(struct spool_queue *queue);
/* It could not be asked. */
void spool_queue_put_back(struct spool_queue *queue, int64_t id);
/* Something was wrong with it or with another of those that were sent together. */
void spool_queue_suspect(struct spool_queue *queue, int64_t id);
/* It is at fault: sent alone, it got no answer, or it was refused. Returns true if it should
   be given up. */
bool spool_queue_strike(struct spool_queue *queue, int64_t id, int64_t now);
/* Its user's log can't be written now. */
void spool_queue_hold(struct spool_queue *queue, int64_t id, int64_t now);

/* 1 s, 2 s, 4 s, ... */
int64_t spool_queue_pause(unsigned int failures);

#endif
