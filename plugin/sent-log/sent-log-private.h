#ifndef SENT_LOG_PRIVATE_H
#define SENT_LOG_PRIVATE_H

/* What the files of this room share. Inside, functions return 0 (or what they
   say) on success and -1 after sent_log_fail(); the public functions begin with
   sent_log_call_begin() and end with sent_log_call_end(), which rolls back, deals
   with a corrupt file and hands the error out. */

#include "sent-log.h"

#include <openssl/evp.h>
#include <sqlite3.h>

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

/* Bringing an older file up to date may take longer than a delivery may wait: it
   happens once. */
#define SENT_LOG_MIGRATION_MSECS 60000

/* "bksc", in the file's header: this database is ours. */
#define SENT_LOG_APPLICATION_ID 0x626b7363

#define SENT_LOG_HASH_SIZE 16
#define SENT_LOG_KEY_SIZE 32
/* The same file, renamed or not, has the same inode for as long as it is open;
   later another may have got its number, hence the time of birth. */
struct sent_log_file {
	unsigned int device_major, device_minor;
	int64_t inode;
	/* nanoseconds; 0 = the file system doesn't say */
	int64_t born;
	/* nanoseconds */
	int64_t changed, modified;
	int64_t size;
	unsigned int mode, owner, links;
};

struct sent_log_hash {
	unsigned char bytes[SENT_LOG_HASH_SIZE];
};

enum sent_log_hash_kind {
	SENT_LOG_HASH_MESSAGE_ID,
	SENT_LOG_HASH_ENVELOPE_ID,
	SENT_LOG_HASH_SERIAL,
	SENT_LOG_HASH_COPY,
	SENT_LOG_HASH_ADDRESS,
	SENT_LOG_HASH_DOMAIN,
	SENT_LOG_HASH_OWNER_NAME,
	SENT_LOG_HASH_OWNER_MAIL,
	SENT_LOG_HASH_MAILBOX,
};

enum sent_log_statement {
	SENT_LOG_FIND_ENTRY,
	SENT_LOG_FIND_ENTRY_RECIPIENT,
	SENT_LOG_COUNT_ENTRY_RECIPIENTS,
	SENT_LOG_FIND_ENTRY_DOMAIN,
	SENT_LOG_FIND_RECIPIENT,
	SENT_LOG_FIND_MESSAGE,
	SENT_LOG_INSERT_MESSAGE,
	SENT_LOG_RENEW_MESSAGE,
	SENT_LOG_INSERT_IDENTITY,
	SENT_LOG_INSERT_RECIPIENT,
	SENT_LOG_COUNT_RECIPIENTS,
	SENT_LOG_GET_CANONICAL,
	SENT_LOG_COUNT_SERIALS,
	SENT_LOG_GET_REPORTS,
	SENT_LOG_COUNT_REPORT,
	SENT_LOG_FIND_OLD_MESSAGE,
	SENT_LOG_DELETE_RECIPIENTS,
	SENT_LOG_DELETE_IDENTITIES,
	SENT_LOG_DELETE_MESSAGE,
	SENT_LOG_DELETE_OLD_REPORTS,
	SENT_LOG_GET_COVERAGE,
	SENT_LOG_SET_COVERAGE,
	SENT_LOG_SET_WORD,
	SENT_LOG_BREAK_COVERAGE,
	SENT_LOG_RAISE_COVERAGE,
	SENT_LOG_GET_CLOCK,
	SENT_LOG_SET_CLOCK,
	SENT_LOG_GET_LISTED_SOURCES,
	SENT_LOG_SET_LISTED_SOURCES,
	SENT_LOG_GET_GAP,
	SENT_LOG_SET_GAP,
	SENT_LOG_GET_FILE,
	SENT_LOG_SET_FILE,
	SENT_LOG_GET_OWNER,
	SENT_LOG_SET_OWNER,
	SENT_LOG_LIST_ROWS,
	SENT_LOG_COUNT_MESSAGES,
	SENT_LOG_FIND_UNLISTED_COPY,
	SENT_LOG_GET_ISSUING_KEY,
	SENT_LOG_LIST_KEYS,
	SENT_LOG_INSERT_KEY,
	SENT_LOG_RETIRE_KEYS,
	SENT_LOG_DELETE_OLD_KEYS,
	SENT_LOG_MARK_DUE,
	SENT_LOG_INSERT_REMEMBERED,
	SENT_LOG_INSERT_REMEMBERED_IDENTITY,
	SENT_LOG_FIND_SURPLUS_REMEMBERED,
	SENT_LOG_FIND_OLD_REMEMBERED,
	SENT_LOG_DELETE_REMEMBERED_IDENTITIES,
	SENT_LOG_DELETE_REMEMBERED,
	SENT_LOG_LIST_DUE,
	SENT_LOG_HAS_REMEMBERED,
	SENT_LOG_GET_MARK,
	SENT_LOG_SET_MARK,
	SENT_LOG_RAISE_MARK,
	SENT_LOG_STOP_READING,
	SENT_LOG_LIST_UNREADABLE,
	SENT_LOG_INSERT_UNREADABLE,
	SENT_LOG_DELETE_UNREADABLE,

	SENT_LOG_STATEMENT_COUNT
};

struct sent_log {
	struct sent_log_settings set;
	/* sql/, in order; its length is the version that we know */
	const char *const *migrations;
	int schema_version;
	/* set.owner_hint, owned */
	char *owner_hint;
	/* set.path, owned, and what lies beside it */
	char *path, *lock_path, *gap_path, *gap_taken_path;
	/* The same in a folder without symbolic links, or SQLite would refuse it;
	   the names of -wal and -shm are built from it. NULL until opened. */
	char *real_path, *folder;

	/* NULL = not open; all of these belong to the open file */
	sqlite3 *db;
	struct sent_log_file file;
	sqlite3_stmt *statements[SENT_LOG_STATEMENT_COUNT];
	unsigned char key[SENT_LOG_KEY_SIZE];
	EVP_MAC_CTX *mac;

	/* the present call */
	time_t now;
	int64_t waiting_since_msecs;
	/* by the calls before it, since sent_log_begin() */
	int64_t used_msecs;
	/* SQLite's, when the file was opened */
	int64_t memory_before;
	char *error;
	/* SQLite says that log->file is no database */
	bool corrupt:1;
	/* what this transaction has found out about the clock, or NULL */
	const char *clock_notice;
	/* this transaction takes up a gap mark */
	bool gap_taken:1;
	/* it found something else in a gap mark's place, and what */
	bool gap_obstructed:1;
	char *gap_obstacle;
	/* SQLite was stopped for it */
	bool used_too_much_memory:1;
	/* an older file is brought up to date, which may take longer */
	bool migrates:1;
	/* it may be another user's */
	bool adopting:1;

	/* they had to be waited for, or this one writes on and on */
	bool others_write:1;
	/* a corrupt file was moved aside and nothing stands in its place */
	bool replaces_corrupt:1;
};

/* sent-log.c */

/* now: 0 = the function was given none. */
void sent_log_call_begin(struct sent_log *log, time_t now);
/* Returns ret, after cleaning up if it is -1. */
int sent_log_call_end(struct sent_log *log, int ret, const char **error_r);
/* Rows before this time count as absent. */
int64_t sent_log_cutoff(const struct sent_log *log);
bool sent_log_source_valid(unsigned int source);

/* sent-log-error.c */

/* Sets log->error and returns -1. */
int sent_log_fail(struct sent_log *log, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for what SQLite says of db (may be NULL). what: "can't ..." */
int sent_log_fail_sqlite(struct sent_log *log, sqlite3 *db, int rc,
			 const char *what);
void sent_log_notice(struct sent_log *log, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Waits a little for another process. Returns false if the deadline is over. */
bool sent_log_wait(struct sent_log *log);
/* If others wrote a moment ago, lets them have the lock first: it goes to whoever
   looks at the right moment, and who writes again at once has the best chance. */
void sent_log_yield(struct sent_log *log);
/* All of the deadline is there again. */
void sent_log_wait_start(struct sent_log *log);
/* The present call counts from here. */
void sent_log_call_start(struct sent_log *log);
/* ... to here. */
void sent_log_call_stop(struct sent_log *log);
bool sent_log_time_is_up(const struct sent_log *log);
/* Abort if there is no memory, as everything in Dovecot does. */
void *sent_log_alloc(size_t size);
char *sent_log_format(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* sent-log-hash.c */

int sent_log_hash_init(struct sent_log *log);
void sent_log_hash_deinit(struct sent_log *log);
int sent_log_hash(struct sent_log *log, enum sent_log_hash_kind kind,
		  const char *value, struct sent_log_hash *hash_r);
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

/* sent-log-statement.c */

/* Prepared once per open file; ready to be bound. NULL on error. */
sqlite3_stmt *sent_log_statement(struct sent_log *log,
				 enum sent_log_statement statement);
/* What it says, for a file that isn't the log's open one. */
const char *sent_log_statement_sql(enum sent_log_statement statement);
/* hash must live until the statement is done. */
void sent_log_bind_hash(sqlite3_stmt *stmt, int index,
			const struct sent_log_hash *hash);
/* Returns 1 if there is a row, 0 if there is none (any more), -1 on error. After
   a row the caller ends with sqlite3_reset(), if not with the last one. */
int sent_log_step(struct sent_log *log, sqlite3_stmt *stmt);
/* For a statement without rows. */
int sent_log_run(struct sent_log *log, sqlite3_stmt *stmt);
/* First column of the first row. Returns 1, 0 or -1. */
int sent_log_get_int64(struct sent_log *log, sqlite3_stmt *stmt,
		       int64_t *value_r);
int sent_log_exec(struct sent_log *log, sqlite3 *db, const char *sql);
void sent_log_statements_reset(struct sent_log *log);
void sent_log_statements_free(struct sent_log *log);

/* sent-log-door.c */

/* Is it a regular file of our effective uid, with one name, that nobody else may
   write? */
bool sent_log_door_fits(const struct sent_log_file *file);
/* What stands at this path (the log's, or one beside it). Returns 1 if it may be
   used, 0 if there is nothing, -1: error says what is wrong with it. */
int sent_log_door_look(struct sent_log *log, const char *path,
		       struct sent_log_file *file_r);
/* The same for -wal, -shm and -journal. Returns 0 or -1. */
int sent_log_door_look_beside(struct sent_log *log);
/* open() with mode 0600. Never for the database: SQLite does that. Returns a
   descriptor or -1. */
int sent_log_door_open(struct sent_log *log, const char *path, int flags);
/* A database, with bounds on what it may cost. Nothing of it is to be believed, or
   run, before sent_log_check_schema(). flags: SQLITE_OPEN_*. NULL on error. */
sqlite3 *sent_log_connect(struct sent_log *log, const char *path, int flags);
void sent_log_close_untouched(sqlite3 *db);

/* sent-log-schema.c */

void sent_log_schema_init(struct sent_log *log);
/* Is it the schema of a sent log, and nothing else? Returns 1 if it is the one we
   know, 0 if it is an older one, -1 */
int sent_log_check_schema(struct sent_log *log, sqlite3 *db);
/* Inside a write transaction. */
int sent_log_apply_migrations(struct sent_log *log, sqlite3 *db);

/* sent-log-file.c */

/* Of a symbolic link itself. Returns 1, 0 if there is nothing at this path, -1 with
   errno. */
int sent_log_stat(const char *path, struct sent_log_file *file_r);
int sent_log_stat_open(int fd, struct sent_log_file *file_r);
bool sent_log_same_file(int64_t inode1, int64_t born1, int64_t inode2,
			int64_t born2);
/* What stands at log->path. Returns 1, 0 if nothing or an empty file, -1 */
int sent_log_file_look(struct sent_log *log, struct sent_log_file *file_r);
/* Makes sure that log->db is the file at log->path, creating it if there is
   none. */
int sent_log_file_open(struct sent_log *log);
/* The same, but returns 0 if there is none, otherwise 1. */
int sent_log_file_open_existing(struct sent_log *log);
void sent_log_file_close(struct sent_log *log);
int sent_log_set_journal_mode(struct sent_log *log, sqlite3 *db);
/* A write transaction in the file that stands at log->path now; takes up a clock
   that fell back, and the gap mark. */
int sent_log_write_begin(struct sent_log *log);
int sent_log_write_commit(struct sent_log *log);

/* sent-log-create.c: all of it under PATH.lock */

/* Makes the log, unless another process just did. */
int sent_log_create(struct sent_log *log);
int sent_log_migrate(struct sent_log *log);
/* Moves the corrupt log->file aside and makes a new log, unless another process
   just did. Sets log->error in any case. */
void sent_log_replace_corrupt(struct sent_log *log);
/* Is file the one whose -wal and -shm may lie beside it? Returns 1, 0 or -1. */
int sent_log_is_adopted(struct sent_log *log,
			const struct sent_log_file *file);
/* It is another: moves what its predecessor left beside it out of the way. */
int sent_log_adopt(struct sent_log *log);

/* sent-log-owner.c */

/* Fails if the open file is another user's; takes it if it is nobody's yet. */
int sent_log_owner_check(struct sent_log *log);

/* sent-log-clock.c */

/* Returns 1, 0 if sent_log_clock_settle() has something to write, or -1. */
int sent_log_clock_is_settled(struct sent_log *log);
/* Inside a write transaction. */
int sent_log_clock_settle(struct sent_log *log);

/* sent-log-gap.c */

bool sent_log_gap_exists(struct sent_log *log);
/* Inside a write transaction. */
int sent_log_gap_take(struct sent_log *log);
/* After its commit. */
void sent_log_gap_taken(struct sent_log *log);

/* sent-log-find.c: an entry is what all sources know of one identity, as far as
   it was logged at or after the cutoff */

int sent_log_count_entry_recipients(struct sent_log *log,
				    int64_t hash, int64_t cutoff,
				    unsigned int *count_r);
/* Returns 1 if this address is a recipient, 0 or -1. */
int sent_log_find_entry_recipient(struct sent_log *log, int64_t hash,
				  int64_t cutoff, int64_t address);

/* sent-log-coverage.c */

/* Inside a write transaction; a cause that is not the administrator's word ends
   that one. */
int sent_log_write_coverage(struct sent_log *log, time_t start,
			    enum sent_log_coverage_cause cause);
/* It starts now, or later where it did already: this clock may have fallen. */
int sent_log_break_coverage(struct sent_log *log,
			    enum sent_log_coverage_cause cause);
/* Rows before the cutoff are gone. */
int sent_log_raise_coverage(struct sent_log *log);

/* sent-log-remember.c: inside a write transaction */

/* Reports that told of this identity are to be judged again. */
int sent_log_mark_due(struct sent_log *log, int64_t hash);
/* Returns the number of rows removed, about max_rows at most, or -1. */
int sent_log_expire_remembered(struct sent_log *log, int64_t max_rows);

/* sent-log-mark.c: inside a write transaction */

struct sent_log_read_mailbox {
	const char *name;
	const struct sent_log_mailbox_mark *mark;
};
int sent_log_write_mark(struct sent_log *log,
			const struct sent_log_read_mailbox *read);

/* sent-log-expire.c */

/* Inside a write transaction. Returns 1 if there may be more, 0 or -1. */
int sent_log_expire_step(struct sent_log *log, unsigned int max_rows);

#endif
