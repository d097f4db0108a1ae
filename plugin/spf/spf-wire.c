/* Sending and waiting, and nothing about what is said. */

#include "lib.h"
#include "spf-wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

uint64_t spf_clock_msecs(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		i_fatal("clock_gettime() failed: %m");
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Returns 0 when there is something to do, or -1. */
static int
wire_wait(const struct spf_wire *wire, short events, const char **error_r)
{
	struct pollfd pollfd = { .fd = wire->fd, .events = events };
	uint64_t now;
	int ret;

	do {
		now = spf_clock_msecs();
		ret = now >= wire->deadline_msecs ? 0 :
			poll(&pollfd, 1, wire->deadline_msecs - now);
		if (ret > 0)
			return 0;
	} while (ret < 0 && errno == EINTR);
	*error_r = ret == 0 ? "no answer in time" :
		t_strdup_printf("poll() failed: %m");
	return -1;
}

int spf_wire_send(struct spf_wire *wire, const void *data, size_t size,
		  const char **error_r)
{
	ssize_t sent;

	while (size > 0) {
		sent = send(wire->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && !is_again()) {
			*error_r = t_strdup_printf("send() failed: %m");
			return -1;
		}
		if (sent < 0) {
			if (wire_wait(wire, POLLOUT, error_r) < 0)
				return -1;
			continue;
		}
		data = CONST_PTR_OFFSET(data, sent);
		size -= sent;
	}
	return 0;
}

/* Returns the size of the first line with its LF, 0 if it isn't there yet. */
static size_t wire_line_size(const struct spf_wire *wire)
{
	const char *end = memchr(wire->received, '\n', wire->used);

	return end == NULL ? 0 : (size_t)(end - wire->received) + 1;
}

static int wire_receive(struct spf_wire *wire, const char **error_r)
{
	ssize_t received;

	if (wire_wait(wire, POLLIN, error_r) < 0)
		return -1;
	received = recv(wire->fd, wire->received + wire->used,
			sizeof(wire->received) - wire->used, MSG_DONTWAIT);
	if (received > 0)
		wire->used += received;
	else if (received == 0 || !is_again()) {
		*error_r = received == 0 ? "connection closed" :
			t_strdup_printf("recv() failed: %m");
		return -1;
	}
	return 0;
}

int spf_wire_read_line(struct spf_wire *wire, const char **line_r,
		       const char **error_r)
{
	size_t size;

	while ((size = wire_line_size(wire)) == 0) {
		if (wire->used == sizeof(wire->received)) {
			*error_r = "line is too long";
			return -1;
		}
		if (wire_receive(wire, error_r) < 0)
			return -1;
	}
	if (memchr(wire->received, '\0', size) != NULL) {
		*error_r = "line has a NUL";
		return -1;
	}
	*line_r = t_strndup(wire->received, size - 1);
	wire->used -= size;
	memmove(wire->received, wire->received + size, wire->used);
	return 0;
}
