/* One datagram: not worth linking libsystemd. */

#include "notify.h"
#include "log.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READY "READY=1"

/* Returns false, with errno, if it names no unix socket. */
static bool
get_address(const char *name, struct sockaddr_un *address_r, socklen_t *size_r)
{
	size_t length = strlen(name);

	memset(address_r, 0, sizeof(*address_r));
	if ((*name != '/' && *name != '@') ||
	    length >= sizeof(address_r->sun_path)) {
		errno = EINVAL;
		return false;
	}
	address_r->sun_family = AF_UNIX;
	memcpy(address_r->sun_path, name, length);
	/* of the abstract namespace */
	if (*name == '@')
		address_r->sun_path[0] = '\0';
	*size_r = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return true;
}

void notify_ready(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t size;
	int fd;

	if (name == NULL)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !get_address(name, &address, &size) ||
	    sendto(fd, READY, strlen(READY), MSG_NOSIGNAL,
		   &address, size) < 0) {
		log_warning("can't tell systemd that it is ready (NOTIFY_SOCKET "
			    "= %s): %s", name, strerror(errno));
	}
	if (fd >= 0)
		(void)close(fd);
}
