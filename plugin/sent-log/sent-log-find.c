/* Looking up what was sent: by identity, and by recipient. */

#include "sent-log-private.h"

#include <string.h>

static sqlite3_stmt *entry_statement(struct sent_log *log,
				     enum sent_log_statement statement,
				     int64_t hash,
				     int64_t cutoff)
{
	sqlite3_stmt *stmt = sent_log_statement(log, statement);

	if (stmt != NULL) {
		(void)sqlite3_bind_int64(stmt, 1, hash);
		(void)sqlite3_bind_int64(stmt, 2, cutoff);
	}
	return stmt;
}

/* Unites the rows of all sources. Returns 1, 0 if there is none, or -1. */
static int read_entry(struct sent_log *log, int64_t hash,
		      struct sent_log_entry *entry)
{
	sqlite3_stmt *stmt = entry_statement(log, SENT_LOG_FIND_ENTRY, hash,
					     sent_log_cutoff(log));
	int ret;

	if (stmt == NULL)
		return -1;
	while ((ret = sent_log_step(log, stmt)) > 0) {
		int64_t logged_at = sqlite3_column_int64(stmt, 1);

		if (entry->sources == 0 || entry->logged_at < logged_at)
			entry->logged_at = logged_at;
		entry->sources |= (unsigned int)sqlite3_column_int(stmt, 0);
	}
	return ret < 0 ? -1 : entry->sources != 0;
}

int sent_log_count_entry_recipients(struct sent_log *log,
				    int64_t hash, int64_t cutoff,
				    unsigned int *count_r)
{
	sqlite3_stmt *stmt = entry_statement(
		log, SENT_LOG_COUNT_ENTRY_RECIPIENTS, hash, cutoff);
	int64_t count = 0;

	if (stmt == NULL || sent_log_get_int64(log, stmt, &count) < 0)
		return -1;
	*count_r = (unsigned int)count;
	return 0;
}

/* Returns 1 if this message has it, 0 or -1. */
static int find_in_entry(struct sent_log *log,
			 enum sent_log_statement statement, int64_t hash,
			 int64_t cutoff, int64_t wanted)
{
	sqlite3_stmt *stmt = entry_statement(log, statement, hash, cutoff);
	int64_t found;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 3, wanted);
	return sent_log_get_int64(log, stmt, &found);
}

int sent_log_find_entry_recipient(struct sent_log *log, int64_t hash,
				  int64_t cutoff, int64_t address)
{
	return find_in_entry(log, SENT_LOG_FIND_ENTRY_RECIPIENT, hash, cutoff,
			     address);
}

/* Returns 1 if one of the addresses is a recipient, 0 or -1. */
static int match_recipients(struct sent_log *log, int64_t hash,
			    const char *const *addresses, size_t count)
{
	int64_t address;
	int ret = 0;

	for (size_t i = 0; i < count && ret == 0; i++) {
		if (sent_log_hash_address(log, addresses[i], &address) < 0)
			return -1;
		ret = sent_log_find_entry_recipient(
			log, hash, sent_log_cutoff(log), address);
	}
	return ret;
}

/* Returns 1 if one of the addresses is in a recipient's domain, 0 or -1. */
static int match_domains(struct sent_log *log, int64_t hash,
			 const char *const *addresses, size_t count)
{
	int64_t domain;
	int ret = 0;

	for (size_t i = 0; i < count && ret == 0; i++) {
		if (sent_log_hash_domain(log, addresses[i], &domain) < 0)
			return -1;
		if (domain == 0)
			continue;
		ret = find_in_entry(log, SENT_LOG_FIND_ENTRY_DOMAIN, hash,
				    sent_log_cutoff(log), domain);
	}
	return ret;
}

static int match_entry(struct sent_log *log, int64_t hash,
		       const char *const *addresses, size_t count,
		       struct sent_log_entry *entry)
{
	int ret;

	if (sent_log_count_entry_recipients(log, hash, sent_log_cutoff(log),
					    &entry->recipient_count) < 0)
		return -1;
	if (entry->recipient_count == 0 || count == 0)
		return 0;
	ret = match_recipients(log, hash, addresses, count);
	if (ret == 0) {
		ret = match_domains(log, hash, addresses, count);
		entry->domain_matches = ret > 0;
	} else if (ret > 0) {
		entry->recipient_matches = true;
		entry->domain_matches = true;
	}
	return ret < 0 ? -1 : 0;
}

static int find(struct sent_log *log, const struct sent_log_identity *identity,
		const char *const *recipients, size_t recipient_count,
		struct sent_log_entry *entry)
{
	int64_t hash;
	int ret;

	if (sent_log_file_open(log) < 0 ||
	    sent_log_hash_identity(log, identity, &hash) < 0)
		return -1;
	ret = read_entry(log, hash, entry);
	if (ret > 0 && match_entry(log, hash, recipients, recipient_count,
				   entry) < 0)
		return -1;
	return ret;
}

int sent_log_find(struct sent_log *log, const struct sent_log_identity *identity,
		  const char *const *recipients, size_t recipient_count,
		  time_t now, struct sent_log_entry *entry_r,
		  const char **error_r)
{
	memset(entry_r, 0, sizeof(*entry_r));
	sent_log_call_begin(log, now);
	return sent_log_call_end(log,
				 find(log, identity, recipients,
				      recipient_count, entry_r),
				 error_r);
}

static int find_recipient(struct sent_log *log, const char *address)
{
	int64_t hash;
	sqlite3_stmt *stmt;
	int64_t found;

	if (sent_log_file_open(log) < 0 ||
	    sent_log_hash_address(log, address, &hash) < 0)
		return -1;
	stmt = sent_log_statement(log, SENT_LOG_FIND_RECIPIENT);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, hash);
	(void)sqlite3_bind_int64(stmt, 2, sent_log_cutoff(log));
	return sent_log_get_int64(log, stmt, &found);
}

int sent_log_find_recipient(struct sent_log *log, const char *address,
			    time_t now, const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, find_recipient(log, address), error_r);
}
