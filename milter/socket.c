/* Taking a unix socket's path. Who serves it is for others. */

#include "socket.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int fail_errno(const char *path, const char *what, char **error_r)
{
	*error_r = text_format("%s: can't %s: %s", path, what, strerror(errno));
	return -1;
}

static int take_lock(const char *path, char **error_r)
{
	/* nobody else's file by way of a symbolic link */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return fail_errno(path, "open it", error_r);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK) {
			*error_r = text_format("%s: another backscatter-milter "
					       "is running", path);
		} else {
			(void)fail_errno(path, "lock it", error_r);
		}
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Nobody listens there: some other program may have been told the same path, also one that we
   may not talk to. */
static bool is_left_over(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused;

	if (fd < 0)
		return false;
	refused = connect(fd, address, sizeof(*address)) < 0 &&
		errno == ECONNREFUSED;
	(void)close(fd);
	return refused;
}

static int remove_left_over(const char *path, char **error_r)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;

	(void)strcpy(address.sun_path, path);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 :
			fail_errno(path, "look at it", error_r);
	if (!S_ISSOCK(st.st_mode)) {
		*error_r = text_format("%s: is there, and no socket", path);
		return -1;
	}
	if (!is_left_over(&address)) {
		*error_r = text_format("%s: another program has it", path);
		return -1;
	}
	return unlink(path) < 0 ? fail_errno(path, "remove it", error_r) : 0;
}

int socket_lock(const char *path, char **error_r)
{
	char *lock_path;
	int fd;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		*error_r = text_format("%s: too long for a socket's path", path);
		return -1;
	}
	lock_path = text_format("%s.lock", path);
	fd = take_lock(lock_path, error_r);
	free(lock_path);
	if (fd >= 0 && remove_left_over(path, error_r) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}
