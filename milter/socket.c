#include "socket.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
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

/* Some other program may have been told the same path. */
static bool somebody_answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool answers;

	if (fd < 0)
		return false;
	answers = connect(fd, address, sizeof(*address)) == 0 || errno == EAGAIN;
	(void)close(fd);
	return answers;
}

int socket_lock(const char *path, char **error_r)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char *lock_path;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		*error_r = text_format("%s: too long for a socket's path", path);
		return -1;
	}
	(void)strcpy(address.sun_path, path);
	lock_path = text_format("%s.lock", path);
	fd = take_lock(lock_path, error_r);
	free(lock_path);
	if (fd >= 0 && somebody_answers(&address)) {
		*error_r = text_format("%s: another program answers there", path);
		(void)close(fd);
		return -1;
	}
	return fd;
}
