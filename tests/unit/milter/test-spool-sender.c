/* What becomes of rows and gaps by what Dovecot answers. */

#include "test-spool-common.h"
#include "milter/clock.h"
#include "test-door-common.h"

#include <time.h>

#define PATIENCE_MSECS 10000
#define LOOK_NSECS 2000000

static struct door door;

static int setup_door(void **state)
{
	struct fixture *f;

	if (setup(state) != 0)
		return -1;
	f = *state;
	(void)snprintf(f->socket_path, sizeof(f->socket_path), "%s/door",
		       f->folder);
	door_open(&door, f->socket_path);
	return 0;
}

static int teardown_door(void **state)
{
	int ret = teardown(state);

	door_close(&door);
	return ret;
}

static void look_again(void)
{
	const struct timespec pause = { .tv_nsec = LOOK_NSECS };

	(void)nanosleep(&pause, NULL);
}

/* Until Dovecot was asked so often. */
static void wait_for_calls(unsigned int calls)
{
	int64_t deadline = clock_msecs() + PATIENCE_MSECS;

	while (atomic_load(&door.calls) < calls && clock_msecs() < deadline)
		look_again();
	assert_true(atomic_load(&door.calls) >= calls);
}

/* The only one, once it isn't under way: how often it failed; -1 = there is none. */
static int gap_failures(struct fixture *f)
{
	int64_t deadline = clock_msecs() + PATIENCE_MSECS;
	int failures = -1;
	bool sending = true;

	while (sending && clock_msecs() < deadline) {
		(void)pthread_mutex_lock(&f->spool->lock);
		sending = f->spool->gaps.first != NULL &&
			  f->spool->gaps.first->sending;
		failures = f->spool->gaps.first == NULL ?
				   -1 : (int)f->spool->gaps.first->failures;
		(void)pthread_mutex_unlock(&f->spool->lock);
		look_again();
	}
	assert_false(sending);
	return failures;
}

/* As after so many tries: the next one is now. */
static void let_gap_have_failed(struct fixture *f, unsigned int failures)
{
	(void)pthread_mutex_lock(&f->spool->lock);
	f->spool->gaps.first->failures = failures;
	f->spool->gaps.first->not_before = 0;
	(void)pthread_cond_broadcast(&f->spool->work);
	(void)pthread_mutex_unlock(&f->spool->lock);
}

/* Users who were not told convict. */
static void test_gap_of_all_is_told_for_ever(void **state)
{
	struct fixture *f = *state;

	door_answers(&door, ALL_FAIL("75"));
	open_spool(f);
	wait_for_calls(1);
	assert_int_equal(gap_failures(f), 1);
	let_gap_have_failed(f, 1000);
	wait_for_calls(2);
	assert_int_equal(gap_failures(f), 1001);
	/* it came to all, and could not mark some */
	door_answers(&door, ALL_FAIL("65"));
	let_gap_have_failed(f, 0);
	wait_for_calls(3);
	assert_int_equal(gap_failures(f), 1);
	door_answers(&door, ALL_DONE);
	let_gap_have_failed(f, 0);
	wait_for_calls(4);
	assert_int_equal(gap_failures(f), -1);
}

/* Neither his log nor the mark beside it could be written. */
static void test_gap_of_a_user_is_not_dropped(void **state)
{
	struct fixture *f = *state;

	door_answers(&door, ALL_DONE);
	open_spool(f);
	wait_for_calls(1);
	assert_int_equal(gap_failures(f), -1);
	door_answers(&door, ALL_FAIL("65"));
	spool_mark_gap(f->spool, "bob");
	wait_for_calls(2);
	assert_int_equal(gap_failures(f), 1);
	let_gap_have_failed(f, 1000);
	wait_for_calls(3);
	assert_int_equal(gap_failures(f), 1001);
	door_answers(&door, ALL_DONE);
	let_gap_have_failed(f, 1);
	wait_for_calls(4);
	assert_int_equal(gap_failures(f), -1);
}

static void add_torn_row(struct fixture *f, const char *user)
{
	struct spool_entry entry = { .user = user, .arguments = "{\"user\":" };

	(void)pthread_mutex_lock(&f->spool->lock);
	spool_store_add(f->spool, &entry);
	(void)pthread_mutex_unlock(&f->spool->lock);
	assert_int_equal(entry.ret, 0);
}

/* His log isn't complete without it; everybody's, if nobody knows whose. */
static void test_torn_row(void **state)
{
	struct fixture *f = *state;

	open_spool(f);
	wait_for_calls(1);
	assert_int_equal(gap_failures(f), -1);
	door_answers(&door, ALL_FAIL("75"));
	add_torn_row(f, "bob");
	wait_for_calls(2);
	assert_int_equal(count_waiting(f), 0);
	assert_true(has_gap(f, "bob"));
	assert_false(has_gap(f, "ann"));
	add_torn_row(f, "\xff");
	wait_for_calls(3);
	assert_true(has_gap(f, "ann"));
	spool_close(&f->spool);
	assert_int_equal(number_in_file(f, "SELECT count(*) FROM row WHERE"
					" set_aside = 'not JSON'"), 2);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_door, teardown_door)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gap_of_all_is_told_for_ever),
		TEST(test_gap_of_a_user_is_not_dropped),
		TEST(test_torn_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
