/* All SQL that is not schema, prepared once per open file. Which statement is
   run when, and in which transaction, is decided elsewhere. */

#include "store-private.h"

#include <string.h>

/* ?1 = identity's hash, ?2 = cutoff. CROSS JOIN keeps SQLite to this order,
   whatever it believes about the sizes of tables. */
#define FROM_ENTRY \
	" FROM identity i CROSS JOIN message m ON m.id = i.message"
#define WHERE_ENTRY " WHERE i.hash = ?1 AND m.logged_at >= ?2"

/* Where the hashes of this enum sent_log_identity_kind end (see
   sent-log-hash.c). */
#define KIND_END(kind) "((" #kind " + 1) << 61)"

static const char *const statement_sql[STORE_OPERATION_COUNT] = {
	/* all rows united: one in any case, of NULLs if there are none */
	[STORE_FIND_ENTRY] =
		"SELECT sum(DISTINCT m.source), max(m.logged_at)"
		FROM_ENTRY WHERE_ENTRY,
	[STORE_FIND_ENTRY_RECIPIENT] =
		"SELECT 1" FROM_ENTRY " CROSS JOIN recipient r"
		" ON r.message = m.id AND r.address = ?3" WHERE_ENTRY
		" LIMIT 1",
	[STORE_COUNT_ENTRY_RECIPIENTS] =
		"SELECT count(DISTINCT r.address)" FROM_ENTRY
		" CROSS JOIN recipient r ON r.message = m.id" WHERE_ENTRY,
	[STORE_FIND_ENTRY_DOMAIN] =
		"SELECT 1" FROM_ENTRY " CROSS JOIN recipient r"
		" ON r.message = m.id AND r.domain = ?3" WHERE_ENTRY
		" LIMIT 1",
	/* newest first: the first is nearly always the answer */
	[STORE_FIND_RECIPIENT] =
		"SELECT 1 FROM recipient r CROSS JOIN message m"
		" ON m.id = r.message"
		" WHERE r.address = ?1 AND m.logged_at >= ?2"
		" ORDER BY r.message DESC LIMIT 1",
	[STORE_FIND_MESSAGE] =
		"SELECT m.id" FROM_ENTRY
		" WHERE i.hash = ?1 AND m.source = ?2 LIMIT 1",
	[STORE_INSERT_MESSAGE] =
		"INSERT INTO message"
		" (source, logged_at, date, from_own_address, serial)"
		" VALUES (?1, ?2, ?3, ?4, ?5)",
	[STORE_RENEW_MESSAGE] =
		"UPDATE message SET logged_at = max(logged_at, ?2),"
		" date = max(date, ?3),"
		" from_own_address = max(from_own_address, ?4),"
		" serial = coalesce(?5, serial)"
		" WHERE id = ?1 AND (logged_at < ?2 OR date < ?3"
		" OR from_own_address < ?4"
		" OR (?5 IS NOT NULL AND serial IS NOT ?5))",
	[STORE_INSERT_IDENTITY] =
		"INSERT OR IGNORE INTO identity (hash, message)"
		" VALUES (?1, ?2)",
	[STORE_INSERT_RECIPIENT] =
		"INSERT OR IGNORE INTO recipient (message, address, domain)"
		" VALUES (?1, ?2, ?3)",
	[STORE_COUNT_RECIPIENTS] =
		"SELECT count(*) FROM recipient WHERE message = ?1",
	/* The smallest Message-ID of the messages that carry this identity. */
	[STORE_GET_CANONICAL] =
		"SELECT min((SELECT k.hash FROM identity k"
		"  WHERE k.message = i.message AND k.hash < " KIND_END(0)
		"  ORDER BY k.hash LIMIT 1))"
		" FROM identity i WHERE i.hash = ?1",
	/* each time it was sent it took a serial of its own */
	[STORE_COUNT_SERIALS] =
		"SELECT count(DISTINCT s.hash) FROM identity i"
		" CROSS JOIN identity s ON s.message = i.message"
		"  AND s.hash >= " KIND_END(1) " AND s.hash < " KIND_END(2)
		" WHERE i.hash = ?1",
	[STORE_GET_REPORTS] =
		"SELECT reports FROM report_count"
		" WHERE original = ?1 AND class = ?2 AND recipient = ?3",
	[STORE_COUNT_REPORT] =
		"INSERT INTO report_count"
		" (original, class, recipient, reports, last_at)"
		" VALUES (?1, ?2, ?3, 1, ?4)"
		" ON CONFLICT (original, class, recipient) DO UPDATE"
		" SET reports = reports + 1, last_at = max(last_at, ?4)",
	[STORE_FIND_OLD_MESSAGE] =
		"SELECT id FROM message WHERE source IN (1, 2, 4, 8)"
		" AND logged_at < ?1 LIMIT 1",
	[STORE_DELETE_RECIPIENTS] =
		"DELETE FROM recipient WHERE message = ?1 AND address IN"
		" (SELECT address FROM recipient WHERE message = ?1 LIMIT ?2)",
	[STORE_DELETE_IDENTITIES] =
		"DELETE FROM identity WHERE message = ?1 AND hash IN"
		" (SELECT hash FROM identity WHERE message = ?1 LIMIT ?2)",
	[STORE_DELETE_MESSAGE] =
		"DELETE FROM message WHERE id = ?1",
	/* of the oldest second: no more than one report names, most likely */
	[STORE_DELETE_OLD_REPORTS] =
		"DELETE FROM report_count WHERE last_at < ?1"
		" AND last_at = (SELECT min(last_at) FROM report_count)",
	/* the columns of enum store_meta */
	[STORE_GET_META] =
		"SELECT created, coverage_start, coverage_cause, listed_sources,"
		" gap_inode, gap_time, clock_behind, word, word_given,"
		" word_since FROM meta",
	[STORE_GET_LAST_LOGGED] =
		"SELECT logged_at FROM message WHERE source = ?1"
		" ORDER BY logged_at DESC LIMIT 1",
	[STORE_SET_COVERAGE] =
		"UPDATE meta SET coverage_start = ?1, coverage_cause = ?2,"
		" word = 0",
	/* 8 = set: what it says holds more than what "import --complete" does */
	[STORE_SET_WORD] =
		"UPDATE meta SET coverage_start = ?1, coverage_cause = ?2,"
		" word = CASE word WHEN 8 THEN 8 ELSE ?2 END,"
		" word_given = ?3, word_since = ?1",
	[STORE_BREAK_COVERAGE] =
		"UPDATE meta SET coverage_start = max(coverage_start, ?1),"
		" coverage_cause = ?2, word = 0",
	[STORE_RAISE_COVERAGE] =
		"UPDATE meta SET coverage_start = ?1, coverage_cause = ?2"
		" WHERE coverage_start < ?1",
	[STORE_SET_CLOCK] =
		"UPDATE meta SET clock_behind = ?1",
	[STORE_SET_LISTED_SOURCES] =
		"UPDATE meta SET listed_sources = ?1",
	[STORE_SET_GAP] =
		"UPDATE meta SET gap_inode = ?1, gap_time = ?2",
	[STORE_GET_FILE] =
		"SELECT hash_key, file_inode, file_born, owner_name,"
		" owner_mail FROM meta",
	[STORE_SET_FILE] =
		"UPDATE meta SET file_inode = ?1, file_born = ?2",
	[STORE_SET_OWNER] =
		"UPDATE meta SET owner_name = ?1, owner_mail = ?2",
	[STORE_COUNT_MESSAGES] =
		"SELECT count(*) FROM message WHERE source = ?1",
	/* docs/design.md, section 5, rule 5; source 4 in figures, as in the index */
	[STORE_FIND_UNLISTED_COPY] =
		"SELECT m.logged_at, m.date,"
		" (SELECT hash FROM identity WHERE message = m.id"
		"  ORDER BY hash LIMIT 1)"
		" FROM message m INDEXED BY message_copy"
		" WHERE m.source = 4 AND m.from_own_address = 1"
		" AND m.date > ?1 AND m.date <= ?2"
		" AND m.logged_at >= ?3 AND m.logged_at < ?4"
		" AND EXISTS (SELECT 1 FROM identity i"
		"  WHERE i.message = m.id AND i.hash < " KIND_END(0) ")"
		" AND NOT EXISTS (SELECT 1 FROM identity i"
		"  CROSS JOIN identity k ON k.hash = i.hash"
		"  CROSS JOIN message known ON known.id = k.message"
		"  WHERE i.message = m.id AND (known.source & ?5) != 0)"
		" ORDER BY m.date DESC LIMIT 1",
	[STORE_GET_ISSUING_KEY] =
		"SELECT secret, created, retired FROM serial_key"
		" WHERE retired = 0 AND length(secret) = 32"
		" ORDER BY id DESC LIMIT 1",
	[STORE_NEXT_KEY] =
		"SELECT secret, created, retired, id FROM serial_key"
		" WHERE (retired = 0 OR retired >= ?1) AND id < ?2"
		" AND length(secret) = 32 ORDER BY id DESC LIMIT 1",
	[STORE_INSERT_KEY] =
		"INSERT INTO serial_key (secret, created, retired)"
		" VALUES (?1, ?2, 0)",
	[STORE_RETIRE_KEYS] =
		"UPDATE serial_key SET retired = ?1 WHERE retired = 0",
	[STORE_DELETE_OLD_KEYS] =
		"DELETE FROM serial_key WHERE retired != 0 AND retired < ?1",
	[STORE_MARK_DUE] =
		"UPDATE remembered_report SET due = 1 WHERE due = 0 AND id IN"
		" (SELECT report FROM remembered_identity WHERE hash = ?1)",
	[STORE_INSERT_REMEMBERED] =
		"INSERT INTO remembered_report (mailbox_guid, uid_validity,"
		" uid, quarantined, expires, due)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[STORE_INSERT_REMEMBERED_IDENTITY] =
		"INSERT OR IGNORE INTO remembered_identity (hash, report)"
		" VALUES (?1, ?2)",
	[STORE_FIND_SURPLUS_REMEMBERED] =
		"SELECT id FROM remembered_report"
		" WHERE (SELECT count(*) FROM remembered_report) > ?1"
		" ORDER BY quarantined, due, id LIMIT 1",
	[STORE_FIND_OLD_REMEMBERED] =
		"SELECT id FROM remembered_report"
		" WHERE due IN (0, 1) AND expires < ?1 LIMIT 1",
	[STORE_DELETE_REMEMBERED_IDENTITIES] =
		"DELETE FROM remembered_identity WHERE report = ?1",
	[STORE_DELETE_REMEMBERED] =
		"DELETE FROM remembered_report WHERE id = ?1",
	[STORE_NEXT_DUE] =
		"SELECT id, mailbox_guid, uid_validity, uid, quarantined"
		" FROM remembered_report WHERE due = 1 AND id > ?1"
		" ORDER BY id LIMIT 1",
	[STORE_HAS_REMEMBERED] =
		"SELECT 1 FROM remembered_report LIMIT 1",
	[STORE_GET_MARK] =
		"SELECT uid_validity, next_uid, unread_from, unread_to,"
		" stopped_at FROM sent_mailbox WHERE name = ?1",
	[STORE_SET_MARK] =
		"INSERT OR REPLACE INTO sent_mailbox (name, uid_validity,"
		" next_uid, unread_from, unread_to, stopped_at)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[STORE_RAISE_MARK] =
		"UPDATE sent_mailbox SET next_uid = ?4 + 1"
		" WHERE name = ?1 AND uid_validity = ?2 AND next_uid = ?3"
		" AND EXISTS (SELECT 1 FROM identity WHERE hash = ?5)",
	[STORE_STOP_READING] =
		"INSERT INTO sent_mailbox (name, uid_validity, next_uid,"
		" unread_from, unread_to, stopped_at)"
		" VALUES (?1, 0, 0, 0, 0, ?2)"
		" ON CONFLICT (name) DO UPDATE SET stopped_at = ?2",
	[STORE_NEXT_UNREADABLE] =
		"SELECT uid FROM unreadable_copy WHERE mailbox = ?1"
		" AND uid > ?2 ORDER BY uid LIMIT 1",
	[STORE_INSERT_UNREADABLE] =
		"INSERT OR IGNORE INTO unreadable_copy (mailbox, uid)"
		" VALUES (?1, ?2)",
	[STORE_DELETE_UNREADABLE] =
		"DELETE FROM unreadable_copy WHERE mailbox = ?1",
};

const char *store_statement_sql(enum store_operation operation)
{
	return statement_sql[operation];
}

/* Prepared once per open file; NULL on error. */
static sqlite3_stmt *prepare(struct sent_store *store,
			     enum store_operation operation)
{
	sqlite3_stmt **stmt = &store->statements[operation];
	int rc;

	if (*stmt != NULL)
		return *stmt;
	if (store->db == NULL) {
		(void)store_fail(store, "is replaced again and again");
		return NULL;
	}
	rc = sqlite3_prepare_v3(store->db, statement_sql[operation], -1,
				SQLITE_PREPARE_PERSISTENT, stmt, NULL);
	if (rc != SQLITE_OK) {
		(void)store_fail_sqlite(store, store->db, rc,
					"can't read the tables");
		return NULL;
	}
	return *stmt;
}

static void bind(sqlite3_stmt *stmt, const struct store_value *values)
{
	for (int i = 1; values->type != STORE_END; i++, values++) {
		if (values->type == STORE_NUMBER)
			(void)sqlite3_bind_int64(stmt, i, values->number);
		else if (values->type == STORE_TEXT) {
			(void)sqlite3_bind_text(stmt, i, values->bytes, -1,
						SQLITE_STATIC);
		} else if (values->size == 0)
			(void)sqlite3_bind_zeroblob(stmt, i, 0);
		else {
			(void)sqlite3_bind_blob(stmt, i, values->bytes,
						(int)values->size,
						SQLITE_STATIC);
		}
	}
}

void store_read_row(sqlite3_stmt *stmt, struct store_row *row_r)
{
	int count = sqlite3_column_count(stmt);

	memset(row_r, 0, sizeof(*row_r));
	for (int i = 0; i < count && i < STORE_COLUMNS_MAX; i++) {
		int type = sqlite3_column_type(stmt, i);

		if (type == SQLITE_INTEGER) {
			row_r->columns[i].number = sqlite3_column_int64(stmt, i);
		} else if (type == SQLITE_BLOB || type == SQLITE_TEXT) {
			size_t size = (size_t)sqlite3_column_bytes(stmt, i);

			row_r->columns[i].size = size;
			if (size > 0 && size <= STORE_BYTES_MAX) {
				memcpy(row_r->columns[i].bytes,
				       sqlite3_column_blob(stmt, i), size);
			}
		}
	}
}

int store_get_values(struct sent_store *store, enum store_operation operation,
		     struct store_row *row_r, const struct store_value *values)
{
	sqlite3_stmt *stmt = prepare(store, operation);
	int rc;

	if (stmt == NULL)
		return -1;
	bind(stmt, values);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && row_r != NULL)
		store_read_row(stmt, row_r);
	else if (row_r != NULL)
		memset(row_r, 0, sizeof(*row_r));
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		(void)store_fail_sqlite(store, store->db, rc,
					sqlite3_stmt_readonly(stmt) != 0 ?
						"can't read" : "can't write");
	}
	/* the values are the caller's */
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : -1;
}

int store_get_number_values(struct sent_store *store,
			    enum store_operation operation, int64_t *number_r,
			    const struct store_value *values)
{
	struct store_row row;
	int ret = store_get_values(store, operation, &row, values);

	if (ret > 0)
		*number_r = row.columns[0].number;
	return ret;
}

int store_put_values(struct sent_store *store, enum store_operation operation,
		     const struct store_value *values)
{
	if (store_get_values(store, operation, NULL, values) < 0)
		return -1;
	return sqlite3_changes(store->db);
}

int64_t store_last_id(struct sent_store *store)
{
	return sqlite3_last_insert_rowid(store->db);
}

int store_exec(struct sent_store *store, sqlite3 *db, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return store_fail_sqlite(store, db, rc, "can't write");
	return 0;
}

void store_statements_reset(struct sent_store *store)
{
	for (unsigned int i = 0; i < STORE_OPERATION_COUNT; i++)
		(void)sqlite3_reset(store->statements[i]);
}

void store_statements_free(struct sent_store *store)
{
	for (unsigned int i = 0; i < STORE_OPERATION_COUNT; i++) {
		(void)sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
}
