/* The line protocol's texts. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "milter/line-request.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))
#define SERIAL "AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQC"

static int read_request(const char *text, struct message *message,
			enum line_command *command_r, const char **error_r)
{
	char *copy = strdup(text);
	int ret = line_request_read(copy, message, command_r, error_r);

	free(copy);
	return ret;
}

static struct message read_message(const char *text)
{
	struct message message = { .user = NULL };
	enum line_command command;
	const char *error;

	if (read_request(text, &message, &command, &error) < 0)
		fail_msg("%s: %s", text, error);
	assert_int_equal(command, LINE_MESSAGE);
	return message;
}

static void test_whole_request(void **state)
{
	struct message message = read_message(
		"1\tmessage\trecipient=<bob@example.net>\tuser=ann\t"
		"sender=<ann@example.org>\trecipient=eve@example.net\t"
		"envid=a+2Bb\tmessage-id=<1@example.org>\t"
		"date=Tue, 14 Nov 2023 22:13:20 +0000\t"
		"field=From: Ann <ann@example.org>\tfield=Sender: x\t"
		"serial=" SERIAL "\tlater=x\tnothing");
	(void)state;

	assert_string_equal(message.user, "ann");
	assert_string_equal(message.sender, "ann@example.org");
	assert_int_equal(message.recipient_count, 2);
	assert_string_equal(message.recipients[0], "bob@example.net");
	assert_string_equal(message.recipients[1], "eve@example.net");
	assert_string_equal(message.envelope_id, "a+b");
	assert_string_equal(message.message_id, "<1@example.org>");
	assert_int_equal(message.date, 1700000000);
	assert_int_equal(message.sender_field_count, 2);
	assert_string_equal(message.sender_fields[0],
			    "From: Ann <ann@example.org>");
	assert_string_equal(message.serial, SERIAL);
	message_clear(&message);
}

/* An MTA that has no value writes none. */
static void test_empty_values(void **state)
{
	struct message message = read_message(
		"1\tmessage\tuser=ann\tsender=\trecipient=\trecipients=\tenvid=\t"
		"message-id=\tdate=\tfield=\tfield=From\tserial=\t=\t=x\t");
	(void)state;

	assert_string_equal(message.sender, "");
	assert_int_equal(message.recipient_count, 0);
	assert_false(message.has_envelope_id || message.has_message_id ||
		     message.has_date);
	assert_int_equal(message.sender_field_count, 0);
	assert_string_equal(message.serial, "");
	message_clear(&message);
}

static void test_escapes(void **state)
{
	struct message message = read_message(
		"1\tmessage\tuser=a\001tb\0011c\tfield=From: x\001r\001n y"
		"\0010z\001\tmessage-id=<\001x1>\001");
	(void)state;

	assert_string_equal(message.user, "a\tb\001c");
	assert_string_equal(message.sender_fields[0], "From: x\r\n yz");
	assert_string_equal(message.message_id, "<1>");
	message_clear(&message);
}

static void test_recipient_lists(void **state)
{
	static const struct {
		const char *list;
		const char *recipients[4];
	} tests[] = {
		{ "a@x", { "a@x" } },
		{ "a@x, b@x,c@x", { "a@x", "b@x", "c@x" } },
		{ ", a@x,, b@x,", { "a@x", "b@x" } },
		{ "\"a,b\"@x, c@x", { "\"a,b\"@x", "c@x" } },
		{ "\"a\\\",b\"@x, c@x", { "\"a\\\",b\"@x", "c@x" } },
		{ "\"a, b@x", { "\"a, b@x" } },
		{ "a@x\\", { "a@x\\" } },
		{ " , ", { NULL } },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(tests); i++) {
		char text[200] = "1\tmessage\tuser=ann\trecipients=";
		struct message message;
		size_t count = 0;

		message = read_message(strcat(text, tests[i].list));
		for (; tests[i].recipients[count] != NULL; count++) {
			assert_string_equal(message.recipients[count],
					    tests[i].recipients[count]);
		}
		assert_int_equal(message.recipient_count, count);
		message_clear(&message);
	}
}

static void test_serial_request(void **state)
{
	struct message message = { .user = NULL };
	enum line_command command;
	const char *error;
	(void)state;

	assert_int_equal(read_request("1\tserial\tuser=ann\tsender=a@x",
				      &message, &command, &error), 0);
	assert_int_equal(command, LINE_SERIAL);
	assert_string_equal(message.sender, "a@x");
	message_clear(&message);
}

static void test_wrong_requests(void **state)
{
	static const struct {
		const char *text, *error;
	} tests[] = {
		{ "", "version is not 1" },
		{ "\t", "version is not 1" },
		{ "2\tmessage\tuser=ann", "version is not 1" },
		{ "GET / HTTP/1.1", "version is not 1" },
		{ "1", "unknown command" },
		{ "1\t", "unknown command" },
		{ "1\tMessage\tuser=ann", "unknown command" },
		{ "1\tmessages\tuser=ann", "unknown command" },
		{ "1\tmessage", "no user" },
		{ "1\tmessage\t", "no user" },
		{ "1\tmessage\tuser=", "no user" },
		{ "1\tserial\tsender=ann@example.org", "no user" },
		{ "1\tmessage\tuser", "no user" },
		{ "1\tmessage\tuserx=ann", "no user" },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(tests); i++) {
		struct message message = { .user = NULL };
		enum line_command command;
		const char *error;

		assert_int_equal(read_request(tests[i].text, &message, &command,
					      &error), -1);
		assert_string_equal(error, tests[i].error);
		message_clear(&message);
	}
}

static void test_answers(void **state)
{
	static const char *const parts[] = { SERIAL, NULL, "a\tb\001\r\n", "" };
	char *answer = line_answer("ok", parts, COUNT(parts)), *read[8];
	(void)state;

	assert_string_equal(answer, "1\tok\t" SERIAL
			    "\t\ta\001tb\0011\001r\001n\t\n");
	assert_int_equal(line_answer_read(answer, read, COUNT(read)), 5);
	assert_string_equal(read[0], "ok");
	assert_string_equal(read[1], SERIAL);
	assert_string_equal(read[2], "");
	assert_string_equal(read[3], "a\tb\001\r\n");
	assert_string_equal(read[4], "");
	free(answer);
}

static void test_wrong_answers(void **state)
{
	static const char *const answers[] = { "", "\n", "2\tok\n", "x" };
	char *parts[8], none[] = "1", more[] = "1\ta\tb\tc\td";
	(void)state;

	for (size_t i = 0; i < COUNT(answers); i++) {
		char *copy = strdup(answers[i]);

		assert_int_equal(line_answer_read(copy, parts, COUNT(parts)), 0);
		free(copy);
	}
	assert_int_equal(line_answer_read(none, parts, COUNT(parts)), 0);
	assert_int_equal(line_answer_read(more, parts, 2), 2);
	assert_string_equal(parts[1], "b");
}

/* What is written is read as it was. */
static void test_parameters(void **state)
{
	char *parameter = line_parameter("user", "a\tb=\001\n");
	char *request = malloc(100);
	struct message message;
	(void)state;

	assert_string_equal(parameter, "\tuser=a\001tb=\0011\001n");
	message = read_message(strcat(strcpy(request, "1\tmessage"), parameter));
	assert_string_equal(message.user, "a\tb=\001\n");
	message_clear(&message);
	free(request);
	free(parameter);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_request),
		cmocka_unit_test(test_empty_values),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_recipient_lists),
		cmocka_unit_test(test_serial_request),
		cmocka_unit_test(test_wrong_requests),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_wrong_answers),
		cmocka_unit_test(test_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
