/* The client of the service backscatter-spf. Whatever happens there, it costs one
   delivery no more than its timeout, and the result is temperror. */

#include "lib.h"
#include "str.h"
#include "spf-protocol.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SPF_SERVICE_SOCKET "backscatter-spf"

/* A living process says hello at once. Connects succeed, too, while the service's
   processes are all at work or stopped, or Dovecot waits before it starts one again
   that has crashed: then nobody does. */
#define SPF_HELLO_MSECS 1000
/* The service gets a little less time than is left, so that its own word for what
   took so long arrives. */
#define SPF_ANSWER_MSECS 100

static int
ask_connect(const char *socket_path, const char **error_r)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = -1;

	if (i_strocpy(address.sun_path, socket_path, sizeof(address.sun_path)) < 0)
		errno = ENAMETOOLONG;
	else
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const void *)&address,
			       sizeof(address)) == 0)
		return fd;
	if (errno == EAGAIN) {
		*error_r = "too many questions wait already: raise its "
			"process_limit, unless the log says why no process "
			"takes them";
	} else if (errno == ENOENT || errno == ECONNREFUSED) {
		*error_r = t_strdup_printf("%m: Dovecot isn't running, "
			"or the configuration lacks service backscatter-spf { } "
			"(see 95-backscatter.conf)");
	} else {
		*error_r = t_strdup_printf("connect() failed: %m");
	}
	i_close_fd(&fd);
	return -1;
}

/* The question goes with our hello, and waits in the socket until a process takes it. */
static int
ask_send(struct spf_wire *wire, const struct spf_check_request *request,
	 const char **error_r)
{
	struct spf_check_request question = *request;
	string_t *text = t_str_new(256);

	question.timeout_msecs -= I_MIN(question.timeout_msecs / 10, SPF_ANSWER_MSECS);
	question.asked_msecs = spf_clock_msecs();
	str_append(text, SPF_PROTOCOL_HELLO(SPF_PROTOCOL_CLIENT));
	if (!spf_question_write(text, &question)) {
		*error_r = "the question is too long: are there so many addresses "
			"in backscatter_spf_dns?";
		return -1;
	}
	return spf_wire_send(wire, str_data(text), str_len(text), error_r);
}

static int ask_hello(struct spf_wire *wire, const char **error_r)
{
	const char *line;

	if (spf_wire_read_line(wire, &line, error_r) < 0) {
		*error_r = t_strdup_printf("no process of it took the question: %s - "
			"if all are busy, raise its process_limit; or the log "
			"says why there is none", *error_r);
		return -1;
	}
	if (!spf_hello_is_right(line, SPF_PROTOCOL_SERVICE)) {
		*error_r = "it is of another version: reload Dovecot";
		return -1;
	}
	return 0;
}

static int
ask_read_answer(struct spf_wire *wire, const struct spf_check_request *request,
		pool_t pool, struct spf_check_reply *reply_r, const char **error_r)
{
	unsigned int steps;
	const char *line, *step;
	int ret;

	for (steps = 0; steps <= SPF_MAX_STEPS; steps++) {
		if (spf_wire_read_line(wire, &line, error_r) < 0)
			return -1;
		ret = spf_answer_read(line, pool, reply_r, &step);
		if (ret > 0)
			return 0;
		if (ret < 0 || request->trace == NULL)
			break;
		request->trace(step, request->trace_context);
	}
	*error_r = "its answer can't be read";
	return -1;
}

static int
ask_over(int fd, const struct spf_check_request *request,
	 pool_t pool, struct spf_check_reply *reply_r, const char **error_r)
{
	uint64_t now = spf_clock_msecs();
	struct spf_wire wire;

	wire.fd = fd;
	wire.used = 0;
	wire.deadline_msecs = now + I_MIN(SPF_HELLO_MSECS, request->timeout_msecs);
	if (ask_send(&wire, request, error_r) < 0 || ask_hello(&wire, error_r) < 0)
		return -1;
	wire.deadline_msecs = now + request->timeout_msecs;
	return ask_read_answer(&wire, request, pool, reply_r, error_r);
}

int spf_ask(const char *base_dir, const struct spf_check_request *request,
	    pool_t pool, struct spf_check_reply *reply_r, const char **error_r)
{
	const char *socket_path =
		t_strconcat(base_dir, "/"SPF_SERVICE_SOCKET, NULL);
	int fd, ret = -1;

	fd = ask_connect(socket_path, error_r);
	if (fd >= 0) {
		ret = ask_over(fd, request, pool, reply_r, error_r);
		i_close_fd(&fd);
	}
	if (ret < 0) {
		*error_r = t_strdup_printf("service %s: %s", socket_path, *error_r);
		i_zero(reply_r);
		reply_r->result = SPF_CHECK_TEMPERROR;
		reply_r->domain = "";
		reply_r->problem = "the service backscatter-spf gave no answer";
	}
	return ret;
}
