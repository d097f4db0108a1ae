/* The threads that send rows and gaps to Dovecot, and what becomes of each by its answer. */

#include "spool-private.h"
#include "milter/clock.h"
#include "milter/log.h"
#include "spool-row.h"
#include "milter/text.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* For one row. Dovecot waits some seconds for a lock, for each row. */
#define ROW_TIMEOUT_MSECS 15000
#define NEXT_ROW_TIMEOUT_MSECS 4000
/* A site's users are gone through one by one. */
#define GAP_TIMEOUT_MSECS 30000
#define ALL_GAPS_TIMEOUT_MSECS (10 * 60 * 1000)
/* Of the rows that are sent at once. */
#define MAX_BATCH_SIZE (256 * 1024)

/* While Dovecot doesn't answer: at first, and at most. Each try that it doesn't allow is an
   error in its log. */
#define FIRST_PAUSE_MSECS 250
#define MAX_PAUSE_MSECS 2000
#define MAX_PAUSE_NOT_ALLOWED_MSECS 30000

/* What a thread sends: a gap, or rows. */
struct job {
	struct spool *spool;
	struct spool_gap *gap;
	int64_t ids[SPOOL_QUEUE_MAX_SHARE];
	/* malloced */
	char *users[SPOOL_QUEUE_MAX_SHARE];
	struct doveadm_command commands[SPOOL_QUEUE_MAX_SHARE];
	struct doveadm_call call;
	/* of ids that were taken; call.count of them are sent */
	size_t count;
};

/* Pauses, with spool->lock held */

static void pause_all(struct spool *spool, int64_t max_msecs)
{
	int64_t now = clock_msecs(), pause = FIRST_PAUSE_MSECS;

	/* of several threads one counts */
	if (spool->paused_until > now)
		return;
	for (unsigned int i = 0; i < spool->failures && pause < max_msecs; i++)
		pause *= 2;
	spool->paused_until = now + (pause < max_msecs ? pause : max_msecs);
	spool->failures++;
	/* nobody waits for it */
	(void)pthread_cond_broadcast(&spool->settled);
}

static void answered(struct spool *spool)
{
	spool->failures = 0;
	spool->paused_until = 0;
	spool->away = false;
}

/* Did Dovecot look at what it was asked? */
static bool is_answer(enum doveadm_result result)
{
	return result != DOVEADM_NOT_UNDERSTOOD &&
	       result != DOVEADM_NOT_ALLOWED &&
	       result != DOVEADM_NO_CONNECTION && result != DOVEADM_NO_TURN &&
	       result != DOVEADM_NO_ANSWER;
}

/* It didn't: others aren't sent either for a moment. */
static void pause_after(struct spool *spool, enum doveadm_result result)
{
	spool->away = result == DOVEADM_NO_CONNECTION ||
		result == DOVEADM_NOT_ALLOWED;
	pause_all(spool, result == DOVEADM_NOT_ALLOWED ?
				 MAX_PAUSE_NOT_ALLOWED_MSECS :
				 MAX_PAUSE_MSECS);
}

static void pause_or_go_on(struct spool *spool, enum doveadm_result result)
{
	if (is_answer(result))
		answered(spool);
	else if (result != DOVEADM_NO_TURN)
		pause_after(spool, result);
}

/* Log lines: made with spool->lock held, written without it */

/* Of this command: the call's may be about another one. */
static const char *why(const struct job *job, size_t i)
{
	if (job->commands[i].error_r[0] != '\0')
		return job->commands[i].error_r;
	return job->call.error_r != NULL ? job->call.error_r : "no answer";
}

static char *warning(struct spool *spool, const struct job *job, size_t i,
		     const char *user)
{
	const enum doveadm_result result = job->commands[i].result_r;
	unsigned int left_out;
	char *line, *more;

	if (spool->stopping ||
	    !log_limit_allows(&spool->warnings[result], &left_out))
		return NULL;
	more = left_out > 0 ? text_format(", and %u others", left_out) :
			      text_copy("");
	if (result == DOVEADM_UNKNOWN_USER) {
		line = text_format("%s of user %s dropped%s: Dovecot has no such "
				   "user", job->gap != NULL ? "gap" : "row", user,
				   more);
	} else {
		line = text_format("%s of user %s not taken yet%s: %s; %zu rows "
				   "wait in %s",
				   job->gap != NULL ? "gap" : "row", user, more,
				   why(job, i), spool->queue.waiting, spool->path);
	}
	free(more);
	return line;
}

/* Rows */

/* user: NULL = nobody knows whose log isn't complete now */
static void lose_row(struct spool *spool, int64_t id, const char *user,
		     const char *reason)
{
	spool_queue_settle(&spool->queue, id);
	spool_store_leave(spool, id, reason);
	spool_gaps_mark(&spool->gaps, user);
}

static char *set_aside(struct job *job, size_t i)
{
	struct spool *spool = job->spool;
	const char *reason = why(job, i);

	lose_row(spool, job->ids[i], job->users[i], reason);
	return text_format("row %lld of user %s set aside in %s: Dovecot will "
			   "never take it (%s): his coverage starts anew",
			   (long long)job->ids[i], job->users[i], spool->path,
			   reason);
}

/* A row that is at fault, unless others fare no better. */
static char *strike(struct job *job, size_t i, bool *given_up_r)
{
	struct spool *spool = job->spool;

	*given_up_r = spool_queue_strike(&spool->queue, job->ids[i],
					 clock_msecs());
	return *given_up_r ? set_aside(job, i) :
			     warning(spool, job, i, job->users[i]);
}

/* Returns a line for the log, malloced, or NULL. */
static char *sort_row(struct job *job, size_t i, bool *is_error_r)
{
	const enum doveadm_result result = job->commands[i].result_r;
	struct spool *spool = job->spool;
	const int64_t id = job->ids[i];

	*is_error_r = result == DOVEADM_REFUSED;
	pause_or_go_on(spool, result);
	switch (result) {
	case DOVEADM_DONE:
		spool_queue_done(&spool->queue, id);
		spool_store_leave(spool, id, NULL);
		return NULL;
	case DOVEADM_UNKNOWN_USER:
		spool_queue_settle(&spool->queue, id);
		spool_store_leave(spool, id, NULL);
		break;
	case DOVEADM_REFUSED:
		return set_aside(job, i);
	case DOVEADM_WRONG_ARGUMENT:
		return strike(job, i, is_error_r);
	case DOVEADM_NOT_UNDERSTOOD:
	case DOVEADM_NO_ANSWER:
		if (job->call.count == 1)
			return strike(job, i, is_error_r);
		/* another one of the call may be at fault */
		spool_queue_suspect(&spool->queue, id);
		return NULL;
	case DOVEADM_NOT_ALLOWED:
	case DOVEADM_NO_CONNECTION:
	case DOVEADM_NO_TURN:
		spool_queue_put_back(&spool->queue, id);
		break;
	case DOVEADM_LATER:
	default:
		spool_queue_hold(&spool->queue, id, clock_msecs());
		break;
	}
	return warning(spool, job, i, job->users[i]);
}

/* Gaps */

static char *sort_gap(struct job *job)
{
	const enum doveadm_result result = job->commands[0].result_r;
	const char *user = job->gap->user != NULL ? job->users[0] : "(all)";
	struct spool *spool = job->spool;

	if (is_answer(result))
		answered(spool);
	switch (result) {
	case DOVEADM_DONE:
	case DOVEADM_UNKNOWN_USER:
		spool_gaps_done(&spool->gaps, job->gap);
		break;
	case DOVEADM_NO_CONNECTION:
		pause_after(spool, result);
		spool_gaps_put_back(job->gap);
		break;
	case DOVEADM_NO_TURN:
		spool_gaps_put_back(job->gap);
		break;
	case DOVEADM_NOT_ALLOWED:
	case DOVEADM_NOT_UNDERSTOOD:
		/* perhaps only this command: rows go on */
		spool_gaps_refused(job->gap, clock_msecs());
		break;
	case DOVEADM_NO_ANSWER:
		pause_all(spool, MAX_PAUSE_MSECS);
		spool_gaps_retry(job->gap, clock_msecs());
		break;
	default:
		/* It tried, or may have. Where neither log nor mark could be written, perhaps
		   the disk is full, and deliveries go on convicting until one can. */
		spool_gaps_retry(job->gap, clock_msecs());
		break;
	}
	return result == DOVEADM_DONE ? NULL :
					warning(spool, job, 0, user);
}

/* Jobs */

static void add_command(struct job *job, const char *name, char *user,
			struct json_object *arguments)
{
	size_t i = job->call.count++;

	job->users[i] = user;
	job->commands[i].name = name;
	job->commands[i].arguments = arguments;
}

/* What it said is lost: somebody has changed it, or the disk has. */
static void set_aside_unreadable(struct spool *spool, int64_t id,
				 const char *user)
{
	bool known = spool_row_user_is_valid(user);

	(void)pthread_mutex_lock(&spool->lock);
	lose_row(spool, id, known ? user : NULL, "not JSON");
	(void)pthread_mutex_unlock(&spool->lock);
	log_error("row %lld of user %s set aside in %s: it can't be read any "
		  "more (not JSON): %s coverage starts anew", (long long)id,
		  known ? user : "(unknown)", spool->path,
		  known ? "his" : "everybody's");
}

static void forget_row(struct spool *spool, int64_t id)
{
	(void)pthread_mutex_lock(&spool->lock);
	spool_queue_settle(&spool->queue, id);
	spool_store_leave(spool, id, NULL);
	(void)pthread_mutex_unlock(&spool->lock);
}

/* Returns its size; 0 if there is nothing to send; -1 if it can't be read now. */
static ssize_t load_row(struct job *job, int64_t id)
{
	struct json_object *parsed = NULL;
	char *user, *arguments;
	size_t size = 0;
	int ret = spool_store_get(job->spool, id, &user, &arguments);

	if (ret == 0)
		forget_row(job->spool, id);
	if (ret <= 0)
		return ret;
	parsed = spool_row_parse(arguments);
	if (parsed == NULL) {
		set_aside_unreadable(job->spool, id, user);
		free(user);
	} else {
		size = strlen(arguments);
		job->ids[job->call.count] = id;
		add_command(job, "backscatterSentAdd", user, parsed);
	}
	free(arguments);
	return (ssize_t)size;
}

/* The rows themselves, as far as there is room in one call. */
static void load_rows(struct job *job)
{
	struct spool *spool = job->spool;
	int64_t ids[SPOOL_QUEUE_MAX_SHARE];
	size_t total = 0, i;
	ssize_t size;

	memcpy(ids, job->ids, job->count * sizeof(*ids));
	for (i = 0; i < job->count && total < MAX_BATCH_SIZE; i++) {
		size = load_row(job, ids[i]);
		if (size < 0)
			break;
		total += (size_t)size;
	}
	(void)pthread_mutex_lock(&spool->lock);
	if (i < job->count && total < MAX_BATCH_SIZE) {
		/* the file can't be read: a write finds out, and replaces it */
		pause_all(spool, MAX_PAUSE_MSECS);
		spool_store_flush(spool);
	}
	for (; i < job->count; i++)
		spool_queue_put_back(&spool->queue, ids[i]);
	(void)pthread_mutex_unlock(&spool->lock);
}

static void load(struct job *job)
{
	if (job->gap == NULL) {
		load_rows(job);
		job->call.timeout_msecs =
			ROW_TIMEOUT_MSECS + NEXT_ROW_TIMEOUT_MSECS *
						    (unsigned int)job->count;
		return;
	}
	if (job->gap->until == 0)
		job->gap->until = time(NULL);
	add_command(job, "backscatterSentGap",
		    job->gap->user != NULL ? text_copy(job->gap->user) : NULL,
		    spool_row_gap_arguments(job->gap->user, job->gap->until));
	job->call.timeout_msecs = job->gap->user != NULL ?
					  GAP_TIMEOUT_MSECS :
					  ALL_GAPS_TIMEOUT_MSECS;
}

static void sort_answers(struct job *job)
{
	struct spool *spool = job->spool;

	for (size_t i = 0; i < job->call.count; i++) {
		bool is_error = false;
		char *line;

		(void)pthread_mutex_lock(&spool->lock);
		line = job->gap != NULL ? sort_gap(job) :
					  sort_row(job, i, &is_error);
		(void)pthread_mutex_unlock(&spool->lock);
		if (line != NULL && is_error)
			log_error("%s", line);
		else if (line != NULL)
			log_warning("%s", line);
		free(line);
	}
}

static void job_run(struct job *job)
{
	job->call.commands = job->commands;
	load(job);
	if (job->call.count > 0)
		doveadm_client_ask(job->spool->client, &job->call);
	sort_answers(job);
	doveadm_call_clear(&job->call);
	for (size_t i = 0; i < job->call.count; i++) {
		json_object_put(job->commands[i].arguments);
		free(job->users[i]);
	}
}

/* With spool->lock held. Returns false if there is nothing to send before *next_r. */
static bool job_take(struct job *job, int64_t *next_r)
{
	struct spool *spool = job->spool;
	int64_t now = clock_msecs(), next_gap = SPOOL_QUEUE_NEVER;

	*next_r = spool->paused_until;
	if (now < spool->paused_until)
		return false;
	job->gap = spool_gaps_take(&spool->gaps, now, &next_gap);
	if (job->gap != NULL)
		return true;
	job->count = spool_queue_take(&spool->queue, now, spool->thread_count,
				      job->ids, next_r);
	if (next_gap < *next_r)
		*next_r = next_gap;
	return job->count > 0;
}

/* Threads */

static void *sender_main(void *context)
{
	struct spool *spool = context;
	int64_t next, next_flush;

	(void)pthread_mutex_lock(&spool->lock);
	while (!spool->stopping) {
		struct job job = { .spool = spool };

		next_flush = spool_store_next_flush(spool);
		if (clock_msecs() >= next_flush && !spool->writing) {
			spool_store_flush(spool);
		} else if (job_take(&job, &next)) {
			(void)pthread_mutex_unlock(&spool->lock);
			job_run(&job);
			(void)pthread_mutex_lock(&spool->lock);
			/* others of these users may go now */
			if (spool->queue.waiting > spool->queue.sending)
				(void)pthread_cond_broadcast(&spool->work);
		} else {
			spool_sleep(spool, &spool->work,
				    next < next_flush ? next : next_flush);
		}
	}
	(void)pthread_mutex_unlock(&spool->lock);
	return NULL;
}

bool spool_sender_start(struct spool *spool, unsigned int threads)
{
	spool->threads = memory_new(threads * sizeof(*spool->threads));
	(void)pthread_mutex_lock(&spool->lock);
	while (spool->thread_count < threads &&
	       pthread_create(&spool->threads[spool->thread_count], NULL,
			      sender_main, spool) == 0)
		spool->thread_count++;
	(void)pthread_mutex_unlock(&spool->lock);
	return spool->thread_count > 0;
}

void spool_sender_stop(struct spool *spool)
{
	(void)pthread_mutex_lock(&spool->lock);
	spool->stopping = true;
	(void)pthread_cond_broadcast(&spool->work);
	(void)pthread_cond_broadcast(&spool->settled);
	(void)pthread_mutex_unlock(&spool->lock);
	doveadm_client_stop(spool->client);
	for (unsigned int i = 0; i < spool->thread_count; i++)
		(void)pthread_join(spool->threads[i], NULL);
	free(spool->threads);
	spool->threads = NULL;
	spool->thread_count = 0;
}
