/* The schema: what it has to be, and bringing an older one up to date.

   SQLite runs what stands in a schema: a generated column, an index on an
   expression or a CHECK can burn CPU for ever, a trigger or a view tell what isn't
   there. So before any statement of ours, each row of the file's schema is compared
   with that of an empty database made here by the same migrations. Reading the
   schema only parses it. */

#include "store-private.h"
#include "sent-log-migrations.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_SQL 3

/* NOT INDEXED: the table itself, whatever index a file claims to have on it. */
#define SCHEMA_ROWS "SELECT type, name, tbl_name, sql" \
		    " FROM sqlite_master NOT INDEXED"
static const char schema_sql[] = SCHEMA_ROWS " ORDER BY type, name, tbl_name";

void store_schema_init(struct sent_store *store)
{
	store->migrations = sent_log_migrations;
	store->schema_version = (int)(sizeof(sent_log_migrations) /
				      sizeof(sent_log_migrations[0]));
}

/* The version */

static int read_number(struct sent_store *store, sqlite3 *db, const char *sql,
		       int *value_r)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*value_r = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	if (rc != SQLITE_ROW)
		return store_fail_sqlite(store, db, rc, "can't open");
	return 0;
}

static int fail_foreign(struct sent_store *store)
{
	return store_fail(store, "a database of another program, left "
			  "untouched");
}

/* An empty database counts as ours. The two pragmas don't look at the schema. */
static int read_version(struct sent_store *store, sqlite3 *db, int *version_r)
{
	int application_id, tables = 0;

	if (read_number(store, db, "PRAGMA user_version", version_r) < 0 ||
	    read_number(store, db, "PRAGMA application_id", &application_id) < 0)
		return -1;
	if (application_id != STORE_APPLICATION_ID) {
		if (application_id != 0 || *version_r != 0)
			return fail_foreign(store);
		if (read_number(store, db, "SELECT count(*) FROM sqlite_master",
				&tables) < 0)
			return -1;
		if (tables != 0)
			return fail_foreign(store);
	}
	if (*version_r > store->schema_version) {
		return store_fail(store,
			"made by a newer dovecot-backscatter (schema version "
			"%d, this one knows %d), left untouched",
			*version_r, store->schema_version);
	}
	if (*version_r < 0)
		return fail_foreign(store);
	return 0;
}

/* The comparison */

static const char *skip_comment(const char *sql)
{
	const char *end;

	if (sql[0] == '-' && sql[1] == '-') {
		end = strchr(sql, '\n');
		return end != NULL ? end : sql + strlen(sql);
	}
	end = strstr(sql + 2, "*/");
	return end != NULL ? end + 2 : sql + strlen(sql);
}

static bool is_comment(const char *sql)
{
	return (sql[0] == '-' && sql[1] == '-') ||
	       (sql[0] == '/' && sql[1] == '*');
}

/* Copies what is quoted as it is. Returns what comes behind it. */
static const char *copy_quoted(const char *sql, char **text)
{
	char quote = *sql == '[' ? ']' : *sql;

	do {
		*(*text)++ = *sql++;
	} while (*sql != '\0' && *sql != quote);
	if (*sql != '\0')
		*(*text)++ = *sql++;
	return sql;
}

/* Without comments and with one space for each white space: which of them SQLite
   keeps when a column is added is its own affair, and a comment may be mended in
   sql/. Beside a bracket or a comma no space means anything. */
static char *normalise(const char *sql)
{
	char *text = store_alloc(strlen(sql) + 1), *end = text;
	bool space = false;

	while (*sql != '\0') {
		if (is_comment(sql)) {
			sql = skip_comment(sql);
			space = true;
			continue;
		}
		if (isspace((unsigned char)*sql)) {
			sql++;
			space = true;
			continue;
		}
		if (space && end > text && strchr("(),", *sql) == NULL &&
		    strchr("(),", end[-1]) == NULL)
			*end++ = ' ';
		space = false;
		if (strchr("'\"`[", *sql) != NULL)
			sql = copy_quoted(sql, &end);
		else
			*end++ = *sql++;
	}
	*end = '\0';
	return text;
}

static const char *column(sqlite3_stmt *stmt, int index)
{
	const char *text = (const char *)sqlite3_column_text(stmt, index);

	return text != NULL ? text : "";
}

static bool is_same_sql(sqlite3_stmt *stmt1, sqlite3_stmt *stmt2)
{
	char *sql1 = normalise(column(stmt1, SCHEMA_SQL));
	char *sql2 = normalise(column(stmt2, SCHEMA_SQL));
	bool same = strcmp(sql1, sql2) == 0;

	free(sql1);
	free(sql2);
	return same;
}

static bool is_same_row(sqlite3_stmt *stmt1, sqlite3_stmt *stmt2)
{
	for (int i = 0; i < SCHEMA_SQL; i++) {
		if (strcmp(column(stmt1, i), column(stmt2, i)) != 0)
			return false;
	}
	return is_same_sql(stmt1, stmt2);
}

/* found, expected: at a row, or NULL behind the last one. */
static int fail_schema(struct sent_store *store, sqlite3_stmt *found,
		       sqlite3_stmt *expected)
{
	sqlite3_stmt *stmt = found;

	/* in the order of names: the smaller one has no counterpart */
	if (found == NULL ||
	    (expected != NULL &&
	     (strcmp(column(found, 0), column(expected, 0)) > 0 ||
	      (strcmp(column(found, 0), column(expected, 0)) == 0 &&
	       strcmp(column(found, 1), column(expected, 1)) > 0))))
		stmt = expected;
	return store_fail(store, "its schema is not that of a sent log (%s "
			  "%.64s is %s), so it is not used: put a backup in "
			  "its place, or move it away for a new one",
			  column(stmt, 0), column(stmt, 1),
			  stmt == expected ? "missing" : "not ours");
}

/* Row by row, both in the same order. */
static int compare(struct sent_store *store, sqlite3 *db, sqlite3_stmt *found,
		   sqlite3_stmt *expected)
{
	int rc, expected_rc;

	do {
		rc = sqlite3_step(found);
		expected_rc = sqlite3_step(expected);
		if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
			return store_fail_sqlite(store, db, rc,
						 "can't read the schema");
		}
		if (expected_rc != SQLITE_ROW && expected_rc != SQLITE_DONE)
			return store_fail(store, "can't make a schema");
		if (rc != expected_rc ||
		    (rc == SQLITE_ROW && !is_same_row(found, expected))) {
			return fail_schema(store,
				rc == SQLITE_ROW ? found : NULL,
				expected_rc == SQLITE_ROW ? expected : NULL);
		}
	} while (rc == SQLITE_ROW);
	return 0;
}

/* An empty database as the first migrations make it. NULL on error. Making it costs as
   much as half a delivery. */
static sqlite3 *make_expected(struct sent_store *store, int version)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(":memory:", &db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				 SQLITE_OPEN_NOMUTEX,
				 NULL);

	for (int i = 0; i < version && rc == SQLITE_OK; i++) {
		rc = sqlite3_exec(db, store->migrations[i], NULL, NULL,
				  NULL);
	}
	if (rc != SQLITE_OK) {
		(void)store_fail(store, "can't make a schema: %s",
				 sqlite3_errstr(rc));
		(void)sqlite3_close(db);
		return NULL;
	}
	return db;
}

/* All rows in the order in which they stand there, each column with its NUL. Malloced;
   NULL on error. */
static char *schema_text(sqlite3 *db, size_t *size_r)
{
	sqlite3_stmt *stmt = NULL;
	char *text = NULL;
	FILE *out = open_memstream(&text, size_r);
	int rc = sqlite3_prepare_v2(db, SCHEMA_ROWS, -1, &stmt, NULL);

	while (out != NULL && rc == SQLITE_OK &&
	       (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		for (int i = 0; i <= SCHEMA_SQL; i++)
			(void)fprintf(out, "%s%c", column(stmt, i), '\0');
		rc = SQLITE_OK;
	}
	(void)sqlite3_finalize(stmt);
	if (out == NULL || fclose(out) != 0 || rc != SQLITE_DONE) {
		free(text);
		return NULL;
	}
	return text;
}

/* As it has to be, of the last store that was checked: nearly every file has the same, to
   the letter. One that hasn't (somebody wrote comments into it) is compared word by word,
   each time, and the others don't pay for it. */
static struct {
	const char *const *migrations;
	int version;
	char *text;
	size_t size;
} known_schema;

static void know_schema(struct sent_store *store, int version, sqlite3 *expected)
{
	free(known_schema.text);
	known_schema.migrations = store->migrations;
	known_schema.version = version;
	known_schema.text = schema_text(expected, &known_schema.size);
}

/* Returns what follows this row in a schema_text() from `text` to `end`, or NULL if
   another row stands there. */
static const char *skip_row(sqlite3_stmt *stmt, const char *text, const char *end)
{
	for (int i = 0; i <= SCHEMA_SQL; i++) {
		const char *value = column(stmt, i);
		size_t size = strlen(value) + 1;

		if (size > (size_t)(end - text) || memcmp(value, text, size) != 0)
			return NULL;
		text += size;
	}
	return text;
}

static bool is_known_schema(struct sent_store *store, int version, sqlite3 *db)
{
	const char *text = known_schema.text, *end;
	sqlite3_stmt *stmt = NULL;
	int rc;

	if (text == NULL || known_schema.version != version ||
	    known_schema.migrations != store->migrations)
		return false;
	end = text + known_schema.size;
	rc = sqlite3_prepare_v2(db, SCHEMA_ROWS, -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		while (text != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
			text = skip_row(stmt, text, end);
	}
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_DONE && text == end;
}

static int compare_with(struct sent_store *store, sqlite3 *db, sqlite3 *expected_db)
{
	sqlite3_stmt *found = NULL, *expected = NULL;
	int ret, rc = sqlite3_prepare_v2(db, schema_sql, -1, &found, NULL);

	if (rc != SQLITE_OK) {
		ret = store_fail_sqlite(store, db, rc,
					"can't read the schema");
	} else if (sqlite3_prepare_v2(expected_db, schema_sql, -1, &expected,
				      NULL) != SQLITE_OK) {
		ret = store_fail(store, "can't make a schema");
	} else {
		ret = compare(store, db, found, expected);
	}
	(void)sqlite3_finalize(found);
	(void)sqlite3_finalize(expected);
	return ret;
}

/* Both in the transaction that the caller has begun. */
static int check_in_transaction(struct sent_store *store, sqlite3 *db,
				int *version_r)
{
	sqlite3 *expected;
	int ret;

	if (read_version(store, db, version_r) < 0)
		return -1;
	if (is_known_schema(store, *version_r, db))
		return 0;
	expected = make_expected(store, *version_r);
	if (expected == NULL)
		return -1;
	ret = compare_with(store, db, expected);
	know_schema(store, *version_r, expected);
	(void)sqlite3_close(expected);
	return ret;
}

int store_check_schema(struct sent_store *store, sqlite3 *db)
{
	int version, ret;

	if (store_exec(store, db, "BEGIN") < 0)
		return -1;
	ret = check_in_transaction(store, db, &version);
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	if (ret < 0 || store_exec(store, db, "PRAGMA synchronous = FULL") < 0)
		return -1;
	return version == store->schema_version ? 1 : 0;
}

int store_apply_migrations(struct sent_store *store, sqlite3 *db)
{
	char *pragma;
	int version, ret;

	if (check_in_transaction(store, db, &version) < 0)
		return -1;
	for (; version < store->schema_version; version++) {
		if (store_exec(store, db, store->migrations[version]) < 0)
			return -1;
	}
	pragma = store_format("PRAGMA application_id = %d;"
			      "PRAGMA user_version = %d",
			      STORE_APPLICATION_ID, store->schema_version);
	ret = store_exec(store, db, pragma);
	free(pragma);
	return ret;
}
