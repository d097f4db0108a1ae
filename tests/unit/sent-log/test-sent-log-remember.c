/* Reports that came before their original was logged: remembered, due, listed,
   forgotten, expired; and two processes that meet. */

#include "test-sent-log-common.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define SUBMISSION SENT_LOG_SOURCE_SUBMISSION
#define MESSAGE_ID SENT_LOG_IDENTITY_MESSAGE_ID
#define ENVELOPE_ID SENT_LOG_IDENTITY_ENVELOPE_ID
#define SERIAL SENT_LOG_IDENTITY_SERIAL
#define MAX_AGE (14 * DAY)
/* what sent-log.h promises */
#define MAX_REMEMBERED 1000

/* Remembers a report with this UID. */
static int remember_in(struct sent_log *log, uint32_t uid, bool quarantined,
		       const struct sent_log_identity *identities,
		       size_t count, time_t now, const char **error_r)
{
	struct sent_log_stored_report report = {
		.id = 4711,
		.mailbox_guid = "0123456789abcde",
		.uid_validity = 7,
		.uid = uid,
		.quarantined = quarantined,
	};

	return sent_log_remember_report(log, &report, identities, count,
					MAX_AGE, now, error_r);
}

static int remember_at(struct fixture *f, uint32_t uid, bool quarantined,
		       const char *message_id, time_t now)
{
	struct sent_log_identity identity = { MESSAGE_ID, message_id };

	return remember_in(f->log, uid, quarantined, &identity, 1, now,
			   &f->error);
}

static int remember(struct fixture *f, uint32_t uid, const char *message_id)
{
	return remember_at(f, uid, true, message_id, NOW);
}

/* The UIDs of all that are due, or "", in one buffer. */
static const char *due(struct fixture *f)
{
	static struct sent_log_stored_report reports[MAX_REMEMBERED + 1];
	static char text[16 * MAX_REMEMBERED];
	size_t found, used = 0;
	int ret = sent_log_list_due_reports(f->log, reports, MAX_REMEMBERED + 1,
					    &found, &f->error);

	assert_true(ret >= 0);
	assert_int_equal(ret, found > 0);
	text[0] = '\0';
	for (size_t i = 0; i < found; i++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s%u", i > 0 ? " " : "",
					 reports[i].uid);
	}
	return text;
}

static int64_t id_of(struct fixture *f, uint32_t uid)
{
	struct sent_log_stored_report reports[16];
	size_t found;

	assert_done(f, sent_log_list_due_reports(f->log, reports, 16, &found,
						 &f->error));
	for (size_t i = 0; i < found; i++) {
		if (reports[i].uid == uid)
			return reports[i].id;
	}
	fail_msg("no report %u", uid);
	return 0;
}

static int64_t rows_in(struct fixture *f, const char *table)
{
	char *sql = store_format("SELECT count(*) FROM %s", table);
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int64_t rows;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	rows = sqlite3_column_int64(stmt, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(sql);
	return rows;
}

/* Becoming due */

static void test_due_when_its_original_comes(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(due(f), "");
	assert_false(exists(f->path));
	assert_done(f, remember(f, 1, "a"));
	assert_done(f, remember(f, 2, "b"));
	assert_string_equal(due(f), "");
	assert_done(f, add(f, "c", NULL));
	assert_string_equal(due(f), "");
	assert_done(f, add(f, "a", NULL));
	assert_string_equal(due(f), "1");
	fixture_reopen(f);
	assert_string_equal(due(f), "1");
	assert_done(f, add(f, "b", NULL));
	assert_string_equal(due(f), "1 2");
	assert_string_equal(f->notices, "");
}

static void test_due_from_any_source(void **state)
{
	struct fixture *f = *state;
	char value[16];

	for (unsigned int i = 0; i < 4; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, remember(f, i, value));
		assert_done(f, add_at(f, (enum sent_log_source)(1U << i), value,
				      NULL, NOW - DAY, NOW));
	}
	assert_string_equal(due(f), "0 1 2 3");
}

/* The second row of the same message tells as much as the first. */
static void test_due_by_a_known_message(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW - RETENTION,
			      NOW - 1));
	assert_done(f, remember(f, 1, "a"));
	/* still there at NOW, but only just */
	assert_string_equal(due(f), "1");
	assert_done(f, remember_at(f, 2, true, "a", NOW + 1));
	assert_string_equal(due(f), "1");
	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW + 1, NOW + 1));
	assert_string_equal(due(f), "1 2");
}

static void test_not_due_by_an_old_message(void **state)
{
	struct fixture *f = *state;

	assert_done(f, remember(f, 1, "a"));
	assert_done(f, add_at(f, SUBMISSION, "a", NULL, NOW - RETENTION - 1,
			      NOW));
	assert_string_equal(due(f), "");
}

static void test_due_by_any_identity_of_its_kind(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_identity identities[] = {
		{ MESSAGE_ID, NULL }, { MESSAGE_ID, "" },
		{ MESSAGE_ID, "a" },  { ENVELOPE_ID, "b" },
		{ SERIAL, "c" },      { MESSAGE_ID, "a" },
	};
	struct sent_log_identity other = { ENVELOPE_ID, "a" };
	struct sent_log_message message = {
		.source = SUBMISSION,
		.identities = &other,
		.identity_count = 1,
		.logged_at = NOW,
	};

	for (uint32_t uid = 0; uid < 6; uid++) {
		assert_done(f, remember_in(f->log, uid, true, &identities[uid],
					   1, NOW, &f->error));
	}
	assert_done(f, remember_in(f->log, 6, true, identities, 6, NOW,
				   &f->error));
	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_string_equal(due(f), "");
	message.identities = &identities[4];
	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_string_equal(due(f), "4 6");
	message.identities = &identities[2];
	assert_done(f, sent_log_add(f->log, &message, 1, NOW, &f->error));
	assert_string_equal(due(f), "2 4 5 6");
	/* what names no original can't become due */
	assert_int_equal(rows_in(f, "remembered_report"), 5);
}

static void test_due_by_an_import(void **state)
{
	struct fixture *f = *state;
	static struct sent_log_identity identities[500];
	static struct sent_log_message messages[500];
	static char values[500][16];

	for (unsigned int i = 0; i < 500; i++) {
		snprintf(values[i], sizeof(values[i]), "%u", i);
		identities[i].value = values[i];
		messages[i].source = SENT_LOG_SOURCE_SENT;
		messages[i].identities = &identities[i];
		messages[i].identity_count = 1;
		messages[i].logged_at = NOW - 30 * DAY;
	}
	assert_done(f, remember(f, 1, "499"));
	assert_done(f, remember(f, 2, "500"));
	assert_done(f, remember(f, 3, "0"));
	assert_done(f, sent_log_add(f->log, messages, 500, NOW, &f->error));
	assert_string_equal(due(f), "1 3");
}

static void test_sixteen_identities(void **state)
{
	struct fixture *f = *state;
	struct sent_log_identity identities[20];
	char values[20][16];

	for (unsigned int i = 0; i < 20; i++) {
		snprintf(values[i], sizeof(values[i]), "%u", i);
		identities[i].kind = MESSAGE_ID;
		identities[i].value = values[i];
	}
	assert_done(f, remember_in(f->log, 1, true, identities, 20, NOW,
				   &f->error));
	assert_int_equal(rows_in(f, "remembered_identity"), 16);
	assert_done(f, add(f, "16", NULL));
	assert_string_equal(due(f), "");
	assert_done(f, add(f, "15", NULL));
	assert_string_equal(due(f), "1");
}

/* Listing and forgetting */

static void test_report_comes_back_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct sent_log_identity identity = { MESSAGE_ID, "a" };
	struct sent_log_stored_report report = {
		.uid_validity = UINT32_MAX,
		.uid = UINT32_MAX - 1,
	}, found[2];
	size_t count;

	memset(report.mailbox_guid, 0xfe, sizeof(report.mailbox_guid));
	report.mailbox_guid[3] = 0;
	assert_done(f, add(f, "a", NULL));
	for (unsigned int i = 0; i < 2; i++) {
		report.quarantined = i == 1;
		assert_done(f, sent_log_remember_report(f->log, &report,
							&identity, 1, UINT_MAX,
							NOW, &f->error));
	}
	assert_done(f, sent_log_list_due_reports(f->log, found, 2, &count,
						 &f->error));
	assert_int_equal(count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_memory_equal(found[i].mailbox_guid, report.mailbox_guid,
				    SENT_LOG_MAILBOX_GUID_SIZE);
		assert_int_equal(found[i].uid_validity, UINT32_MAX);
		assert_int_equal(found[i].uid, UINT32_MAX - 1);
		assert_int_equal(found[i].quarantined, i == 1);
	}
	assert_true(found[0].id != found[1].id);
}

static void test_list_some(void **state)
{
	struct fixture *f = *state;
	struct sent_log_stored_report reports[2];
	size_t found;

	assert_done(f, add(f, "a", NULL));
	for (uint32_t uid = 1; uid <= 3; uid++)
		assert_done(f, remember(f, uid, "a"));
	assert_done(f, sent_log_list_due_reports(f->log, reports, 2, &found,
						 &f->error));
	assert_int_equal(found, 2);
	assert_int_equal(reports[0].uid, 1);
	assert_int_equal(reports[1].uid, 2);
	assert_none(f, sent_log_list_due_reports(f->log, reports, 0, &found,
						 &f->error));
	assert_int_equal(found, 0);
}

static void test_forget(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	assert_none(f, sent_log_forget_report(f->log, 1, &f->error));
	assert_false(exists(f->path));
	assert_done(f, add(f, "a", NULL));
	assert_done(f, remember(f, 1, "a"));
	assert_done(f, remember(f, 2, "a"));
	id = id_of(f, 2);
	assert_done(f, sent_log_forget_report(f->log, id, &f->error));
	assert_string_equal(due(f), "1");
	assert_none(f, sent_log_forget_report(f->log, id, &f->error));
	assert_int_equal(rows_in(f, "remembered_identity"), 1);

	/* an id never means another report later on */
	assert_done(f, remember(f, 3, "a"));
	assert_none(f, sent_log_forget_report(f->log, id, &f->error));
	assert_string_equal(due(f), "1 3");
}

/* Limits */

/* They have the same original. Not durable, so as to be quick. */
static void remember_many(struct fixture *f, uint32_t first, uint32_t last,
			  bool quarantined)
{
	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_int_equal(sqlite3_exec(f->log->store->db, "PRAGMA synchronous = OFF",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	for (uint32_t uid = first; uid <= last; uid++) {
		/* each has the deadline for itself */
		sent_log_begin(f->log);
		assert_done(f, remember_at(f, uid, quarantined, "a", NOW));
	}
}

static bool is_due(struct fixture *f, uint32_t uid)
{
	char number[16];
	const char *list = due(f), *found = list;

	snprintf(number, sizeof(number), "%u", uid);
	while ((found = strstr(found, number)) != NULL) {
		size_t size = strlen(number);

		if ((found == list || found[-1] == ' ') &&
		    (found[size] == '\0' || found[size] == ' '))
			return true;
		found += size;
	}
	return false;
}

static void test_a_thousand(void **state)
{
	struct fixture *f = *state;

	remember_many(f, 1, 500, true);
	remember_many(f, 501, 503, false);
	remember_many(f, 504, 1001, true);
	/* the oldest that is not quarantined went */
	assert_int_equal(rows_in(f, "remembered_report"), MAX_REMEMBERED);
	assert_int_equal(rows_in(f, "remembered_identity"), MAX_REMEMBERED);
	remember_many(f, 1002, 1002, false);
	assert_done(f, add(f, "a", NULL));
	assert_false(is_due(f, 501));
	assert_false(is_due(f, 502));
	assert_true(is_due(f, 503));
	assert_true(is_due(f, 1002));
	assert_true(is_due(f, 1));

	/* then the oldest of all */
	remember_many(f, 1003, 1005, true);
	assert_false(is_due(f, 503));
	assert_false(is_due(f, 1002));
	assert_false(is_due(f, 1));
	assert_true(is_due(f, 2));
	assert_true(is_due(f, 1005));
	/* and no quarantined one for one that is not */
	remember_many(f, 1006, 1006, false);
	assert_false(is_due(f, 1006));
	assert_true(is_due(f, 2));
	assert_int_equal(rows_in(f, "remembered_report"), MAX_REMEMBERED);
}

static void test_due_ones_stay_longest(void **state)
{
	struct fixture *f = *state;

	assert_done(f, remember(f, 1, "b"));
	remember_many(f, 2, 1000, true);
	assert_done(f, add(f, "b", NULL));
	remember_many(f, 1001, 1002, true);
	assert_string_equal(due(f), "1");
	assert_done(f, add(f, "a", NULL));
	assert_false(is_due(f, 3));
	assert_true(is_due(f, 4));
}

static void test_max_age(void **state)
{
	struct fixture *f = *state;

	assert_done(f, remember(f, 1, "a"));
	assert_done(f, remember_at(f, 2, true, "a", NOW + 1));
	assert_none(f, expire_old(f, NOW + MAX_AGE, 10));
	assert_int_equal(rows_in(f, "remembered_report"), 2);
	/* by the way, whatever is written */
	assert_done(f, add_at(f, SUBMISSION, "b", NULL, NOW, NOW + MAX_AGE + 1));
	assert_int_equal(rows_in(f, "remembered_report"), 1);
	assert_done(f, add(f, "a", NULL));
	assert_string_equal(due(f), "2");
	assert_none(f, expire_old(f, NOW + MAX_AGE + 2, 10));
	assert_string_equal(due(f), "");
	assert_int_equal(rows_in(f, "remembered_identity"), 0);
}

static void test_expire_in_steps(void **state)
{
	struct fixture *f = *state;

	remember_many(f, 1, 20, true);
	for (int64_t left = 15; left > 0; left -= 5) {
		assert_done(f, expire_old(f, NOW + MAX_AGE + 1, 10));
		assert_int_equal(rows_in(f, "remembered_report"), left);
		assert_int_equal(rows_in(f, "remembered_identity"), left);
	}
	assert_done(f, expire_old(f, NOW + MAX_AGE + 1, 10));
	assert_none(f, expire_old(f, NOW + MAX_AGE + 1, 10));
	assert_int_equal(rows_in(f, "remembered_report"), 0);
}

/* What an addition pays: an index lookup for each identity. */
static int64_t mark_steps(struct fixture *f)
{
	return sqlite3_stmt_status(f->log->store->statements[STORE_MARK_DUE],
				   SQLITE_STMTSTATUS_VM_STEP, 1);
}

static void test_cost_of_marking(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	assert_in_range(mark_steps(f), 1, 40);
	remember_many(f, 1, 1000, true);
	(void)mark_steps(f);
	assert_done(f, add(f, "b", NULL));
	assert_in_range(mark_steps(f), 1, 40);
}

static void test_unavailable(void **state)
{
	struct fixture *f = *state;
	struct sent_log_stored_report report;
	size_t found;

	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_failed(f, remember(f, 1, "a"), "not a regular file");
	assert_failed(f, sent_log_list_due_reports(f->log, &report, 1, &found,
						   &f->error),
		      "not a regular file");
	assert_int_equal(found, 0);
	assert_failed(f, sent_log_forget_report(f->log, 1, &f->error),
		      "not a regular file");
}

/* Two processes at once: one delivers the report, one logs its original. In
   whichever order, the report is due afterwards. */

#define ROUNDS 200

/* Shared by the two. */
static atomic_int *arrived;

/* Waits until both are here, so that they start at the same moment. */
static void await_round(int round)
{
	atomic_fetch_add(arrived, 1);
	while (atomic_load(arrived) < 2 * (round + 1))
		sched_yield();
}

/* The other one must not wait for ever. */
static bool end_rounds(struct sent_log *log, bool ok)
{
	atomic_fetch_add(arrived, 2 * ROUNDS);
	sent_log_deinit(&log);
	return ok;
}

static bool log_originals(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	bool ok = true;

	(void)number;
	for (int i = 0; i < ROUNDS && ok; i++) {
		char name[16];
		struct sent_log_identity identity = { MESSAGE_ID, name };
		struct sent_log_message message = {
			.source = SUBMISSION,
			.identities = &identity,
			.identity_count = 1,
			.logged_at = NOW,
		};

		snprintf(name, sizeof(name), "%d", i);
		await_round(i);
		ok = expect(sent_log_add(log, &message, 1, NOW, &f->error) == 1,
			    name, f->error);
	}
	return end_rounds(log, ok);
}

/* As a delivery does: it has looked before it stores the report. */
static bool remember_reports(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	bool ok = true;

	(void)number;
	for (int i = 0; i < ROUNDS && ok; i++) {
		char name[16];
		struct sent_log_identity identity = { MESSAGE_ID, name };
		struct sent_log_entry entry;

		snprintf(name, sizeof(name), "%d", i);
		await_round(i);
		ok = expect(sent_log_find(log, &identity, NULL, 0, NOW, &entry,
					  &f->error) >= 0, name, f->error) &&
		     expect(remember_in(log, (uint32_t)i, true, &identity, 1,
					NOW, &f->error) == 1, name, f->error);
	}
	return end_rounds(log, ok);
}

static void test_report_and_original_at_once(void **state)
{
	struct fixture *f = *state;
	struct sent_log_stored_report reports[ROUNDS];
	pid_t pids[2];
	bool ok[2];
	size_t found;

	arrived = mmap(NULL, sizeof(*arrived), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(arrived, MAP_FAILED);
	atomic_init(arrived, 0);
	f->set.deadline_msecs = 60000;
	fixture_reopen(f);
	pids[0] = start_child(f, log_originals, 0);
	pids[1] = start_child(f, remember_reports, 0);
	ok[0] = wait_child(pids[0]);
	ok[1] = wait_child(pids[1]);
	assert_int_equal(munmap(arrived, sizeof(*arrived)), 0);
	assert_true(ok[0] && ok[1]);
	assert_done(f, sent_log_list_due_reports(f->log, reports, ROUNDS,
						 &found, &f->error));
	assert_int_equal(found, ROUNDS);
	assert_intact(f->path);
}

/* Several take what is due: each report goes to one of them. */
static bool take_reports(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	struct sent_log_stored_report reports[10];
	char text[16];
	size_t found;
	int ret, taken = 0;

	while ((ret = sent_log_list_due_reports(log, reports, 10, &found,
						&f->error)) > 0) {
		for (size_t i = 0; i < found && ret >= 0; i++) {
			ret = sent_log_forget_report(log, reports[i].id,
						     &f->error);
			if (ret > 0)
				taken++;
		}
		if (ret < 0)
			break;
	}
	sent_log_deinit(&log);
	snprintf(text, sizeof(text), "taken.%d", number);
	write_file(in_folder(f, text), &taken, sizeof(taken));
	return expect(ret == 0, "take", f->error);
}

static void test_each_is_forgotten_once(void **state)
{
	struct fixture *f = *state;
	pid_t pids[4];
	int taken = 0;

	f->set.deadline_msecs = 60000;
	fixture_reopen(f);
	assert_done(f, add(f, "a", NULL));
	remember_many(f, 1, 100, true);
	for (int i = 0; i < 4; i++)
		pids[i] = start_child(f, take_reports, i);
	for (int i = 0; i < 4; i++) {
		char name[32];
		size_t size;
		char *content;

		assert_true(wait_child(pids[i]));
		snprintf(name, sizeof(name), "taken.%d", i);
		content = read_file(in_folder(f, name), &size);
		taken += *(const int *)(const void *)content;
		free(content);
	}
	assert_int_equal(taken, 100);
	assert_string_equal(due(f), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_due_when_its_original_comes),
		room_test(test_due_from_any_source),
		room_test(test_due_by_a_known_message),
		room_test(test_not_due_by_an_old_message),
		room_test(test_due_by_any_identity_of_its_kind),
		room_test(test_due_by_an_import),
		room_test(test_sixteen_identities),
		room_test(test_report_comes_back_as_it_was),
		room_test(test_list_some),
		both(test_forget),
		room_test(test_a_thousand),
		room_test(test_due_ones_stay_longest),
		room_test(test_max_age),
		room_test(test_expire_in_steps),
		room_test(test_cost_of_marking),
		room_test(test_unavailable),
		both(test_report_and_original_at_once),
		both(test_each_is_forgotten_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
