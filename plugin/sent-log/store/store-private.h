#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

/* What the files of this room share. They stand on each other in this order:
   store.c, store-create.c, store-schema.c, store-statement.c, store-door.c,
   store-sqlite.c, store-error.c. Functions return 0 (or what they say) on success and -1 after
   store_fail(). */

#include "store.h"

#include <sqlite3ext.h>

/* the table of SQLite's functions, once store_load() has found it */
SQLITE_EXTENSION_INIT3

/* Bringing an older file up to date may take longer than a delivery may wait: it
   happens once. */
#define STORE_MIGRATION_MSECS 60000

/* "bksc", in the file's header: this database is ours. */
#define STORE_APPLICATION_ID 0x626b7363

#define STORE_KEY_SIZE 32

/* The same file, renamed or not, has the same inode for as long as it is open;
   later another may have got its number, hence the time of birth. */
struct store_file {
	unsigned int device_major, device_minor;
	struct store_file_id id;
	/* nanoseconds */
	int64_t changed, modified;
	int64_t size;
	unsigned int mode, owner, links;
};

struct sent_store {
	struct store_settings set;
	/* sql/, in order; its length is the version that we know */
	const char *const *migrations;
	int schema_version;
	/* what lies beside set.path */
	char *lock_path, *gap_path, *gap_taken_path;
	/* The same in a folder without symbolic links, or SQLite would refuse it;
	   the names of -wal and -shm are built from it. NULL until opened. */
	char *real_path, *folder;

	/* NULL = not open; all of these belong to the open file */
	sqlite3 *db;
	struct store_file file;
	sqlite3_stmt *statements[STORE_OPERATION_COUNT];
	/* SQLite's, when the file was opened */
	int64_t memory_before;
	/* between store_read_begin() and store_read_end() */
	bool reading;
	/* SQLite's, of what was read there; 0 = nothing yet */
	unsigned int read_version;

	/* the present call */
	time_t now;
	int64_t waiting_since_msecs;
	/* by the calls before it, since store_begin_anew() */
	int64_t used_msecs;
	char *error;
	/* SQLite says that file is no database */
	bool corrupt:1;
	/* SQLite was stopped for it */
	bool used_too_much_memory:1;
	/* an older file is brought up to date, which may take longer */
	bool migrates:1;
	/* they had to be waited for, or this one writes on and on */
	bool others_write:1;
	/* a corrupt file was moved aside and nothing stands in its place */
	bool replaces_corrupt:1;
};

/* store-error.c */

/* store_fail() for what SQLite says of db (may be NULL). what: "can't ..." */
int store_fail_sqlite(struct sent_store *store, sqlite3 *db, int rc,
		      const char *what);
/* Waits a little for another process. Returns false if the deadline is over. */
bool store_wait(struct sent_store *store);
/* SQLite's lock is unfair: a process that writes again at once usually wins it. So if
   others wrote a moment ago, wait first. */
void store_yield(struct sent_store *store);
/* The present call counts from here. */
void store_call_start(struct sent_store *store);
/* ... to here. */
void store_call_stop(struct sent_store *store);
bool store_time_is_up(const struct sent_store *store);

/* store-door.c */

/* SQLite's files: the database, and those beside it */
#define STORE_SUFFIX_COUNT 4
extern const char *const store_suffixes[STORE_SUFFIX_COUNT];

/* Of a symbolic link itself. Returns 1, 0 if there is nothing at this path, -1 with
   errno. */
int store_stat(const char *path, struct store_file *file_r);
bool store_same_file(struct store_file_id id1, struct store_file_id id2);
/* Is it a regular file of our effective uid, with one name, that nobody else may
   write? */
bool store_door_fits(const struct store_file *file);
/* What stands at this path (the log's, or one beside it). Returns 1 if it may be
   used, 0 if there is nothing, -1: error says what is wrong with it. */
int store_door_look(struct sent_store *store, const char *path,
		    struct store_file *file_r);
/* The same for -wal, -shm and -journal. Returns 0 or -1. */
int store_door_look_beside(struct sent_store *store);
/* open() with mode 0600. Never for the database: SQLite does that. Returns a
   descriptor or -1. */
int store_door_open(struct sent_store *store, const char *path, int flags);
/* What stands at set.path. Returns 1, 0 if nothing or an empty file, -1 */
int store_file_look(struct sent_store *store, struct store_file *file_r);
/* A database, with bounds on what it may cost. Nothing of it is to be believed, or
   run, before store_check_schema(). flags: SQLITE_OPEN_*. NULL on error. */
sqlite3 *store_connect(struct sent_store *store, const char *path, int flags);
int store_set_journal_mode(struct sent_store *store, sqlite3 *db);
void store_close_untouched(sqlite3 *db);

/* store-statement.c */

int store_exec(struct sent_store *store, sqlite3 *db, const char *sql);
/* What the operation says, for a file that isn't the open one. */
const char *store_statement_sql(enum store_operation operation);
void store_read_row(sqlite3_stmt *stmt, struct store_row *row_r);
void store_statements_reset(struct sent_store *store);
void store_statements_free(struct sent_store *store);

/* store-schema.c */

void store_schema_init(struct sent_store *store);
/* Is it the schema of a sent log, and nothing else? Returns 1 if it is the one we
   know, 0 if it is an older one, -1 */
int store_check_schema(struct sent_store *store, sqlite3 *db);
/* Inside a write transaction. */
int store_apply_migrations(struct sent_store *store, sqlite3 *db);

/* store-create.c: all of it under PATH.lock */

/* Makes the file, unless another process just did. */
int store_create(struct sent_store *store);
int store_migrate(struct sent_store *store);
/* Moves the corrupt file (closed by now) aside and makes a new one, unless another
   process just did. Sets the error in any case. */
void store_replace_corrupt(struct sent_store *store);
/* Is file the one whose -wal and -shm may lie beside it? Returns 1, 0 or -1. */
int store_is_adopted(struct sent_store *store, const struct store_file *file);
/* It is another: moves what its predecessor left beside it out of the way. */
int store_adopt(struct sent_store *store);

#endif
