/* Adding messages, in short transactions, each source its own rows; and how far each
   Sent mailbox has been read into the log. Reading it, and in which order, is left to
   the adapters. */

#include "sent-log-private.h"

#include <string.h>

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
	int64_t id;
	int ret;

	for (int i = 0; i < targets->hash_count; i++) {
		ret = store_get_number(log->store, STORE_FIND_MESSAGE, &id,
				       store_number(targets->hashes[i]),
				       store_number(source));
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

/* The last of its serials, or no text. */
static struct store_value
last_serial(const struct sent_log_message *message,
	    char text_r[SERIAL_TEXT_SIZE])
{
	char text[SERIAL_TEXT_SIZE];
	bool found = false;

	for (size_t i = 0; i < message->identity_count; i++) {
		const struct sent_log_identity *identity =
			&message->identities[i];

		/* what stands there in clear is a serial and nothing else */
		if (identity->kind == SENT_LOG_IDENTITY_SERIAL &&
		    identity->value != NULL &&
		    serial_normalise(identity->value, text)) {
			memcpy(text_r, text, sizeof(text));
			found = true;
		}
	}
	return store_text(found ? text_r : NULL);
}

static int insert_message(struct sent_log *log,
			  const struct sent_log_message *message,
			  struct add_targets *targets)
{
	char serial[SERIAL_TEXT_SIZE];

	if (store_put(log->store, STORE_INSERT_MESSAGE,
		      store_number(message->source),
		      store_number(logged_at(log, message)),
		      store_number(message->date),
		      store_number(message->from_own_address),
		      last_serial(message, serial)) < 0)
		return -1;
	add_target(targets, store_last_id(log->store));
	return 0;
}

/* Sent once more: its retention counts from the last time. */
static int renew_message(struct sent_log *log,
			 const struct sent_log_message *message, int64_t id)
{
	char serial[SERIAL_TEXT_SIZE];

	return store_put(log->store, STORE_RENEW_MESSAGE, store_number(id),
			 store_number(logged_at(log, message)),
			 store_number(message->date),
			 store_number(message->from_own_address),
			 last_serial(message, serial));
}

static int insert_identities(struct sent_log *log,
			     const struct add_targets *targets)
{
	for (int i = 0; i < targets->hash_count; i++) {
		int64_t hash = targets->hashes[i];

		if ((!targets->known[i] &&
		     store_put(log->store, STORE_INSERT_IDENTITY,
			       store_number(hash),
			       store_number(targets->ids[0])) < 0) ||
		    sent_log_mark_due(log, hash) < 0)
			return -1;
	}
	return 0;
}

/* Returns 1, 0 if it was there, or -1. */
static int insert_recipient(struct sent_log *log, int64_t id,
			    const char *address)
{
	int64_t address_hash, domain_hash;

	if (sent_log_hash_address(log, address, &address_hash) < 0 ||
	    sent_log_hash_domain(log, address, &domain_hash) < 0)
		return -1;
	return store_put(log->store, STORE_INSERT_RECIPIENT, store_number(id),
			 store_number(address_hash),
			 store_number(domain_hash));
}

static int insert_recipients(struct sent_log *log,
			     const struct sent_log_message *message, int64_t id)
{
	int64_t count = 0;

	if (store_get_number(log->store, STORE_COUNT_RECIPIENTS, &count,
			     store_number(id)) < 0)
		return -1;
	for (size_t i = 0; i < message->recipient_count &&
			   count < SENT_LOG_MAX_RECIPIENTS; i++) {
		const char *address = message->recipients[i];
		int ret;

		if (address == NULL || address[0] == '\0')
			continue;
		ret = insert_recipient(log, id, address);
		if (ret < 0)
			return -1;
		count += ret;
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

/* How far a Sent mailbox was read */

struct read_mailbox {
	const char *name;
	const struct sent_log_mailbox_mark *mark;
};

static int hash_mailbox(struct sent_log *log, const char *mailbox,
			struct sent_log_hash *hash_r)
{
	return sent_log_hash(log, SENT_LOG_HASH_MAILBOX, mailbox, hash_r);
}

/* The file is its owner's: what doesn't fit counts as not read. */
static uint32_t column_uid(const struct store_row *row, unsigned int column)
{
	int64_t value = row->columns[column].number;

	return value < 0 || value > UINT32_MAX ? 0 : (uint32_t)value;
}

static int read_unreadable(struct sent_log *log,
			   const struct sent_log_hash *name,
			   struct sent_log_mailbox_mark *mark)
{
	int64_t last = INT64_MIN;
	struct store_row row;
	int ret = 0;

	while (mark->unreadable_count < SENT_LOG_MAX_UNREADABLE &&
	       (ret = store_get(log->store, STORE_NEXT_UNREADABLE, &row,
				store_hash(name), store_number(last))) > 0) {
		last = row.columns[0].number;
		mark->unreadable[mark->unreadable_count++] =
			column_uid(&row, 0);
	}
	return ret < 0 ? -1 : 0;
}

static int get_mark(struct sent_log *log, const char *mailbox,
		    struct sent_log_mailbox_mark *mark_r)
{
	struct sent_log_hash name;
	struct store_row row;
	int ret;

	if (sent_log_file_open(log) < 0 ||
	    hash_mailbox(log, mailbox, &name) < 0)
		return -1;
	ret = store_get(log->store, STORE_GET_MARK, &row, store_hash(&name));
	if (ret <= 0)
		return ret;
	mark_r->uid_validity = column_uid(&row, 0);
	mark_r->next_uid = column_uid(&row, 1);
	mark_r->unread_from = column_uid(&row, 2);
	mark_r->unread_to = column_uid(&row, 3);
	mark_r->stopped_at = row.columns[4].number;
	return read_unreadable(log, &name, mark_r) < 0 ? -1 : 1;
}

int sent_log_get_mark(struct sent_log *log, const char *mailbox,
		      struct sent_log_mailbox_mark *mark_r,
		      const char **error_r)
{
	memset(mark_r, 0, sizeof(*mark_r));
	return sent_log_call(log, 0, error_r, get_mark(log, mailbox, mark_r));
}

/* Inside a write transaction: the hash key is the file's. */
static int write_mark(struct sent_log *log, const struct read_mailbox *read)
{
	const struct sent_log_mailbox_mark *mark = read->mark;
	struct sent_log_hash name;

	if (hash_mailbox(log, read->name, &name) < 0 ||
	    store_put(log->store, STORE_SET_MARK, store_hash(&name),
		      store_number(mark->uid_validity),
		      store_number(mark->next_uid),
		      store_number(mark->unread_from),
		      store_number(mark->unread_to),
		      store_number(mark->stopped_at)) < 0 ||
	    store_put(log->store, STORE_DELETE_UNREADABLE,
		      store_hash(&name)) < 0)
		return -1;
	for (unsigned int i = 0; i < mark->unreadable_count; i++) {
		if (store_put(log->store, STORE_INSERT_UNREADABLE,
			      store_hash(&name),
			      store_number(mark->unreadable[i])) < 0)
			return -1;
	}
	return 0;
}

static int stop_reading(struct sent_log *log, const char *mailbox)
{
	struct sent_log_hash name;

	if (sent_log_write_begin(log) < 0 ||
	    hash_mailbox(log, mailbox, &name) < 0 ||
	    store_put(log->store, STORE_STOP_READING, store_hash(&name),
		      store_number(log->now)) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return 1;
}

int sent_log_stop_reading(struct sent_log *log, const char *mailbox,
			  time_t now, const char **error_r)
{
	return sent_log_call(log, now, error_r, stop_reading(log, mailbox));
}

static int raise_mark(struct sent_log *log, const char *mailbox,
		      uint32_t uid_validity, uint32_t first_uid,
		      uint32_t last_uid, const struct sent_log_identity *last)
{
	struct sent_log_hash name;
	int64_t identity;
	int raised, ret = sent_log_file_open_existing(log);

	if (ret <= 0)
		return ret;
	if (sent_log_write_begin(log) < 0 ||
	    hash_mailbox(log, mailbox, &name) < 0 ||
	    sent_log_hash_identity(log, last, &identity) < 0)
		return -1;
	raised = store_put(log->store, STORE_RAISE_MARK, store_hash(&name),
			   store_number(uid_validity), store_number(first_uid),
			   store_number(last_uid), store_number(identity));
	if (raised < 0 || sent_log_write_commit(log) < 0)
		return -1;
	return raised > 0 ? 1 : 0;
}

int sent_log_raise_mark(struct sent_log *log, const char *mailbox,
			uint32_t uid_validity, uint32_t first_uid,
			uint32_t last_uid,
			const struct sent_log_identity *last,
			const char **error_r)
{
	return sent_log_call(log, 0, error_r,
			     raise_mark(log, mailbox, uid_validity, first_uid,
					last_uid, last));
}

/* Adding */

/* One transaction. read: NULL, or what the last of them also writes. Returns the
   number of messages it took, or -1. */
static int add_batch(struct sent_log *log,
		     const struct sent_log_message *messages, size_t count,
		     const struct read_mailbox *read)
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
	    write_mark(log, read) < 0)
		return -1;
	if (sent_log_expire_step(log, SENT_LOG_EXPIRE_STEP + 2 * rows) < 0 ||
	    sent_log_write_commit(log) < 0)
		return -1;
	return (int)done;
}

static int add_messages(struct sent_log *log,
			const struct sent_log_message *messages, size_t count,
			const struct read_mailbox *read)
{
	bool marked = read == NULL;
	int done;

	for (size_t i = 0; i < count; i++) {
		unsigned int source = messages[i].source;

		/* one of them */
		if ((source & SENT_LOG_SOURCES_ALL) != source ||
		    source == 0 || (source & (source - 1)) != 0)
			return store_fail(log->store, "no such source");
	}
	while (count > 0 || !marked) {
		done = add_batch(log, messages, count, read);
		if (done < 0)
			return -1;
		/* Who imports thousands may wait for a lock more than once. */
		store_wait_start(log->store);
		messages += done;
		count -= (size_t)done;
		marked = marked || count == 0;
		/* a delivery may be waiting for the end of an import */
		store_let_others_write(log->store, count > 0);
	}
	return 1;
}

int sent_log_add(struct sent_log *log, const struct sent_log_message *messages,
		 size_t count, time_t now, const char **error_r)
{
	return sent_log_call(log, now, error_r,
			     add_messages(log, messages, count, NULL));
}

int sent_log_add_read(struct sent_log *log,
		      const struct sent_log_message *messages, size_t count,
		      const char *mailbox,
		      const struct sent_log_mailbox_mark *mark, time_t now,
		      const char **error_r)
{
	const struct read_mailbox read = {
		.name = mailbox, .mark = mark
	};

	return sent_log_call(log, now, error_r,
			     add_messages(log, messages, count, &read));
}
