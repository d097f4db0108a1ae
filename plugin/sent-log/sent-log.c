/* The sent log's life, and the frame around each call of its interface. What the
   calls do stands in the files beside this one. */

#include "sent-log-private.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct sent_log *sent_log_init(const struct sent_log_settings *set)
{
	struct sent_log *log = sent_log_alloc(sizeof(*log));

	log->set = *set;
	sent_log_schema_init(log);
	log->path = sent_log_format("%s", set->path);
	log->set.path = log->path;
	if (set->owner_hint != NULL)
		log->owner_hint = sent_log_format("%s", set->owner_hint);
	log->set.owner_hint = log->owner_hint;
	log->lock_path = sent_log_format("%s.lock", log->path);
	log->gap_path = sent_log_format("%s.gap", log->path);
	log->gap_taken_path = sent_log_format("%s.gap-taken", log->path);
	return log;
}

void sent_log_deinit(struct sent_log **_log)
{
	struct sent_log *log = *_log;

	if (log == NULL)
		return;
	*_log = NULL;

	sent_log_file_close(log);
	OPENSSL_cleanse(log->key, sizeof(log->key));
	free(log->path);
	free(log->owner_hint);
	free(log->real_path);
	free(log->folder);
	free(log->lock_path);
	free(log->gap_path);
	free(log->gap_taken_path);
	free(log->gap_obstacle);
	free(log->error);
	free(log);
}

void sent_log_call_begin(struct sent_log *log, time_t now)
{
	log->now = now != 0 ? now : time(NULL);
	log->corrupt = false;
	log->gap_taken = false;
	log->clock_notice = NULL;
	sent_log_call_start(log);
}

void sent_log_begin(struct sent_log *log)
{
	log->used_msecs = 0;
}

static void clean_up(struct sent_log *log)
{
	if (log->db != NULL) {
		sent_log_statements_reset(log);
		if (sqlite3_get_autocommit(log->db) == 0) {
			(void)sqlite3_exec(log->db, "ROLLBACK", NULL, NULL,
					   NULL);
		}
	}
	if (log->corrupt) {
		sent_log_file_close(log);
		sent_log_replace_corrupt(log);
	}
}

int sent_log_call_end(struct sent_log *log, int ret, const char **error_r)
{
	if (ret < 0) {
		clean_up(log);
		*error_r = log->error;
	}
	sent_log_call_stop(log);
	return ret;
}

int64_t sent_log_cutoff(const struct sent_log *log)
{
	return (int64_t)log->now - (int64_t)log->set.retention_secs;
}

static int open_for_writing(struct sent_log *log)
{
	if (sent_log_write_begin(log) < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_open(struct sent_log *log, time_t now, const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, open_for_writing(log), error_r);
}
