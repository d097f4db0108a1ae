/* Serials in the sent log: the keys of a mailbox, the serials of its messages, and
   what identities of the same message share. Serials themselves are
   test-serial.c's. */

#include "test-sent-log-common.h"

#define SUBMISSION SENT_LOG_SOURCE_SUBMISSION
#define SENT SENT_LOG_SOURCE_SENT
#define MESSAGE_ID SENT_LOG_IDENTITY_MESSAGE_ID
#define ENVELOPE_ID SENT_LOG_IDENTITY_ENVELOPE_ID
#define SERIAL SENT_LOG_IDENTITY_SERIAL

#define SERIAL_A "AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEA"
#define SERIAL_B "AGXZN7777777777776Q3FGEQOGEODZAOQJMMQ"

/* Keys */

static struct serial_key issuing_key(struct fixture *f, time_t now)
{
	struct serial_key key;

	assert_done(f, sent_log_get_issuing_key(f->log, now, &key, &f->error));
	return key;
}

static struct serial_key rotate(struct fixture *f, time_t now)
{
	struct serial_key key;

	assert_done(f, sent_log_rotate_serial_key(f->log, now, &key,
						  &f->error));
	return key;
}

static struct serial_keys all_keys(struct fixture *f, time_t now)
{
	struct serial_keys keys;

	assert_done(f, sent_log_get_serial_keys(f->log, now, &keys,
						&f->error));
	return keys;
}

static void assert_same_key(const struct serial_key *one,
			    const struct serial_key *two)
{
	assert_int_equal(one->id, two->id);
	assert_memory_equal(one->secret, two->secret, SERIAL_SECRET_SIZE);
	assert_int_equal(one->created, two->created);
}

static void test_no_key_without_use(void **state)
{
	struct fixture *f = *state;
	struct serial_keys keys;

	assert_none(f, sent_log_get_serial_keys(f->log, NOW, &keys, &f->error));
	assert_int_equal(keys.count, 0);
	assert_false(exists(f->path));
	assert_done(f, add(f, "a", NULL));
	assert_none(f, sent_log_get_serial_keys(f->log, NOW, &keys, &f->error));
}

static void test_key_is_made_once(void **state)
{
	struct fixture *f = *state;
	struct serial_key key, again;
	struct serial_keys keys;

	key = issuing_key(f, NOW);
	assert_int_equal(key.created, NOW);
	assert_int_equal(key.retired, 0);
	again = issuing_key(f, NOW + 1);
	assert_same_key(&key, &again);
	fixture_reopen(f);
	again = issuing_key(f, NOW + 2 * RETENTION);
	assert_same_key(&key, &again);
	keys = all_keys(f, NOW + 2 * RETENTION);
	assert_int_equal(keys.count, 1);
	assert_same_key(&key, &keys.keys[0]);
	assert_string_equal(f->notices, "");
}

static void test_key_is_of_one_mailbox(void **state)
{
	struct fixture *f = *state;
	struct serial_key key = issuing_key(f, NOW), other;

	sent_log_deinit(&f->log);
	f->set.path = in_folder(f, "other.db");
	f->log = sent_log_init(&f->set);
	other = issuing_key(f, NOW);
	assert_memory_not_equal(key.secret, other.secret, SERIAL_SECRET_SIZE);
	assert_memory_not_equal(key.secret, f->log->key, SERIAL_SECRET_SIZE);
}

static void test_rotation(void **state)
{
	struct fixture *f = *state;
	static const char *const ann[] = { "ann@example.org" };
	struct serial_key old = issuing_key(f, NOW), new;
	struct serial_keys keys;
	struct serial_check check;
	char text[SERIAL_TEXT_SIZE];

	assert_int_equal(serial_issue(&old, ann[0], NOW, text), 0);
	assert_done(f, add(f, "a", "bob@example.net"));
	new = rotate(f, NOW + DAY);
	assert_memory_not_equal(new.secret, old.secret, SERIAL_SECRET_SIZE);
	assert_int_equal(new.created, NOW + DAY);
	assert_int_equal(new.retired, 0);
	old = issuing_key(f, NOW + DAY);
	assert_same_key(&old, &new);

	keys = all_keys(f, NOW + DAY);
	assert_int_equal(keys.count, 2);
	assert_int_equal(keys.keys[0].created, NOW);
	assert_int_equal(keys.keys[0].retired, NOW + DAY);
	assert_same_key(&keys.keys[1], &new);
	serial_verify(&keys, text, ann, 1, NOW, &check);
	assert_int_equal(check.status, SERIAL_VALID);
	/* no row is lost */
	assert_done(f, find(f, "a"));
	fixture_reopen(f);
	assert_done(f, find(f, "a"));
}

static void test_rotation_without_a_key(void **state)
{
	struct fixture *f = *state;

	(void)rotate(f, NOW);
	assert_int_equal(all_keys(f, NOW).count, 1);
}

static int64_t stored_keys(struct fixture *f)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int64_t keys;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT count(*) FROM serial_key",
					    -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	keys = sqlite3_column_int64(stmt, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return keys;
}

static void test_retired_key_expires(void **state)
{
	struct fixture *f = *state;

	(void)issuing_key(f, NOW);
	(void)rotate(f, NOW + DAY);
	assert_int_equal(all_keys(f, NOW + DAY + RETENTION).count, 2);
	assert_none(f, expire_old(f, NOW + DAY + RETENTION, 1));
	assert_int_equal(stored_keys(f), 2);

	assert_int_equal(all_keys(f, NOW + DAY + RETENTION + 1).count, 1);
	assert_none(f, expire_old(f, NOW + DAY + RETENTION + 1, 1));
	assert_int_equal(stored_keys(f), 1);
	/* the one in use is never too old */
	assert_none(f, expire_old(f, NOW + 10 * RETENTION, 1));
	assert_int_equal(issuing_key(f, NOW + 10 * RETENTION).created,
			 NOW + DAY);
}

static void test_oldest_keys_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct serial_keys keys;

	for (int i = 0; i < SERIAL_KEYS_MAX + 3; i++)
		(void)rotate(f, NOW + i);
	keys = all_keys(f, NOW + DAY);
	assert_int_equal(keys.count, SERIAL_KEYS_MAX);
	for (int i = 0; i < SERIAL_KEYS_MAX; i++)
		assert_int_equal(keys.keys[i].created, NOW + 3 + i);
	assert_int_equal(keys.keys[SERIAL_KEYS_MAX - 1].retired, 0);
	assert_int_equal(keys.keys[0].retired, NOW + 4);
}

/* What somebody has written into his file is no key. */
static void test_damaged_key(void **state)
{
	struct fixture *f = *state;
	struct serial_keys keys;

	(void)issuing_key(f, NOW);
	exec_sql(f->path, "UPDATE serial_key SET secret = x'00'");
	assert_none(f, sent_log_get_serial_keys(f->log, NOW, &keys, &f->error));
	assert_int_equal(issuing_key(f, NOW + 1).created, NOW + 1);
	assert_int_equal(all_keys(f, NOW + 1).count, 1);
}

static void test_key_when_unavailable(void **state)
{
	struct fixture *f = *state;
	static const struct serial_key none;
	struct serial_key key;
	struct serial_keys keys;

	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_failed(f, sent_log_get_issuing_key(f->log, NOW, &key, &f->error),
		      "not a regular file");
	assert_memory_equal(&key, &none, sizeof(key));
	assert_failed(f, sent_log_rotate_serial_key(f->log, NOW, &key,
						    &f->error),
		      "not a regular file");
	assert_failed(f, sent_log_get_serial_keys(f->log, NOW, &keys,
						  &f->error),
		      "not a regular file");
	assert_int_equal(keys.count, 0);
}

/* All of them begin with no log at all. */
#define PROCESSES 8

static bool write_issuing_key(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	struct serial_key key;
	char name[16];

	if (!expect(sent_log_get_issuing_key(log, NOW, &key, &f->error) == 1,
		    "key", f->error))
		return false;
	sent_log_deinit(&log);
	snprintf(name, sizeof(name), "key.%d", number);
	write_file(in_folder(f, name), key.secret, sizeof(key.secret));
	return true;
}

static void test_processes_agree_on_a_key(void **state)
{
	struct fixture *f = *state;
	pid_t pids[PROCESSES];
	char name[16];

	for (unsigned int round = 0; round < 5; round++) {
		struct serial_key key;

		snprintf(f->path, sizeof(f->path), "%s/%u.db", f->folder,
			 round);
		fixture_reopen(f);
		for (int i = 0; i < PROCESSES; i++)
			pids[i] = start_child(f, write_issuing_key, i);
		for (int i = 0; i < PROCESSES; i++)
			assert_true(wait_child(pids[i]));
		key = issuing_key(f, NOW);
		assert_int_equal(all_keys(f, NOW).count, 1);
		for (int i = 0; i < PROCESSES; i++) {
			size_t size;
			char *secret;

			snprintf(name, sizeof(name), "key.%d", i);
			secret = read_file(in_folder(f, name), &size);
			assert_int_equal(size, SERIAL_SECRET_SIZE);
			assert_memory_equal(secret, key.secret, size);
			free(secret);
		}
	}
}

/* Serials of messages */

static int add_identities(struct fixture *f, enum sent_log_source source,
			  const struct sent_log_identity *identities,
			  size_t count)
{
	static const char *const recipients[] = { "bob@example.net" };
	struct sent_log_message message = {
		.source = source,
		.identities = identities,
		.identity_count = count,
		.recipients = recipients,
		.recipient_count = 1,
		.logged_at = NOW,
	};

	return sent_log_add(f->log, &message, 1, NOW, &f->error);
}
#define add_with(f, source, ...) \
	add_identities(f, source, \
		       (const struct sent_log_identity[]){ __VA_ARGS__ }, \
		       sizeof((const struct sent_log_identity[]){ \
				       __VA_ARGS__ }) / \
			       sizeof(struct sent_log_identity))

static const char *listed_serial(struct fixture *f)
{
	return query(f, "SELECT serial FROM message");
}

static void test_serial_is_listed(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;

	assert_done(f, add_with(f, SUBMISSION, { SERIAL, SERIAL_A },
				{ MESSAGE_ID, "a" }));
	assert_string_equal(listed_serial(f), SERIAL_A);
	assert_done(f, find_kind(f, SERIAL, SERIAL_A, "bob@example.net", NOW,
				 &entry));
	assert_true(entry.recipient_matches);
}

static void test_serial_of_another_kind(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add_with(f, SUBMISSION, { ENVELOPE_ID, SERIAL_A },
				{ SERIAL, "no serial at all" },
				{ MESSAGE_ID, "a" }));
	assert_string_equal(listed_serial(f), "");
}

/* Sent once more, with another serial: both are found, the last is shown. */
static void test_serial_of_a_resent_message(void **state)
{
	struct fixture *f = *state;
	struct sent_log_entry entry;

	assert_done(f, add_with(f, SUBMISSION, { MESSAGE_ID, "a" }));
	assert_string_equal(listed_serial(f), "");
	assert_done(f, add_with(f, SUBMISSION, { MESSAGE_ID, "a" },
				{ SERIAL, SERIAL_A }));
	assert_string_equal(listed_serial(f), SERIAL_A);
	assert_done(f, add_with(f, SUBMISSION, { MESSAGE_ID, "a" },
				{ SERIAL, SERIAL_B }));
	assert_string_equal(listed_serial(f), SERIAL_B);
	assert_done(f, add_with(f, SUBMISSION, { MESSAGE_ID, "a" }));
	assert_string_equal(listed_serial(f), SERIAL_B);
	assert_done(f, find_kind(f, SERIAL, SERIAL_A, NULL, NOW, &entry));
	assert_done(f, find_kind(f, SERIAL, SERIAL_B, NULL, NOW, &entry));
	assert_int_equal(count(f, SUBMISSION), 1);
}

/* A message that is sent daily to one recipient each has a serial for each. */
static void test_many_serials_expire_in_steps(void **state)
{
	struct fixture *f = *state;
	unsigned int steps = 0;
	char value[32];
	int ret;

	for (unsigned int i = 0; i < 50; i++) {
		snprintf(value, sizeof(value), "serial %u", i);
		assert_done(f, add_with(f, SUBMISSION, { MESSAGE_ID, "a" },
					{ SERIAL, value }));
	}
	do {
		ret = expire_old(f, NOW + RETENTION + 1, 10);
		steps++;
	} while (ret == 1);
	assert_int_equal(ret, 0);
	/* one recipient, 51 identities, the message */
	assert_int_equal(steps, 6);
	assert_int_equal(count(f, SUBMISSION), 0);
}

static void test_identity_hash(void **state)
{
	struct fixture *f = *state;
	const struct sent_log_identity a = { MESSAGE_ID, "a" };
	const struct sent_log_identity serial_a = { SERIAL, "a" };
	char hash[SENT_LOG_HASH_TEXT_SIZE];

	assert_done(f, add(f, "a", NULL));
	assert_done(f, sent_log_identity_hash(f->log, &a, hash, &f->error));
	assert_string_equal(hash, query(f, "SELECT printf('%016x', hash)"
					   " FROM identity"));
	assert_done(f, sent_log_identity_hash(f->log, &serial_a, hash,
					      &f->error));
	assert_string_not_equal(hash, query(f, "SELECT printf('%016x', hash)"
					       " FROM identity"));
}

/* What is counted together */

static void count_one(struct fixture *f, enum sent_log_identity_kind kind,
		      const char *value)
{
	static const char *const recipients[] = { "bob@example.net" };
	struct sent_log_identity identity = { kind, value };

	assert_done(f, sent_log_count_report(f->log, &identity, "bounce",
					     recipients, 1, NOW, &f->error));
}

static struct sent_log_report_count
counted(struct fixture *f, enum sent_log_identity_kind kind, const char *value)
{
	struct sent_log_identity identity = { kind, value };
	struct sent_log_report_count report_count;

	assert_true(sent_log_get_report_count(f->log, &identity, "bounce",
					      "bob@example.net", &report_count,
					      &f->error) >= 0);
	return report_count;
}

static void test_identities_share_a_count(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_identity same[] = {
		{ MESSAGE_ID, "a" }, { SERIAL, SERIAL_A }, { ENVELOPE_ID, "e" }
	};

	assert_done(f, add_identities(f, SUBMISSION, same, 3));
	for (unsigned int i = 0; i < 3; i++)
		count_one(f, same[i].kind, same[i].value);
	for (unsigned int i = 0; i < 3; i++) {
		struct sent_log_report_count found =
			counted(f, same[i].kind, same[i].value);

		assert_int_equal(found.reports, 3);
		assert_int_equal(found.recipient_count, 1);
		assert_true(found.recipient_matches);
	}
	/* the Message-ID's own, as every log had it */
	exec_sql(f->path, "DELETE FROM identity WHERE hash >> 61 != 0");
	assert_int_equal(counted(f, MESSAGE_ID, "a").reports, 3);
}

static void test_count_of_its_own(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add_with(f, SUBMISSION, { MESSAGE_ID, "a" },
				{ SERIAL, SERIAL_A }));
	/* not in the log, so it has no recipients */
	count_one(f, SERIAL, SERIAL_B);
	assert_int_equal(counted(f, SERIAL, SERIAL_B).reports, 1);
	assert_false(counted(f, SERIAL, SERIAL_B).recipient_matches);
	assert_int_equal(counted(f, SERIAL, SERIAL_A).reports, 0);
	/* in a message without Message-ID */
	assert_done(f, add_with(f, SUBMISSION, { SERIAL, SERIAL_B },
				{ ENVELOPE_ID, "e" }));
	count_one(f, SERIAL, SERIAL_B);
	assert_int_equal(counted(f, SERIAL, SERIAL_B).reports, 1);
	assert_true(counted(f, SERIAL, SERIAL_B).recipient_matches);
	assert_int_equal(counted(f, ENVELOPE_ID, "e").reports, 0);
}

/* Whichever of several Message-IDs a report names, and whichever source knows
   which of them. */
static void test_count_of_several_message_ids(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add_with(f, SUBMISSION, { SERIAL, SERIAL_A },
				{ MESSAGE_ID, "b" }));
	assert_done(f, add_with(f, SENT, { MESSAGE_ID, "a" },
				{ MESSAGE_ID, "b" }, { MESSAGE_ID, "c" }));
	count_one(f, SERIAL, SERIAL_A);
	count_one(f, MESSAGE_ID, "a");
	count_one(f, MESSAGE_ID, "b");
	count_one(f, MESSAGE_ID, "c");
	assert_int_equal(counted(f, SERIAL, SERIAL_A).reports, 4);
	assert_int_equal(counted(f, MESSAGE_ID, "a").reports, 4);
	assert_int_equal(counted(f, MESSAGE_ID, "c").reports, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(test_no_key_without_use),
		both(test_key_is_made_once),
		room_test(test_key_is_of_one_mailbox),
		both(test_rotation),
		room_test(test_rotation_without_a_key),
		room_test(test_retired_key_expires),
		room_test(test_oldest_keys_are_left_out),
		room_test(test_damaged_key),
		room_test(test_key_when_unavailable),
		both(test_processes_agree_on_a_key),
		room_test(test_serial_is_listed),
		room_test(test_serial_of_another_kind),
		room_test(test_serial_of_a_resent_message),
		room_test(test_many_serials_expire_in_steps),
		room_test(test_identity_hash),
		room_test(test_identities_share_a_count),
		room_test(test_count_of_its_own),
		room_test(test_count_of_several_message_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
