/* Gaps that Dovecot has to be told of. */

#include "spool-gaps.h"
#include "spool-queue.h"
#include "milter/text.h"

#include <stdlib.h>
#include <string.h>

static void take_out(struct spool_gaps *gaps, struct spool_gap *gap)
{
	struct spool_gap **link = &gaps->first;

	while (*link != gap)
		link = &(*link)->next;
	*link = gap->next;
	gaps->count--;
	free(gap->user);
	free(gap);
}

void spool_gaps_deinit(struct spool_gaps *gaps)
{
	while (gaps->first != NULL)
		take_out(gaps, gaps->first);
}

static struct spool_gap *find_gap(struct spool_gaps *gaps, const char *user)
{
	for (struct spool_gap *gap = gaps->first; gap != NULL; gap = gap->next) {
		if (gap->user == NULL ? user == NULL :
		    user != NULL && strcmp(gap->user, user) == 0)
			return gap;
	}
	return NULL;
}

/* They are told with all others. */
static void forget_users(struct spool_gaps *gaps)
{
	struct spool_gap *next;

	for (struct spool_gap *gap = gaps->first; gap != NULL; gap = next) {
		next = gap->next;
		if (gap->user != NULL && !gap->sending)
			take_out(gaps, gap);
	}
}

void spool_gaps_mark(struct spool_gaps *gaps, const char *user)
{
	struct spool_gap *gap = find_gap(gaps, NULL);

	/* for all, it will be told later than now */
	if (gap != NULL && !gap->sending) {
		gap->until = 0;
		return;
	}
	if (gaps->count >= SPOOL_GAPS_MAX_USERS)
		user = NULL;
	gap = find_gap(gaps, user);
	if (gap != NULL) {
		gap->again = gap->sending;
		gap->until = gap->sending ? gap->until : 0;
		return;
	}
	if (user == NULL)
		forget_users(gaps);
	gap = memory_new(sizeof(*gap));
	gap->user = user != NULL ? text_copy(user) : NULL;
	gap->next = gaps->first;
	gaps->first = gap;
	gaps->count++;
}

struct spool_gap *spool_gaps_take(struct spool_gaps *gaps, int64_t now,
				  int64_t *next_r)
{
	for (struct spool_gap *gap = gaps->first; gap != NULL; gap = gap->next) {
		if (gap->sending)
			continue;
		if (gap->not_before <= now) {
			gap->sending = true;
			return gap;
		}
		if (gap->not_before < *next_r)
			*next_r = gap->not_before;
	}
	return NULL;
}

void spool_gaps_put_back(struct spool_gap *gap)
{
	if (gap->again)
		gap->until = 0;
	gap->sending = gap->again = false;
}

void spool_gaps_done(struct spool_gaps *gaps, struct spool_gap *gap)
{
	bool again = gap->again;

	spool_gaps_put_back(gap);
	gap->failures = gap->refusals = 0;
	if (!again)
		take_out(gaps, gap);
}

void spool_gaps_refused(struct spool_gap *gap, int64_t now)
{
	spool_gaps_put_back(gap);
	gap->refusals++;
	gap->not_before = now + spool_queue_pause(gap->refusals);
}

void spool_gaps_retry(struct spool_gap *gap, int64_t now)
{
	spool_gaps_put_back(gap);
	gap->not_before = now + (gap->user != NULL ?
		spool_queue_pause(gap->failures + 1) :
		SPOOL_GAPS_ALL_PAUSE_MSECS <<
			(gap->failures < SPOOL_GAPS_ALL_DOUBLINGS ?
				 gap->failures : SPOOL_GAPS_ALL_DOUBLINGS));
	gap->failures++;
}
