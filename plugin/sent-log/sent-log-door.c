/* The door: whatever is opened at the log's path or beside it comes in here. A
   system user, an FTP home or a folder that several may write to make each of these
   files an input from outside. Which tables may stand in the database is left to
   sent-log-schema.c. */

#include "sent-log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
};

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

bool sent_log_door_fits(const struct sent_log_file *file)
{
	return S_ISREG(file->mode) && file->owner == geteuid() &&
	       (file->mode & (S_IWGRP | S_IWOTH)) == 0 && file->links <= 1;
}

/* Sets log->error and returns -1. */
static int refuse(struct sent_log *log, const char *path,
		  const struct sent_log_file *file)
{
	/* whoever prints the error has named the log */
	const char *name = strcmp(path, log->real_path != NULL ?
					log->real_path : log->path) == 0 ?
				   "" : path;
	const char *space = *name == '\0' ? "" : " ";

	if (!S_ISREG(file->mode)) {
		return sent_log_fail(log, "%s%sis %s, not a regular file: move "
				     "it away, or let backscatter_db name "
				     "another folder", name, space,
				     kind_of(file->mode));
	}
	if (file->owner != geteuid()) {
		return sent_log_fail(log, "%s%sbelongs to uid %u, not to uid %u "
				     "whose log this is: chown it if he wrote "
				     "it, otherwise move it away", name, space,
				     file->owner, (unsigned int)geteuid());
	}
	if (file->links > 1) {
		return sent_log_fail(log, "%s%shas %u names (hard links): put a "
				     "copy in its place", name, space,
				     file->links);
	}
	return sent_log_fail(log, "%s%smay be written by others (mode %04o): "
			     "chmod 600 it if none of them did, otherwise move "
			     "it away", name, space, file->mode & MODE_BITS);
}

int sent_log_door_look(struct sent_log *log, const char *path,
		       struct sent_log_file *file_r)
{
	int ret = sent_log_stat(path, file_r);

	if (ret < 0)
		return sent_log_fail(log, "%s: %s", path, strerror(errno));
	if (ret > 0 && !sent_log_door_fits(file_r))
		return refuse(log, path, file_r);
	return ret;
}

int sent_log_look_beside(struct sent_log *log, const char *suffix,
			 const char **error_r)
{
	struct sent_log_file file;
	char *path = sent_log_format("%s%s", log->path, suffix);
	int ret = sent_log_door_look(log, path, &file);

	free(path);
	if (ret < 0)
		*error_r = log->error;
	return ret;
}

int sent_log_door_open(struct sent_log *log, const char *path, int flags)
{
	struct sent_log_file file;
	int fd, open_errno;

	/* a FIFO must not be waited for */
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		  0600);
	if (fd < 0) {
		open_errno = errno;
		if (sent_log_door_look(log, path, &file) >= 0) {
			(void)sent_log_fail(log, "can't open %s: %s", path,
					    strerror(open_errno));
		}
		return -1;
	}
	if (sent_log_stat_open(fd, &file) < 0) {
		(void)sent_log_fail(log, "%s: %s", path, strerror(errno));
		(void)close(fd);
		return -1;
	}
	if (!sent_log_door_fits(&file)) {
		(void)refuse(log, path, &file);
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int check_size(struct sent_log *log, const char *path,
		      const struct sent_log_file *file)
{
	if (file->size <= JOURNAL_MAX_SIZE)
		return 0;
	return sent_log_fail(log, "%s is larger than %d MiB: sqlite3 %s 'PRAGMA "
			     "wal_checkpoint(TRUNCATE)'", path,
			     JOURNAL_MAX_SIZE / (1024 * 1024), log->path);
}

int sent_log_door_look_beside(struct sent_log *log)
{
	static const char *const suffixes[] = { "-wal", "-shm", "-journal" };
	struct sent_log_file file;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char *path = sent_log_format("%s%s", log->real_path,
					     suffixes[i]);
		int ret = sent_log_door_look(log, path, &file);

		if (ret > 0)
			ret = check_size(log, path, &file);
		free(path);
		if (ret < 0)
			return -1;
	}
	return 0;
}

static int wait_for_lock(void *context, int count)
{
	(void)count;
	return sent_log_wait(context) ? 1 : 0;
}

/* SQLite's machine stops when this is not 0. */
static int is_too_much(void *context)
{
	struct sent_log *log = context;

	/* of the whole process, hence the difference */
	log->used_too_much_memory =
		sqlite3_memory_used() - log->memory_before > MEMORY_MAX;
	return log->used_too_much_memory || sent_log_time_is_up(log) ? 1 : 0;
}

/* Without the checkpoint that would change or remove what lies beside it. */
void sent_log_close_untouched(sqlite3 *db)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(db);
}

static void bound(struct sent_log *log, sqlite3 *db)
{
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_handler(db, wait_for_lock, log);
	log->memory_before = sqlite3_memory_used();
	sqlite3_progress_handler(db, PROGRESS_STEPS, is_too_much, log);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		(void)sqlite3_limit(db, limits[i].id, limits[i].value);
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		(void)sqlite3_db_config(db, switches[i].option,
					switches[i].value, NULL);
	}
}

sqlite3 *sent_log_connect(struct sent_log *log, const char *path, int flags)
{
	/* none of these looks at the schema */
	static const char settings[] = "PRAGMA cell_size_check = ON;"
				       "PRAGMA mmap_size = 0;"
				       "PRAGMA temp_store = MEMORY;";
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db,
				 flags | SQLITE_OPEN_NOMUTEX |
					 SQLITE_OPEN_NOFOLLOW,
				 NULL);

	if (rc == SQLITE_OK) {
		bound(log, db);
		rc = sqlite3_exec(db, settings, NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		(void)sent_log_fail_sqlite(log, db, rc, "can't open");
		sent_log_close_untouched(db);
		return NULL;
	}
	return db;
}
