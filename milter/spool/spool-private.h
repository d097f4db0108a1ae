#ifndef SPOOL_PRIVATE_H
#define SPOOL_PRIVATE_H

/* What the spool's files share: spool.c stands on spool-sender.c, which stands on
   spool-store.c; below them spool-queue.c, spool-gaps.c, spool-file.c and spool-row.c know
   nothing of each other, nor of threads. */

#include "spool.h"
#include "milter/doveadm/doveadm-client.h"
#include "spool-file.h"
#include "spool-gaps.h"
#include "spool-queue.h"
#include "milter/log.h"

#include <pthread.h>

/* A row that is added: of the thread that waits for it to be in the file. */
struct spool_entry {
	int64_t id;
	const char *user, *arguments;
	/* 0 = it is; -1 and why not, malloced */
	int ret;
	char *error;
	bool written;
	struct spool_entry *next;
};

/* A row that Dovecot has, or never will take, but is still in the file. */
struct spool_leaver {
	int64_t id;
	/* why it never will, or NULL */
	char *reason;
};

struct spool {
	struct doveadm_client *client;
	char *path;
	unsigned int max_rows;

	/* Of the file alone. Never taken by who holds the other one. */
	pthread_mutex_t file_lock;
	struct spool_file *file;

	/* Of all that follows. Never waits for the file, or for Dovecot. */
	pthread_mutex_t lock;
	/* an entry is written; a row is settled; there is something to send */
	pthread_cond_t written, settled, work;
	struct spool_queue queue;
	struct spool_gaps gaps;
	int64_t last_id;

	/* to be written; one thread does it for all that came meanwhile */
	struct spool_entry *entries, **entries_end;
	size_t entry_count;
	bool writing;
	struct spool_leaver *leavers;
	size_t leaver_count, leavers_allocated;
	/* the file was last written */
	int64_t written_at;

	/* Dovecot doesn't answer, or to nobody: nothing is sent before that time */
	int64_t paused_until;
	unsigned int failures;
	/* the last one wasn't even asked: it isn't there, or lets nobody in */
	bool away;
	/* one kind of warning, each */
	struct log_limit warnings[DOVEADM_RESULT_COUNT], file_warning;
	bool stopping;
	pthread_t *threads;
	unsigned int thread_count;
};

/* Waits for cond, with spool->lock held, until the time. */
void spool_sleep(struct spool *spool, pthread_cond_t *cond, int64_t until);

/* For struct spool_queue. */
uint64_t spool_hash_user(const char *user);

/* spool-store.c: rows into the file and out of it. spool->lock is held. */

/* Returns once the entry is in the file, or can't be. */
void spool_store_add(struct spool *spool, struct spool_entry *entry);
/* Rows that wait for it leave the file now; it shows a sign of life. */
void spool_store_flush(struct spool *spool);
/* When spool_store_flush() has something to do next. */
int64_t spool_store_next_flush(const struct spool *spool);
/* The row isn't sent any more. reason: why Dovecot never will take it; it is set aside;
   NULL: it is removed. */
void spool_store_leave(struct spool *spool, int64_t id, const char *reason);
/* Returns as spool_file_get(). Without spool->lock. */
int spool_store_get(struct spool *spool, int64_t id, char **user_r,
		    char **arguments_r);

/* spool-sender.c: the threads that send */

/* Returns false if not even one could be started. */
bool spool_sender_start(struct spool *spool, unsigned int threads);
void spool_sender_stop(struct spool *spool);

#endif
