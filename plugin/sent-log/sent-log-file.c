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

int sent_log_stat(const char *path, struct sent_log_file *file_r)
{
	struct statx st;

	memset(file_r, 0, sizeof(*file_r));
	if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return errno == ENOENT ? 0 : -1;

	file_r->device_major = st.stx_dev_major;
	file_r->device_minor = st.stx_dev_minor;
	file_r->inode = (int64_t)st.stx_ino;
	if ((st.stx_mask & STATX_BTIME) != 0)
		file_r->born = timestamp_nsecs(&st.stx_btime);
	file_r->changed = timestamp_nsecs(&st.stx_ctime);
	file_r->modified = timestamp_nsecs(&st.stx_mtime);
	file_r->size = (int64_t)st.stx_size;
	file_r->mode = st.stx_mode;
	return 1;
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

/* SQLite follows a symbolic link and puts -wal and -shm beside the real file. */
static int find_real_path(struct sent_log *log)
{
	struct stat st;
	char *real_path;

	if (lstat(log->path, &st) == 0 && S_ISLNK(st.st_mode)) {
		real_path = realpath(log->path, NULL);
		/* Made anew here it would hide the one that is missing there. */
		if (real_path == NULL) {
			return sent_log_fail(log, "symbolic link to nothing "
					     "(%s)", strerror(errno));
		}
	} else {
		real_path = sent_log_format("%s", log->path);
	}
	free(log->real_path);
	free(log->folder);
	log->real_path = real_path;
	log->folder = folder_of(real_path);
	return 0;
}

/* SQLite takes a file of one byte for an empty one, too. */
static bool is_empty(const struct sent_log_file *file)
{
	return file->size <= 1;
}

/* SQLite would wait for ever on a FIFO in place of one of its own files. */
static int check_companions(struct sent_log *log)
{
	static const char *const suffixes[] = { "-wal", "-shm", "-journal" };

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char *path = sent_log_format("%s%s", log->real_path,
					     suffixes[i]);
		struct stat st;
		bool regular = lstat(path, &st) < 0 || S_ISREG(st.st_mode);

		free(path);
		if (!regular) {
			return sent_log_fail(log, "%s%s is not a regular file",
					     log->real_path, suffixes[i]);
		}
	}
	return 0;
}

int sent_log_file_look(struct sent_log *log, struct sent_log_file *file_r)
{
	int ret;

	if (find_real_path(log) < 0 || check_companions(log) < 0)
		return -1;
	ret = sent_log_stat(log->path, file_r);
	if (ret < 0)
		return sent_log_fail(log, "%s", strerror(errno));
	if (ret > 0 && !S_ISREG(file_r->mode))
		return sent_log_fail(log, "not a regular file");
	return ret > 0 && !is_empty(file_r) ? 1 : 0;
}

/* One stat(), never open(): closing a second descriptor would drop SQLite's
   locks on the file. */
static bool file_moved(struct sent_log *log)
{
	struct sent_log_file file;

	return sent_log_stat(log->path, &file) <= 0 || is_empty(&file) ||
	       file.device_major != log->file.device_major ||
	       file.device_minor != log->file.device_minor ||
	       !sent_log_same_file(file.inode, file.born, log->file.inode,
				   log->file.born);
}

static int wait_for_lock(void *context, int count)
{
	(void)count;
	return sent_log_wait(context) ? 1 : 0;
}

/* Without the checkpoint that would change or remove what lies beside it. */
static void close_untouched(sqlite3 *db)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(db);
}

sqlite3 *sent_log_connect(struct sent_log *log, const char *path)
{
	static const char settings[] =
		"PRAGMA synchronous = FULL;"
		"PRAGMA trusted_schema = OFF;"
		"PRAGMA cell_size_check = ON;"
		"PRAGMA temp_store = MEMORY;";
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
				 NULL);

	if (rc == SQLITE_OK) {
		(void)sqlite3_extended_result_codes(db, 1);
		(void)sqlite3_busy_handler(db, wait_for_lock, log);
		/* The file is its owner's: what he puts into the schema must
		   not run in a delivery. */
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0,
					NULL);
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0,
					NULL);
		rc = sqlite3_exec(db, settings, NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		(void)sent_log_fail_sqlite(log, db, rc, "can't open");
		close_untouched(db);
		return NULL;
	}
	return db;
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
	int ret = sent_log_check_version(log, log->db);

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
	if (!sent_log_is_adopted(log, &file))
		return sent_log_adopt(log);
	if (check_folder(log) < 0)
		return -1;

	log->file = file;
	log->db = sent_log_connect(log, log->real_path);
	if (log->db == NULL)
		return -1;
	ret = prepare_file(log);
	if (ret <= 0)
		sent_log_file_close(log);
	return ret;
}

int sent_log_file_open(struct sent_log *log)
{
	int ret;

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
	int ret = sent_log_file_look(log, &file);

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
		close_untouched(log->db);
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
