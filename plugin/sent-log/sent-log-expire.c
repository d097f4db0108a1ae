/* Removes what is older than the retention, in steps too small to be noticed. A
   message with many recipients goes in several. */

#include "sent-log-private.h"

#define DELETER_TABLES 3

/* Rows that belong to one that is old: found one by one, and removed together, the
   one that is found last. */
struct deleter {
	enum store_operation find;
	enum store_operation delete[DELETER_TABLES];
	unsigned int count;
};

static const struct deleter message_deleter = {
	.find = STORE_FIND_OLD_MESSAGE,
	.delete = { STORE_DELETE_RECIPIENTS, STORE_DELETE_IDENTITIES,
		    STORE_DELETE_MESSAGE },
	.count = 3,
};

static const struct deleter report_deleter = {
	.find = STORE_FIND_OLD_REMEMBERED,
	.delete = { STORE_DELETE_REMEMBERED_IDENTITIES,
		    STORE_DELETE_REMEMBERED },
	.count = 2,
};

/* Returns the number of rows removed, or -1. */
static int64_t delete_one(struct sent_log *log, const struct deleter *deleter,
			  int64_t id, int64_t max_rows)
{
	int64_t removed = 0;

	for (unsigned int i = 0; i < deleter->count && removed < max_rows;
	     i++) {
		int ret = store_put(log->store, deleter->delete[i],
				    store_number(id),
				    store_number(max_rows - removed));

		if (ret < 0)
			return -1;
		removed += ret;
	}
	return removed;
}

/* The same for all that were of use until before. */
static int64_t delete_old(struct sent_log *log, const struct deleter *deleter,
			  int64_t before, int64_t max_rows)
{
	int64_t id, count, removed = 0;

	while (removed < max_rows) {
		int ret = store_get_number(log->store, deleter->find, &id,
					   store_number(before));

		if (ret <= 0)
			return ret < 0 ? -1 : removed;
		count = delete_one(log, deleter, id, max_rows - removed);
		if (count < 0)
			return -1;
		removed += count;
	}
	return removed;
}

int64_t sent_log_delete_report(struct sent_log *log, int64_t id)
{
	return delete_one(log, &report_deleter, id, INT64_MAX);
}

int sent_log_expire_counts(struct sent_log *log)
{
	return store_put(log->store, STORE_DELETE_OLD_REPORTS,
			 store_number(sent_log_cutoff(log)));
}

/* The same for what is no message. */
static int64_t expire_others(struct sent_log *log, int64_t max_rows)
{
	int64_t counts, reports;

	/* A few at most, and none that is in use. */
	if (store_put(log->store, STORE_DELETE_OLD_KEYS,
		      store_number(sent_log_cutoff(log))) < 0)
		return -1;
	if (max_rows <= 0)
		return 0;
	counts = sent_log_expire_counts(log);
	if (counts < 0)
		return -1;
	/* each has a time of its own */
	reports = delete_old(log, &report_deleter, log->now,
			     max_rows - counts);
	return reports < 0 ? -1 : counts + reports;
}

int sent_log_expire_step(struct sent_log *log, unsigned int max_rows)
{
	int64_t messages = delete_old(log, &message_deleter,
				      sent_log_cutoff(log), max_rows);
	int64_t others;

	if (messages < 0 ||
	    (messages > 0 && sent_log_raise_coverage(log) < 0))
		return -1;
	others = expire_others(log, max_rows - messages);
	return others < 0 ? -1 : messages + others >= (int64_t)max_rows;
}
