/* The open file: opening it, noticing that another one stands at its path, and
   writing into the right one. Making, migrating and moving files aside is left to
   store-create.c. */

#include "store-private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opening begins anew so many times when the file is made or replaced under our
   hands. */
#define OPEN_ATTEMPTS 8

/* One stat(), never open(): closing a second descriptor would drop SQLite's
   locks on the file. */
static bool file_moved(struct sent_store *store)
{
	struct store_file file;

	return store_stat(store->set.path, &file) <= 0 || file.size <= 1 ||
	       !store_door_fits(&file) ||
	       file.device_major != store->file.device_major ||
	       file.device_minor != store->file.device_minor ||
	       !store_same_file(file.id, store->file.id);
}

/* Between the look at it and SQLite's open() another may have come. */
static bool other_was_opened(struct sent_store *store)
{
	int moved = 0;

	return sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED,
				    &moved) != SQLITE_OK ||
	       moved != 0 || file_moved(store);
}

/* A rollback journal is made only when something is written, so SQLite itself
   would notice late. */
static int check_folder(struct sent_store *store)
{
	if (faccessat(AT_FDCWD, store->folder, W_OK | X_OK, AT_EACCESS) < 0) {
		return store_fail(store, "folder %s is not writable (%s)",
				  store->folder, strerror(errno));
	}
	return 0;
}

/* Returns 1 if store->db is ready, 0 to look again, -1 on error. */
static int prepare_file(struct sent_store *store)
{
	int ret;

	if (other_was_opened(store))
		return 0;
	ret = store_check_schema(store, store->db);
	/* From here on SQLite knows which -wal it reads. */
	if (ret < 0)
		return -1;
	if (file_moved(store))
		return 0;
	if (sqlite3_db_readonly(store->db, "main") != 0)
		return store_fail(store, "file is read-only");
	if ((ret == 0 && store_migrate(store) < 0) ||
	    store_set_journal_mode(store, store->db) < 0)
		return -1;
	return 1;
}

/* Returns the same. */
static int open_once(struct sent_store *store)
{
	struct store_file file;
	int ret = store_file_look(store, &file);

	if (ret < 0)
		return -1;
	if (ret == 0)
		return store_create(store);
	ret = store_is_adopted(store, &file);
	if (ret <= 0)
		return ret < 0 ? -1 : store_adopt(store);
	if (check_folder(store) < 0)
		return -1;

	store->file = file;
	store->db = store_connect(store, store->real_path, SQLITE_OPEN_READWRITE);
	if (store->db == NULL)
		return -1;
	ret = prepare_file(store);
	if (ret <= 0)
		store_close(store);
	return ret;
}

/* Fails once the deadline is over, so that the calls that follow cost nothing. */
static int check_time(struct sent_store *store)
{
	if (!store_time_is_up(store))
		return 0;
	return store_fail(store, "gave no answer within %u ms, not asked again",
			  store->set.deadline_msecs);
}

int store_open(struct sent_store *store)
{
	int ret;

	if (check_time(store) < 0)
		return -1;
	if (store->reading)
		return 0;
	if (store->db != NULL && file_moved(store))
		store_close(store);
	if (store->db != NULL)
		return 0;

	for (unsigned int i = 0; i < OPEN_ATTEMPTS; i++) {
		ret = open_once(store);
		if (ret != 0)
			return ret;
	}
	return store_fail(store, "is replaced again and again");
}

int store_exists(struct sent_store *store)
{
	struct store_file file;

	if (check_time(store) < 0)
		return -1;
	if (store->reading || (store->db != NULL && !file_moved(store)))
		return 1;
	return store_file_look(store, &file);
}

bool store_is_open(const struct sent_store *store)
{
	return store->db != NULL;
}

struct store_file_id store_file_id(const struct sent_store *store)
{
	return store->file.id;
}

bool store_is_file(const struct sent_store *store, struct store_file_id id)
{
	return store_same_file(id, store->file.id);
}

void store_close(struct sent_store *store)
{
	if (store->db == NULL)
		return;

	store_statements_free(store);
	/* What lies beside the path may belong to another file by now. */
	if (store->corrupt || file_moved(store))
		store_close_untouched(store->db);
	else
		(void)sqlite3_close(store->db);
	store->db = NULL;
	store->reading = false;
	store->read_version = 0;
}

int store_read_begin(struct sent_store *store)
{
	if (store_exec(store, store->db, "BEGIN") < 0)
		return -1;
	store->reading = true;
	return 0;
}

/* Of what this handle has read last. SQLite changes it with whatever is written, by
   this handle too, and notices others when it begins to read. */
static unsigned int data_version(struct sent_store *store)
{
	unsigned int version = 0;

	(void)sqlite3_file_control(store->db, "main", SQLITE_FCNTL_DATA_VERSION,
				   &version);
	return version;
}

void store_read_end(struct sent_store *store)
{
	if (!store->reading)
		return;
	store->reading = false;
	store->read_version = data_version(store);
	/* never fails: nothing was written */
	(void)sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
}

int store_is_unchanged(struct sent_store *store)
{
	if (store->read_version == 0)
		return 0;
	if (store_exec(store, store->db, "PRAGMA data_version") < 0)
		return -1;
	return data_version(store) == store->read_version ? 1 : 0;
}

int store_begin(struct sent_store *store)
{
	store_read_end(store);
	store_yield(store);
	if (store_exec(store, store->db, "BEGIN IMMEDIATE") < 0)
		return -1;
	/* again, since the lock may have taken its time */
	if (!file_moved(store))
		return 1;
	store_close(store);
	return 0;
}

int store_commit(struct sent_store *store)
{
	return store_exec(store, store->db, "COMMIT");
}

void store_let_others_write(struct sent_store *store, bool has_more)
{
	store->others_write = has_more;
}

/* Without the disk room for -wal and -shm it can't even be opened for reading */

/* Returns a malloced file: URI (RFC 3986) of the path. */
static char *immutable_uri(const char *path)
{
	char *uri = store_alloc(strlen(path) * 3 +
				sizeof("file:?immutable=1"));
	char *p = uri + sprintf(uri, "file:");

	for (; *path != '\0'; path++) {
		if (isalnum((unsigned char)*path) ||
		    strchr("/-._~", *path) != NULL)
			*p++ = *path;
		else
			p += sprintf(p, "%%%02X", (unsigned char)*path);
	}
	(void)strcpy(p, "?immutable=1");
	return uri;
}

static int get_immutable(struct sent_store *store, enum store_operation operation,
			 struct store_row *row_r)
{
	char *uri = immutable_uri(store->real_path);
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = store_connect(store, uri,
				    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	int ret = 0;

	free(uri);
	if (db == NULL)
		return -1;
	if (store_check_schema(store, db) >= 0 &&
	    sqlite3_prepare_v2(db, store_statement_sql(operation), -1, &stmt,
			       NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		store_read_row(stmt, row_r);
		ret = 1;
	}
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return ret;
}

/* As of a file that nobody writes: for as long as the disk is full, nobody does. Not
   where it is open in this process: SQLite closes such a file behind the back of its
   locks. */
int store_get_without_room(struct sent_store *store,
			   enum store_operation operation,
			   struct store_row *row_r)
{
	struct store_file file;
	char *error = store->error;
	int ret;

	if (store->db != NULL)
		return 0;
	store->error = NULL;
	/* a lock has used up the time, most likely */
	store_wait_start(store);
	ret = store_file_look(store, &file);
	if (ret > 0)
		ret = get_immutable(store, operation, row_r);
	store_call_stop(store);
	store->corrupt = false;
	free(store->error);
	store->error = error;
	return ret;
}

/* Its life, and each call's */

struct sent_store *store_init(const struct store_settings *set)
{
	struct sent_store *store = store_alloc(sizeof(*store));

	store->set = *set;
	store_schema_init(store);
	store->lock_path = store_format("%s.lock", set->path);
	store->gap_path = store_format("%s.gap", set->path);
	store->gap_taken_path = store_format("%s.gap-taken", set->path);
	return store;
}

void store_deinit(struct sent_store **_store)
{
	struct sent_store *store = *_store;

	*_store = NULL;
	store_close(store);
	free(store->real_path);
	free(store->folder);
	free(store->lock_path);
	free(store->gap_path);
	free(store->gap_taken_path);
	free(store->error);
	free(store);
}

void store_call_begin(struct sent_store *store, time_t now)
{
	store->now = now != 0 ? now : time(NULL);
	store->corrupt = false;
	store_call_start(store);
}

static void clean_up(struct sent_store *store)
{
	store->reading = false;
	store->read_version = 0;
	if (store->db != NULL) {
		store_statements_reset(store);
		if (sqlite3_get_autocommit(store->db) == 0) {
			(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL,
					   NULL);
		}
	}
	if (store->corrupt) {
		store_close(store);
		store_replace_corrupt(store);
	}
}

void store_call_end(struct sent_store *store, int ret)
{
	if (ret < 0)
		clean_up(store);
	store_call_stop(store);
}
