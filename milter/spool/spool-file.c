/* The spool's file in SQLite. */

#include "spool-file.h"
#include "milter/log.h"
#include "milter/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "bkml", in the file's header: this database is ours. */
#define APPLICATION_ID 0x626b6d6c
#define SCHEMA_VERSION 1
/* One that ends may still hold it. */
#define BUSY_MSECS 2000
#define MOVE_ATTEMPTS 100
#define TIME_SIZE 32

/* FULL: a commit is on the disk when it returns, in WAL mode, too. The file's lock is
   kept until it is closed. */
static const char setup_sql[] =
	"PRAGMA locking_mode = EXCLUSIVE;"
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = FULL;"
	"PRAGMA journal_size_limit = 16777216;"
	"PRAGMA trusted_schema = OFF;";

static const char schema_sql[] =
	/* arguments: JSON, as doveadm gets them. set_aside: why Dovecot will never take
	   this row; NULL = it waits. */
	"CREATE TABLE row (id INTEGER PRIMARY KEY, user TEXT NOT NULL,"
	" arguments TEXT NOT NULL, set_aside TEXT);"
	/* One row: when the process that had the file was last there. */
	"CREATE TABLE life (id INTEGER PRIMARY KEY CHECK (id = 1),"
	" seen INTEGER NOT NULL);"
	"INSERT INTO life VALUES (1, 0);"
	"PRAGMA application_id = 1651207532;"
	"PRAGMA user_version = 1;";

enum statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_EACH,
	STATEMENT_LAST_ID,
	STATEMENT_GET,
	STATEMENT_INSERT,
	STATEMENT_DELETE,
	STATEMENT_SET_ASIDE,
	STATEMENT_LIMIT_SET_ASIDE,
	STATEMENT_GET_SEEN,
	STATEMENT_SET_SEEN,

	STATEMENT_COUNT
};

static const char *const statement_sql[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_EACH] = "SELECT id, user FROM row WHERE set_aside IS NULL"
			   " ORDER BY id",
	[STATEMENT_LAST_ID] = "SELECT max(id) FROM row",
	[STATEMENT_GET] = "SELECT user, arguments FROM row WHERE id = ?",
	[STATEMENT_INSERT] = "INSERT INTO row VALUES (?, ?, ?, NULL)",
	[STATEMENT_DELETE] = "DELETE FROM row WHERE id = ?",
	[STATEMENT_SET_ASIDE] = "UPDATE row SET set_aside = ?2 WHERE id = ?1",
	[STATEMENT_LIMIT_SET_ASIDE] =
		"DELETE FROM row WHERE set_aside IS NOT NULL AND id <= (SELECT id"
		" FROM row WHERE set_aside IS NOT NULL ORDER BY id DESC"
		" LIMIT 1 OFFSET ?)",
	[STATEMENT_GET_SEEN] = "SELECT seen FROM life",
	[STATEMENT_SET_SEEN] = "UPDATE life SET seen = ?",
};

struct spool_file {
	char *path;
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	char *error;
	bool broken;
};

static int file_fail(struct spool_file *file, int rc)
{
	int system_errno = sqlite3_system_errno(file->db);
	const char *detail = system_errno != 0 ? strerror(system_errno) : "";

	free(file->error);
	switch (rc & 0xff) {
	case SQLITE_BUSY:
		file->error = text_format("spool %s: another process has it",
					  file->path);
		return -1;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		file->broken = true;
		break;
	}
	file->error = text_format("spool %s: %s%s%s", file->path,
				  sqlite3_errmsg(file->db),
				  *detail != '\0' ? ": " : "", detail);
	return -1;
}

static int file_fail_foreign(struct spool_file *file, const char *reason)
{
	free(file->error);
	file->error = text_format("spool %s: %s", file->path, reason);
	file->broken = true;
	return -1;
}

const char *spool_file_error(const struct spool_file *file)
{
	return file->error != NULL ? file->error : "";
}

bool spool_file_is_broken(const struct spool_file *file)
{
	return file->broken;
}

static int file_exec(struct spool_file *file, const char *sql)
{
	int rc = sqlite3_exec(file->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : file_fail(file, rc);
}

/* A statement that answers at most one row. Returns 1 if there is one: then it must be reset
   when it was read. Otherwise 0 or -1. */
static int file_step(struct spool_file *file, enum statement statement)
{
	sqlite3_stmt *stmt = file->statements[statement];
	int rc = sqlite3_step(stmt);
	int ret;

	if (rc == SQLITE_ROW)
		return 1;
	ret = rc == SQLITE_DONE ? 0 : file_fail(file, rc);
	(void)sqlite3_reset(stmt);
	return ret;
}

/* Inside a transaction */
static int file_change(struct spool_file *file, enum statement statement)
{
	int ret = file_step(file, statement);

	if (ret < 0 && sqlite3_get_autocommit(file->db) == 0)
		(void)sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
	return ret < 0 ? -1 : 0;
}

/* Opening */

static int file_get_number(struct spool_file *file, const char *sql,
			   int64_t *number_r)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(file->db, sql, -1, &stmt, NULL);

	*number_r = 0;
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			*number_r = sqlite3_column_int64(stmt, 0);
		(void)sqlite3_finalize(stmt);
	}
	return rc == SQLITE_ROW ? 0 : file_fail(file, rc);
}

/* Is every page what it should be? */
static int file_check(struct spool_file *file)
{
	sqlite3_stmt *stmt;
	const char *answer = NULL;
	int rc, ret = 0;

	rc = sqlite3_prepare_v2(file->db, "PRAGMA quick_check(1)", -1, &stmt,
				NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			answer = (const char *)sqlite3_column_text(stmt, 0);
		if (answer == NULL)
			ret = file_fail(file, rc);
		else if (strcmp(answer, "ok") != 0)
			ret = file_fail_foreign(file, "the file is torn");
		(void)sqlite3_finalize(stmt);
		return ret;
	}
	return file_fail(file, rc);
}

static int file_prepare(struct spool_file *file)
{
	for (unsigned int i = 0; i < STATEMENT_COUNT; i++) {
		int rc = sqlite3_prepare_v3(file->db, statement_sql[i], -1,
					    SQLITE_PREPARE_PERSISTENT,
					    &file->statements[i], NULL);

		if (rc == SQLITE_ERROR)
			return file_fail_foreign(file, "not its tables");
		if (rc != SQLITE_OK)
			return file_fail(file, rc);
	}
	return 0;
}

static int file_make(struct spool_file *file)
{
	if (file_exec(file, "BEGIN IMMEDIATE") < 0 ||
	    file_exec(file, schema_sql) < 0 || file_exec(file, "COMMIT") < 0)
		return -1;
	return 0;
}

static int file_setup(struct spool_file *file)
{
	int64_t pages, application_id, version;

	(void)sqlite3_busy_timeout(file->db, BUSY_MSECS);
	(void)sqlite3_db_config(file->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (file_exec(file, setup_sql) < 0 ||
	    file_exec(file, "BEGIN EXCLUSIVE; COMMIT") < 0 ||
	    file_get_number(file, "PRAGMA page_count", &pages) < 0 ||
	    file_get_number(file, "PRAGMA application_id",
			    &application_id) < 0 ||
	    file_get_number(file, "PRAGMA user_version", &version) < 0)
		return -1;
	if (pages <= 1 && application_id == 0 && file_make(file) < 0)
		return -1;
	if (pages > 1 && application_id != APPLICATION_ID)
		return file_fail_foreign(file, "not a spool");
	if (version > SCHEMA_VERSION)
		return file_fail_foreign(file, "of a later version");
	if (file_prepare(file) < 0)
		return -1;
	return file_check(file);
}

/* SQLite would let others read it. */
static int make_private(const char *path, char **error_r)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		*error_r = text_format("spool %s: can't open it: %s", path,
				       strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	(void)close(fd);
	if (!S_ISREG(st.st_mode)) {
		*error_r = text_format("spool %s: not a regular file", path);
		return -1;
	}
	return 0;
}

static struct spool_file *file_new(const char *path)
{
	struct spool_file *file = memory_new(sizeof(*file));
	int rc = sqlite3_open_v2(path, &file->db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
					 SQLITE_OPEN_EXRESCODE, NULL);

	file->path = text_copy(path);
	if (rc != SQLITE_OK)
		(void)file_fail(file, rc);
	else
		(void)file_setup(file);
	return file;
}

/* With what SQLite has beside it, under names that are not in use. */
static int move_aside(const char *path, char **error_r)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char date[TIME_SIZE], *from, *to, *number;
	time_t now = time(NULL);
	struct tm tm;
	bool moved = false, free_name = false;

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	number = text_copy("");
	for (unsigned int i = 1; i <= MOVE_ATTEMPTS && !free_name; i++) {
		to = text_format("%s.broken-%s%s", path, date, number);
		free_name = access(to, F_OK) < 0;
		free(to);
		if (!free_name) {
			free(number);
			number = text_format("-%u", i);
		}
	}
	for (unsigned int i = 0; i < 3; i++) {
		from = text_format("%s%s", path, suffixes[i]);
		to = text_format("%s.broken-%s%s%s", path, date, number,
				 suffixes[i]);
		if (free_name && rename(from, to) == 0 && i == 0) {
			log_error("spool %s: moved to %s; what it had not sent "
				  "is not logged", path, to);
			moved = true;
		}
		free(from);
		free(to);
	}
	if (!moved) {
		*error_r = text_format("spool %s: can't move it aside: %s", path,
				       strerror(errno));
	}
	free(number);
	return moved ? 0 : -1;
}

int spool_file_open(const char *path, struct spool_file **file_r,
		    char **error_r)
{
	struct spool_file *file;

	for (bool replaced = false; ; replaced = true) {
		if (make_private(path, error_r) < 0)
			return -1;
		file = file_new(path);
		if (file->error == NULL) {
			*file_r = file;
			return 0;
		}
		if (!file->broken || replaced)
			break;
		log_error("%s", file->error);
		spool_file_close(&file);
		if (move_aside(path, error_r) < 0)
			return -1;
	}
	*error_r = text_copy(file->error);
	spool_file_close(&file);
	return -1;
}

void spool_file_close(struct spool_file **_file)
{
	struct spool_file *file = *_file;

	if (file == NULL)
		return;
	*_file = NULL;
	for (unsigned int i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(file->statements[i]);
	(void)sqlite3_close(file->db);
	free(file->path);
	free(file->error);
	free(file);
}

/* Rows */

time_t spool_file_last_seen(struct spool_file *file)
{
	sqlite3_stmt *stmt = file->statements[STATEMENT_GET_SEEN];
	time_t seen = 0;

	if (file_step(file, STATEMENT_GET_SEEN) > 0) {
		seen = (time_t)sqlite3_column_int64(stmt, 0);
		(void)sqlite3_reset(stmt);
	}
	return seen;
}

int spool_file_each(struct spool_file *file, spool_file_callback *callback,
		    void *context)
{
	sqlite3_stmt *stmt = file->statements[STATEMENT_EACH];
	int ret;

	while ((ret = file_step(file, STATEMENT_EACH)) > 0) {
		callback(context, sqlite3_column_int64(stmt, 0),
			 (const char *)sqlite3_column_text(stmt, 1));
	}
	return ret;
}

int spool_file_last_id(struct spool_file *file, int64_t *id_r)
{
	sqlite3_stmt *stmt = file->statements[STATEMENT_LAST_ID];

	if (file_step(file, STATEMENT_LAST_ID) < 0)
		return -1;
	*id_r = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return 0;
}

int spool_file_get(struct spool_file *file, int64_t id, char **user_r,
		   char **arguments_r)
{
	sqlite3_stmt *stmt = file->statements[STATEMENT_GET];
	int ret;

	(void)sqlite3_bind_int64(stmt, 1, id);
	ret = file_step(file, STATEMENT_GET);
	if (ret <= 0)
		return ret;
	*user_r = text_copy((const char *)sqlite3_column_text(stmt, 0));
	*arguments_r = text_copy((const char *)sqlite3_column_text(stmt, 1));
	(void)sqlite3_reset(stmt);
	return 1;
}

int spool_file_begin(struct spool_file *file)
{
	return file_change(file, STATEMENT_BEGIN);
}

int spool_file_insert(struct spool_file *file, int64_t id, const char *user,
		      const char *arguments)
{
	sqlite3_stmt *stmt = file->statements[STATEMENT_INSERT];
	int ret;

	(void)sqlite3_bind_int64(stmt, 1, id);
	(void)sqlite3_bind_text(stmt, 2, user, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 3, arguments, -1, SQLITE_STATIC);
	ret = file_change(file, STATEMENT_INSERT);
	/* they are not ours any longer than that */
	(void)sqlite3_clear_bindings(stmt);
	return ret;
}

int spool_file_delete(struct spool_file *file, int64_t id)
{
	(void)sqlite3_bind_int64(file->statements[STATEMENT_DELETE], 1, id);
	return file_change(file, STATEMENT_DELETE);
}

int spool_file_set_aside(struct spool_file *file, int64_t id,
			 const char *reason)
{
	sqlite3_stmt *stmt = file->statements[STATEMENT_SET_ASIDE];
	int ret;

	(void)sqlite3_bind_int64(stmt, 1, id);
	(void)sqlite3_bind_text(stmt, 2, reason, -1, SQLITE_STATIC);
	ret = file_change(file, STATEMENT_SET_ASIDE);
	(void)sqlite3_clear_bindings(stmt);
	if (ret < 0)
		return -1;
	(void)sqlite3_bind_int64(file->statements[STATEMENT_LIMIT_SET_ASIDE], 1,
				 SPOOL_FILE_MAX_SET_ASIDE);
	return file_change(file, STATEMENT_LIMIT_SET_ASIDE);
}

int spool_file_commit(struct spool_file *file, time_t now)
{
	(void)sqlite3_bind_int64(file->statements[STATEMENT_SET_SEEN], 1, now);
	if (file_change(file, STATEMENT_SET_SEEN) < 0)
		return -1;
	return file_change(file, STATEMENT_COMMIT);
}
