/* The spool as the milter uses it: opening, adding, waiting. */

#include "spool-private.h"
#include "milter/clock.h"
#include "milter/log.h"
#include "spool-row.h"
#include "milter/text.h"

#include <stdlib.h>
#include <string.h>

#define TIME_SIZE 32

void spool_sleep(struct spool *spool, pthread_cond_t *cond, int64_t until)
{
	const struct timespec time = {
		.tv_sec = until / 1000,
		.tv_nsec = until % 1000 * 1000000,
	};

	(void)pthread_cond_timedwait(cond, &spool->lock, &time);
}

uint64_t spool_hash_user(const char *user)
{
	/* FNV-1a: two users of one hash only wait for each other */
	uint64_t hash = 0xcbf29ce484222325;

	for (; *user != '\0'; user++)
		hash = (hash ^ (unsigned char)*user) * 0x100000001b3;
	return hash;
}

/* Opening */

static void load_row(void *context, int64_t id, const char *user)
{
	struct spool *spool = context;

	spool_queue_add(&spool->queue, id, spool_hash_user(user));
}

/* What an earlier process left, and what left without us. */
static int take_over(struct spool *spool, char **error_r)
{
	time_t seen = spool_file_last_seen(spool->file);
	char since[TIME_SIZE];
	struct tm tm;

	if (spool_file_each(spool->file, load_row, spool) < 0 ||
	    spool_file_last_id(spool->file, &spool->last_id) < 0) {
		*error_r = text_copy(spool_file_error(spool->file));
		return -1;
	}
	spool_gaps_mark(&spool->gaps, NULL);
	if (seen == 0) {
		log_info("spool %s is new: coverage of all users starts now",
			 spool->path);
		return 0;
	}
	(void)gmtime_r(&seen, &tm);
	(void)strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S UTC", &tm);
	log_info("spool %s: %zu rows wait; what left since %s, when this milter "
		 "was last there, is not logged: coverage of all users starts "
		 "anew", spool->path, spool->queue.waiting, since);
	return 0;
}

static struct spool *spool_new(const struct spool_settings *set)
{
	struct spool *spool = memory_new(sizeof(*spool));
	pthread_condattr_t attributes;

	spool->client = set->client;
	spool->path = text_copy(set->path);
	spool->max_rows = set->max_rows;
	spool->entries_end = &spool->entries;
	spool->written_at = clock_msecs();
	(void)pthread_mutex_init(&spool->file_lock, NULL);
	(void)pthread_mutex_init(&spool->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&spool->written, &attributes);
	(void)pthread_cond_init(&spool->settled, &attributes);
	(void)pthread_cond_init(&spool->work, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return spool;
}

static void spool_free(struct spool *spool)
{
	spool_file_close(&spool->file);
	spool_queue_deinit(&spool->queue);
	spool_gaps_deinit(&spool->gaps);
	for (size_t i = 0; i < spool->leaver_count; i++)
		free(spool->leavers[i].reason);
	free(spool->leavers);
	(void)pthread_cond_destroy(&spool->work);
	(void)pthread_cond_destroy(&spool->settled);
	(void)pthread_cond_destroy(&spool->written);
	(void)pthread_mutex_destroy(&spool->lock);
	(void)pthread_mutex_destroy(&spool->file_lock);
	free(spool->path);
	free(spool);
}

int spool_open(const struct spool_settings *set, struct spool **spool_r,
	       char **error_r)
{
	struct spool *spool = spool_new(set);

	*spool_r = NULL;
	if (spool_file_open(set->path, &spool->file, error_r) < 0 ||
	    take_over(spool, error_r) < 0) {
		spool_free(spool);
		return -1;
	}
	if (!spool_sender_start(spool, set->connections > 0 ?
					       set->connections : 1)) {
		*error_r = text_format("spool %s: can't start threads",
				       set->path);
		spool_free(spool);
		return -1;
	}
	*spool_r = spool;
	return 0;
}

void spool_close(struct spool **_spool)
{
	struct spool *spool = *_spool;

	if (spool == NULL)
		return;
	*_spool = NULL;
	spool_sender_stop(spool);
	(void)pthread_mutex_lock(&spool->lock);
	spool_store_flush(spool);
	(void)pthread_mutex_unlock(&spool->lock);
	spool_free(spool);
}

/* Adding */

/* With spool->lock held. */
static void mark_gap(struct spool *spool, const char *user)
{
	spool_gaps_mark(&spool->gaps, user);
	(void)pthread_cond_signal(&spool->work);
}

void spool_mark_gap(struct spool *spool, const char *user)
{
	if (!spool_row_user_is_valid(user))
		return;
	(void)pthread_mutex_lock(&spool->lock);
	mark_gap(spool, user);
	(void)pthread_mutex_unlock(&spool->lock);
}

/* With spool->lock held. Returns 0, or 1 and a malloced error. */
static int add_entry(struct spool *spool, struct spool_entry *entry,
		     char **error_r)
{
	if (spool->queue.waiting + spool->entry_count >= spool->max_rows) {
		*error_r = text_format("spool %s is full: %u rows wait for "
				       "Dovecot (spool_max_rows)", spool->path,
				       spool->max_rows);
	} else {
		spool_store_add(spool, entry);
		if (entry->ret == 0)
			return 0;
		*error_r = entry->error;
	}
	mark_gap(spool, entry->user);
	return 1;
}

int spool_add(struct spool *spool, const struct sent_message *message,
	      int64_t *id_r, char **error_r)
{
	struct spool_entry entry = { .user = message->user };
	char *arguments;
	int ret;

	*id_r = 0;
	if (!spool_row_user_is_valid(message->user)) {
		*error_r = text_format("user '%.64s': Dovecot can't have such a "
				       "user", message->user);
		return -1;
	}
	arguments = spool_row_arguments(message);
	if (arguments == NULL)
		return 0;
	entry.arguments = arguments;
	(void)pthread_mutex_lock(&spool->lock);
	ret = add_entry(spool, &entry, error_r);
	(void)pthread_mutex_unlock(&spool->lock);
	free(arguments);
	*id_r = entry.id;
	return ret;
}

bool spool_wait(struct spool *spool, int64_t id, unsigned int msecs)
{
	int64_t deadline = clock_msecs() + msecs;
	bool settled;

	(void)pthread_mutex_lock(&spool->lock);
	/* While Dovecot is away nobody waits for it, nor for the next try. */
	while (spool_queue_has(&spool->queue, id) && !spool->stopping &&
	       !spool->away && clock_msecs() < deadline &&
	       spool->paused_until < deadline)
		spool_sleep(spool, &spool->settled, deadline);
	settled = !spool_queue_has(&spool->queue, id);
	(void)pthread_mutex_unlock(&spool->lock);
	return settled;
}
