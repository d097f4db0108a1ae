/* plugin/spf/spf-protocol.c: what is said comes out as it went in, and nothing else is
   taken for it. */

#include "unit.h"
#include "net.h"
#include "str.h"
#include "spf/spf-protocol.h"

#include <sys/socket.h>
#include <unistd.h>

static void
trace_nothing(const char *line ATTR_UNUSED, void *context ATTR_UNUSED)
{
}

/* Without its LF. */
static const char *question_line(const struct spf_check_request *request)
{
	string_t *line = t_str_new(256);

	assert_true(spf_question_write(line, request));
	assert_int_equal(str_c(line)[str_len(line) - 1], '\n');
	str_truncate(line, str_len(line) - 1);
	assert_null(strchr(str_c(line), '\n'));
	return str_c(line);
}

static void assert_same_text(const char *read, const char *written)
{
	assert_string_equal(read == NULL ? "" : read, written == NULL ? "" : written);
}

static void
assert_question_comes_back(const struct spf_check_request *request)
{
	struct spf_check_request read;
	bool steps;

	assert_int_equal(spf_question_read(question_line(request), &read, &steps), 0);
	assert_int_equal(read.timeout_msecs, request->timeout_msecs);
	assert_int_equal(read.asked_msecs, request->asked_msecs);
	assert_int_equal(steps, request->trace != NULL);
	assert_int_equal(read.client_ip.family, request->client_ip.family);
	assert_true(read.client_ip.family == 0 ||
		    net_ip_compare(&read.client_ip, &request->client_ip));
	assert_same_text(read.helo, request->helo);
	assert_same_text(read.mail_from, request->mail_from);
	assert_same_text(read.receiver, request->receiver);
	assert_same_text(read.dns_servers, request->dns_servers);
}

static void test_question(void **state ATTR_UNUSED)
{
	static const char *const texts[] = {
		NULL, "", "mx.example", "a\tb", "\t\r\n\001", "\001t\0011", "\xff\x80 \"", "\n"
	};
	static const char *const clients[] = { "192.0.2.1", "2001:db8::1", NULL };

	for (unsigned int i = 0; i < N_ELEMENTS(texts); i++) {
		struct spf_check_request request = {
			.helo = texts[i], .mail_from = texts[(i + 1) % N_ELEMENTS(texts)],
			.receiver = texts[i], .dns_servers = texts[i],
			.timeout_msecs = 1 + i * 1000, .asked_msecs = i * 1000000000ULL,
			.trace = i % 2 == 0 ? NULL : trace_nothing
		};
		const char *client = clients[i % N_ELEMENTS(clients)];

		if (client != NULL)
			assert_int_equal(net_addr2ip(client, &request.client_ip), 0);
		assert_question_comes_back(&request);
	}
}

static void test_question_is_bounded(void **state ATTR_UNUSED)
{
	char longest[SPF_MAX_LINE * 2];
	struct spf_check_request request = {
		.helo = longest, .mail_from = longest, .timeout_msecs = 1
	}, read;
	string_t *line = t_str_new(256);
	bool steps;

	/* each byte becomes two */
	memset(longest, '\t', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(spf_question_read(question_line(&request), &read, &steps), 0);
	assert_int_equal(strlen(read.helo), SPF_MAX_IDENTITY + 1);
	assert_int_equal(strlen(read.mail_from), SPF_MAX_IDENTITY + 1);

	request.dns_servers = longest;
	assert_false(spf_question_write(line, &request));
}

static void test_no_question(void **state ATTR_UNUSED)
{
	static const char *const lines[] = {
		"", "check", "check\t", "reply\t1\t0\t\t\t\t\t",
		"check\t0\t0\t\t\t\t\t", "check\t60001\t0\t\t\t\t\t",
		"check\t-1\t0\t\t\t\t\t", "check\t1s\t0\t\t\t\t\t",
		"check\t99999999999999999999\t0\t\t\t\t\t",
		"check\t1\t2\t\t\t\t\t", "check\t1\t\t\t\t\t\t",
		"check\t1\t0\t127.1\t\t\t\t", "check\t1\t0\tmx.example\t\t\t\t",
		"check\t1\t0\t\t\t\t",
	};
	struct spf_check_request request;
	bool steps;

	for (unsigned int i = 0; i < N_ELEMENTS(lines); i++)
		assert_int_equal(spf_question_read(lines[i], &request, &steps), -1);
	/* a later minor version's field */
	assert_int_equal(spf_question_read("check\t1\t0\t\t\t\t\t\tmore", &request,
					   &steps), 0);
}

static void test_reply(void **state ATTR_UNUSED)
{
	static const struct spf_check_reply replies[] = {
		{ SPF_CHECK_PASS, SPF_IDENTITY_MAILFROM, "a.example", NULL, NULL, "ip4:192.0.2.0/24" },
		{ SPF_CHECK_FAIL, SPF_IDENTITY_HELO, "a.example", "not you", NULL, "all" },
		{ SPF_CHECK_NEUTRAL, SPF_IDENTITY_HELO, "a.example", NULL, NULL, "default" },
		{ SPF_CHECK_NONE, SPF_IDENTITY_HELO, "", NULL, "no domain", NULL },
		{ SPF_CHECK_TEMPERROR, SPF_IDENTITY_HELO, "?", NULL, "why", NULL },
		{ SPF_CHECK_PERMERROR, SPF_IDENTITY_MAILFROM, "a", NULL, "why", NULL },
	};
	struct spf_check_reply read;
	const char *step;

	for (unsigned int i = 0; i < N_ELEMENTS(replies); i++) {
		string_t *line = t_str_new(128);

		spf_reply_write(line, &replies[i]);
		str_truncate(line, str_len(line) - 1);
		assert_int_equal(spf_answer_read(str_c(line), pool_datastack_create(),
						 &read, &step), 1);
		assert_int_equal(read.result, replies[i].result);
		assert_int_equal(read.identity, replies[i].identity);
		assert_string_equal(read.domain, replies[i].domain);
		assert_same_text(read.mechanism, replies[i].mechanism);
		assert_same_text(read.problem, replies[i].problem);
		assert_same_text(read.explanation, replies[i].explanation);
	}
}

static void test_step(void **state ATTR_UNUSED)
{
	struct spf_check_reply reply;
	string_t *line = t_str_new(128);
	const char *step;

	spf_step_write(line, "a.example TXT: \"v=spf1 -all\"");
	str_truncate(line, str_len(line) - 1);
	assert_int_equal(spf_answer_read(str_c(line), pool_datastack_create(), &reply,
					 &step), 0);
	assert_string_equal(step, "a.example TXT: \"v=spf1 -all\"");
}

static void test_no_answer(void **state ATTR_UNUSED)
{
	static const char *const lines[] = {
		"", "step", "step\ta\001nb", "step\t\x7f", "answer\tpass",
		"reply", "reply\tpass\tmailfrom\ta\tall\t",
		"reply\tpassed\tmailfrom\ta\tall\t\t", "reply\tpass\tfrom\ta\tall\t\t",
		/* promises of spf.h that aren't kept */
		"reply\tpass\tmailfrom\ta\t\t\t", "reply\tpass\tmailfrom\ta\tall\twhy\t",
		"reply\tpass\tmailfrom\ta\tall\t\tnot you",
		"reply\tnone\tmailfrom\ta\t\t\t", "reply\tnone\tmailfrom\ta\tall\twhy\t",
		"reply\tfail\tmailfrom\ta\001nb\tall\t\t", "reply\tfail\tmailfrom\t\xc3\xa4\tall\t\t",
		"reply\tfail\tmailfrom\ta\tall\t\ta\001tb",
	};
	struct spf_check_reply reply;
	const char *step;

	for (unsigned int i = 0; i < N_ELEMENTS(lines); i++) {
		assert_int_equal(spf_answer_read(lines[i], pool_datastack_create(),
						 &reply, &step), -1);
	}
}

static void test_hello(void **state ATTR_UNUSED)
{
	assert_true(spf_hello_is_right("VERSION\ta\t1\t0", "a"));
	assert_true(spf_hello_is_right("VERSION\ta\t1\t7", "a"));
	assert_false(spf_hello_is_right("VERSION\tb\t1\t0", "a"));
	assert_false(spf_hello_is_right("VERSION\ta\t2\t0", "a"));
	assert_false(spf_hello_is_right("VERSION\ta\t10\t0", "a"));
	assert_false(spf_hello_is_right("VERSION\ta\t1", "a"));
	assert_false(spf_hello_is_right("", "a"));
}

/* The wire */

static void wire_pair(struct spf_wire *wire, int *other_r)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	wire->fd = fds[0];
	wire->used = 0;
	wire->deadline_msecs = spf_clock_msecs() + 5000;
	*other_r = fds[1];
}

static void wire_write(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_lines(void **state ATTR_UNUSED)
{
	struct spf_wire wire;
	const char *line, *error;
	int other;

	wire_pair(&wire, &other);
	wire_write(other, "one\n\ntwo\nthr");
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), 0);
	assert_string_equal(line, "one");
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), 0);
	assert_string_equal(line, "");
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), 0);
	assert_string_equal(line, "two");
	wire_write(other, "ee\n");
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), 0);
	assert_string_equal(line, "three");
	i_close_fd(&other);
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), -1);
	assert_string_equal(error, "connection closed");
	i_close_fd(&wire.fd);
}

static void test_line_is_bounded(void **state ATTR_UNUSED)
{
	char text[SPF_MAX_LINE + 1];
	struct spf_wire wire;
	const char *line, *error;
	int other;

	memset(text, 'x', sizeof(text));
	text[SPF_MAX_LINE - 1] = '\n';
	wire_pair(&wire, &other);
	assert_int_equal(write(other, text, SPF_MAX_LINE), SPF_MAX_LINE);
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), 0);
	assert_int_equal(strlen(line), SPF_MAX_LINE - 1);
	text[SPF_MAX_LINE - 1] = 'x';
	assert_int_equal(write(other, text, sizeof(text)), sizeof(text));
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), -1);
	assert_string_equal(error, "line is too long");
	i_close_fd(&other);
	i_close_fd(&wire.fd);
}

static void test_nul(void **state ATTR_UNUSED)
{
	struct spf_wire wire;
	const char *line, *error;
	int other;

	wire_pair(&wire, &other);
	assert_int_equal(write(other, "a\0b\n", 4), 4);
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), -1);
	i_close_fd(&other);
	i_close_fd(&wire.fd);
}

/* Neither reading nor writing waits longer than until the deadline. */
static void test_deadline(void **state ATTR_UNUSED)
{
	static char much[4 * 1024 * 1024];
	struct spf_wire wire;
	const char *line, *error;
	uint64_t deadline;
	int other;

	wire_pair(&wire, &other);
	wire.deadline_msecs = deadline = spf_clock_msecs() + 50;
	assert_int_equal(spf_wire_read_line(&wire, &line, &error), -1);
	assert_string_equal(error, "no answer in time");
	assert_in_range(spf_clock_msecs(), deadline, deadline + 1000);

	wire.deadline_msecs = deadline = spf_clock_msecs() + 50;
	assert_int_equal(spf_wire_send(&wire, much, sizeof(much), &error), -1);
	assert_string_equal(error, "no answer in time");
	assert_in_range(spf_clock_msecs(), deadline, deadline + 1000);
	i_close_fd(&other);
	assert_int_equal(spf_wire_send(&wire, "x", 1, &error), -1);
	i_close_fd(&wire.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_question_is_bounded),
		cmocka_unit_test(test_no_question),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_step),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_line_is_bounded),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_deadline),
	};

	return UNIT_RUN(tests);
}
