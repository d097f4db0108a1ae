/* How far the Sent mailboxes have been read: kept with the rows that were read,
   raised where a save follows on it. */

#include "test-sent-log-common.h"

#define SENT SENT_LOG_SOURCE_SENT

static const struct sent_log_mailbox_mark some_mark = {
	.uid_validity = 4000000000,
	.next_uid = 4294967295,
	.unread_from = 3,
	.unread_to = 4000000001,
	.unreadable = { 1, 2, 4000000000 },
	.unreadable_count = 3,
	.stopped_at = NOW,
};

static int add_read(struct fixture *f, const char *mailbox,
		    const struct sent_log_mailbox_mark *mark,
		    const struct sent_log_message *messages, size_t count)
{
	return sent_log_add_read(f->log, messages, count, mailbox, mark, NOW,
				 &f->error);
}

static void assert_mark(struct fixture *f, const char *mailbox,
			const struct sent_log_mailbox_mark *expected)
{
	struct sent_log_mailbox_mark mark;

	assert_done(f, sent_log_get_mark(f->log, mailbox, &mark, &f->error));
	assert_int_equal(mark.uid_validity, expected->uid_validity);
	assert_int_equal(mark.next_uid, expected->next_uid);
	assert_int_equal(mark.unread_from, expected->unread_from);
	assert_int_equal(mark.unread_to, expected->unread_to);
	assert_int_equal(mark.stopped_at, expected->stopped_at);
	assert_int_equal(mark.unreadable_count, expected->unreadable_count);
	assert_memory_equal(mark.unreadable, expected->unreadable,
			    sizeof(mark.unreadable));
}

static uint32_t next_uid(struct fixture *f)
{
	struct sent_log_mailbox_mark mark;

	assert_done(f, sent_log_get_mark(f->log, "Sent", &mark, &f->error));
	return mark.next_uid;
}

static void test_each_mailbox_has_its_own(void **state)
{
	struct fixture *f = *state;
	struct sent_log_mailbox_mark other = { .uid_validity = 1,
					       .next_uid = 2 };

	assert_none(f, sent_log_get_mark(f->log, "Sent", &other, &f->error));
	assert_int_equal(other.uid_validity, 0);
	other.uid_validity = 1;
	assert_done(f, add_read(f, "Sent", &some_mark, NULL, 0));
	assert_done(f, add_read(f, "Sent Items", &other, NULL, 0));
	fixture_reopen(f);
	assert_mark(f, "Sent", &some_mark);
	assert_mark(f, "Sent Items", &other);
	assert_none(f, sent_log_get_mark(f->log, "sent", &other, &f->error));
}

static void test_the_next_one_takes_its_place(void **state)
{
	struct fixture *f = *state;
	struct sent_log_mailbox_mark next = { .uid_validity = 9, .next_uid = 5,
					      .unreadable = { 4 },
					      .unreadable_count = 1 };

	assert_done(f, add_read(f, "Sent", &some_mark, NULL, 0));
	assert_done(f, add_read(f, "Sent", &next, NULL, 0));
	assert_mark(f, "Sent", &next);
}

static void test_as_many_unreadable_as_it_says(void **state)
{
	struct fixture *f = *state;
	struct sent_log_mailbox_mark mark = { .uid_validity = 9,
					      .next_uid = 1000 };

	for (uint32_t i = 0; i < SENT_LOG_MAX_UNREADABLE; i++)
		mark.unreadable[i] = i + 1;
	mark.unreadable_count = SENT_LOG_MAX_UNREADABLE;
	assert_done(f, add_read(f, "Sent", &mark, NULL, 0));
	assert_mark(f, "Sent", &mark);
}

static void fill_messages(struct sent_log_message *messages,
			  struct sent_log_identity *identities, char (*ids)[16],
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		identities[i].kind = SENT_LOG_IDENTITY_MESSAGE_ID;
		identities[i].value = ids[i];
		memset(&messages[i], 0, sizeof(messages[i]));
		messages[i].source = SENT;
		messages[i].identities = &identities[i];
		messages[i].identity_count = 1;
		messages[i].logged_at = NOW;
	}
}

#define MANY (2 * SENT_LOG_BATCH_MESSAGES + 1)
struct many {
	struct sent_log_message messages[MANY];
	struct sent_log_identity identities[MANY];
	char ids[MANY][16];
};

static void test_comes_with_its_rows(void **state)
{
	struct fixture *f = *state;
	static struct many many;

	fill_messages(many.messages, many.identities, many.ids, MANY);
	assert_done(f, add_read(f, "Sent", &some_mark, many.messages, MANY));
	assert_mark(f, "Sent", &some_mark);
	assert_int_equal(count(f, SENT), MANY);
}

static void test_not_without_them(void **state)
{
	struct fixture *f = *state;
	static struct many many;
	struct sent_log_mailbox_mark mark;

	fill_messages(many.messages, many.identities, many.ids, MANY);
	many.messages[MANY - 1].source = 0x10;
	assert_failed(f, add_read(f, "Sent", &some_mark, many.messages, MANY),
		      "no such source");
	assert_none(f, sent_log_get_mark(f->log, "Sent", &mark, &f->error));
}

/* Killed at any moment: if the mark is there, so are all rows. */
static bool add_many(struct fixture *f, int number)
{
	static struct many many;
	struct sent_log *log = another_handle(f);
	bool ok;

	(void)number;
	fill_messages(many.messages, many.identities, many.ids, MANY);
	ok = expect(sent_log_add_read(log, many.messages, MANY, "Sent",
				      &some_mark, NOW, &f->error) == 1, "add",
		    f->error);
	sent_log_deinit(&log);
	return ok;
}

static void test_killed_while_it_writes(void **state)
{
	struct fixture *f = *state;
	struct sent_log_mailbox_mark mark;
	unsigned int with_mark = 0;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	for (long round = 0; round < 40; round++) {
		struct timespec delay = { .tv_nsec = round * 500000 };
		pid_t pid = start_child(f, add_many, 0);
		int ret;

		nanosleep(&delay, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		(void)wait_child(pid);
		ret = sent_log_get_mark(f->log, "Sent", &mark, &f->error);
		assert_true(ret >= 0);
		if (ret > 0) {
			with_mark++;
			assert_int_equal(count(f, SENT), MANY);
		}
		fixture_reopen(f);
		exec_sql(f->path, "DELETE FROM sent_mailbox;"
				  "DELETE FROM identity; DELETE FROM message");
	}
	assert_true(with_mark < 40);
}

static void test_raised_where_it_follows(void **state)
{
	struct fixture *f = *state;
	struct sent_log_mailbox_mark mark = { .uid_validity = 7,
					      .next_uid = 10,
					      .unread_from = 2,
					      .unread_to = 4 };
	static const struct {
		const char *mailbox;
		uint32_t uid_validity, first, last;
		const char *message_id;
		int ret;
		uint32_t next_uid;
	} steps[] = {
		{ "Sent", 7, 10, 12, "row@here", 1, 13 },
		/* one is missing, or it was read meanwhile */
		{ "Sent", 7, 14, 14, "row@here", 0, 13 },
		{ "Sent", 7, 12, 14, "row@here", 0, 13 },
		{ "Sent", 8, 13, 13, "row@here", 0, 13 },
		{ "Drafts", 7, 13, 13, "row@here", 0, 13 },
		/* this log never had it */
		{ "Sent", 7, 13, 13, "row@elsewhere", 0, 13 },
		{ "Sent", 7, 13, 13, "row@here", 1, 14 },
	};
	struct sent_log_identity identity = {
		.kind = SENT_LOG_IDENTITY_MESSAGE_ID, .value = "row@here"
	};
	const struct sent_log_message message = { .source = SENT,
						  .identities = &identity,
						  .identity_count = 1,
						  .logged_at = NOW };

	assert_none(f, sent_log_raise_mark(f->log, "Sent", 7, 10, 12, &identity,
					   &f->error));
	assert_false(exists(f->path));
	assert_done(f, add_read(f, "Sent", &mark, &message, 1));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		identity.value = steps[i].message_id;
		assert_ret(f, steps[i].ret,
			   sent_log_raise_mark(f->log, steps[i].mailbox,
					       steps[i].uid_validity,
					       steps[i].first, steps[i].last,
					       &identity, &f->error));
		assert_int_equal(next_uid(f), steps[i].next_uid);
	}
	mark.next_uid = 14;
	assert_mark(f, "Sent", &mark);
}

/* By a process that knows nothing of what another one has read meanwhile. */
static void test_given_up(void **state)
{
	struct fixture *f = *state;
	struct sent_log_mailbox_mark expected = some_mark;
	static const struct sent_log_mailbox_mark unread = { .stopped_at = NOW };

	expected.stopped_at = NOW + 5;
	assert_done(f, add_read(f, "Sent", &some_mark, NULL, 0));
	assert_done(f, sent_log_stop_reading(f->log, "Sent", NOW + 5,
					     &f->error));
	assert_mark(f, "Sent", &expected);
	assert_done(f, sent_log_stop_reading(f->log, "Other", NOW, &f->error));
	assert_mark(f, "Other", &unread);
}

/* What others wrote into the file. */
static void test_figures_that_are_none(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_mailbox_mark nothing = { .next_uid = 0 };

	assert_done(f, add_read(f, "Sent", &some_mark, NULL, 0));
	exec_sql(f->path, "UPDATE sent_mailbox SET uid_validity = -1,"
			  " next_uid = 4294967296, unread_from = 'x',"
			  " unread_to = x'ff', stopped_at = 'never';"
			  "DELETE FROM unreadable_copy");
	assert_mark(f, "Sent", &nothing);
}

static void test_remembered_reports(void **state)
{
	struct fixture *f = *state;
	static const struct sent_log_identity waiting = {
		SENT_LOG_IDENTITY_MESSAGE_ID, "later"
	};
	struct sent_log_stored_report report = { .uid = 1 };
	size_t found;

	assert_none(f, sent_log_has_remembered_reports(f->log, &f->error));
	assert_done(f, sent_log_remember_report(f->log, &report, &waiting, 1,
						DAY, NOW, &f->error));
	assert_done(f, sent_log_has_remembered_reports(f->log, &f->error));
	assert_done(f, add(f, "later", NULL));
	assert_done(f, sent_log_list_due_reports(f->log, &report, 1, &found,
						 &f->error));
	assert_done(f, sent_log_forget_report(f->log, report.id, &f->error));
	assert_none(f, sent_log_has_remembered_reports(f->log, &f->error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_each_mailbox_has_its_own),
		both(test_the_next_one_takes_its_place),
		both(test_as_many_unreadable_as_it_says),
		both(test_comes_with_its_rows),
		both(test_not_without_them),
		both(test_killed_while_it_writes),
		both(test_raised_where_it_follows),
		both(test_given_up),
		both(test_figures_that_are_none),
		both(test_remembered_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
