/* The open file: opening it, noticing that another one stands at its path, and
   write transactions in the right one. Making, migrating and moving files aside
   is left to sent-log-create.c. */

#include "sent-log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opening begins anew so many times when the file is made or replaced under our
   hands. */
#define OPEN_ATTEMPTS 8

static int64_t timestamp_nsecs(const struct statx_timestamp *timestamp)
{
	return (int64_t)timestamp->tv_sec * 1000000000 + timestamp->tv_nsec;
}

static int stat_at(int fd, const char *path, int flags,
		   struct sent_log_file *file_r)
{
	struct statx st;

	memset(file_r, 0, sizeof(*file_r));
	if (statx(fd, path, flags, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -1;

	file_r->device_major = st.stx_dev_major;
	file_r->device_minor = st.stx_dev_minor;
	file_r->inode = (int64_t)st.stx_ino;
	if ((st.stx_mask & STATX_BTIME) != 0)
		file_r->born = timestamp_nsecs(&st.stx_btime);
	file_r->changed = timestamp_nsecs(&st.stx_ctime);
	file_r->modified = timestamp_nsecs(&st.stx_mtime);
	file_r->size = (int64_t)st.stx_size;
	file_r->mode = st.stx_mode;
	file_r->owner = st.stx_uid;
	file_r->links = st.stx_nlink;
	return 0;
}

int sent_log_stat(const char *path, struct sent_log_file *file_r)
{
	if (stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, file_r) < 0)
		return errno == ENOENT ? 0 : -1;
	return 1;
}

int sent_log_stat_open(int fd, struct sent_log_file *file_r)
{
	return stat_at(fd, "", AT_EMPTY_PATH, file_r);
}

bool sent_log_same_file(int64_t inode1, int64_t born1, int64_t inode2,
			int64_t born2)
{
	return inode1 == inode2 &&
	       (born1 == born2 || born1 == 0 || born2 == 0);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return sent_log_format(".");
	if (slash == path)
		return sent_log_format("/");
	return sent_log_format("%.*s", (int)(slash - path), path);
}

/* The folders above are the administrator's, and may be symbolic links; SQLite
   is told to follow none. */
static void find_real_path(struct sent_log *log)
{
	const char *slash = strrchr(log->path, '/');
	char *folder = folder_of(log->path);
	char *real_folder = realpath(folder, NULL);

	free(log->real_path);
	free(log->folder);
	if (real_folder == NULL) {
		/* opening it will say what is wrong */
		log->folder = folder;
		log->real_path = sent_log_format("%s", log->path);
		return;
	}
	free(folder);
	log->folder = real_folder;
	log->real_path = sent_log_format(
		"%s/%s", strcmp(real_folder, "/") == 0 ? "" : real_folder,
		slash != NULL ? slash + 1 : log->path);
}

/* SQLite takes a file of one byte for an empty one, too. */
static bool is_empty(const struct sent_log_file *file)
{
	return file->size <= 1;
}

int sent_log_file_look(struct sent_log *log, struct sent_log_file *file_r)
{
	int ret;

	find_real_path(log);
	ret = sent_log_door_look(log, log->real_path, file_r);
	if (ret < 0 || sent_log_door_look_beside(log) < 0)
		return -1;
	return ret > 0 && !is_empty(file_r) ? 1 : 0;
}

/* One stat(), never open(): closing a second descriptor would drop SQLite's
   locks on the file. */
static bool file_moved(struct sent_log *log)
{
	struct sent_log_file file;

	return sent_log_stat(log->path, &file) <= 0 || is_empty(&file) ||
	       !sent_log_door_fits(&file) ||
	       file.device_major != log->file.device_major ||
	       file.device_minor != log->file.device_minor ||
	       !sent_log_same_file(file.inode, file.born, log->file.inode,
				   log->file.born);
}

/* Between the look at it and SQLite's open() another may have come. */
static bool other_was_opened(struct sent_log *log)
{
	int moved = 0;

	return sqlite3_file_control(log->db, "main", SQLITE_FCNTL_HAS_MOVED,
				    &moved) != SQLITE_OK ||
	       moved != 0 || file_moved(log);
}

int sent_log_set_journal_mode(struct sent_log *log, sqlite3 *db)
{
	const char *sql = log->set.network_filesystem ?
				  "PRAGMA journal_mode = DELETE" :
				  "PRAGMA journal_mode = WAL";
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	/* Others have it open in the other mode: that one holds for all until
	   they have gone. */
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return 0;
	return sent_log_fail_sqlite(log, db, rc, "can't set the journal mode");
}

/* A rollback journal is made only when something is written, so SQLite itself
   would notice late. */
static int check_folder(struct sent_log *log)
{
	if (faccessat(AT_FDCWD, log->folder, W_OK | X_OK, AT_EACCESS) < 0) {
		return sent_log_fail(log, "folder %s is not writable (%s)",
				     log->folder, strerror(errno));
	}
	return 0;
}

static int note_restored(struct sent_log *log)
{
	sqlite3_stmt *stmt;

	if (sent_log_exec(log, log->db, "BEGIN IMMEDIATE") < 0)
		return -1;
	stmt = sent_log_statement(log, SENT_LOG_SET_FILE);
	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, log->file.inode);
	(void)sqlite3_bind_int64(stmt, 2, log->file.born);
	if (sent_log_run(log, stmt) < 0 ||
	    sent_log_break_coverage(log, SENT_LOG_COVERAGE_RESTORED) < 0 ||
	    sent_log_exec(log, log->db, "COMMIT") < 0)
		return -1;

	sent_log_notice(log, "was copied or restored, "
			"its coverage starts anew");
	return 0;
}

/* Reads the hash key, and whether these rows were written in this file. */
static int read_meta(struct sent_log *log)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_FILE);
	int64_t inode, born;
	int ret;

	if (stmt == NULL)
		return -1;
	ret = sent_log_step(log, stmt);
	if (ret < 0)
		return -1;
	if (ret == 0 || sqlite3_column_bytes(stmt, 0) != SENT_LOG_KEY_SIZE) {
		(void)sqlite3_reset(stmt);
		log->corrupt = true;
		return sent_log_fail(log, "the hash key is missing");
	}
	memcpy(log->key, sqlite3_column_blob(stmt, 0), sizeof(log->key));
	inode = sqlite3_column_int64(stmt, 1);
	born = sqlite3_column_int64(stmt, 2);
	(void)sqlite3_reset(stmt);

	if (sent_log_hash_init(log) < 0 || sent_log_owner_check(log) < 0)
		return -1;
	if (!sent_log_same_file(inode, born, log->file.inode, log->file.born))
		return note_restored(log);
	return 0;
}

/* Returns 1 if log->db is ready, 0 to look again, -1 on error. */
static int prepare_file(struct sent_log *log)
{
	int ret;

	if (other_was_opened(log))
		return 0;
	ret = sent_log_check_schema(log, log->db);
	/* From here on SQLite knows which -wal it reads. */
	if (ret < 0)
		return -1;
	if (file_moved(log))
		return 0;
	if (sqlite3_db_readonly(log->db, "main") != 0)
		return sent_log_fail(log, "file is read-only");
	if ((ret == 0 && sent_log_migrate(log) < 0) ||
	    sent_log_set_journal_mode(log, log->db) < 0 || read_meta(log) < 0)
		return -1;
	return 1;
}

/* Returns the same. */
static int open_once(struct sent_log *log)
{
	struct sent_log_file file;
	int ret = sent_log_file_look(log, &file);

	if (ret < 0)
		return -1;
	if (ret == 0)
		return sent_log_create(log);
	ret = sent_log_is_adopted(log, &file);
	if (ret <= 0)
		return ret < 0 ? -1 : sent_log_adopt(log);
	if (check_folder(log) < 0)
		return -1;

	log->file = file;
	log->db = sent_log_connect(log, log->real_path, SQLITE_OPEN_READWRITE);
	if (log->db == NULL)
		return -1;
	ret = prepare_file(log);
	if (ret <= 0)
		sent_log_file_close(log);
	return ret;
}

/* Fails once the deadline is over, so that the calls that follow cost nothing. */
static int check_time(struct sent_log *log)
{
	if (!sent_log_time_is_up(log))
		return 0;
	return sent_log_fail(log, "gave no answer within %u ms, not asked again",
			     log->set.deadline_msecs);
}

int sent_log_file_open(struct sent_log *log)
{
	int ret;

	if (check_time(log) < 0)
		return -1;
	if (log->db != NULL && file_moved(log))
		sent_log_file_close(log);
	if (log->db != NULL)
		return 0;

	for (unsigned int i = 0; i < OPEN_ATTEMPTS; i++) {
		ret = open_once(log);
		if (ret != 0)
			return ret < 0 ? -1 : 0;
	}
	return sent_log_fail(log, "is replaced again and again");
}

int sent_log_file_open_existing(struct sent_log *log)
{
	struct sent_log_file file;
	int ret = check_time(log) < 0 ? -1 : sent_log_file_look(log, &file);

	if (ret <= 0)
		return ret;
	return sent_log_file_open(log) < 0 ? -1 : 1;
}

void sent_log_file_close(struct sent_log *log)
{
	if (log->db == NULL)
		return;

	sent_log_statements_free(log);
	/* What lies beside the path may belong to another file by now. */
	if (log->corrupt || file_moved(log))
		sent_log_close_untouched(log->db);
	else
		(void)sqlite3_close(log->db);
	log->db = NULL;
	sent_log_hash_deinit(log);
}

int sent_log_write_begin(struct sent_log *log)
{
	sent_log_yield(log);
	for (unsigned int i = 0; i < OPEN_ATTEMPTS; i++) {
		if (sent_log_file_open(log) < 0 ||
		    sent_log_exec(log, log->db, "BEGIN IMMEDIATE") < 0)
			return -1;
		/* again, since the lock may have taken its time */
		if (!file_moved(log)) {
			if (sent_log_clock_settle(log) < 0)
				return -1;
			return sent_log_gap_take(log);
		}
		sent_log_file_close(log);
	}
	return sent_log_fail(log, "is replaced again and again");
}

int sent_log_write_commit(struct sent_log *log)
{
	if (sent_log_exec(log, log->db, "COMMIT") < 0)
		return -1;
	if (log->clock_notice != NULL)
		sent_log_notice(log, "%s", log->clock_notice);
	log->clock_notice = NULL;
	if (log->gap_taken)
		sent_log_gap_taken(log);
	return 0;
}
