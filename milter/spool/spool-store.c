/* Rows into the spool's file and out of it: one transaction for all that came while the last
   one was written to the disk. */

#include "spool-private.h"
#include "milter/clock.h"
#include "milter/log.h"
#include "milter/text.h"

#include <stdlib.h>
#include <string.h>

/* Rows that left the file too late are sent again after a crash, which does no harm. */
#define LEAVE_MSECS 1000
#define SIGN_OF_LIFE_MSECS (30 * 1000)

/* What one transaction has to do. */
struct batch {
	struct spool_entry *entries;
	struct spool_leaver *leavers;
	size_t leaver_count;
};

/* The file, with file_lock held */

/* A file that broke under our hands is replaced. Returns 0, or -1 and a malloced error. */
static int replace_file(struct spool *spool, char **error_r)
{
	log_error("%s", spool_file_error(spool->file));
	spool_file_close(&spool->file);
	return spool_file_open(spool->path, &spool->file, error_r);
}

static int write_leavers(struct spool_file *file, const struct batch *batch)
{
	int ret = 0;

	for (size_t i = 0; i < batch->leaver_count && ret == 0; i++) {
		const struct spool_leaver *leaver = &batch->leavers[i];

		ret = leaver->reason == NULL ?
			      spool_file_delete(file, leaver->id) :
			      spool_file_set_aside(file, leaver->id,
						   leaver->reason);
	}
	return ret;
}

static int write_batch(struct spool_file *file, const struct batch *batch)
{
	if (spool_file_begin(file) < 0 || write_leavers(file, batch) < 0)
		return -1;
	for (struct spool_entry *entry = batch->entries; entry != NULL;
	     entry = entry->next) {
		if (spool_file_insert(file, entry->id, entry->user,
				      entry->arguments) < 0)
			return -1;
	}
	return spool_file_commit(file, time(NULL));
}

/* Returns 0, or -1 and a malloced error. *replaced_r: it is another file now, and empty but
   for this batch. */
static int write_or_replace(struct spool *spool, const struct batch *batch,
			    bool *replaced_r, char **error_r)
{
	int ret;

	*replaced_r = false;
	if (spool->file == NULL &&
	    spool_file_open(spool->path, &spool->file, error_r) < 0)
		return -1;
	/* it may have broken while it was read */
	ret = spool_file_is_broken(spool->file) ?
		      -1 : write_batch(spool->file, batch);
	if (ret < 0 && spool_file_is_broken(spool->file)) {
		*replaced_r = true;
		if (replace_file(spool, error_r) < 0)
			return -1;
		ret = write_batch(spool->file, batch);
	}
	if (ret < 0)
		*error_r = text_copy(spool_file_error(spool->file));
	return ret;
}

int spool_store_get(struct spool *spool, int64_t id, char **user_r,
		    char **arguments_r)
{
	int ret = -1;

	(void)pthread_mutex_lock(&spool->file_lock);
	/* one that broke is replaced by who writes next */
	if (spool->file != NULL && !spool_file_is_broken(spool->file))
		ret = spool_file_get(spool->file, id, user_r, arguments_r);
	(void)pthread_mutex_unlock(&spool->file_lock);
	return ret;
}

/* Batches, with lock held */

static struct batch batch_begin(struct spool *spool)
{
	const struct batch batch = {
		.entries = spool->entries,
		.leavers = spool->leavers,
		.leaver_count = spool->leaver_count,
	};

	spool->entries = NULL;
	spool->entries_end = &spool->entries;
	spool->leavers = NULL;
	spool->leaver_count = spool->leavers_allocated = 0;
	spool->writing = true;
	return batch;
}

static void entry_end(struct spool *spool, struct spool_entry *entry, int ret,
		      const char *error)
{
	entry->ret = ret;
	entry->written = true;
	spool->entry_count--;
	if (ret == 0)
		spool_queue_add(&spool->queue, entry->id, spool_hash_user(entry->user));
	else
		entry->error = text_copy(error);
}

static void keep_leavers(struct spool *spool, struct batch *batch)
{
	for (size_t i = 0; i < batch->leaver_count; i++) {
		spool_store_leave(spool, batch->leavers[i].id,
				  batch->leavers[i].reason);
	}
}

static void batch_end(struct spool *spool, struct batch *batch, int ret,
		      bool replaced, const char *error)
{
	struct spool_entry *next;

	if (replaced) {
		/* what it still had to send is lost */
		spool_queue_settle_all(&spool->queue);
		spool_gaps_mark(&spool->gaps, NULL);
		(void)pthread_cond_broadcast(&spool->settled);
	} else if (ret < 0)
		keep_leavers(spool, batch);
	for (size_t i = 0; i < batch->leaver_count; i++)
		free(batch->leavers[i].reason);
	free(batch->leavers);
	for (struct spool_entry *entry = batch->entries; entry != NULL;
	     entry = next) {
		/* it belongs to a thread that may go on now */
		next = entry->next;
		entry_end(spool, entry, ret, error);
	}
	spool->written_at = clock_msecs();
	spool->writing = false;
	(void)pthread_cond_broadcast(&spool->written);
	(void)pthread_cond_broadcast(&spool->work);
}

static void write_all(struct spool *spool)
{
	struct batch batch = batch_begin(spool);
	unsigned int left_out;
	char *error = NULL;
	bool replaced;
	int ret;

	(void)pthread_mutex_unlock(&spool->lock);
	(void)pthread_mutex_lock(&spool->file_lock);
	ret = write_or_replace(spool, &batch, &replaced, &error);
	(void)pthread_mutex_unlock(&spool->file_lock);
	(void)pthread_mutex_lock(&spool->lock);
	batch_end(spool, &batch, ret, replaced, error);
	if (ret < 0 && log_limit_allows(&spool->file_warning, &left_out))
		log_error("%s (%u times before)", error, left_out);
	free(error);
}

void spool_store_add(struct spool *spool, struct spool_entry *entry)
{
	entry->id = ++spool->last_id;
	entry->next = NULL;
	*spool->entries_end = entry;
	spool->entries_end = &entry->next;
	spool->entry_count++;
	while (!entry->written) {
		if (!spool->writing)
			write_all(spool);
		else {
			(void)pthread_cond_wait(&spool->written, &spool->lock);
		}
	}
}

int64_t spool_store_next_flush(const struct spool *spool)
{
	return spool->written_at +
	       (spool->leaver_count > 0 ? LEAVE_MSECS : SIGN_OF_LIFE_MSECS);
}

void spool_store_flush(struct spool *spool)
{
	if (!spool->writing)
		write_all(spool);
}

void spool_store_leave(struct spool *spool, int64_t id, const char *reason)
{
	if (spool->leaver_count == spool->leavers_allocated) {
		spool->leavers_allocated = spool->leavers_allocated * 2 + 64;
		spool->leavers = realloc(spool->leavers,
					 spool->leavers_allocated *
						 sizeof(*spool->leavers));
		if (spool->leavers == NULL)
			abort();
	}
	spool->leavers[spool->leaver_count++] = (struct spool_leaver){
		.id = id,
		.reason = reason != NULL ? text_copy(reason) : NULL,
	};
	(void)pthread_cond_broadcast(&spool->settled);
}
