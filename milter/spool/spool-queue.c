/* Rows that wait, in memory. */

#include "spool-queue.h"

#include <stdlib.h>
#include <string.h>

/* Of settled rows. */
#define MAX_LEFT_OVER 256

void spool_queue_deinit(struct spool_queue *queue)
{
	free(queue->rows);
	memset(queue, 0, sizeof(*queue));
}

int64_t spool_queue_pause(unsigned int failures)
{
	int64_t pause = SPOOL_QUEUE_FIRST_PAUSE_MSECS;

	while (failures-- > 1 && pause < SPOOL_QUEUE_MAX_PAUSE_MSECS)
		pause *= 2;
	return pause < SPOOL_QUEUE_MAX_PAUSE_MSECS ?
		       pause : SPOOL_QUEUE_MAX_PAUSE_MSECS;
}

/* Rows */

void spool_queue_add(struct spool_queue *queue, int64_t id, uint64_t user)
{
	if (queue->count == queue->allocated) {
		queue->allocated = queue->allocated > 0 ?
					   queue->allocated * 2 : MAX_LEFT_OVER;
		queue->rows = realloc(queue->rows, queue->allocated *
							   sizeof(*queue->rows));
		if (queue->rows == NULL)
			abort();
	}
	queue->rows[queue->count++] = (struct spool_row){
		.id = id, .user = user,
	};
	queue->waiting++;
}

static int compare_ids(const void *id, const void *row)
{
	const int64_t wanted = *(const int64_t *)id;
	const int64_t found = ((const struct spool_row *)row)->id;

	return wanted < found ? -1 : wanted > found;
}

/* Returns NULL if it is settled. */
static struct spool_row *find_row(const struct spool_queue *queue, int64_t id)
{
	struct spool_row *row = queue->count == 0 ? NULL :
		bsearch(&id, queue->rows, queue->count, sizeof(*queue->rows),
			compare_ids);

	return row == NULL || row->settled ? NULL : row;
}

bool spool_queue_has(const struct spool_queue *queue, int64_t id)
{
	return find_row(queue, id) != NULL;
}

static void take_out_settled(struct spool_queue *queue)
{
	size_t kept = 0;

	if (queue->count - queue->waiting <= queue->waiting + MAX_LEFT_OVER)
		return;
	for (size_t i = 0; i < queue->count; i++) {
		if (!queue->rows[i].settled)
			queue->rows[kept++] = queue->rows[i];
	}
	queue->count = kept;
}

static unsigned short *busy_of(struct spool_queue *queue, uint64_t user)
{
	return &queue->busy[user % SPOOL_QUEUE_BUCKETS];
}

static struct spool_hold *find_hold(struct spool_queue *queue, uint64_t user)
{
	for (size_t i = 0; i < queue->hold_count; i++) {
		if (queue->holds[i].user == user)
			return &queue->holds[i];
	}
	return NULL;
}

/* It isn't under way any more. Returns NULL if it is settled. */
static struct spool_row *come_back(struct spool_queue *queue, int64_t id)
{
	struct spool_row *row = find_row(queue, id);

	if (row != NULL && row->sending) {
		row->sending = false;
		queue->sending--;
		(*busy_of(queue, row->user))--;
	}
	return row;
}

/* Users whose logs can't be written now */

void spool_queue_hold(struct spool_queue *queue, int64_t id, int64_t now)
{
	struct spool_row *row = come_back(queue, id);
	struct spool_hold *hold;

	if (row == NULL)
		return;
	row->failures++;
	row->not_before = now + spool_queue_pause(row->failures);
	hold = find_hold(queue, row->user);
	if (hold == NULL && queue->hold_count < SPOOL_QUEUE_MAX_HOLDS) {
		hold = &queue->holds[queue->hold_count++];
		*hold = (struct spool_hold){ .user = row->user };
	}
	/* several of a batch are one failure */
	if (hold == NULL || hold->until > now)
		return;
	hold->failures++;
	hold->until = now + spool_queue_pause(hold->failures);
}

static void release_hold(struct spool_queue *queue, uint64_t user)
{
	struct spool_hold *hold = find_hold(queue, user);

	if (hold != NULL)
		*hold = queue->holds[--queue->hold_count];
}

/* What became of them */

static void settle(struct spool_queue *queue, struct spool_row *row)
{
	row->settled = true;
	queue->waiting--;
	/* row may be another one afterwards */
	take_out_settled(queue);
}

void spool_queue_settle(struct spool_queue *queue, int64_t id)
{
	struct spool_row *row = come_back(queue, id);

	if (row == NULL)
		return;
	/* whatever became of it: it may be his last one, and others need the place */
	release_hold(queue, row->user);
	settle(queue, row);
}

void spool_queue_settle_all(struct spool_queue *queue)
{
	queue->count = queue->waiting = queue->sending = queue->hold_count = 0;
	memset(queue->busy, 0, sizeof(queue->busy));
}

void spool_queue_done(struct spool_queue *queue, int64_t id)
{
	queue->done++;
	spool_queue_settle(queue, id);
}

void spool_queue_put_back(struct spool_queue *queue, int64_t id)
{
	(void)come_back(queue, id);
}

void spool_queue_suspect(struct spool_queue *queue, int64_t id)
{
	struct spool_row *row = come_back(queue, id);

	if (row != NULL)
		row->alone = true;
}

bool spool_queue_strike(struct spool_queue *queue, int64_t id, int64_t now)
{
	struct spool_row *row = come_back(queue, id);

	if (row == NULL)
		return false;
	/* Where nobody is answered it isn't this row's fault. */
	if (row->strikes == 0 || row->done_then != queue->done)
		row->strikes++;
	row->done_then = queue->done;
	row->failures++;
	row->alone = true;
	row->not_before = now + spool_queue_pause(row->failures);
	return row->strikes >= SPOOL_QUEUE_MAX_STRIKES;
}

/* Taking */

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* When it may be sent. */
static int64_t row_due(struct spool_queue *queue, const struct spool_row *row)
{
	const struct spool_hold *hold = find_hold(queue, row->user);

	if (row->settled || *busy_of(queue, row->user) > 0)
		return SPOOL_QUEUE_NEVER;
	return hold == NULL ? row->not_before :
			      later(row->not_before, hold->until);
}

/* So many are sent at once that all threads together send all that wait. */
static size_t share_of(const struct spool_queue *queue, unsigned int threads)
{
	size_t share = (queue->waiting - queue->sending + threads - 1) / threads;

	return share < SPOOL_QUEUE_MAX_SHARE ? share : SPOOL_QUEUE_MAX_SHARE;
}

static bool goes_alone(struct spool_queue *queue, const struct spool_row *row)
{
	/* one tries for all of a user */
	return row->alone || find_hold(queue, row->user) != NULL;
}

static void send_row(struct spool_queue *queue, struct spool_row *row)
{
	row->sending = true;
	queue->sending++;
	(*busy_of(queue, row->user))++;
}

size_t spool_queue_take(struct spool_queue *queue, int64_t now,
			unsigned int threads,
			int64_t ids_r[SPOOL_QUEUE_MAX_SHARE], int64_t *next_r)
{
	size_t share = share_of(queue, threads), count = 0;
	struct spool_row *taken[SPOOL_QUEUE_MAX_SHARE];
	bool alone = false;

	*next_r = SPOOL_QUEUE_NEVER;
	for (size_t i = 0; i < queue->count && count < share && !alone; i++) {
		struct spool_row *row = &queue->rows[i];
		int64_t due = row_due(queue, row);

		if (due > now) {
			if (due < *next_r)
				*next_r = due;
			continue;
		}
		alone = goes_alone(queue, row);
		if (alone && count > 0) {
			alone = false;
			continue;
		}
		taken[count++] = row;
	}
	for (size_t i = 0; i < count; i++) {
		send_row(queue, taken[i]);
		ids_r[i] = taken[i]->id;
	}
	return count;
}
