/* One question to one server. Later versions of c-ares (1.34) refuse to ask for, or
   to hand over answers with, names that no host could have: but SPF has to ask for
   exists:%{l}.example.com with local parts like jane+tag, or bounce=1. */

#include "lib.h"
#include "buffer.h"
#include "net.h"
#include "randgen.h"
#include "spf-dns-message.h"
#include "spf/spf-wire.h"
#include "spf-dns-socket.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_PREFIX_SIZE NS_INT16SZ

/* The flags in a message's second 16 bits. */
#define MESSAGE_FLAGS 2
#define MESSAGE_RESPONSE 0x8000
#define MESSAGE_TRUNCATED 0x0200
#define MESSAGE_RECURSION_DESIRED 0x0100

struct socket_question {
	struct ip_addr server;
	in_port_t port;
	uint64_t deadline;
	/* the whole message */
	buffer_t *message;
};

static void message_add_number(buffer_t *message, unsigned int number)
{
	buffer_append_c(message, number >> 8);
	buffer_append_c(message, number & 0xff);
}

static void
message_write(buffer_t *message, const char *name, enum spf_dns_type type)
{
	unsigned char wire[NS_MAXCDNAME + 1], id[NS_INT16SZ];
	unsigned int i;

	random_fill(id, sizeof(id));
	buffer_append(message, id, sizeof(id));
	message_add_number(message, MESSAGE_RECURSION_DESIRED);
	message_add_number(message, 1);
	for (i = 0; i < 3; i++)
		message_add_number(message, 0);
	buffer_append(message, wire, spf_dns_name_write_wire(name, wire));
	message_add_number(message, type);
	message_add_number(message, ns_c_in);
}

/* The answer is to this question: id, response, and the question itself. */
static bool
message_answers(const struct socket_question *question,
		const unsigned char *answer, size_t size)
{
	const unsigned char *asked = question->message->data;
	size_t asked_size = question->message->used, i;

	if (size < asked_size || memcmp(answer, asked, MESSAGE_FLAGS) != 0 ||
	    (ns_get16(answer + MESSAGE_FLAGS) & MESSAGE_RESPONSE) == 0 ||
	    ns_get16(answer + 4) != 1)
		return FALSE;
	/* a server may change letters' case */
	for (i = NS_HFIXEDSZ; i < asked_size; i++) {
		if (i_tolower(answer[i]) != i_tolower(asked[i]))
			return FALSE;
	}
	return TRUE;
}

/* Waits for the socket. Returns FALSE when the time is over. */
static bool
socket_wait(const struct socket_question *question, int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	uint64_t now = spf_clock_msecs();

	if (now >= question->deadline)
		return FALSE;
	return poll(&poll_fd, 1, question->deadline - now) > 0 ||
		errno == EINTR;
}

static int socket_open(const struct socket_question *question, int type)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
	} address;
	socklen_t size;
	int fd;

	i_zero(&address);
	if (IPADDR_IS_V4(&question->server)) {
		address.ip4.sin_family = AF_INET;
		address.ip4.sin_addr = question->server.u.ip4;
		address.ip4.sin_port = htons(question->port);
		size = sizeof(address.ip4);
	} else {
		address.ip6.sin6_family = AF_INET6;
		address.ip6.sin6_addr = question->server.u.ip6;
		address.ip6.sin6_port = htons(question->port);
		size = sizeof(address.ip6);
	}
	fd = socket(address.any.sa_family,
		    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, &address.any, size) < 0 && errno != EINPROGRESS)
		i_close_fd(&fd);
	return fd;
}

/* Other packets are ignored: anybody can send one. */
static bool
socket_ask_udp(const struct socket_question *question, int fd, buffer_t *answer)
{
	unsigned char packet[65536];
	ssize_t size;

	if (send(fd, question->message->data, question->message->used,
		 MSG_NOSIGNAL) < 0)
		return FALSE;
	while (socket_wait(question, fd, POLLIN)) {
		size = recv(fd, packet, sizeof(packet), 0);
		if (size < 0 && errno != EAGAIN && errno != EINTR)
			return FALSE;
		if (size > 0 && message_answers(question, packet, size)) {
			buffer_append(answer, packet, size);
			return TRUE;
		}
	}
	return FALSE;
}

static bool socket_send_tcp(const struct socket_question *question, int fd)
{
	buffer_t *prefixed = t_buffer_create(512);
	size_t sent = 0;
	ssize_t ret;

	message_add_number(prefixed, question->message->used);
	buffer_append_buf(prefixed, question->message, 0, SIZE_MAX);
	while (sent < prefixed->used) {
		if (!socket_wait(question, fd, POLLOUT))
			return FALSE;
		ret = send(fd, CONST_PTR_OFFSET(prefixed->data, sent),
			   prefixed->used - sent, MSG_NOSIGNAL);
		if (ret < 0 && errno != EAGAIN && errno != EINTR)
			return FALSE;
		if (ret > 0)
			sent += ret;
	}
	return TRUE;
}

static bool
socket_ask_tcp(const struct socket_question *question, int fd, buffer_t *answer)
{
	unsigned char packet[SOCKET_PREFIX_SIZE + 65535];
	size_t used = 0, size = SOCKET_PREFIX_SIZE;
	ssize_t ret;

	if (!socket_send_tcp(question, fd))
		return FALSE;
	while (used < size) {
		if (!socket_wait(question, fd, POLLIN))
			return FALSE;
		ret = recv(fd, packet + used, size - used, 0);
		if (ret == 0 || (ret < 0 && errno != EAGAIN && errno != EINTR))
			return FALSE;
		if (ret > 0)
			used += ret;
		if (used == SOCKET_PREFIX_SIZE)
			size = SOCKET_PREFIX_SIZE + ns_get16(packet);
	}
	if (!message_answers(question, packet + SOCKET_PREFIX_SIZE,
			     size - SOCKET_PREFIX_SIZE))
		return FALSE;
	buffer_append(answer, packet + SOCKET_PREFIX_SIZE,
		      size - SOCKET_PREFIX_SIZE);
	return TRUE;
}

static bool
socket_ask(const struct socket_question *question, int type, buffer_t *answer)
{
	int fd = socket_open(question, type);
	bool answered;

	if (fd < 0)
		return FALSE;
	answered = type == SOCK_DGRAM ?
		socket_ask_udp(question, fd, answer) :
		socket_ask_tcp(question, fd, answer);
	i_close_fd(&fd);
	return answered;
}

bool spf_dns_socket_ask(const struct ip_addr *server, in_port_t port,
			const char *name, enum spf_dns_type type,
			uint64_t deadline, buffer_t *answer)
{
	struct socket_question question = {
		.server = *server, .port = port, .deadline = deadline,
		.message = t_buffer_create(512)
	};
	size_t used = answer->used;
	const unsigned char *data;

	message_write(question.message, name, type);
	if (!socket_ask(&question, SOCK_DGRAM, answer))
		return FALSE;
	data = CONST_PTR_OFFSET(answer->data, used);
	if ((ns_get16(data + MESSAGE_FLAGS) & MESSAGE_TRUNCATED) == 0)
		return TRUE;
	buffer_set_used_size(answer, used);
	return socket_ask(&question, SOCK_STREAM, answer);
}
