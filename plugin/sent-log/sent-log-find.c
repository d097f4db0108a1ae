/* Looking up what was sent: by identity, by recipient, and the copy that betrays another
   way out. */

#include "sent-log-private.h"

#include <string.h>

/* docs/design.md, section 5, rule 5 */
#define UNLISTED_COPY_MAX_AGE_SECS (30 * 24 * 3600)
#define UNLISTED_COPY_MIN_SAVED_SECS 3600
/* the sender's clock may be ahead of ours */
#define DATE_SLACK_SECS 3600

/* Returns 1, 0 if there is none, or -1. */
static int read_entry(struct sent_log *log, int64_t hash,
		      struct sent_log_entry *entry)
{
	struct store_row row;

	if (store_get(log->store, STORE_FIND_ENTRY, &row, store_number(hash),
		      store_number(sent_log_cutoff(log))) < 0)
		return -1;
	entry->sources = row.columns[0].number & SENT_LOG_SOURCES_ALL;
	entry->logged_at = row.columns[1].number;
	return entry->sources != 0 ? 1 : 0;
}

int sent_log_count_entry_recipients(struct sent_log *log, int64_t hash,
				    int64_t cutoff, unsigned int *count_r)
{
	int64_t count = 0;

	if (store_get_number(log->store, STORE_COUNT_ENTRY_RECIPIENTS, &count,
			     store_number(hash), store_number(cutoff)) < 0)
		return -1;
	*count_r = (unsigned int)count;
	return 0;
}

int sent_log_find_entry_recipient(struct sent_log *log, int64_t hash,
				  int64_t cutoff, int64_t address)
{
	return store_get(log->store, STORE_FIND_ENTRY_RECIPIENT, NULL,
			 store_number(hash), store_number(cutoff),
			 store_number(address));
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
		ret = store_get(log->store, STORE_FIND_ENTRY_DOMAIN, NULL,
				store_number(hash),
				store_number(sent_log_cutoff(log)),
				store_number(domain));
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
	return sent_log_call(log, now, error_r,
			     find(log, identity, recipients, recipient_count,
				  entry_r));
}

static int find_recipient(struct sent_log *log, const char *address)
{
	int64_t hash;

	if (sent_log_file_open(log) < 0 ||
	    sent_log_hash_address(log, address, &hash) < 0)
		return -1;
	return store_get(log->store, STORE_FIND_RECIPIENT, NULL,
			 store_number(hash),
			 store_number(sent_log_cutoff(log)));
}

int sent_log_find_recipient(struct sent_log *log, const char *address,
			    time_t now, const char **error_r)
{
	return sent_log_call(log, now, error_r, find_recipient(log, address));
}

static int identity_hash(struct sent_log *log,
			 const struct sent_log_identity *identity,
			 char text_r[SENT_LOG_HASH_TEXT_SIZE])
{
	int64_t hash;

	if (sent_log_file_open(log) < 0 ||
	    sent_log_hash_identity(log, identity, &hash) < 0)
		return -1;
	sent_log_hash_text(hash, text_r);
	return 1;
}

int sent_log_identity_hash(struct sent_log *log,
			   const struct sent_log_identity *identity,
			   char text_r[SENT_LOG_HASH_TEXT_SIZE],
			   const char **error_r)
{
	text_r[0] = '\0';
	return sent_log_call(log, 0, error_r,
			     identity_hash(log, identity, text_r));
}

/* All of them */

static int count_messages(struct sent_log *log, enum sent_log_source source,
			  uint64_t *count_r)
{
	int64_t count = 0;
	int ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret < 0 ? -1 : 1;
	if (store_get_number(log->store, STORE_COUNT_MESSAGES, &count,
			     store_number(source)) < 0)
		return -1;
	*count_r = (uint64_t)count;
	return 1;
}

int sent_log_count(struct sent_log *log, enum sent_log_source source,
		   uint64_t *count_r, const char **error_r)
{
	*count_r = 0;
	return sent_log_call(log, 0, error_r,
			     count_messages(log, source, count_r));
}

static int find_unlisted_copy(struct sent_log *log, time_t after,
			      struct sent_log_row *row_r)
{
	time_t month_ago = log->now - UNLISTED_COPY_MAX_AGE_SECS;
	struct store_row row;
	int ret;

	if (sent_log_file_open(log) < 0)
		return -1;
	ret = store_get(log->store, STORE_FIND_UNLISTED_COPY, &row,
			store_number(after > month_ago ? after : month_ago),
			store_number(log->now + DATE_SLACK_SECS),
			store_number(sent_log_cutoff(log)),
			store_number(log->now - UNLISTED_COPY_MIN_SAVED_SECS),
			store_number(log->set.listed_sources));
	if (ret > 0) {
		row_r->logged_at = row.columns[0].number;
		row_r->date = row.columns[1].number;
		sent_log_hash_text(row.columns[2].number, row_r->identity_hash);
	}
	return ret;
}

int sent_log_find_unlisted_copy(struct sent_log *log, time_t after, time_t now,
				struct sent_log_row *row_r,
				const char **error_r)
{
	memset(row_r, 0, sizeof(*row_r));
	return sent_log_call(log, now, error_r,
			     find_unlisted_copy(log, after, row_r));
}
