/* Making a log, bringing an older one up to date, and moving out of the way what
   is no log any more. One process at a time, under flock() on PATH.lock, and
   each looks again at what stands at the path once it has the lock.

   PATH.lock also remembers which file -wal, -shm and -journal beside the path
   belong to. SQLite finds them by name alone: beside a file that somebody moved
   there it would read its predecessor's -wal into it. */

#include "store-private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* No more than this are moved aside in one second. */
#define ASIDE_NAMES_MAX 1000

/* The lock */

/* Somebody may have removed the file that we have locked. */
static bool lock_is_current(struct sent_store *store, int fd)
{
	struct stat path_st, fd_st;

	return lstat(store->lock_path, &path_st) == 0 && fstat(fd, &fd_st) == 0 &&
	       path_st.st_ino == fd_st.st_ino && path_st.st_dev == fd_st.st_dev;
}

static int lock_fail(struct sent_store *store, int fd)
{
	if (errno == EWOULDBLOCK)
		(void)store_fail_sqlite(store, NULL, SQLITE_BUSY, "");
	else {
		(void)store_fail(store, "can't lock %s: %s", store->lock_path,
				 strerror(errno));
	}
	(void)close(fd);
	return -1;
}

/* Returns a descriptor, which unlock() closes. */
static int lock(struct sent_store *store)
{
	int fd;

	while ((fd = store_door_open(store, store->lock_path,
					O_RDWR | O_CREAT)) >= 0) {
		while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK && errno != EINTR)
				return lock_fail(store, fd);
			if (!store_wait(store)) {
				errno = EWOULDBLOCK;
				return lock_fail(store, fd);
			}
		}
		if (lock_is_current(store, fd)) {
			/* whatever the umask has made of it */
			(void)fchmod(fd, 0600);
			break;
		}
		(void)close(fd);
		/* who puts another there again and again must not keep us */
		if (!store_wait(store)) {
			return store_fail(store, "%s is replaced again and "
					  "again", store->lock_path);
		}
	}
	return fd;
}

static void unlock(int lock_fd)
{
	(void)close(lock_fd);
}

/* Which file the others beside it belong to */

/* Returns false if nothing is known. */
static bool read_adopted(int fd, struct store_file_id *id_r)
{
	char text[64];
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
	char newline;

	if (size <= 0)
		return false;
	text[size] = '\0';
	return sscanf(text, "%" SCNd64 " %" SCNd64 "%c", &id_r->inode,
		      &id_r->born, &newline) == 3 && newline == '\n';
}

static int write_adopted(struct sent_store *store, int lock_fd,
			 const struct store_file *file)
{
	char text[64];
	int size = snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 "\n",
			    file->id.inode, file->id.born);

	if (pwrite(lock_fd, text, (size_t)size, 0) != size ||
	    ftruncate(lock_fd, size) < 0) {
		return store_fail(store, "can't write %s: %s", store->lock_path,
				  strerror(errno));
	}
	return 0;
}

int store_is_adopted(struct sent_store *store, const struct store_file *file)
{
	struct store_file lock_file;
	struct store_file_id id;
	int fd, ret = store_door_look(store, store->lock_path, &lock_file);

	if (ret <= 0)
		return ret;
	fd = store_door_open(store, store->lock_path, O_RDONLY);
	if (fd < 0)
		return -1;
	ret = read_adopted(fd, &id) &&
	      store_same_file(id, file->id);
	(void)close(fd);
	return ret;
}

/* Moving aside */

/* A name that none of the four files has, nor will ever be overwritten. */
static char *aside_name(struct sent_store *store, const char *why)
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32], *name;

	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned int n = 0; n < ASIDE_NAMES_MAX; n++) {
		bool taken = false;

		name = n == 0 ? store_format("%s.%s-%s", store->real_path, why,
						stamp) :
				store_format("%s.%s-%s.%u", store->real_path,
						why, stamp, n);
		for (unsigned int i = 0; i < STORE_SUFFIX_COUNT; i++) {
			char *path = store_format("%s%s", name,
						  store_suffixes[i]);
			struct stat st;

			if (lstat(path, &st) == 0 || errno != ENOENT)
				taken = true;
			free(path);
		}
		if (!taken)
			return name;
		free(name);
	}
	return NULL;
}

/* Returns 1, 0 if there is no such file, -1 on error. */
static int move_aside_one(struct sent_store *store, const char *aside,
			  const char *suffix)
{
	char *from = store_format("%s%s", store->real_path, suffix);
	char *to = store_format("%s%s", aside, suffix);
	int ret = 1;

	if (rename(from, to) < 0) {
		ret = 0;
		if (errno != ENOENT) {
			ret = store_fail(store, "can't rename %s to %s: %s",
					 from, to, strerror(errno));
		}
	}
	free(from);
	free(to);
	return ret;
}

/* From the first of store_suffixes on. The database goes first: a -wal without
   one is dealt with later, one without its -wal would be read. */
static int move_aside(struct sent_store *store, const char *aside,
		      unsigned int first)
{
	for (unsigned int i = first; i < STORE_SUFFIX_COUNT; i++) {
		if (move_aside_one(store, aside, store_suffixes[i]) < 0)
			return -1;
	}
	return 0;
}

/* Is there one that is not empty, and not younger than file? One that is came
   with it, restored from the same copy. */
static bool is_left_over(struct sent_store *store, const char *suffix,
			 const struct store_file *file)
{
	char *path = store_format("%s%s", store->real_path, suffix);
	struct store_file left;
	bool left_over = store_stat(path, &left) > 0 && left.size > 0 &&
			 (file == NULL || left.changed <= file->changed);

	free(path);
	return left_over;
}

/* What a predecessor of file (NULL = there is none yet) has left beside the
   path: rows that were not yet in the database, so nothing is thrown away. */
static int move_left_overs(struct sent_store *store,
			   const struct store_file *file)
{
	char *aside, *shm;
	int ret;

	if (!is_left_over(store, "-wal", file) &&
	    !is_left_over(store, "-journal", file)) {
		/* only an index of the -wal, of whichever */
		shm = store_format("%s-shm", store->real_path);
		(void)unlink(shm);
		free(shm);
		return 0;
	}

	aside = aside_name(store, "left");
	if (aside == NULL)
		return store_fail(store, "no name is free to move files to");
	ret = move_aside(store, aside, 1);
	if (ret == 0) {
		store_notice(store, "another file stood here before: what it "
				"left was moved to %s-*", aside);
	}
	free(aside);
	return ret;
}

int store_adopt(struct sent_store *store)
{
	struct store_file file;
	struct store_file_id id;
	int ret, lock_fd = lock(store);

	if (lock_fd < 0)
		return -1;
	ret = store_file_look(store, &file);
	if (ret > 0) {
		ret = 0;
		/* Nothing known (PATH.lock was removed): then a -wal is taken
		   for its own, as SQLite does. */
		if (read_adopted(lock_fd, &id) &&
		    !store_same_file(id, file.id))
			ret = move_left_overs(store, &file);
		if (ret == 0)
			ret = write_adopted(store, lock_fd, &file);
	}
	unlock(lock_fd);
	return ret;
}

/* The schema's first row, and bringing it up to date */

static int insert_meta(struct sent_store *store, sqlite3 *db,
		       const struct store_file *file)
{
	static const char sql[] =
		"INSERT OR IGNORE INTO meta (id, created, hash_key,"
		" file_inode, file_born, listed_sources, coverage_start,"
		" coverage_cause) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?1, ?6)";
	unsigned char key[STORE_KEY_SIZE];
	int cause = store->replaces_corrupt ? store->set.corrupt_cause :
					      store->set.created_cause;
	sqlite3_stmt *stmt;
	int rc;

	if (getentropy(key, sizeof(key)) < 0)
		return store_fail(store, "no random bytes: %s", strerror(errno));
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int64(stmt, 1, store->now);
		(void)sqlite3_bind_blob(stmt, 2, key, sizeof(key),
					SQLITE_STATIC);
		(void)sqlite3_bind_int64(stmt, 3, file->id.inode);
		(void)sqlite3_bind_int64(stmt, 4, file->id.born);
		(void)sqlite3_bind_int64(stmt, 5, store->set.listed_sources);
		(void)sqlite3_bind_int64(stmt, 6, cause);
		rc = sqlite3_step(stmt);
	}
	(void)sqlite3_finalize(stmt);
	if (rc != SQLITE_DONE)
		return store_fail_sqlite(store, db, rc, "can't write");
	return 0;
}

static int migrate_locked(struct sent_store *store, sqlite3 *db,
			  const struct store_file *file)
{
	if (store_exec(store, db, "BEGIN IMMEDIATE") < 0)
		return -1;
	if (store_apply_migrations(store, db) < 0 ||
	    insert_meta(store, db, file) < 0 ||
	    store_exec(store, db, "COMMIT") < 0) {
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}

int store_migrate(struct sent_store *store)
{
	int ret, lock_fd = lock(store);

	if (lock_fd < 0)
		return -1;
	store->migrates = true;
	ret = migrate_locked(store, store->db, &store->file);
	store->migrates = false;
	unlock(lock_fd);
	/* it was no answer, and doesn't come again */
	if (ret == 0)
		store_wait_start(store);
	return ret;
}

/* Making one */

/* An empty file, 0600 whatever the umask. */
static int make_empty(struct sent_store *store, const char *path,
		      struct store_file *file_r)
{
	int fd = store_door_open(store, path, O_RDWR | O_CREAT | O_EXCL);

	if (fd < 0)
		return -1;
	/* the only descriptor, before SQLite knows of the file */
	if (fchmod(fd, 0600) < 0 || store_stat(path, file_r) <= 0) {
		(void)close(fd);
		return store_fail(store, "can't create %s: %s", path,
				  strerror(errno));
	}
	(void)close(fd);
	return 0;
}

static int fill_new(struct sent_store *store, const char *path,
		    const struct store_file *file)
{
	sqlite3 *db = store_connect(store, path, SQLITE_OPEN_READWRITE);
	int ret;

	if (db == NULL)
		return -1;
	ret = store_exec(store, db, "PRAGMA synchronous = FULL");
	if (ret == 0)
		ret = migrate_locked(store, db, file);
	if (ret == 0)
		ret = store_set_journal_mode(store, db);
	if (sqlite3_close(db) != SQLITE_OK && ret == 0)
		ret = store_fail(store, "can't close %s", path);
	return ret;
}

static void sync_folder(struct sent_store *store)
{
	int fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		/* not every file system can */
		(void)fsync(fd);
		(void)close(fd);
	}
}

static void remove_new(const char *new_path)
{
	for (unsigned int i = 0; i < STORE_SUFFIX_COUNT; i++) {
		char *path = store_format("%s%s", new_path,
					  store_suffixes[i]);

		(void)unlink(path);
		free(path);
	}
}

/* Built under another name, so that nobody ever sees half a log. */
static int create_locked(struct sent_store *store, int lock_fd)
{
	char *new_path = store_format("%s.new", store->real_path);
	struct store_file file;
	int ret = -1;

	remove_new(new_path);
	if (make_empty(store, new_path, &file) == 0 &&
	    fill_new(store, new_path, &file) == 0 &&
	    move_left_overs(store, NULL) == 0 &&
	    write_adopted(store, lock_fd, &file) == 0) {
		ret = rename(new_path, store->real_path);
		if (ret < 0) {
			(void)store_fail(store, "can't rename %s: %s",
					 new_path, strerror(errno));
		}
	}
	if (ret < 0)
		remove_new(new_path);
	else {
		sync_folder(store);
		store->replaces_corrupt = false;
	}
	free(new_path);
	return ret;
}

int store_create(struct sent_store *store)
{
	struct store_file file;
	bool was_empty = false;
	int ret, lock_fd = lock(store);

	if (lock_fd < 0)
		return -1;
	ret = store_file_look(store, &file);
	if (ret == 0) {
		was_empty = store_stat(store->set.path, &file) > 0;
		ret = create_locked(store, lock_fd);
	}
	unlock(lock_fd);
	if (ret == 0 && was_empty)
		store_notice(store, "was an empty file, a new log starts");
	return ret < 0 ? -1 : 0;
}

/* Replacing a corrupt one */

/* The reason is what SQLite said. */
static int replace_locked(struct sent_store *store, int lock_fd, const char *reason)
{
	struct store_file file;
	char *aside;
	int ret = store_file_look(store, &file);

	/* nothing is moved but what is ours */
	if (ret < 0)
		return -1;
	if (ret == 0 || !store_same_file(file.id, store->file.id)) {
		return store_fail(store, "%s; another process has moved it "
				  "aside", reason);
	}
	aside = aside_name(store, "corrupt");
	if (aside == NULL)
		return store_fail(store, "no name is free to move it to");
	ret = move_aside(store, aside, 0);
	if (ret == 0) {
		store->replaces_corrupt = true;
		store_notice(store, "is corrupt (%s): moved to %s, a new log "
				"starts, and with it coverage", reason, aside);
		ret = create_locked(store, lock_fd);
	}
	if (ret == 0)
		ret = store_fail(store, "%s; moved to %s", reason, aside);
	free(aside);
	return ret;
}

void store_replace_corrupt(struct sent_store *store)
{
	char *reason = store_format("%s", store->error);
	int lock_fd = lock(store);

	if (lock_fd >= 0) {
		(void)replace_locked(store, lock_fd, reason);
		unlock(lock_fd);
	}
	free(reason);
}
