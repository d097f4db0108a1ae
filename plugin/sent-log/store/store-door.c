/* The door: whatever is opened at the log's path or beside it comes in here. A
   system user, an FTP home or a folder that several may write to make each of these
   files an input from outside. Which tables may stand in the database is left to
   store-schema.c. */

#include "store-private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const store_suffixes[STORE_SUFFIX_COUNT] = {
	"", "-wal", "-shm", "-journal"
};

#define MODE_BITS 07777
/* SQLite reads all of a -wal or -journal that it finds, and nothing can stop it:
   about half a second's work. A log's own has some MiB. */
#define JOURNAL_MAX_SIZE (256 * 1024 * 1024)
/* An honest log needs three. */
#define MEMORY_MAX (64 * 1024 * 1024)
/* So many steps of SQLite's machine take some microseconds. */
#define PROGRESS_STEPS 1000

/* No statement and no row of ours comes near these. */
static const struct {
	int id, value;
} limits[] = {
	{ SQLITE_LIMIT_LENGTH, 1024 * 1024 },
	{ SQLITE_LIMIT_SQL_LENGTH, 64 * 1024 },
	{ SQLITE_LIMIT_COLUMN, 100 },
	{ SQLITE_LIMIT_EXPR_DEPTH, 100 },
	{ SQLITE_LIMIT_COMPOUND_SELECT, 10 },
	{ SQLITE_LIMIT_VDBE_OP, 25000 },
	{ SQLITE_LIMIT_FUNCTION_ARG, 16 },
	{ SQLITE_LIMIT_ATTACHED, 0 },
	{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100 },
	{ SQLITE_LIMIT_VARIABLE_NUMBER, 32 },
	{ SQLITE_LIMIT_TRIGGER_DEPTH, 0 },
	{ SQLITE_LIMIT_WORKER_THREADS, 0 },
};

/* What is put into a schema must not run in a delivery. */
static const struct {
	int option, value;
} switches[] = {
	{ SQLITE_DBCONFIG_DEFENSIVE, 1 },
	{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
	{ SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
	{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
	{ SQLITE_DBCONFIG_DQS_DDL, 0 },
	{ SQLITE_DBCONFIG_DQS_DML, 0 },
	/* a plan doesn't depend on values, or each new one would make it anew */
	{ SQLITE_DBCONFIG_ENABLE_QPSG, 1 },
};

static int64_t timestamp_nsecs(const struct statx_timestamp *timestamp)
{
	return (int64_t)timestamp->tv_sec * 1000000000 + timestamp->tv_nsec;
}

static int stat_at(int fd, const char *path, int flags,
		   struct store_file *file_r)
{
	struct statx st;

	memset(file_r, 0, sizeof(*file_r));
	if (statx(fd, path, flags, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -1;

	file_r->device_major = st.stx_dev_major;
	file_r->device_minor = st.stx_dev_minor;
	file_r->id.inode = (int64_t)st.stx_ino;
	if ((st.stx_mask & STATX_BTIME) != 0)
		file_r->id.born = timestamp_nsecs(&st.stx_btime);
	file_r->changed = timestamp_nsecs(&st.stx_ctime);
	file_r->modified = timestamp_nsecs(&st.stx_mtime);
	file_r->size = (int64_t)st.stx_size;
	file_r->mode = st.stx_mode;
	file_r->owner = st.stx_uid;
	file_r->links = st.stx_nlink;
	return 0;
}

int store_stat(const char *path, struct store_file *file_r)
{
	if (stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, file_r) < 0)
		return errno == ENOENT ? 0 : -1;
	return 1;
}

static int stat_open(int fd, struct store_file *file_r)
{
	return stat_at(fd, "", AT_EMPTY_PATH, file_r);
}

bool store_same_file(struct store_file_id id1, struct store_file_id id2)
{
	return id1.inode == id2.inode &&
	       (id1.born == id2.born || id1.born == 0 || id2.born == 0);
}

static const char *kind_of(unsigned int mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory (an IMAP folder of that name?)";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

bool store_door_fits(const struct store_file *file)
{
	return S_ISREG(file->mode) && file->owner == geteuid() &&
	       (file->mode & (S_IWGRP | S_IWOTH)) == 0 && file->links <= 1;
}

/* Sets store->error and returns -1. */
static int refuse(struct sent_store *store, const char *path,
		  const struct store_file *file)
{
	/* whoever prints the error has named the log */
	const char *name = strcmp(path, store->real_path != NULL ?
					store->real_path : store->set.path) == 0 ?
				   "" : path;
	const char *space = *name == '\0' ? "" : " ";

	if (!S_ISREG(file->mode)) {
		return store_fail(store, "%s%sis %s, not a regular file: move "
				  "it away, or let backscatter_db name "
				  "another folder", name, space,
				  kind_of(file->mode));
	}
	if (file->owner != geteuid()) {
		return store_fail(store, "%s%sbelongs to uid %u, not to uid %u "
				  "whose log this is: chown it if he wrote "
				  "it, otherwise move it away", name, space,
				  file->owner, (unsigned int)geteuid());
	}
	if (file->links > 1) {
		return store_fail(store, "%s%shas %u names (hard links): put a "
				  "copy in its place", name, space,
				  file->links);
	}
	return store_fail(store, "%s%smay be written by others (mode %04o): "
			  "chmod 600 it if none of them did, otherwise move "
			  "it away", name, space, file->mode & MODE_BITS);
}

/* many_names: it may have hard links. */
static int look(struct sent_store *store, const char *path, bool many_names,
		struct store_file *file_r)
{
	int ret = store_stat(path, file_r);

	if (ret < 0)
		return store_fail(store, "%s: %s", path, strerror(errno));
	if (many_names)
		file_r->links = 1;
	if (ret > 0 && !store_door_fits(file_r))
		return refuse(store, path, file_r);
	return ret;
}

int store_door_look(struct sent_store *store, const char *path,
		    struct store_file *file_r)
{
	return look(store, path, false, file_r);
}

/* A lock may have two names: Dovecot makes it under another one, and a process can be
   killed before it takes that away. Nothing is written into it. */
int store_look_beside(struct sent_store *store, const char *suffix)
{
	struct store_file file;
	char *path = store_format("%s%s", store->set.path, suffix);
	int ret = look(store, path, true, &file);

	free(path);
	return ret;
}

int store_door_open(struct sent_store *store, const char *path, int flags)
{
	struct store_file file;
	int fd, open_errno;

	/* a FIFO must not be waited for */
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		  0600);
	if (fd < 0) {
		open_errno = errno;
		if (store_door_look(store, path, &file) >= 0) {
			(void)store_fail(store, "can't open %s: %s", path,
					 strerror(open_errno));
		}
		return -1;
	}
	if (stat_open(fd, &file) < 0) {
		(void)store_fail(store, "%s: %s", path, strerror(errno));
		(void)close(fd);
		return -1;
	}
	if (!store_door_fits(&file)) {
		(void)refuse(store, path, &file);
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int check_size(struct sent_store *store, const char *path,
		      const struct store_file *file)
{
	if (file->size <= JOURNAL_MAX_SIZE)
		return 0;
	return store_fail(store, "%s is larger than %d MiB: sqlite3 %s 'PRAGMA "
			  "wal_checkpoint(TRUNCATE)'", path,
			  JOURNAL_MAX_SIZE / (1024 * 1024), store->set.path);
}

int store_door_look_beside(struct sent_store *store)
{
	struct store_file file;

	for (unsigned int i = 1; i < STORE_SUFFIX_COUNT; i++) {
		char *path = store_format("%s%s", store->real_path,
					  store_suffixes[i]);
		int ret = store_door_look(store, path, &file);

		if (ret > 0)
			ret = check_size(store, path, &file);
		free(path);
		if (ret < 0)
			return -1;
	}
	return 0;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return store_format(".");
	if (slash == path)
		return store_format("/");
	return store_format("%.*s", (int)(slash - path), path);
}

/* The folders above are the administrator's, and may be symbolic links; SQLite
   is told to follow none. */
static void find_real_path(struct sent_store *store)
{
	const char *slash = strrchr(store->set.path, '/');
	char *folder = folder_of(store->set.path);
	char *real_folder = realpath(folder, NULL);

	free(store->real_path);
	free(store->folder);
	if (real_folder == NULL) {
		/* opening it will say what is wrong */
		store->folder = folder;
		store->real_path = store_format("%s", store->set.path);
		return;
	}
	free(folder);
	store->folder = real_folder;
	store->real_path = store_format(
		"%s/%s", strcmp(real_folder, "/") == 0 ? "" : real_folder,
		slash != NULL ? slash + 1 : store->set.path);
}

/* SQLite takes a file of one byte for an empty one, too. */
static bool is_empty(const struct store_file *file)
{
	return file->size <= 1;
}

int store_file_look(struct sent_store *store, struct store_file *file_r)
{
	int ret;

	find_real_path(store);
	ret = store_door_look(store, store->real_path, file_r);
	if (ret < 0 || store_door_look_beside(store) < 0)
		return -1;
	return ret > 0 && !is_empty(file_r) ? 1 : 0;
}

static int wait_for_lock(void *context, int count)
{
	(void)count;
	return store_wait(context) ? 1 : 0;
}

/* SQLite's machine stops when this is not 0. */
static int is_too_much(void *context)
{
	struct sent_store *store = context;

	/* of the whole process, hence the difference */
	store->used_too_much_memory =
		sqlite3_memory_used() - store->memory_before > MEMORY_MAX;
	return store->used_too_much_memory || store_time_is_up(store) ? 1 : 0;
}

/* Without the checkpoint that would change or remove what lies beside it. */
void store_close_untouched(sqlite3 *db)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(db);
}

static void bound(struct sent_store *store, sqlite3 *db)
{
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_handler(db, wait_for_lock, store);
	store->memory_before = sqlite3_memory_used();
	sqlite3_progress_handler(db, PROGRESS_STEPS, is_too_much, store);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		(void)sqlite3_limit(db, limits[i].id, limits[i].value);
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		(void)sqlite3_db_config(db, switches[i].option,
					switches[i].value, NULL);
	}
}

sqlite3 *store_connect(struct sent_store *store, const char *path, int flags)
{
	/* none of these looks at the schema */
	static const char settings[] = "PRAGMA cell_size_check = ON;"
				       "PRAGMA mmap_size = 0;"
				       "PRAGMA temp_store = MEMORY;";
	sqlite3 *db = NULL;
	const char *error = store_load();
	int rc;

	if (error != NULL) {
		(void)store_fail(store, "can't load SQLite: %s", error);
		return NULL;
	}
	rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX |
			     SQLITE_OPEN_NOFOLLOW, NULL);
	if (rc == SQLITE_OK) {
		bound(store, db);
		rc = sqlite3_exec(db, settings, NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		(void)store_fail_sqlite(store, db, rc, "can't open");
		if (db != NULL)
			store_close_untouched(db);
		return NULL;
	}
	return db;
}

int store_set_journal_mode(struct sent_store *store, sqlite3 *db)
{
	const char *sql = store->set.network_filesystem ?
				  "PRAGMA journal_mode = DELETE" :
				  "PRAGMA journal_mode = WAL";
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	/* Others have it open in the other mode: that one holds for all until
	   they have gone. */
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return 0;
	return store_fail_sqlite(store, db, rc, "can't set the journal mode");
}

/* The gap mark */

static const char *mark_path(const struct sent_store *store,
			     enum store_mark_state state)
{
	return state == STORE_MARK_SET ? store->gap_path :
					 store->gap_taken_path;
}

int store_mark_set(struct sent_store *store)
{
	int fd = store_door_open(store, store->gap_path, O_WRONLY | O_CREAT);
	int ret = 1;

	if (fd < 0)
		return -1;
	if (futimens(fd, NULL) < 0) {
		ret = store_fail(store, "can't renew %s: %s", store->gap_path,
				 strerror(errno));
	} else {
		/* whatever the umask has made of it */
		(void)fchmod(fd, 0600);
	}
	(void)close(fd);
	return ret;
}

bool store_mark_exists(struct sent_store *store)
{
	struct store_file file;

	/* one that can't be looked at may be there, and so may one that could
	   not be made because something else is */
	return store_stat(store->gap_path, &file) != 0 ||
	       store_stat(store->gap_taken_path, &file) != 0;
}

int store_mark_look(struct sent_store *store, enum store_mark_state state,
		    struct store_mark *mark_r)
{
	struct store_file file;
	int ret = store_door_look(store, mark_path(store, state), &file);

	if (ret > 0) {
		mark_r->inode = file.id.inode;
		mark_r->time = file.modified;
	}
	return ret;
}

int store_mark_take(struct sent_store *store)
{
	if (rename(store->gap_path, store->gap_taken_path) < 0) {
		return store_fail(store, "can't rename %s: %s", store->gap_path,
				  strerror(errno));
	}
	return 0;
}

void store_mark_remove_taken(struct sent_store *store)
{
	(void)unlink(store->gap_taken_path);
}
