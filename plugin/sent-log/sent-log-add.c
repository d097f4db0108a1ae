/* Adding messages: short transactions, each source its own rows. */

#include "sent-log-private.h"

/* The rows that one message concerns: its identities may already belong to
   several of the same source. */
struct add_targets {
	int64_t hashes[SENT_LOG_MAX_IDENTITIES];
	/* its source has told of that one before */
	bool known[SENT_LOG_MAX_IDENTITIES];
	int hash_count;
	int64_t ids[SENT_LOG_MAX_IDENTITIES];
	unsigned int count;
};

static void add_target(struct add_targets *targets, int64_t id)
{
	for (unsigned int i = 0; i < targets->count; i++) {
		if (targets->ids[i] == id)
			return;
	}
	targets->ids[targets->count++] = id;
}

static int find_known(struct sent_log *log, enum sent_log_source source,
		      struct add_targets *targets)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_FIND_MESSAGE);
	int64_t id;
	int ret;

	if (stmt == NULL)
		return -1;
	for (int i = 0; i < targets->hash_count; i++) {
		(void)sqlite3_bind_int64(stmt, 1, targets->hashes[i]);
		(void)sqlite3_bind_int64(stmt, 2, source);
		ret = sent_log_get_int64(log, stmt, &id);
		if (ret < 0)
			return -1;
		targets->known[i] = ret > 0;
		if (ret > 0)
			add_target(targets, id);
	}
	return 0;
}

static int64_t logged_at(const struct sent_log *log,
			 const struct sent_log_message *message)
{
	/* or it would stay beyond its retention */
	return message->logged_at > log->now ? log->now : message->logged_at;
}

/* The last of its serials, or NULL. */
static void bind_serial(sqlite3_stmt *stmt, int index,
			const struct sent_log_message *message)
{
	char text[SERIAL_TEXT_SIZE];

	(void)sqlite3_bind_null(stmt, index);
	for (size_t i = 0; i < message->identity_count; i++) {
		const struct sent_log_identity *identity =
			&message->identities[i];

		/* what stands there in clear is a serial and nothing else */
		if (identity->kind == SENT_LOG_IDENTITY_SERIAL &&
		    identity->value != NULL &&
		    serial_normalise(identity->value, text)) {
			(void)sqlite3_bind_text(stmt, index, text, -1,
						SQLITE_TRANSIENT);
		}
	}
}

static int insert_message(struct sent_log *log,
			  const struct sent_log_message *message,
			  struct add_targets *targets)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_INSERT_MESSAGE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, message->source);
	(void)sqlite3_bind_int64(stmt, 2, logged_at(log, message));
	(void)sqlite3_bind_int64(stmt, 3, message->date);
	(void)sqlite3_bind_int64(stmt, 4, message->from_own_address);
	bind_serial(stmt, 5, message);
	if (sent_log_run(log, stmt) < 0)
		return -1;
	add_target(targets, sqlite3_last_insert_rowid(log->db));
	return 0;
}

/* Sent once more: its retention counts from the last time. */
static int renew_message(struct sent_log *log,
			 const struct sent_log_message *message, int64_t id)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_RENEW_MESSAGE);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, id);
	(void)sqlite3_bind_int64(stmt, 2, logged_at(log, message));
	(void)sqlite3_bind_int64(stmt, 3, message->date);
	(void)sqlite3_bind_int64(stmt, 4, message->from_own_address);
	bind_serial(stmt, 5, message);
	return sent_log_run(log, stmt);
}

static int insert_identities(struct sent_log *log,
			     const struct add_targets *targets)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_INSERT_IDENTITY);

	if (stmt == NULL)
		return -1;
	for (int i = 0; i < targets->hash_count; i++) {
		(void)sqlite3_bind_int64(stmt, 1, targets->hashes[i]);
		(void)sqlite3_bind_int64(stmt, 2, targets->ids[0]);
		if ((!targets->known[i] && sent_log_run(log, stmt) < 0) ||
		    sent_log_mark_due(log, targets->hashes[i]) < 0)
			return -1;
	}
	return 0;
}

static int insert_recipient(struct sent_log *log, int64_t id,
			    const char *address)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_INSERT_RECIPIENT);
	int64_t address_hash, domain_hash;

	if (stmt == NULL ||
	    sent_log_hash_address(log, address, &address_hash) < 0 ||
	    sent_log_hash_domain(log, address, &domain_hash) < 0)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, id);
	(void)sqlite3_bind_int64(stmt, 2, address_hash);
	(void)sqlite3_bind_int64(stmt, 3, domain_hash);
	return sent_log_run(log, stmt);
}

/* How many recipients this row may still get. Returns -1 on error. */
static int64_t recipients_left(struct sent_log *log, int64_t id)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_COUNT_RECIPIENTS);
	int64_t count = 0;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, id);
	if (sent_log_get_int64(log, stmt, &count) < 0)
		return -1;
	return count < SENT_LOG_MAX_RECIPIENTS ?
		       SENT_LOG_MAX_RECIPIENTS - count : 0;
}

static int insert_recipients(struct sent_log *log,
			     const struct sent_log_message *message, int64_t id)
{
	int64_t left = recipients_left(log, id);

	if (left < 0)
		return -1;
	for (size_t i = 0; i < message->recipient_count && left > 0; i++) {
		const char *address = message->recipients[i];

		if (address == NULL || address[0] == '\0')
			continue;
		if (insert_recipient(log, id, address) < 0)
			return -1;
		left -= sqlite3_changes(log->db);
	}
	return 0;
}

static int add_message(struct sent_log *log,
		       const struct sent_log_message *message)
{
	struct add_targets targets = { .count = 0 };
	bool is_new;

	targets.hash_count = sent_log_hash_identities(log, message->identities,
						      message->identity_count,
						      targets.hashes);
	if (targets.hash_count < 0 ||
	    find_known(log, message->source, &targets) < 0)
		return -1;
	is_new = targets.count == 0;
	if ((is_new && insert_message(log, message, &targets) < 0) ||
	    insert_identities(log, &targets) < 0)
		return -1;
	for (unsigned int i = 0; i < targets.count; i++) {
		if ((!is_new &&
		     renew_message(log, message, targets.ids[i]) < 0) ||
		    insert_recipients(log, message, targets.ids[i]) < 0)
			return -1;
	}
	return 0;
}

static unsigned int rows_of(const struct sent_log_message *message)
{
	size_t identities = message->identity_count;
	size_t recipients = message->recipient_count;

	if (identities > SENT_LOG_MAX_IDENTITIES)
		identities = SENT_LOG_MAX_IDENTITIES;
	if (recipients > SENT_LOG_MAX_RECIPIENTS)
		recipients = SENT_LOG_MAX_RECIPIENTS;
	return 1 + (unsigned int)(identities + recipients);
}

/* One transaction. read: NULL, or what the last of them also writes. Returns the
   number of messages it took, or -1. */
static int add_batch(struct sent_log *log,
		     const struct sent_log_message *messages, size_t count,
		     const struct sent_log_read_mailbox *read)
{
	unsigned int done, rows = 0;

	if (sent_log_write_begin(log) < 0)
		return -1;
	for (done = 0; done < count && done < SENT_LOG_BATCH_MESSAGES &&
		       rows < SENT_LOG_BATCH_ROWS; done++) {
		rows += rows_of(&messages[done]);
		/* What has expired before it came (an import) is not stored,
		   which moves coverage as if it had been. */
		if (messages[done].logged_at < sent_log_cutoff(log)) {
			if (sent_log_raise_coverage(log) < 0)
				return -1;
		} else if (add_message(log, &messages[done]) < 0)
			return -1;
	}
	if (read != NULL && done == count &&
	    sent_log_write_mark(log, read) < 0)
		return -1;
	if (sent_log_expire_step(log, SENT_LOG_EXPIRE_STEP + 2 * rows) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return (int)done;
}

static int add_messages(struct sent_log *log,
			const struct sent_log_message *messages, size_t count,
			const struct sent_log_read_mailbox *read)
{
	bool marked = read == NULL;
	int done;

	for (size_t i = 0; i < count; i++) {
		if (!sent_log_source_valid(messages[i].source))
			return sent_log_fail(log, "no such source");
	}
	while (count > 0 || !marked) {
		done = add_batch(log, messages, count, read);
		if (done < 0)
			return -1;
		/* Who imports thousands may wait for a lock more than once. */
		sent_log_wait_start(log);
		messages += done;
		count -= (size_t)done;
		marked = marked || count == 0;
		/* a delivery may be waiting for the end of an import */
		log->others_write = count > 0;
	}
	return 1;
}

int sent_log_add(struct sent_log *log, const struct sent_log_message *messages,
		 size_t count, time_t now, const char **error_r)
{
	sent_log_call_begin(log, now);
	return sent_log_call_end(log, add_messages(log, messages, count, NULL),
				 error_r);
}

int sent_log_add_read(struct sent_log *log,
		      const struct sent_log_message *messages, size_t count,
		      const char *mailbox,
		      const struct sent_log_mailbox_mark *mark, time_t now,
		      const char **error_r)
{
	const struct sent_log_read_mailbox read = {
		.name = mailbox, .mark = mark
	};

	sent_log_call_begin(log, now);
	return sent_log_call_end(log, add_messages(log, messages, count, &read),
				 error_r);
}
