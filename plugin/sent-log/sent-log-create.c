/* Making a log, bringing an older one up to date, and moving out of the way what
   is no log any more. One process at a time, under flock() on PATH.lock, and
   each looks again at what stands at the path once it has the lock.

   PATH.lock also remembers which file -wal, -shm and -journal beside the path
   belong to. SQLite finds them by name alone: beside a file that somebody moved
   there it would read its predecessor's -wal into it. */

#include "sent-log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* No more than this are moved aside in one second. */
#define ASIDE_NAMES_MAX 1000

static const char *const file_suffixes[] = { "", "-wal", "-shm", "-journal" };
#define FILE_SUFFIX_COUNT (sizeof(file_suffixes) / sizeof(file_suffixes[0]))

/* The lock */

/* Somebody may have removed the file that we have locked. */
static bool lock_is_current(struct sent_log *log, int fd)
{
	struct stat path_st, fd_st;

	return lstat(log->lock_path, &path_st) == 0 && fstat(fd, &fd_st) == 0 &&
	       path_st.st_ino == fd_st.st_ino && path_st.st_dev == fd_st.st_dev;
}

static int lock_fail(struct sent_log *log, int fd)
{
	if (errno == EWOULDBLOCK)
		(void)sent_log_fail_sqlite(log, NULL, SQLITE_BUSY, "");
	else {
		(void)sent_log_fail(log, "can't lock %s: %s", log->lock_path,
				    strerror(errno));
	}
	(void)close(fd);
	return -1;
}

/* Returns a descriptor, which unlock() closes. */
static int lock(struct sent_log *log)
{
	int fd;

	while ((fd = sent_log_door_open(log, log->lock_path,
					O_RDWR | O_CREAT)) >= 0) {
		while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK && errno != EINTR)
				return lock_fail(log, fd);
			if (!sent_log_wait(log)) {
				errno = EWOULDBLOCK;
				return lock_fail(log, fd);
			}
		}
		if (lock_is_current(log, fd)) {
			/* whatever the umask has made of it */
			(void)fchmod(fd, 0600);
			break;
		}
		(void)close(fd);
		/* who puts another there again and again must not keep us */
		if (!sent_log_wait(log)) {
			return sent_log_fail(log, "%s is replaced again and "
					     "again", log->lock_path);
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
static bool read_adopted(int fd, int64_t *inode_r, int64_t *born_r)
{
	char text[64];
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
	char newline;

	if (size <= 0)
		return false;
	text[size] = '\0';
	return sscanf(text, "%" SCNd64 " %" SCNd64 "%c", inode_r, born_r,
		      &newline) == 3 && newline == '\n';
}

static int write_adopted(struct sent_log *log, int lock_fd,
			 const struct sent_log_file *file)
{
	char text[64];
	int size = snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 "\n",
			    file->inode, file->born);

	if (pwrite(lock_fd, text, (size_t)size, 0) != size ||
	    ftruncate(lock_fd, size) < 0) {
		return sent_log_fail(log, "can't write %s: %s", log->lock_path,
				     strerror(errno));
	}
	return 0;
}

int sent_log_is_adopted(struct sent_log *log, const struct sent_log_file *file)
{
	struct sent_log_file lock_file;
	int64_t inode, born;
	int fd, ret = sent_log_door_look(log, log->lock_path, &lock_file);

	if (ret <= 0)
		return ret;
	fd = sent_log_door_open(log, log->lock_path, O_RDONLY);
	if (fd < 0)
		return -1;
	ret = read_adopted(fd, &inode, &born) &&
	      sent_log_same_file(inode, born, file->inode, file->born);
	(void)close(fd);
	return ret;
}

/* Moving aside */

/* A name that none of the four files has, nor will ever be overwritten. */
static char *aside_name(struct sent_log *log, const char *why)
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32], *name;

	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned int n = 0; n < ASIDE_NAMES_MAX; n++) {
		bool taken = false;

		name = n == 0 ? sent_log_format("%s.%s-%s", log->real_path, why,
						stamp) :
				sent_log_format("%s.%s-%s.%u", log->real_path,
						why, stamp, n);
		for (unsigned int i = 0; i < FILE_SUFFIX_COUNT; i++) {
			char *path = sent_log_format("%s%s", name,
						     file_suffixes[i]);
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
static int move_aside_one(struct sent_log *log, const char *aside,
			  const char *suffix)
{
	char *from = sent_log_format("%s%s", log->real_path, suffix);
	char *to = sent_log_format("%s%s", aside, suffix);
	int ret = 1;

	if (rename(from, to) < 0) {
		ret = 0;
		if (errno != ENOENT) {
			ret = sent_log_fail(log, "can't rename %s to %s: %s",
					    from, to, strerror(errno));
		}
	}
	free(from);
	free(to);
	return ret;
}

/* From the first of file_suffixes on. The database goes first: a -wal without
   one is dealt with later, one without its -wal would be read. */
static int move_aside(struct sent_log *log, const char *aside,
		      unsigned int first)
{
	for (unsigned int i = first; i < FILE_SUFFIX_COUNT; i++) {
		if (move_aside_one(log, aside, file_suffixes[i]) < 0)
			return -1;
	}
	return 0;
}

/* Is there one that is not empty, and not younger than file? One that is came
   with it, restored from the same copy. */
static bool is_left_over(struct sent_log *log, const char *suffix,
			 const struct sent_log_file *file)
{
	char *path = sent_log_format("%s%s", log->real_path, suffix);
	struct sent_log_file left;
	bool left_over = sent_log_stat(path, &left) > 0 && left.size > 0 &&
			 (file == NULL || left.changed <= file->changed);

	free(path);
	return left_over;
}

/* What a predecessor of file (NULL = there is none yet) has left beside the
   path: rows that were not yet in the database, so nothing is thrown away. */
static int move_left_overs(struct sent_log *log,
			   const struct sent_log_file *file)
{
	char *aside, *shm;
	int ret;

	if (!is_left_over(log, "-wal", file) &&
	    !is_left_over(log, "-journal", file)) {
		/* only an index of the -wal, of whichever */
		shm = sent_log_format("%s-shm", log->real_path);
		(void)unlink(shm);
		free(shm);
		return 0;
	}

	aside = aside_name(log, "left");
	if (aside == NULL)
		return sent_log_fail(log, "no name is free to move files to");
	ret = move_aside(log, aside, 1);
	if (ret == 0) {
		sent_log_notice(log, "another file stood here before: what it "
				"left was moved to %s-*", aside);
	}
	free(aside);
	return ret;
}

int sent_log_adopt(struct sent_log *log)
{
	struct sent_log_file file;
	int64_t inode, born;
	int ret, lock_fd = lock(log);

	if (lock_fd < 0)
		return -1;
	ret = sent_log_file_look(log, &file);
	if (ret > 0) {
		ret = 0;
		/* Nothing known (PATH.lock was removed): then a -wal is taken
		   for its own, as SQLite does. */
		if (read_adopted(lock_fd, &inode, &born) &&
		    !sent_log_same_file(inode, born, file.inode, file.born))
			ret = move_left_overs(log, &file);
		if (ret == 0)
			ret = write_adopted(log, lock_fd, &file);
	}
	unlock(lock_fd);
	return ret;
}

/* The schema's first row, and bringing it up to date */

static int insert_meta(struct sent_log *log, sqlite3 *db,
		       const struct sent_log_file *file)
{
	static const char sql[] =
		"INSERT OR IGNORE INTO meta (id, created, hash_key,"
		" file_inode, file_born, listed_sources, coverage_start,"
		" coverage_cause) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?1, ?6)";
	unsigned char key[SENT_LOG_KEY_SIZE];
	enum sent_log_coverage_cause cause = log->replaces_corrupt ?
						     SENT_LOG_COVERAGE_CORRUPT :
						     SENT_LOG_COVERAGE_CREATED;
	sqlite3_stmt *stmt;
	int rc;

	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		return sent_log_fail(log, "OpenSSL has no random bytes");
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_bind_int64(stmt, 1, log->now);
		(void)sqlite3_bind_blob(stmt, 2, key, sizeof(key),
					SQLITE_STATIC);
		(void)sqlite3_bind_int64(stmt, 3, file->inode);
		(void)sqlite3_bind_int64(stmt, 4, file->born);
		(void)sqlite3_bind_int64(stmt, 5, log->set.listed_sources);
		(void)sqlite3_bind_int64(stmt, 6, cause);
		rc = sqlite3_step(stmt);
	}
	(void)sqlite3_finalize(stmt);
	if (rc != SQLITE_DONE)
		return sent_log_fail_sqlite(log, db, rc, "can't write");
	return 0;
}

static int migrate_locked(struct sent_log *log, sqlite3 *db,
			  const struct sent_log_file *file)
{
	if (sent_log_exec(log, db, "BEGIN IMMEDIATE") < 0)
		return -1;
	if (sent_log_apply_migrations(log, db) < 0 ||
	    insert_meta(log, db, file) < 0 ||
	    sent_log_exec(log, db, "COMMIT") < 0) {
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}

int sent_log_migrate(struct sent_log *log)
{
	int ret, lock_fd = lock(log);

	if (lock_fd < 0)
		return -1;
	log->migrates = true;
	ret = migrate_locked(log, log->db, &log->file);
	log->migrates = false;
	unlock(lock_fd);
	/* it was no answer, and doesn't come again */
	if (ret == 0)
		sent_log_wait_start(log);
	return ret;
}

/* Making one */

/* An empty file, 0600 whatever the umask. */
static int make_empty(struct sent_log *log, const char *path,
		      struct sent_log_file *file_r)
{
	int fd = sent_log_door_open(log, path, O_RDWR | O_CREAT | O_EXCL);

	if (fd < 0)
		return -1;
	/* the only descriptor, before SQLite knows of the file */
	if (fchmod(fd, 0600) < 0 || sent_log_stat(path, file_r) <= 0) {
		(void)close(fd);
		return sent_log_fail(log, "can't create %s: %s", path,
				     strerror(errno));
	}
	(void)close(fd);
	return 0;
}

static int fill_new(struct sent_log *log, const char *path,
		    const struct sent_log_file *file)
{
	sqlite3 *db = sent_log_connect(log, path, SQLITE_OPEN_READWRITE);
	int ret;

	if (db == NULL)
		return -1;
	ret = sent_log_exec(log, db, "PRAGMA synchronous = FULL");
	if (ret == 0)
		ret = migrate_locked(log, db, file);
	if (ret == 0)
		ret = sent_log_set_journal_mode(log, db);
	if (sqlite3_close(db) != SQLITE_OK && ret == 0)
		ret = sent_log_fail(log, "can't close %s", path);
	return ret;
}

static void sync_folder(struct sent_log *log)
{
	int fd = open(log->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		/* not every file system can */
		(void)fsync(fd);
		(void)close(fd);
	}
}

static void remove_new(const char *new_path)
{
	for (unsigned int i = 0; i < FILE_SUFFIX_COUNT; i++) {
		char *path = sent_log_format("%s%s", new_path,
					     file_suffixes[i]);

		(void)unlink(path);
		free(path);
	}
}

/* Built under another name, so that nobody ever sees half a log. */
static int create_locked(struct sent_log *log, int lock_fd)
{
	char *new_path = sent_log_format("%s.new", log->real_path);
	struct sent_log_file file;
	int ret = -1;

	remove_new(new_path);
	if (make_empty(log, new_path, &file) == 0 &&
	    fill_new(log, new_path, &file) == 0 &&
	    move_left_overs(log, NULL) == 0 &&
	    write_adopted(log, lock_fd, &file) == 0) {
		ret = rename(new_path, log->real_path);
		if (ret < 0) {
			(void)sent_log_fail(log, "can't rename %s: %s",
					    new_path, strerror(errno));
		}
	}
	if (ret < 0)
		remove_new(new_path);
	else {
		sync_folder(log);
		log->replaces_corrupt = false;
	}
	free(new_path);
	return ret;
}

int sent_log_create(struct sent_log *log)
{
	struct sent_log_file file;
	bool was_empty = false;
	int ret, lock_fd = lock(log);

	if (lock_fd < 0)
		return -1;
	ret = sent_log_file_look(log, &file);
	if (ret == 0) {
		was_empty = sent_log_stat(log->path, &file) > 0;
		ret = create_locked(log, lock_fd);
	}
	unlock(lock_fd);
	if (ret == 0 && was_empty)
		sent_log_notice(log, "was an empty file, a new log starts");
	return ret < 0 ? -1 : 0;
}

/* Replacing a corrupt one */

/* The reason is what SQLite said. */
static int replace_locked(struct sent_log *log, int lock_fd, const char *reason)
{
	struct sent_log_file file;
	char *aside;
	int ret = sent_log_file_look(log, &file);

	/* nothing is moved but what is ours */
	if (ret < 0)
		return -1;
	if (ret == 0 || !sent_log_same_file(file.inode, file.born,
					    log->file.inode, log->file.born)) {
		return sent_log_fail(log, "%s; another process has moved it "
				     "aside", reason);
	}
	aside = aside_name(log, "corrupt");
	if (aside == NULL)
		return sent_log_fail(log, "no name is free to move it to");
	ret = move_aside(log, aside, 0);
	if (ret == 0) {
		log->replaces_corrupt = true;
		sent_log_notice(log, "is corrupt (%s): moved to %s, a new log "
				"starts, and with it coverage", reason, aside);
		ret = create_locked(log, lock_fd);
	}
	if (ret == 0)
		ret = sent_log_fail(log, "%s; moved to %s", reason, aside);
	free(aside);
	return ret;
}

void sent_log_replace_corrupt(struct sent_log *log)
{
	char *reason = sent_log_format("%s", log->error);
	int lock_fd = lock(log);

	if (lock_fd >= 0) {
		(void)replace_locked(log, lock_fd, reason);
		unlock(lock_fd);
	}
	free(reason);
}
