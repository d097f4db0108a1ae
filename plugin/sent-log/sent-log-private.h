#ifndef SENT_LOG_PRIVATE_H
#define SENT_LOG_PRIVATE_H

/* What the files of this room share. It says what a log means; what stands in its
   file, and how, is the store's (store/store.h). The files stand on each other in
   this order: sent-log-serial-key.c, sent-log-add.c, sent-log-reports.c,
   sent-log-find.c, sent-log-expire.c, sent-log-coverage.c, sent-log.c,
   sent-log-hash.c; serial.c and site-key.c know none of it, hmac.c nothing at all.
   Functions return 0 or more (or what they say) on success and -1
   after store_fail(); the public ones are a sent_log_call(), which rolls back, deals
   with a corrupt file and hands the error out. */

#include "sent-log.h"
#include "sent-log/store/store.h"
#include "hmac.h"

/* Bounds on what one message may bring; what is beyond is left out. */
#define SENT_LOG_MAX_IDENTITIES 16
#define SENT_LOG_MAX_RECIPIENTS 10000
/* A transaction of sent_log_add() ends at either. */
#define SENT_LOG_BATCH_MESSAGES 100
#define SENT_LOG_BATCH_ROWS 1000
/* Old rows that a write removes by the way: so many, and twice as many as it
   has added, so that expiry keeps pace with whatever comes in. */
#define SENT_LOG_EXPIRE_STEP 20
/* Clocks of two hosts may differ by that much without it being "the future": no
   message's retention, and no report's age, depends on it. */
#define SENT_LOG_CLOCK_SLACK_SECS (24 * 3600)
/* A file that is made or replaced under our hands is looked at so many times. */
#define SENT_LOG_OPEN_ATTEMPTS 8

/* enum sent_log_source */
#define SENT_LOG_SOURCE_COUNT 4
#define SENT_LOG_SOURCES_ALL ((1U << SENT_LOG_SOURCE_COUNT) - 1)

#define SENT_LOG_HASH_SIZE 16
#define SENT_LOG_KEY_SIZE 32

struct sent_log_hash {
	unsigned char bytes[SENT_LOG_HASH_SIZE];
};

/* What is hashed beside those of enum sent_log_identity_kind. */
enum sent_log_hash_kind {
	SENT_LOG_HASH_ADDRESS = SENT_LOG_IDENTITY_COPY + 1,
	SENT_LOG_HASH_DOMAIN,
	SENT_LOG_HASH_OWNER_NAME,
	SENT_LOG_HASH_OWNER_MAIL,
	SENT_LOG_HASH_MAILBOX,
};

struct sent_log {
	struct sent_log_settings set;
	/* set.path and set.owner_hint, owned */
	char *path, *owner_hint;
	struct sent_store *store;

	/* of the file that is open */
	unsigned char key[SENT_LOG_KEY_SIZE];
	EVP_MAC_CTX *mac;

	/* the present call */
	time_t now;
	/* what this transaction has found out about the clock, or NULL */
	const char *clock_notice;
	/* this transaction takes up a gap mark */
	bool gap_taken:1;
	/* it found something else in a gap mark's place, and what */
	bool gap_obstructed:1;
	char *gap_obstacle;
	/* it may be another user's */
	bool adopting:1;
};

/* sent-log-hash.c */

int sent_log_hash_init(struct sent_log *log);
void sent_log_hash_deinit(struct sent_log *log);
/* kind: of either enum */
int sent_log_hash(struct sent_log *log, unsigned int kind, const char *value,
		  struct sent_log_hash *hash_r);
int sent_log_hash_identity(struct sent_log *log,
			   const struct sent_log_identity *identity,
			   int64_t *hash_r);
/* Those that are not empty, at most SENT_LOG_MAX_IDENTITIES. Returns their number
   or -1. */
int sent_log_hash_identities(struct sent_log *log,
			     const struct sent_log_identity *identities,
			     size_t identity_count, int64_t *hashes_r);
void sent_log_hash_text(int64_t hash, char text_r[SENT_LOG_HASH_TEXT_SIZE]);
/* Never 0. */
int sent_log_hash_address(struct sent_log *log, const char *address,
			  int64_t *hash_r);
/* Of the part after the last @; 0 if there is none. */
int sent_log_hash_domain(struct sent_log *log, const char *address,
			 int64_t *hash_r);
static inline struct store_value store_hash(const struct sent_log_hash *hash)
{
	return store_bytes(hash->bytes, sizeof(hash->bytes));
}

/* sent-log.c */

/* now: 0 = the function was given none. */
void sent_log_call_begin(struct sent_log *log, time_t now);
/* Returns ret, after cleaning up if it is -1. */
int sent_log_call_end(struct sent_log *log, int ret, const char **error_r);
#define sent_log_call(log, now, error_r, work) \
	(sent_log_call_begin(log, now), sent_log_call_end(log, work, error_r))
/* Rows before this time count as absent. */
int64_t sent_log_cutoff(const struct sent_log *log);
/* Makes sure that the store's file is open and this user's, making it if there is
   none. */
int sent_log_file_open(struct sent_log *log);
/* The same, but returns 0 if there is none, otherwise 1. */
int sent_log_file_open_existing(struct sent_log *log);
/* It is the caller's from now on. Inside a write transaction. */
int sent_log_write_owner(struct sent_log *log);

/* sent-log-coverage.c */

/* A write transaction in the file that stands at log->path now; takes up a clock
   that fell back, and the gap mark. */
int sent_log_write_begin(struct sent_log *log);
/* The same for figures that coverage doesn't depend on: leaves clock and gap mark to the
   next one. */
int sent_log_write_begin_figures(struct sent_log *log);
/* What is read behind it needs sent_log_file_open() again: another file may have taken
   its place. */
int sent_log_write_commit(struct sent_log *log);
/* Inside a write transaction, as the next one. It starts now, or later where it did
   already: this clock may have fallen. */
int sent_log_break_coverage(struct sent_log *log,
			    enum sent_log_coverage_cause cause);
/* Rows before the cutoff are gone. */
int sent_log_raise_coverage(struct sent_log *log);

/* sent-log-expire.c */

/* Inside a write transaction. Returns 1 if there may be more, 0 or -1. */
int sent_log_expire_step(struct sent_log *log, unsigned int max_rows);
/* A remembered one. Returns the number of rows removed, 0 if there is none, or -1. */
int64_t sent_log_delete_report(struct sent_log *log, int64_t id);
/* Only the oldest counts of reports. Returns how many, or -1. */
int sent_log_expire_counts(struct sent_log *log);

/* sent-log-find.c: an entry is what all sources know of one identity, as far as
   it was logged at or after the cutoff */

int sent_log_count_entry_recipients(struct sent_log *log, int64_t hash,
				    int64_t cutoff, unsigned int *count_r);
/* Returns 1 if this address is a recipient, 0 or -1. */
int sent_log_find_entry_recipient(struct sent_log *log, int64_t hash,
				  int64_t cutoff, int64_t address);

/* sent-log-reports.c: inside a write transaction */

/* Reports that told of this identity are to be judged again. */
int sent_log_mark_due(struct sent_log *log, int64_t hash);

#endif
