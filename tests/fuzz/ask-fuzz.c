/* libFuzzer target for what is said between the plugin and the service backscatter-spf,
   both sides. Built with clang -fsanitize=fuzzer,address,undefined, linked with -ldovecot;
   the seeds are in ask-seeds/.

   The input is what one side sends. It goes through a socket, and each line is read as
   each of those that there are. Beside what the sanitizers find it checks what
   spf-protocol.h and spf.h promise, and that what was read can be said again. */

#include "lib.h"
#include "net.h"
#include "str.h"
#include "spf/spf-protocol.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void trace_nothing(const char *line ATTR_UNUSED, void *context ATTR_UNUSED)
{
}

static void check_printable(const char *text, size_t max)
{
	if (text == NULL)
		return;
	i_assert(strlen(text) <= max);
	for (; *text != '\0'; text++)
		i_assert(*text >= ' ' && *text <= '~');
}

/* As it was read, without its LF. */
static const char *line_of(string_t *line)
{
	i_assert(str_len(line) > 0 && str_c(line)[str_len(line) - 1] == '\n');
	str_truncate(line, str_len(line) - 1);
	i_assert(strchr(str_c(line), '\n') == NULL);
	return str_c(line);
}

static void check_question(const char *line)
{
	struct spf_check_request request, again;
	string_t *written = t_str_new(256);
	bool steps, steps_again;

	if (spf_question_read(line, &request, &steps) < 0)
		return;
	i_assert(request.timeout_msecs >= 1 &&
		 request.timeout_msecs <= SPF_MAX_TIMEOUT_MSECS);
	request.trace = steps ? trace_nothing : NULL;
	if (!spf_question_write(written, &request))
		return;
	if (spf_question_read(line_of(written), &again, &steps_again) < 0)
		i_unreached();
	i_assert(steps == steps_again && again.timeout_msecs == request.timeout_msecs);
	i_assert(strncmp(again.helo, request.helo, SPF_MAX_IDENTITY) == 0);
	i_assert(strncmp(again.mail_from, request.mail_from, SPF_MAX_IDENTITY) == 0);
	i_assert(null_strcmp(again.receiver, request.receiver) == 0);
	i_assert(strcmp(again.dns_servers, request.dns_servers) == 0);
}

static void check_reply(const struct spf_check_reply *reply)
{
	bool decided = reply->result == SPF_CHECK_PASS ||
		reply->result == SPF_CHECK_FAIL ||
		reply->result == SPF_CHECK_SOFTFAIL ||
		reply->result == SPF_CHECK_NEUTRAL;
	struct spf_check_reply again;
	string_t *written = t_str_new(256);
	const char *step;

	check_printable(reply->domain, SPF_MAX_NAME);
	check_printable(reply->mechanism, SPF_MAX_PROBLEM);
	check_printable(reply->problem, SPF_MAX_PROBLEM);
	check_printable(reply->explanation, SPF_MAX_EXPLANATION);
	i_assert(reply->domain != NULL);
	i_assert(reply->explanation == NULL || reply->result == SPF_CHECK_FAIL);
	i_assert((reply->mechanism != NULL) == decided);
	i_assert((reply->problem != NULL) == !decided);

	spf_reply_write(written, reply);
	i_assert(str_len(written) <= SPF_MAX_LINE);
	if (spf_answer_read(line_of(written), pool_datastack_create(), &again, &step) != 1)
		i_unreached();
	i_assert(again.result == reply->result && again.identity == reply->identity);
	i_assert(strcmp(again.domain, reply->domain) == 0);
	i_assert(null_strcmp(again.mechanism, reply->mechanism) == 0);
	i_assert(null_strcmp(again.problem, reply->problem) == 0);
	i_assert(null_strcmp(again.explanation, reply->explanation) == 0);
}

static void check_line(const char *line)
{
	struct spf_check_reply reply;
	const char *step;
	int ret;

	i_assert(strlen(line) < SPF_MAX_LINE && strchr(line, '\n') == NULL);
	(void)spf_hello_is_right(line, SPF_PROTOCOL_SERVICE);
	(void)spf_hello_is_right(line, SPF_PROTOCOL_CLIENT);
	check_question(line);
	ret = spf_answer_read(line, pool_datastack_create(), &reply, &step);
	if (ret > 0)
		check_reply(&reply);
	else if (ret == 0)
		check_printable(step, SPF_MAX_TRACE);
}

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spf_wire wire = { .deadline_msecs = spf_clock_msecs() + 5000 };
	const char *line, *error;
	bool more = TRUE;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		i_fatal("socketpair() failed: %m");
	/* it fits into the socket's buffer */
	if (size > 0 && write(fds[1], data, size) != (ssize_t)size)
		i_fatal("write() failed: %m");
	i_close_fd(&fds[1]);
	wire.fd = fds[0];
	while (more) T_BEGIN {
		more = spf_wire_read_line(&wire, &line, &error) == 0;
		if (more)
			check_line(line);
	} T_END;
	i_close_fd(&wire.fd);
	return 0;
}
