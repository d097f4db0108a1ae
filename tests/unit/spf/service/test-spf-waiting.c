/* plugin/spf/service/spf-waiting.c: places are the processes', and free when they end. */

#include "unit.h"
#include "spf/service/spf-waiting.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACES 2

/* Whether another process, which ends then without giving it back, gets a place. */
static bool another_gets_one(const char *path)
{
	struct spf_waiting *waiting;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		waiting = spf_waiting_init(path, PLACES);
		_exit(waiting != NULL && spf_waiting_begin(waiting) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 1;
}

static void test_places(void **state ATTR_UNUSED)
{
	char path[] = "/tmp/test-spf-waiting-XXXXXX";
	int fd = mkstemp(path);
	struct spf_waiting *waiting;

	assert_true(fd >= 0);
	i_close_fd(&fd);
	waiting = spf_waiting_init(path, PLACES);
	assert_non_null(waiting);

	assert_true(spf_waiting_begin(waiting));
	/* it has one already, and takes no second */
	assert_true(spf_waiting_begin(waiting));
	assert_true(another_gets_one(path));
	assert_true(another_gets_one(path));
	spf_waiting_end(waiting);
	spf_waiting_end(waiting);
	assert_true(another_gets_one(path));

	spf_waiting_deinit(&waiting);
	assert_null(waiting);
	(void)unlink(path);
}

static void test_all_taken(void **state ATTR_UNUSED)
{
	char path[] = "/tmp/test-spf-waiting-XXXXXX";
	int fd = mkstemp(path), ready[2], status;
	char byte;
	pid_t pid;

	assert_true(fd >= 0);
	i_close_fd(&fd);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct spf_waiting *waiting = spf_waiting_init(path, 1);

		if (spf_waiting_begin(waiting) && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);

	struct spf_waiting *waiting = spf_waiting_init(path, 1);
	assert_false(spf_waiting_begin(waiting));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(spf_waiting_begin(waiting));
	spf_waiting_deinit(&waiting);
	i_close_fd(&ready[0]);
	i_close_fd(&ready[1]);
	(void)unlink(path);
}

static void test_no_limit(void **state ATTR_UNUSED)
{
	assert_true(spf_waiting_begin(NULL));
	spf_waiting_end(NULL);
	assert_null(spf_waiting_init("/nonexistent/places", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_all_taken),
		cmocka_unit_test(test_no_limit),
	};

	return UNIT_RUN(tests);
}
