/* The lines of the protocol, written and read, and how they are sent. */

#include "lib.h"
#include "net.h"
#include "str.h"
#include "strescape.h"
#include "spf-addresses.h"
#include "spf-protocol.h"
#include "text/text.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

bool spf_hello_is_right(const char *line, const char *name)
{
	const char *const *fields = t_strsplit_tabescaped(line);

	return str_array_length(fields) >= 4 &&
		strcmp(fields[0], "VERSION") == 0 &&
		strcmp(fields[1], name) == 0 && strcmp(fields[2], "1") == 0;
}

static void append_field(string_t *line, const char *value)
{
	str_append_c(line, '\t');
	if (value != NULL)
		str_append_tabescaped(line, value);
}

static void append_identity(string_t *line, const char *value)
{
	append_field(line, value == NULL ? NULL :
		     t_strndup(value, SPF_MAX_IDENTITY + 1));
}

bool spf_question_write(string_t *line, const struct spf_check_request *request)
{
	size_t start = str_len(line);

	str_printfa(line, "check\t%u\t%d", request->timeout_msecs,
		    request->trace != NULL ? 1 : 0);
	append_field(line, request->client_ip.family == 0 ? NULL :
		     net_ip2addr(&request->client_ip));
	append_identity(line, request->helo);
	append_identity(line, request->mail_from);
	append_field(line, request->receiver);
	append_field(line, request->dns_servers);
	str_printfa(line, "\t%"PRIu64"\n", request->asked_msecs);
	return str_len(line) - start <= SPF_MAX_LINE;
}

static const char *null_if_empty(const char *field)
{
	return *field == '\0' ? NULL : field;
}

int spf_question_read(const char *line, struct spf_check_request *request_r,
		      bool *steps_r)
{
	const char *const *fields = t_strsplit_tabescaped(line);

	i_zero(request_r);
	if (str_array_length(fields) < 8 || strcmp(fields[0], "check") != 0 ||
	    str_to_uint(fields[1], &request_r->timeout_msecs) < 0 ||
	    request_r->timeout_msecs == 0 ||
	    request_r->timeout_msecs > SPF_MAX_TIMEOUT_MSECS ||
	    (strcmp(fields[2], "0") != 0 && strcmp(fields[2], "1") != 0) ||
	    (*fields[3] != '\0' &&
	     spf_ip_parse(fields[3], &request_r->client_ip) < 0))
		return -1;
	*steps_r = fields[2][0] == '1';
	request_r->helo = fields[4];
	request_r->mail_from = fields[5];
	request_r->receiver = null_if_empty(fields[6]);
	request_r->dns_servers = fields[7];
	if (fields[8] == NULL ||
	    str_to_uint64(fields[8], &request_r->asked_msecs) < 0)
		request_r->asked_msecs = 0;
	return 0;
}

void spf_step_write(string_t *line, const char *text)
{
	str_append(line, "step");
	append_field(line, text);
	str_append_c(line, '\n');
}

void spf_reply_write(string_t *line, const struct spf_check_reply *reply)
{
	str_append(line, "reply");
	append_field(line, spf_check_result_name(reply->result));
	append_field(line, spf_identity_name(reply->identity));
	append_field(line, reply->domain);
	append_field(line, reply->mechanism);
	append_field(line, reply->problem);
	append_field(line, reply->explanation);
	str_append_c(line, '\n');
}

static bool is_decided(enum spf_check_result result)
{
	return result == SPF_CHECK_PASS || result == SPF_CHECK_FAIL ||
		result == SPF_CHECK_SOFTFAIL || result == SPF_CHECK_NEUTRAL;
}

/* As spf.h promises it: what would mean something in a header is "?". */
static bool is_shown_domain(const char *text)
{
	return text_is_printable(text, SPF_MAX_NAME) &&
		strpbrk(text, SPF_NO_DOMAIN_CHARACTERS) == NULL;
}

static int
reply_read(const char *const *fields, pool_t pool, struct spf_check_reply *reply_r)
{
	bool decided;

	i_zero(reply_r);
	if (str_array_length(fields) < 6 ||
	    spf_check_result_parse(fields[0], &reply_r->result) < 0 ||
	    spf_identity_parse(fields[1], &reply_r->identity) < 0 ||
	    !is_shown_domain(fields[2]) ||
	    !text_is_printable(fields[3], SPF_MAX_PROBLEM) ||
	    !text_is_printable(fields[4], SPF_MAX_PROBLEM) ||
	    !text_is_printable(fields[5], SPF_MAX_EXPLANATION))
		return -1;
	decided = is_decided(reply_r->result);
	if (decided != (*fields[3] != '\0') || decided != (*fields[4] == '\0') ||
	    (*fields[5] != '\0' && reply_r->result != SPF_CHECK_FAIL))
		return -1;
	reply_r->domain = p_strdup(pool, fields[2]);
	reply_r->mechanism = p_strdup(pool, null_if_empty(fields[3]));
	reply_r->problem = p_strdup(pool, null_if_empty(fields[4]));
	reply_r->explanation = p_strdup(pool, null_if_empty(fields[5]));
	return 1;
}

int spf_answer_read(const char *line, pool_t pool, struct spf_check_reply *reply_r,
		    const char **step_r)
{
	const char *const *fields = t_strsplit_tabescaped(line);

	if (fields[0] == NULL)
		return -1;
	if (strcmp(fields[0], "reply") == 0)
		return reply_read(fields + 1, pool, reply_r);
	if (strcmp(fields[0], "step") != 0 || fields[1] == NULL ||
	    !text_is_printable(fields[1], SPF_MAX_TRACE))
		return -1;
	*step_r = fields[1];
	return 0;
}

/* The wire */

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
