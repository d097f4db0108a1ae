/* Sockets are taken by one process only. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "milter/socket.h"

struct folder {
	char name[32], path[64], lock[64];
};

static int make_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	(void)strcpy(folder->name, "/tmp/test-socket-XXXXXX");
	if (mkdtemp(folder->name) == NULL)
		return -1;
	(void)snprintf(folder->path, sizeof(folder->path), "%s/s", folder->name);
	(void)snprintf(folder->lock, sizeof(folder->lock), "%s/s.lock",
		       folder->name);
	*state = folder;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;

	(void)unlink(folder->path);
	(void)unlink(folder->lock);
	(void)rmdir(folder->name);
	free(folder);
	return 0;
}

static void assert_refused(const char *path, const char *words)
{
	char *error = NULL;

	assert_int_equal(socket_lock(path, &error), -1);
	if (strstr(error, words) == NULL)
		fail_msg("error: %s", error);
	free(error);
}

static int lock(const char *path)
{
	char *error = NULL;
	int fd = socket_lock(path, &error);

	if (fd < 0)
		fail_msg("%s", error);
	return fd;
}

/* Returns a socket at this path. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, &address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_one_at_a_time(void **state)
{
	const struct folder *folder = *state;
	int fd = lock(folder->path);

	assert_refused(folder->path, "another backscatter-milter is running");
	(void)close(fd);
	(void)close(lock(folder->path));
}

static void test_left_over(void **state)
{
	const struct folder *folder = *state;

	(void)close(listen_at(folder->path));
	(void)close(lock(folder->path));
	assert_int_equal(access(folder->path, F_OK), -1);
}

static void test_of_another_program(void **state)
{
	const struct folder *folder = *state;
	int fd = listen_at(folder->path);

	assert_refused(folder->path, "another program has it");
	/* that wasn't a lock */
	(void)close(fd);
	(void)close(lock(folder->path));
}

static void test_no_socket(void **state)
{
	const struct folder *folder = *state;
	FILE *file = fopen(folder->path, "w");

	assert_non_null(file);
	(void)fclose(file);
	assert_refused(folder->path, "no socket");
	assert_int_equal(access(folder->path, F_OK), 0);
}

static void test_wrong_paths(void **state)
{
	const struct folder *folder = *state;
	char path[300];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_refused(path, "too long");
	assert_refused("/nonexistent/socket", "No such file");
	/* not through a link that somebody else has laid there */
	assert_int_equal(symlink("/tmp/test-socket-elsewhere", folder->lock), 0);
	assert_refused(folder->path, "can't open it");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_one_at_a_time),
		TEST(test_left_over),
		TEST(test_of_another_program),
		TEST(test_no_socket),
		TEST(test_wrong_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
