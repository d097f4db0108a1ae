/* Serves the line socket: a thread that accepts, and one for each connection. */

#include "line.h"
#include "clock.h"
#include "config.h"
#include "line-request.h"
#include "log.h"
#include "sending.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define STACK_SIZE (512 * 1024)
#define FIRST_ROOM 4096
/* when no further connection can be taken: descriptors or memory are used up */
#define RETRY_MSECS 100

struct line_server {
	const struct sending *sending;
	int fd;
};

struct connection {
	const struct sending *sending;
	int fd;
	/* when its request has to be there */
	int64_t until_msecs;
	char *text;
	size_t size, room;
};

static pthread_mutex_t count_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t count_changed = PTHREAD_COND_INITIALIZER;
static unsigned int connection_count;

/* Reading and writing */

/* Returns false at the deadline. */
static bool wait_for(const struct connection *connection, short events)
{
	struct pollfd poll_fd = { .fd = connection->fd, .events = events };
	int64_t msecs = connection->until_msecs - clock_msecs();
	int ret;

	do {
		ret = msecs <= 0 ? 0 : poll(&poll_fd, 1, (int)msecs);
	} while (ret < 0 && errno == EINTR);
	return ret > 0;
}

static void make_room(struct connection *connection)
{
	if (connection->size + 1 < connection->room)
		return;
	connection->room = connection->room == 0 ? FIRST_ROOM :
		2 * connection->room;
	connection->text = realloc(connection->text, connection->room);
	if (connection->text == NULL)
		abort();
}

/* Returns 1 = there is more to come, 0 = all is there, -1 = nobody asks any more. */
static int read_some(struct connection *connection)
{
	char *start, *newline;
	ssize_t size;

	make_room(connection);
	start = connection->text + connection->size;
	size = read(connection->fd, start,
		    connection->room - 1 - connection->size);
	if (size < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -1;
	connection->size += (size_t)size;
	start[size] = '\0';
	newline = memchr(start, '\n', (size_t)size);
	if (newline != NULL) {
		*newline = '\0';
		connection->size = (size_t)(newline - connection->text);
	}
	return newline == NULL && size > 0;
}

/* Returns NULL, or what is wrong. */
static const char *read_request(struct connection *connection)
{
	int ret;

	do {
		if (connection->size > LINE_MAX_REQUEST)
			return "too long";
		if (!wait_for(connection, POLLIN))
			return "not complete in time";
		ret = read_some(connection);
	} while (ret > 0);
	if (ret < 0)
		return "not complete";
	/* Exim's lines end as SMTP's do where a configuration says so */
	if (connection->size > 0 &&
	    connection->text[connection->size - 1] == '\r')
		connection->text[--connection->size] = '\0';
	return memchr(connection->text, '\0', connection->size) != NULL ?
		"a NUL in it" : NULL;
}

static void write_answer(struct connection *connection, const char *answer)
{
	size_t size = strlen(answer);
	ssize_t written;

	connection->until_msecs = clock_msecs() + LINE_DEADLINE_MSECS;
	while (size > 0 && wait_for(connection, POLLOUT)) {
		written = send(connection->fd, answer, size, MSG_NOSIGNAL);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			break;
		if (written > 0) {
			answer += written;
			size -= (size_t)written;
		}
	}
}

/* Answers */

static char *answer_ok(const struct message_marks *marks)
{
	const char *const parts[] = {
		marks->serial, marks->sender, marks->message_id, marks->date,
	};

	return line_answer("ok", parts, sizeof(parts) / sizeof(parts[0]));
}

static char *answer_serial(const struct sending *sending, struct message *message)
{
	struct message_marks marks;
	char *answer;

	if (message_mark(message, &sending->marks, time(NULL), &marks) < 0)
		log_error("%s: OpenSSL can't make a serial", message->user);
	answer = answer_ok(&marks);
	message_marks_clear(&marks);
	return answer;
}

static char *answer_message(const struct sending *sending, struct message *message)
{
	struct message_marks marks;
	char *text, *answer;
	enum sending_result result = sending_end(sending, message, &marks, &text);

	if (result == SENDING_ACCEPTED)
		answer = answer_ok(&marks);
	else {
		answer = line_answer(result == SENDING_REFUSED ? "refused" :
				     "later", (const char *const *)&text, 1);
	}
	free(text);
	message_marks_clear(&marks);
	return answer;
}

static char *answer_error(const char *error)
{
	log_warning("line_socket: request: %s", error);
	return line_answer("error", &error, 1);
}

static char *answer_request(struct connection *connection)
{
	struct message message = { .user = NULL };
	const char *error = read_request(connection);
	enum line_command command;
	char *answer;

	if (error != NULL ||
	    line_request_read(connection->text, &message, &command, &error) < 0)
		answer = answer_error(error);
	else if (command == LINE_SERIAL)
		answer = answer_serial(connection->sending, &message);
	else
		answer = answer_message(connection->sending, &message);
	message_clear(&message);
	return answer;
}

/* Connections */

static void *connection_thread(void *context)
{
	struct connection *connection = context;
	char *answer = answer_request(connection);

	write_answer(connection, answer);
	free(answer);
	(void)close(connection->fd);
	free(connection->text);
	free(connection);

	(void)pthread_mutex_lock(&count_mutex);
	connection_count--;
	(void)pthread_cond_signal(&count_changed);
	(void)pthread_mutex_unlock(&count_mutex);
	return NULL;
}

static void wait_for_room(void)
{
	(void)pthread_mutex_lock(&count_mutex);
	while (connection_count == LINE_MAX_CONNECTIONS)
		(void)pthread_cond_wait(&count_changed, &count_mutex);
	connection_count++;
	(void)pthread_mutex_unlock(&count_mutex);
}

static bool start_thread(void *(*function)(void *), void *context)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int ret;

	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&thread, &attributes, function, context);
	(void)pthread_attr_destroy(&attributes);
	return ret == 0;
}

static void pause_a_little(void)
{
	(void)poll(NULL, 0, RETRY_MSECS);
}

static void *accept_thread(void *context)
{
	struct line_server *server = context;

	for (;;) {
		struct connection *connection = memory_new(sizeof(*connection));

		wait_for_room();
		connection->sending = server->sending;
		do {
			connection->fd = accept4(server->fd, NULL, NULL,
						 SOCK_CLOEXEC | SOCK_NONBLOCK);
			if (connection->fd < 0)
				pause_a_little();
		} while (connection->fd < 0);
		connection->until_msecs = clock_msecs() + LINE_DEADLINE_MSECS;
		while (!start_thread(connection_thread, connection))
			pause_a_little();
	}
	return NULL;
}

/* Start */

static int open_socket(const struct config *config, char **error_r)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t old_umask;
	int ret;

	/* socket_lock() has looked at its length, and that nothing is there */
	(void)strncpy(address.sun_path, config->line_socket,
		      sizeof(address.sun_path) - 1);
	old_umask = umask(0777 & ~config->socket_mode);
	ret = fd < 0 ? -1 : bind(fd, &address, sizeof(address));
	(void)umask(old_umask);
	if (ret < 0 || chmod(config->line_socket, config->socket_mode) < 0 ||
	    listen(fd, SOMAXCONN) < 0) {
		*error_r = text_format("line_socket = %s: %s",
				       config->line_socket, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	return fd;
}

int line_start(const struct sending *sending, char **error_r)
{
	struct line_server *server;
	int fd = open_socket(sending->config, error_r);

	if (fd < 0)
		return -1;
	server = memory_new(sizeof(*server));
	server->sending = sending;
	server->fd = fd;
	if (!start_thread(accept_thread, server)) {
		*error_r = text_format("line_socket: no thread can be started");
		return -1;
	}
	return 0;
}
