/* Which rows are sent when. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "milter/spool/spool-gaps.h"
#include "milter/spool/spool-queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
/* of each row another one */
#define ANYBODY 0
#define ANN 1
#define BOB 2

struct fixture {
	struct spool_queue queue;
	struct spool_gaps gaps;
	int64_t now, next, ids[SPOOL_QUEUE_MAX_SHARE];
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	spool_queue_deinit(&f->queue);
	spool_gaps_deinit(&f->gaps);
	free(f);
	return 0;
}

static void add(struct fixture *f, int64_t first, int64_t last, uint64_t user)
{
	for (int64_t id = first; id <= last; id++)
		spool_queue_add(&f->queue, id,
				user == ANYBODY ? (uint64_t)id + 2 : user);
}

static size_t take(struct fixture *f)
{
	return spool_queue_take(&f->queue, f->now, THREADS, f->ids, &f->next);
}

/* One row is sent, this one. */
static void assert_takes(struct fixture *f, int64_t id)
{
	assert_int_equal(take(f), 1);
	assert_int_equal(f->ids[0], id);
}

static void assert_takes_nothing(struct fixture *f, int64_t next)
{
	assert_int_equal(take(f), 0);
	assert_int_equal(f->next, next);
}

static void test_alone_as_they_come(void **state)
{
	struct fixture *f = *state;

	assert_takes_nothing(f, SPOOL_QUEUE_NEVER);
	add(f, 1, 4, ANYBODY);
	for (int64_t id = 1; id <= 4; id++)
		assert_takes(f, id);
	assert_takes_nothing(f, SPOOL_QUEUE_NEVER);
	spool_queue_done(&f->queue, 2);
	assert_false(spool_queue_has(&f->queue, 2));
	assert_true(spool_queue_has(&f->queue, 3));
	assert_int_equal(f->queue.waiting, 3);
}

static void test_batches_when_behind(void **state)
{
	struct fixture *f = *state;
	size_t taken, all = 0;

	add(f, 1, 100, ANYBODY);
	/* a quarter of what is left */
	assert_int_equal(take(f), 25);
	assert_int_equal(take(f), 19);
	add(f, 101, 4000, ANYBODY);
	assert_int_equal(take(f), SPOOL_QUEUE_MAX_SHARE);
	while ((taken = take(f)) > 0)
		all += taken;
	assert_int_equal(all, 4000 - 25 - 19 - SPOOL_QUEUE_MAX_SHARE);
}

/* Two who write to one log only wait for each other. */
static void test_one_call_for_a_user(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 100, ANN);
	add(f, 101, 102, BOB);
	assert_int_equal(take(f), 26);
	assert_int_equal(f->ids[25], 26);
	assert_int_equal(take(f), 2);
	assert_int_equal(f->ids[0], 101);
	assert_takes_nothing(f, SPOOL_QUEUE_NEVER);
	for (int64_t id = 1; id <= 25; id++)
		spool_queue_done(&f->queue, id);
	assert_takes_nothing(f, SPOOL_QUEUE_NEVER);
	spool_queue_put_back(&f->queue, 26);
	assert_int_equal(take(f), 19);
	assert_int_equal(f->ids[0], 26);
}

static void test_settled_rows_need_no_memory(void **state)
{
	struct fixture *f = *state;

	for (int64_t id = 1; id <= 100000; id++) {
		add(f, id, id, ANN);
		assert_takes(f, id);
		spool_queue_done(&f->queue, id);
	}
	assert_int_equal(f->queue.waiting, 0);
	assert_true(f->queue.allocated <= 1024);
	/* one that stays doesn't keep the others */
	add(f, 200000, 200000, BOB);
	assert_takes(f, 200000);
	for (int64_t id = 200001; id <= 300000; id++) {
		add(f, id, id, ANN);
		assert_takes(f, id);
		spool_queue_settle(&f->queue, id);
	}
	assert_true(spool_queue_has(&f->queue, 200000));
	assert_true(f->queue.allocated <= 1024);
}

static void test_put_back(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, ANN);
	assert_takes(f, 1);
	spool_queue_put_back(&f->queue, 1);
	assert_takes(f, 1);
}

static void test_suspects_go_alone(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 8, ANYBODY);
	assert_int_equal(take(f), 2);
	spool_queue_suspect(&f->queue, 1);
	spool_queue_suspect(&f->queue, 2);
	assert_takes(f, 1);
	assert_takes(f, 2);
	assert_int_equal(take(f), 2);
	assert_int_equal(f->ids[0], 3);
}

/* What ends Dovecot's process, while others are taken. */
static void test_given_up(void **state)
{
	struct fixture *f = *state;
	unsigned int tries = 0;
	bool given_up = false;
	int64_t before = 0;

	add(f, 1, 1, ANN);
	while (!given_up) {
		assert_takes(f, 1);
		given_up = spool_queue_strike(&f->queue, 1, f->now);
		tries++;
		assert_takes_nothing(f, f->now + (1000 << (tries - 1)));
		assert_true(f->next > before);
		before = f->now = f->next;
		add(f, tries + 1, tries + 1, BOB);
		/* by now it could be sent, but has come back first */
		f->now--;
		assert_takes(f, tries + 1);
		spool_queue_done(&f->queue, tries + 1);
		f->now++;
	}
	assert_int_equal(tries, SPOOL_QUEUE_MAX_STRIKES);
}

/* Where nothing else is answered either it is not its fault. */
static void test_not_given_up(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, ANN);
	for (unsigned int i = 0; i < 1000; i++) {
		assert_takes(f, 1);
		assert_false(spool_queue_strike(&f->queue, 1, f->now));
		assert_takes_nothing(f, f->now + spool_queue_pause(i + 1));
		f->now = f->next;
	}
	assert_int_equal(spool_queue_pause(1000), SPOOL_QUEUE_MAX_PAUSE_MSECS);
}

static void test_locked_user(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 1, ANN);
	assert_takes(f, 1);
	spool_queue_hold(&f->queue, 1, f->now);
	/* his others wait with it, and those of others don't */
	add(f, 2, 40, ANN);
	add(f, 41, 42, BOB);
	assert_int_equal(take(f), 2);
	assert_int_equal(f->ids[0], 41);
	assert_takes_nothing(f, 1000);

	/* one tries for all */
	f->now = 1000;
	assert_takes(f, 1);
	assert_takes_nothing(f, SPOOL_QUEUE_NEVER);
	f->now = 4000;
	spool_queue_hold(&f->queue, 1, f->now);
	assert_takes_nothing(f, 6000);
	f->now = 6000;
	assert_takes(f, 1);
	spool_queue_done(&f->queue, 1);
	assert_true(take(f) > 1);
}

static void test_locked_in_a_batch(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 40, ANN);
	assert_int_equal(take(f), 10);
	for (int64_t id = 1; id <= 10; id++)
		spool_queue_hold(&f->queue, id, f->now + id);
	assert_takes_nothing(f, 1001);
	f->now = 1001;
	assert_takes(f, 1);
	/* it could not be asked: no reason to wait for it */
	spool_queue_put_back(&f->queue, 1);
	assert_takes(f, 1);
}

static void test_more_locked_users_than_room(void **state)
{
	struct fixture *f = *state;

	for (int64_t id = 1; id <= SPOOL_QUEUE_MAX_HOLDS + 10; id++) {
		add(f, id, id, (uint64_t)id);
		assert_takes(f, id);
		spool_queue_hold(&f->queue, id, f->now);
	}
	assert_takes_nothing(f, 1000);
	f->now = 1000;
	for (int64_t id = 1; id <= SPOOL_QUEUE_MAX_HOLDS; id++)
		assert_takes(f, id);
	/* those without a place are sent as any */
	assert_true(take(f) > 1);
}

/* Who was held up and whose rows are never sent again leaves his place. */
static void test_settled_rows_hold_nobody(void **state)
{
	struct fixture *f = *state;

	for (int64_t id = 1; id <= SPOOL_QUEUE_MAX_HOLDS; id++) {
		add(f, id, id, (uint64_t)id);
		assert_takes(f, id);
		spool_queue_hold(&f->queue, id, f->now);
	}
	f->now = 1000;
	for (int64_t id = 1; id <= SPOOL_QUEUE_MAX_HOLDS; id++) {
		assert_takes(f, id);
		spool_queue_settle(&f->queue, id);
	}
	assert_int_equal(f->queue.hold_count, 0);
}

static void test_file_was_lost(void **state)
{
	struct fixture *f = *state;

	add(f, 1, 10, ANYBODY);
	assert_int_equal(take(f), 3);
	spool_queue_settle_all(&f->queue);
	assert_false(spool_queue_has(&f->queue, 1));
	/* they come back later */
	spool_queue_done(&f->queue, 1);
	spool_queue_hold(&f->queue, 2, f->now);
	assert_int_equal(f->queue.waiting, 0);
	assert_int_equal(f->queue.sending, 0);
	add(f, 11, 11, ANN);
	assert_takes(f, 11);
}

/* Gaps */

static struct spool_gap *take_gap(struct fixture *f)
{
	f->next = SPOOL_QUEUE_NEVER;
	return spool_gaps_take(&f->gaps, f->now, &f->next);
}

static void test_gaps(void **state)
{
	struct fixture *f = *state;
	struct spool_gap *gap;

	assert_null(take_gap(f));
	spool_gaps_mark(&f->gaps, "ann");
	spool_gaps_mark(&f->gaps, "ann");
	assert_int_equal(f->gaps.count, 1);
	gap = take_gap(f);
	assert_string_equal(gap->user, "ann");
	assert_null(take_gap(f));
	/* another one while it is told: again */
	spool_gaps_mark(&f->gaps, "ann");
	spool_gaps_done(&f->gaps, gap);
	gap = take_gap(f);
	assert_string_equal(gap->user, "ann");
	spool_gaps_retry(gap, f->now);
	assert_null(take_gap(f));
	assert_int_equal(f->next, 1000);
	f->now = 1000;
	gap = take_gap(f);
	spool_gaps_put_back(gap);
	assert_ptr_equal(take_gap(f), gap);
	spool_gaps_done(&f->gaps, gap);
	assert_int_equal(f->gaps.count, 0);
}

/* What is told again is the same gap, unless something else was missed. */
static void test_until_when(void **state)
{
	struct fixture *f = *state;
	struct spool_gap *gap;

	spool_gaps_mark(&f->gaps, NULL);
	gap = take_gap(f);
	assert_int_equal(gap->until, 0);
	gap->until = 5;
	spool_gaps_retry(gap, f->now);
	assert_int_equal(gap->until, 5);
	spool_gaps_mark(&f->gaps, "ann");
	assert_int_equal(gap->until, 0);
	f->now = SPOOL_GAPS_ALL_PAUSE_MSECS;
	assert_ptr_equal(take_gap(f), gap);
	gap->until = 6;
	spool_gaps_mark(&f->gaps, NULL);
	assert_int_equal(gap->until, 6);
	spool_gaps_put_back(gap);
	assert_int_equal(gap->until, 0);
}

static void test_gap_of_all(void **state)
{
	struct fixture *f = *state;
	struct spool_gap *gap;

	spool_gaps_mark(&f->gaps, "ann");
	spool_gaps_mark(&f->gaps, NULL);
	spool_gaps_mark(&f->gaps, "bob");
	assert_int_equal(f->gaps.count, 1);
	gap = take_gap(f);
	assert_null(gap->user);
	/* Dovecot may have been at bob's before */
	spool_gaps_mark(&f->gaps, "bob");
	assert_int_equal(f->gaps.count, 2);
	spool_gaps_done(&f->gaps, gap);
	assert_string_equal(take_gap(f)->user, "bob");
}

static void test_too_many_gaps(void **state)
{
	struct fixture *f = *state;
	struct spool_gap *gap;
	char user[32];

	for (unsigned int i = 0; i < 2 * SPOOL_GAPS_MAX_USERS; i++) {
		(void)snprintf(user, sizeof(user), "user%u", i);
		spool_gaps_mark(&f->gaps, user);
	}
	assert_int_equal(f->gaps.count, 1);
	gap = take_gap(f);
	assert_null(gap->user);
	/* Dovecot is asked for all users: ever more seldom */
	for (unsigned int i = 0; i < 20; i++) {
		spool_gaps_retry(gap, f->now);
		assert_null(take_gap(f));
		f->now = f->next;
		assert_ptr_equal(take_gap(f), gap);
	}
	assert_int_equal(f->next - f->now, SPOOL_QUEUE_NEVER - f->now);
	spool_gaps_retry(gap, f->now);
	assert_null(take_gap(f));
	assert_int_equal(f->next - f->now, 5000 * 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_alone_as_they_come),
		TEST(test_batches_when_behind),
		TEST(test_one_call_for_a_user),
		TEST(test_settled_rows_need_no_memory),
		TEST(test_put_back),
		TEST(test_suspects_go_alone),
		TEST(test_given_up),
		TEST(test_not_given_up),
		TEST(test_locked_user),
		TEST(test_locked_in_a_batch),
		TEST(test_more_locked_users_than_room),
		TEST(test_settled_rows_hold_nobody),
		TEST(test_file_was_lost),
		TEST(test_gaps),
		TEST(test_until_when),
		TEST(test_gap_of_all),
		TEST(test_too_many_gaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
