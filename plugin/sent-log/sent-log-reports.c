/* What the log knows of reports: how often an original was reported on (the replay
   budget's figures; the budget itself is plugin/verdict/'s), and the reports that came
   before their original was logged. Who judges a due one again, and where it is moved
   to, is left to the adapters. */

#include "sent-log-private.h"

#include <stdlib.h>
#include <string.h>

#define MAX_REMEMBERED 1000

/* Counting */

/* A counter's key. */
struct report_key {
	int64_t original, recipient;
	/* Recipient of the original; all others share one counter. */
	bool recipient_matches;
};

/* The original may be long gone; its figures still hold. */
#define ANY_AGE INT64_MIN
#define CANONICAL_MAX_STEPS 8

/* Identities of the same message share its smallest Message-ID; one that is in
   no message with a Message-ID stands for itself. Sources may know different
   ones of the same message, so it goes on while that leads to a smaller one. */
static int find_canonical(struct sent_log *log, int64_t *hash)
{
	for (unsigned int i = 0; i < CANONICAL_MAX_STEPS; i++) {
		int64_t next = 0;

		/* one row, without a number where there is none */
		if (store_get_number(log->store, STORE_GET_CANONICAL, &next,
				     store_number(*hash)) < 0)
			return -1;
		if (next == 0 || next == *hash)
			break;
		*hash = next;
	}
	return 0;
}

static int make_key(struct sent_log *log,
		    const struct sent_log_identity *original,
		    const char *recipient, struct report_key *key_r)
{
	int ret = 0;

	if (sent_log_hash_identity(log, original, &key_r->original) < 0 ||
	    find_canonical(log, &key_r->original) < 0)
		return -1;
	if (recipient[0] != '\0') {
		if (sent_log_hash_address(log, recipient,
					  &key_r->recipient) < 0)
			return -1;
		ret = sent_log_find_entry_recipient(log, key_r->original,
						    ANY_AGE, key_r->recipient);
	}
	key_r->recipient_matches = ret > 0;
	return ret < 0 ? -1 : 0;
}

/* Of the counter: its recipient, or 0. */
static struct store_value key_recipient(const struct report_key *key)
{
	return store_number(key->recipient_matches ? key->recipient : 0);
}

static int get_count(struct sent_log *log,
		     const struct sent_log_identity *original,
		     const char *class_name, const char *recipient,
		     struct sent_log_report_count *count_r)
{
	struct report_key key;
	int64_t reports = 0, serials = 0;

	if (sent_log_file_open(log) < 0 ||
	    make_key(log, original, recipient, &key) < 0 ||
	    store_get_number(log->store, STORE_GET_REPORTS, &reports,
			     store_number(key.original), store_text(class_name),
			     key_recipient(&key)) < 0)
		return -1;
	count_r->reports = (unsigned int)reports;
	count_r->recipient_matches = key.recipient_matches;
	if (reports == 0)
		return 0;

	if (sent_log_count_entry_recipients(log, key.original, ANY_AGE,
					    &count_r->recipient_count) < 0 ||
	    store_get_number(log->store, STORE_COUNT_SERIALS, &serials,
			     store_number(key.original)) < 0)
		return -1;
	count_r->times_sent = serials > 1 ? (unsigned int)serials : 1;
	return 1;
}

int sent_log_get_report_count(struct sent_log *log,
			      const struct sent_log_identity *original,
			      const char *class_name, const char *recipient,
			      struct sent_log_report_count *count_r,
			      const char **error_r)
{
	memset(count_r, 0, sizeof(*count_r));
	return sent_log_call(log, 0, error_r,
			     get_count(log, original, class_name, recipient,
				       count_r));
}

/* The recipients of one report, each counter once: what is none of the original's
   shares one, and a reporter may name the same twice. */
struct counted {
	int64_t *recipients;
	size_t count;
	bool shared:1;
};

static bool add_counted(struct counted *counted, const struct report_key *key)
{
	if (!key->recipient_matches) {
		bool added = !counted->shared;

		counted->shared = true;
		return added;
	}
	for (size_t i = 0; i < counted->count; i++) {
		if (counted->recipients[i] == key->recipient)
			return false;
	}
	counted->recipients[counted->count++] = key->recipient;
	return true;
}

static int count_recipient(struct sent_log *log,
			   const struct sent_log_identity *original,
			   const char *class_name, const char *recipient,
			   struct counted *counted)
{
	struct report_key key;

	if (make_key(log, original, recipient, &key) < 0)
		return -1;
	if (!add_counted(counted, &key))
		return 0;
	return store_put(log->store, STORE_COUNT_REPORT,
			 store_number(key.original), store_text(class_name),
			 key_recipient(&key), store_number(log->now));
}

static int count_recipients(struct sent_log *log,
			    const struct sent_log_identity *original,
			    const char *class_name,
			    const char *const *recipients,
			    size_t recipient_count)
{
	struct counted counted = {
		.recipients = store_alloc(recipient_count *
					  sizeof(*counted.recipients)),
	};
	int ret = 0;

	if (recipient_count == 0)
		ret = count_recipient(log, original, class_name, "", &counted);
	for (size_t i = 0; i < recipient_count && ret >= 0; i++) {
		ret = count_recipient(log, original, class_name, recipients[i],
				      &counted);
	}
	free(counted.recipients);
	return ret;
}

static int count_report(struct sent_log *log,
			const struct sent_log_identity *original,
			const char *class_name, const char *const *recipients,
			size_t recipient_count)
{
	if (sent_log_write_begin_figures(log) < 0 ||
	    count_recipients(log, original, class_name, recipients,
			     recipient_count) < 0 ||
	    /* the rest would cost more than the counting */
	    sent_log_expire_counts(log) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_count_report(struct sent_log *log,
			  const struct sent_log_identity *original,
			  const char *class_name,
			  const char *const *recipients, size_t recipient_count,
			  time_t now, const char **error_r)
{
	return sent_log_call(log, now, error_r,
			     count_report(log, original, class_name, recipients,
					  recipient_count));
}

/* Remembering. Adding a message marks what it makes due, and remembering a report
   looks into the log, each inside its write transaction: whichever comes second sees
   the other. */

int sent_log_mark_due(struct sent_log *log, int64_t hash)
{
	return store_put(log->store, STORE_MARK_DUE, store_number(hash));
}

static int forget_report(struct sent_log *log, int64_t id)
{
	int64_t removed;
	int ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	if (sent_log_write_begin(log) < 0)
		return -1;
	removed = sent_log_delete_report(log, id);
	if (removed < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return removed > 0 ? 1 : 0;
}

int sent_log_forget_report(struct sent_log *log, int64_t id,
			   const char **error_r)
{
	return sent_log_call(log, 0, error_r, forget_report(log, id));
}

/* Returns 1 if the log knows one of them within the retention, 0 or -1. */
static int find_original(struct sent_log *log, const int64_t *hashes, int count)
{
	int64_t sources = 0;

	for (int i = 0; i < count && sources == 0; i++) {
		if (store_get_number(log->store, STORE_FIND_ENTRY, &sources,
				     store_number(hashes[i]),
				     store_number(sent_log_cutoff(log))) < 0)
			return -1;
	}
	return sources != 0 ? 1 : 0;
}

static int insert_report(struct sent_log *log,
			 const struct sent_log_stored_report *report,
			 unsigned int max_age, bool due)
{
	return store_put(log->store, STORE_INSERT_REMEMBERED,
			 store_bytes(report->mailbox_guid,
				     sizeof(report->mailbox_guid)),
			 store_number(report->uid_validity),
			 store_number(report->uid),
			 store_number(report->quarantined),
			 store_number((int64_t)log->now + (int64_t)max_age),
			 store_number(due));
}

static int insert_hashes(struct sent_log *log, int64_t id,
			 const int64_t *hashes, int count)
{
	for (int i = 0; i < count; i++) {
		if (store_put(log->store, STORE_INSERT_REMEMBERED_IDENTITY,
			      store_number(hashes[i]), store_number(id)) < 0)
			return -1;
	}
	return 0;
}

/* One too many goes, which may be the one that has just come. */
static int make_room(struct sent_log *log)
{
	int64_t id;
	int ret;

	while ((ret = store_get_number(log->store,
				       STORE_FIND_SURPLUS_REMEMBERED, &id,
				       store_number(MAX_REMEMBERED))) > 0) {
		int64_t removed = sent_log_delete_report(log, id);

		if (removed <= 0)
			return removed < 0 ? -1 : 0;
	}
	return ret;
}

static int write_report(struct sent_log *log,
			const struct sent_log_stored_report *report,
			const int64_t *hashes, int count,
			unsigned int max_age)
{
	int due = find_original(log, hashes, count);

	if (due < 0 || insert_report(log, report, max_age, due > 0) < 0 ||
	    insert_hashes(log, store_last_id(log->store), hashes,
			  count) < 0)
		return -1;
	return make_room(log);
}

static int remember_report(struct sent_log *log,
			   const struct sent_log_stored_report *report,
			   const struct sent_log_identity *identities,
			   size_t identity_count, unsigned int max_age)
{
	int64_t hashes[SENT_LOG_MAX_IDENTITIES];
	int count;

	if (sent_log_write_begin(log) < 0)
		return -1;
	/* after it, since the hash key is the file's */
	count = sent_log_hash_identities(log, identities, identity_count,
					 hashes);
	if (count < 0 ||
	    (count > 0 && write_report(log, report, hashes, count,
				       max_age) < 0) ||
	    sent_log_expire_step(log, SENT_LOG_EXPIRE_STEP) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_remember_report(struct sent_log *log,
			     const struct sent_log_stored_report *report,
			     const struct sent_log_identity *identities,
			     size_t identity_count, unsigned int max_age,
			     time_t now, const char **error_r)
{
	return sent_log_call(log, now, error_r,
			     remember_report(log, report, identities,
					     identity_count, max_age));
}

/* Listing */

static void read_report(const struct store_row *row,
			struct sent_log_stored_report *report_r)
{
	memset(report_r, 0, sizeof(*report_r));
	report_r->id = row->columns[0].number;
	if (row->columns[1].size == SENT_LOG_MAILBOX_GUID_SIZE) {
		memcpy(report_r->mailbox_guid, row->columns[1].bytes,
		       SENT_LOG_MAILBOX_GUID_SIZE);
	}
	report_r->uid_validity = (uint32_t)row->columns[2].number;
	report_r->uid = (uint32_t)row->columns[3].number;
	report_r->quarantined = row->columns[4].number != 0;
}

static int has_remembered_reports(struct sent_log *log)
{
	int ret = sent_log_file_open_existing(log);

	return ret <= 0 ? ret :
			  store_get(log->store, STORE_HAS_REMEMBERED, NULL);
}

static int list_due_reports(struct sent_log *log,
			    struct sent_log_stored_report *reports_r,
			    size_t max, size_t *count_r)
{
	struct store_row row = { 0 };
	int ret = has_remembered_reports(log);

	/* nearly always none is, and then this is all that is asked */
	if (ret <= 0)
		return ret;
	while (*count_r < max &&
	       (ret = store_get(log->store, STORE_NEXT_DUE, &row,
				store_number(row.columns[0].number))) > 0)
		read_report(&row, &reports_r[(*count_r)++]);
	return ret < 0 ? -1 : *count_r > 0;
}

int sent_log_list_due_reports(struct sent_log *log,
			      struct sent_log_stored_report *reports_r,
			      size_t max, size_t *count_r,
			      const char **error_r)
{
	*count_r = 0;
	return sent_log_call(log, 0, error_r,
			     list_due_reports(log, reports_r, max, count_r));
}

int sent_log_has_remembered_reports(struct sent_log *log,
				    const char **error_r)
{
	return sent_log_call(log, 0, error_r, has_remembered_reports(log));
}
