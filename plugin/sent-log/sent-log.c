/* The sent log's life, and the calls that concern all of it. */

#include "sent-log-private.h"

#include <stdlib.h>
#include <string.h>

struct sent_log *sent_log_init(const struct sent_log_settings *set)
{
	struct sent_log *log = store_alloc(sizeof(*log));
	const struct store_settings store_set = {
		.path = log->path = store_format("%s", set->path),
		.network_filesystem = set->network_filesystem,
		.deadline_msecs = set->deadline_msecs,
		.notice = set->notice,
		.notice_context = set->notice_context,
		.listed_sources = set->listed_sources,
		.created_cause = SENT_LOG_COVERAGE_CREATED,
		.corrupt_cause = SENT_LOG_COVERAGE_CORRUPT,
	};

	log->set = *set;
	log->set.path = log->path;
	if (set->owner_hint != NULL)
		log->owner_hint = store_format("%s", set->owner_hint);
	log->set.owner_hint = log->owner_hint;
	log->store = store_init(&store_set);
	return log;
}

void sent_log_deinit(struct sent_log **_log)
{
	struct sent_log *log = *_log;

	if (log == NULL)
		return;
	*_log = NULL;

	store_deinit(&log->store);
	sent_log_hash_deinit(log);
	explicit_bzero(log->key, sizeof(log->key));
	free(log->path);
	free(log->owner_hint);
	free(log->gap_obstacle);
	free(log);
}

void sent_log_begin(struct sent_log *log)
{
	store_begin_anew(log->store);
}

static int open_for_writing(struct sent_log *log)
{
	if (sent_log_write_begin(log) < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

void sent_log_load_libraries(void)
{
	(void)store_load();
	(void)hmac_load();
}

int sent_log_open(struct sent_log *log, time_t now, const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, open_for_writing(log), error_r);
}

int sent_log_read_begin(struct sent_log *log, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, 0);
	ret = sent_log_file_open(log);
	if (ret == 0)
		ret = store_read_begin(log->store);
	return sent_log_call_end(log, ret < 0 ? -1 : 1, error_r);
}

void sent_log_read_end(struct sent_log *log)
{
	store_read_end(log->store);
}

int sent_log_is_unchanged(struct sent_log *log, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, 0);
	ret = sent_log_file_open(log);
	if (ret == 0)
		ret = store_is_unchanged(log->store);
	/* set without the file: coverage ends with it */
	if (ret > 0 && store_mark_exists(log->store))
		ret = 0;
	return sent_log_call_end(log, ret, error_r);
}

static int adopt_owner(struct sent_log *log)
{
	/* the owner was asked for when it was opened */
	store_close(log->store);
	log->adopting = true;
	if (sent_log_write_begin(log) < 0 || sent_log_write_owner(log) < 0 ||
	    sent_log_break_coverage(log, SENT_LOG_COVERAGE_RESTARTED) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_adopt_owner(struct sent_log *log, time_t now, const char **error_r)
{
	int ret;

	sent_log_call_begin(log, now);
	ret = adopt_owner(log);
	log->adopting = false;
	return sent_log_call_end(log, ret, error_r);
}

int sent_log_mark_gap(struct sent_log *log, const char **error_r)
{
	int ret = store_mark_set(log->store);

	if (ret < 0)
		*error_r = store_error(log->store);
	return ret;
}

int sent_log_look_beside(struct sent_log *log, const char *suffix,
			 const char **error_r)
{
	int ret = store_look_beside(log->store, suffix);

	if (ret < 0)
		*error_r = store_error(log->store);
	return ret;
}
