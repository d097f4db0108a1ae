/* The spool while Dovecot isn't there: what is in its file. */

#include "test-spool-common.h"

static void test_rows_stay(void **state)
{
	struct fixture *f = *state;
	int64_t last = 0;

	open_spool(f);
	assert_private(f);
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(add(f, "bob"), 0);
		assert_null(f->error);
		assert_true(f->id > last);
		last = f->id;
	}
	reopen(f);
	assert_int_equal(count_waiting(f), 10);
	assert_int_equal(add(f, "bob"), 0);
	assert_int_equal(f->id, last + 1);
	spool_close(&f->spool);
	assert_int_equal(number_in_file(f, "SELECT count(*) FROM row"), 11);
	assert_true(number_in_file(f, "SELECT seen FROM life") >=
		    time(NULL) - 10);
}

/* Each start: mail left meanwhile. */
static void test_gap_at_start(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 3; i++) {
		open_spool(f);
		assert_true(has_gap(f, NULL));
		spool_close(&f->spool);
	}
}

static void test_full(void **state)
{
	struct fixture *f = *state;

	f->max_rows = 5;
	open_spool(f);
	forget_gaps(f);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(add(f, "bob"), 0);
	assert_false(has_gap(f, "bob"));
	assert_int_equal(add(f, "bob"), 1);
	assert_non_null(strstr(f->error, "is full: 5 rows"));
	assert_true(has_gap(f, "bob"));
	assert_false(has_gap(f, "ann"));
	assert_int_equal(count_waiting(f), 5);
	/* so it is after a start */
	reopen(f);
	assert_int_equal(add(f, "ann"), 1);
	assert_true(has_gap(f, "ann"));
}

static void test_no_such_user(void **state)
{
	struct fixture *f = *state;
	static const char *const users[] = { "", "a\nb", "\xff", "\xc3", "\xed\xa0\x80" };
	char *long_user = malloc(SPOOL_ROW_USER_MAX + 2);

	open_spool(f);
	for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++)
		assert_int_equal(add(f, users[i]), -1);
	memset(long_user, 'a', SPOOL_ROW_USER_MAX + 1);
	long_user[SPOOL_ROW_USER_MAX + 1] = '\0';
	assert_int_equal(add(f, long_user), -1);
	assert_int_equal(add(f, long_user + 1), 0);
	assert_int_equal(add(f, "j\xc3\xb6rg"), 0);
	free(long_user);
}

static void assert_says(struct json_object *object, const char *name,
			const char *json)
{
	struct json_object *value = json_object_object_get(object, name);

	if (json == NULL)
		assert_null(value);
	else {
		assert_string_equal(json_object_to_json_string_ext(
			value, JSON_C_TO_STRING_PLAIN), json);
	}
}

static void test_what_a_row_says(void **state)
{
	static const char *const recipients[] = {
		"\"a b\"@example.net", "\xff@example.net", "", "c@example.net",
		"j\xc3\xb6rg@example.net", "<d@example.net>", "e@", "@example.net",
		"f@example .net", "root",
	};
	struct sent_message message = {
		.user = "bob", .message_id = "\r\n\t<\"\\\"@example.com>",
		.serial = "ABC", .envelope_id = "a\tb",
		.recipients = recipients, .recipient_count = 10,
		.sent_at = SENT_AT, .date = SENT_AT - 5,
	};
	char *text = spool_row_arguments(&message);
	struct json_object *row = spool_row_parse(text);

	(void)state;
	assert_non_null(row);
	assert_says(row, "user", "\"bob\"");
	assert_says(row, "source", "\"milter\"");
	assert_says(row, "serial", "\"ABC\"");
	assert_says(row, "envelopeId", NULL);
	assert_says(row, "date", "1699999995");
	assert_says(row, "sentAt", "1700000000");
	assert_says(row, "messageId", "\"   <\\\"\\\\\\\"@example.com>\"");
	assert_says(row, "recipient",
		    "[\"\\\"a b\\\"@example.net\",\"c@example.net\","
		    "\"j\xc3\xb6rg@example.net\",\"root\"]");
	json_object_put(row);
	free(text);
}

static void test_message_ids(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *message_id, *json;
	} ids[] = {
		{ "<a@example.com>", "\"<a@example.com>\"" },
		{ "a@example.com", "\"a@example.com\"" },
		{ "12345", "\"<12345>\"" },
		{ "<j\xc3\xb6rg@example.com>", NULL },
		{ "<a\001@example.com>", NULL },
		{ NULL, NULL },
	};

	open_spool(f);
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		struct sent_message message = {
			.user = "bob", .message_id = ids[i].message_id,
		};
		char *text = spool_row_arguments(&message);
		struct json_object *row = text == NULL ? NULL :
						spool_row_parse(text);

		assert_int_equal(row != NULL, ids[i].json != NULL);
		if (row != NULL)
			assert_says(row, "messageId", ids[i].json);
		json_object_put(row);
		free(text);
		assert_int_equal(add_to(f, f->spool, "bob", ids[i].message_id),
				 0);
	}
	assert_int_equal(count_waiting(f), 3);
	assert_true(spool_wait(f->spool, f->id, 0));
}

/* What Dovecot doesn't answer is not waited for. */
static void test_nobody_waits(void **state)
{
	struct fixture *f = *state;
	struct timespec before, after;

	open_spool(f);
	assert_int_equal(add(f, "bob"), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	for (unsigned int i = 0; i < 100; i++)
		assert_false(spool_wait(f->spool, f->id, 200));
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 15);
	/* no such row: it has left */
	assert_true(spool_wait(f->spool, f->id + 1, 200));
}

/* Crashes */

/* Adds rows, and tells of each that is in. */
static void add_and_tell(struct fixture *f, int fd)
{
	char id[40];

	open_spool(f);
	for (int64_t i = 0; ; i++) {
		(void)snprintf(id, sizeof(id), "<%lld@example.com>",
			       (long long)i);
		if (add_to(f, f->spool, "bob", id) != 0 ||
		    write(fd, &f->id, sizeof(f->id)) != sizeof(f->id))
			_exit(1);
	}
}

static void test_killed(void **state)
{
	struct fixture *f = *state;
	int64_t id, last = 0;
	int fds[2], status;

	f->max_rows = 1000000;
	for (unsigned int i = 0; i < 50; i++) {
		unsigned int rows = (unsigned int)rand() % 50;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			add_and_tell(f, fds[1]);
		(void)close(fds[1]);
		while (rows-- > 0 && read(fds[0], &id, sizeof(id)) == sizeof(id))
			last = id;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (read(fds[0], &id, sizeof(id)) == sizeof(id))
			last = id;
		(void)close(fds[0]);
	}
	open_spool(f);
	assert_true(has_gap(f, NULL));
	/* none that was told is missing, and one that was not may be there */
	assert_true(last > 0);
	assert_true(count_waiting(f) >= (size_t)last);
	assert_true(count_waiting(f) <= (size_t)last + 50);
	assert_int_equal(count_files(f, "spool.db.broken*"), 0);
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;

	open_spool(f);
	add_rows(f);
	assert_int_equal(count_waiting(f), ROWS);
	assert_int_equal(add(f, "bob"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_stay),
		TEST(test_gap_at_start),
		TEST(test_full),
		TEST(test_no_such_user),
		TEST(test_what_a_row_says),
		TEST(test_message_ids),
		TEST(test_nobody_waits),
		TEST(test_killed),
		TEST(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
