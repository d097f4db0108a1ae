/* How often an original was reported on: the replay budget's figures. The budget
   itself is plugin/verdict/'s. */

#include "sent-log-private.h"

#include <stdlib.h>
#include <string.h>

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
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_CANONICAL);

	if (stmt == NULL)
		return -1;
	for (unsigned int i = 0; i < CANONICAL_MAX_STEPS; i++) {
		int64_t next = 0;

		(void)sqlite3_bind_int64(stmt, 1, *hash);
		/* NULL is read as 0 */
		if (sent_log_get_int64(log, stmt, &next) < 0)
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

static sqlite3_stmt *key_statement(struct sent_log *log,
				   enum sent_log_statement statement,
				   const struct report_key *key,
				   const char *class_name)
{
	sqlite3_stmt *stmt = sent_log_statement(log, statement);

	if (stmt == NULL)
		return NULL;
	(void)sqlite3_bind_int64(stmt, 1, key->original);
	(void)sqlite3_bind_text(stmt, 2, class_name, -1, SQLITE_TRANSIENT);
	(void)sqlite3_bind_int64(stmt, 3, key->recipient_matches ?
						  key->recipient : 0);
	return stmt;
}

static int get_count(struct sent_log *log,
		     const struct sent_log_identity *original,
		     const char *class_name, const char *recipient,
		     struct sent_log_report_count *count_r)
{
	struct report_key key;
	sqlite3_stmt *stmt;
	int64_t reports = 0, serials = 0;

	if (sent_log_file_open(log) < 0 ||
	    make_key(log, original, recipient, &key) < 0 ||
	    sent_log_count_entry_recipients(log, key.original, ANY_AGE,
					    &count_r->recipient_count) < 0)
		return -1;
	stmt = key_statement(log, SENT_LOG_GET_REPORTS, &key, class_name);
	if (stmt == NULL || sent_log_get_int64(log, stmt, &reports) < 0)
		return -1;
	stmt = sent_log_statement(log, SENT_LOG_COUNT_SERIALS);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, key.original);
	if (sent_log_get_int64(log, stmt, &serials) < 0)
		return -1;
	count_r->times_sent = serials > 1 ? (unsigned int)serials : 1;
	count_r->reports = (unsigned int)reports;
	count_r->recipient_matches = key.recipient_matches;
	return 1;
}

int sent_log_get_report_count(struct sent_log *log,
			      const struct sent_log_identity *original,
			      const char *class_name, const char *recipient,
			      struct sent_log_report_count *count_r,
			      const char **error_r)
{
	memset(count_r, 0, sizeof(*count_r));
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log,
				 get_count(log, original, class_name,
					   recipient, count_r),
				 error_r);
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

static int count_key(struct sent_log *log, const struct report_key *key,
		     const char *class_name)
{
	sqlite3_stmt *stmt = key_statement(log, SENT_LOG_COUNT_REPORT, key,
					   class_name);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 4, log->now);
	return sent_log_run(log, stmt);
}

static int count_recipient(struct sent_log *log,
			   const struct sent_log_identity *original,
			   const char *class_name, const char *recipient,
			   struct counted *counted)
{
	struct report_key key;

	if (make_key(log, original, recipient, &key) < 0)
		return -1;
	return add_counted(counted, &key) ? count_key(log, &key, class_name) :
					    0;
}

static int count_recipients(struct sent_log *log,
			    const struct sent_log_identity *original,
			    const char *class_name,
			    const char *const *recipients,
			    size_t recipient_count)
{
	struct counted counted = {
		.recipients = sent_log_alloc(recipient_count *
					     sizeof(*counted.recipients)),
	};
	int ret = 0;

	if (recipient_count == 0)
		ret = count_recipient(log, original, class_name, "", &counted);
	for (size_t i = 0; i < recipient_count && ret == 0; i++) {
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
	if (sent_log_write_begin(log) < 0 ||
	    count_recipients(log, original, class_name, recipients,
			     recipient_count) < 0 ||
	    sent_log_expire_step(log, SENT_LOG_EXPIRE_STEP) < 0 ||
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
	sent_log_call_begin(log, now);
	return sent_log_call_end(log,
				 count_report(log, original, class_name,
					      recipients, recipient_count),
				 error_r);
}
