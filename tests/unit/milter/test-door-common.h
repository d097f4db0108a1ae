#ifndef TEST_DOOR_COMMON_H
#define TEST_DOOR_COMMON_H

/* A unix socket that answers in Dovecot's place: the same to each command of a call. */

#include <json-c/json.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DOOR_MAX_SIZE (512 * 1024)

struct door {
	int fd;
	pthread_t thread;
	/* of the answer to a command: what stands before its tag */
	const char *_Atomic answer;
	/* each answer takes so long */
	atomic_uint msecs;
	/* none is given while this is true */
	atomic_bool held;
	/* calls that came */
	atomic_uint asked;
	/* that were answered, and those of them that asked for "backscatterSender" */
	atomic_uint calls, questions;
};

#define ALL_DONE "\"doveadmResponse\",[]"
#define ALL_FAIL(code) "\"error\",{\"type\":\"exitCode\",\"exitCode\":" code "}"

/* The request's body; NULL: whoever asked has gone. */
static inline char *door_read(int fd, char *buffer)
{
	size_t size = 0;
	ssize_t ret;

	while ((ret = read(fd, buffer + size, DOOR_MAX_SIZE - size)) > 0) {
		const char *length;
		char *body;

		size += (size_t)ret;
		buffer[size] = '\0';
		body = strstr(buffer, "\r\n\r\n");
		length = strcasestr(buffer, "Content-Length: ");
		if (body != NULL && length != NULL &&
		    strlen(body + 4) >= (size_t)atol(length + 16))
			return body + 4;
	}
	return NULL;
}

static inline void door_write(struct door *door, int fd, const char *body)
{
	struct json_object *request = json_tokener_parse(body);
	size_t count = json_object_array_length(request), size = 0;
	char *answer = malloc(DOOR_MAX_SIZE);
	FILE *file = fmemopen(answer, DOOR_MAX_SIZE, "w");
	const char *what = atomic_load(&door->answer);

	for (size_t i = 0; i < count; i++)
		(void)fprintf(file, "%s[%s,\"%zu\"]", i > 0 ? "," : "", what, i);
	size = (size_t)ftell(file);
	(void)fclose(file);
	(void)dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
		      "Connection: close\r\n\r\n[%.*s]", size + 2, (int)size,
		      answer);
	free(answer);
	json_object_put(request);
}

static inline void *door_main(void *context)
{
	struct door *door = context;
	char *buffer = malloc(DOOR_MAX_SIZE + 1), *body;
	int fd;

	while ((fd = accept(door->fd, NULL, NULL)) >= 0) {
		body = door_read(fd, buffer);
		if (body != NULL) {
			atomic_fetch_add(&door->asked, 1);
			while (atomic_load(&door->held))
				(void)usleep(1000);
			(void)usleep(atomic_load(&door->msecs) * 1000);
			if (strstr(body, "backscatterSender") != NULL)
				atomic_fetch_add(&door->questions, 1);
			door_write(door, fd, body);
			atomic_fetch_add(&door->calls, 1);
		}
		(void)close(fd);
	}
	free(buffer);
	return NULL;
}

static inline void door_answers(struct door *door, const char *answer)
{
	atomic_store(&door->answer, answer);
}

static inline void door_open(struct door *door, const char *path)
{
	union {
		struct sockaddr any;
		struct sockaddr_un un;
	} address = { .un = { .sun_family = AF_UNIX } };

	memset(door, 0, sizeof(*door));
	door_answers(door, ALL_DONE);
	assert_true(strlen(path) < sizeof(address.un.sun_path));
	memcpy(address.un.sun_path, path, strlen(path));
	door->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(door->fd >= 0);
	assert_int_equal(bind(door->fd, &address.any, sizeof(address.un)), 0);
	assert_int_equal(listen(door->fd, 100), 0);
	assert_int_equal(pthread_create(&door->thread, NULL, door_main, door),
			 0);
}

static inline void door_close(struct door *door)
{
	(void)shutdown(door->fd, SHUT_RDWR);
	(void)pthread_join(door->thread, NULL);
	(void)close(door->fd);
}

#endif
