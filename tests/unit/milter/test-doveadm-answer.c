/* What Dovecot answers, and what it might. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "milter/doveadm/doveadm-answer.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COMMANDS 3

struct expected {
	const char *body;
	/* of so many commands */
	size_t count;
	enum doveadm_result results[MAX_COMMANDS];
	/* part of the error, or NULL */
	const char *error;
};

static void read_and_clear(const char *body, size_t size, size_t count,
			   enum doveadm_result results_r[MAX_COMMANDS],
			   char **error_r)
{
	struct doveadm_command commands[MAX_COMMANDS] = {
		{ .name = "one" }, { .name = "two" }, { .name = "three" },
	};

	doveadm_answer_read(body, size, commands, count, error_r);
	for (size_t i = 0; i < count; i++) {
		results_r[i] = commands[i].result_r;
		assert_int_equal(results_r[i] == DOVEADM_DONE,
				 commands[i].output_r != NULL);
		json_object_put(commands[i].output_r);
	}
}

static void check(const struct expected *expected, size_t count)
{
	enum doveadm_result results[MAX_COMMANDS];
	char *error;

	for (size_t i = 0; i < count; i++, expected++) {
		print_message("%s\n", expected->body);
		read_and_clear(expected->body, strlen(expected->body),
			       expected->count, results, &error);
		for (size_t j = 0; j < expected->count; j++)
			assert_int_equal(results[j], expected->results[j]);
		if (expected->error == NULL)
			assert_null(error);
		else
			assert_non_null(strstr(error, expected->error));
		free(error);
	}
}

#define ERROR(type, code, tag) \
	"[\"error\",{\"type\":\"" type "\", \"exitCode\":" code "},\"" tag "\"]"
#define DONE(tag) "[\"doveadmResponse\",[],\"" tag "\"]"

static void test_answers(void **state)
{
	static const struct expected answers[] = {
		{ "[" DONE("0") "]", 1, { DOVEADM_DONE }, NULL },
		{ "[" DONE("0") "," ERROR("exitCode", "67", "1") "," DONE("2") "]", 3,
		  { DOVEADM_DONE, DOVEADM_UNKNOWN_USER, DOVEADM_DONE },
		  "two: exit code 67" },
		/* tags tell which, not the order */
		{ "[" ERROR("exitCode", "65", "1") "," DONE("0") "]", 2,
		  { DOVEADM_DONE, DOVEADM_REFUSED }, "two: exit code 65" },
		{ "[" ERROR("exitCode", "64", "0") "]", 1,
		  { DOVEADM_WRONG_ARGUMENT }, "exit code 64" },
		{ "[" ERROR("exitCode", "75", "0") "]", 1, { DOVEADM_LATER },
		  "exit code 75" },
		{ "[" ERROR("exitCode", "0", "0") "]", 1, { DOVEADM_LATER },
		  "exit code 0" },
		{ "[" ERROR("unknownMethod", "0", "0") "]", 1,
		  { DOVEADM_NOT_ALLOWED }, "one: unknownMethod" },
		{ "[" ERROR("unAuthorized", "0", "0") "]", 1,
		  { DOVEADM_NOT_ALLOWED }, "one: unAuthorized" },
		{ "[" ERROR("invalidRequest", "0", "0") "]", 1,
		  { DOVEADM_NOT_UNDERSTOOD }, "one: invalidRequest" },
		{ "[" ERROR("internalError", "0", "0") "]", 1, { DOVEADM_LATER },
		  "internalError" },
		/* those that it doesn't speak of */
		{ "[" DONE("1") "]", 2, { DOVEADM_NO_ANSWER, DOVEADM_DONE },
		  "no answer to one" },
		{ "[]", 1, { DOVEADM_NO_ANSWER }, "no answer to one" },
	};

	(void)state;
	check(answers, sizeof(answers) / sizeof(*answers));
}

/* Each has its own: what is logged and kept about a row is not about another one. */
static void test_errors_of_commands(void **state)
{
	static const char body[] = "[" ERROR("exitCode", "75", "2") ","
		ERROR("exitCode", "65", "0") "]";
	static const char torn[] = "[" ERROR("exitCode", "75", "0") ",";
	struct doveadm_command commands[MAX_COMMANDS] = {
		{ .name = "one" }, { .name = "two" }, { .name = "three" },
	};
	char *error;

	(void)state;
	doveadm_answer_read(body, strlen(body), commands, MAX_COMMANDS, &error);
	assert_string_equal(commands[0].error_r, "one: exit code 65");
	assert_string_equal(commands[1].error_r, "no answer to two");
	assert_string_equal(commands[2].error_r, "three: exit code 75");
	assert_string_equal(error, commands[2].error_r);
	free(error);
	/* the call's says it */
	doveadm_answer_read(torn, strlen(torn), commands, MAX_COMMANDS, &error);
	for (size_t i = 0; i < MAX_COMMANDS; i++)
		assert_string_equal(commands[i].error_r, "");
	assert_non_null(error);
	free(error);
}

/* Nothing of such an answer is believed. */
static void test_not_an_answer(void **state)
{
	static const char *const bodies[] = {
		"", " ", "{", "null", "{}", "0", "\"\"",
		"[" DONE("0") "," DONE("0") "]",
		"[" DONE("0") "," DONE("2") "]",
		"[" DONE("0") "," DONE("00") "]",
		"[" DONE("0") "," DONE("1\\u0000") "]",
		"[" DONE("0") "," DONE("-1") "]",
		"[" DONE("0") "," DONE("") "]",
		"[" DONE("0") ",[\"doveadmResponse\",[],1]]",
		"[" DONE("0") ",[\"doveadmResponse\",{},\"1\"]]",
		"[" DONE("0") ",[\"doveadmResponse\",[]]]",
		"[" DONE("0") ",[\"doveadmResponse\",[],\"1\",null]]",
		"[" DONE("0") ",[\"\",[],\"1\"]]",
		"[" DONE("0") ",[null,[],\"1\"]]",
		"[" DONE("0") ",null]",
		"[" DONE("0") ",[\"error\",[],\"1\"]]",
		"[" DONE("0") ",[\"error\",{\"type\":1,\"exitCode\":65},\"1\"]]",
		"[" DONE("0") "," ERROR("exitCode", "\"65\"", "1") "]",
		"[" DONE("0") "," ERROR("exitCode", "65.0", "1") "]",
		"[" DONE("0") ",[\"error\",{\"type\":\"exitCode\"},\"1\"]]",
		/* 2.3 leaves the comma out where several are refused */
		"[" ERROR("unknownMethod", "0", "0") ERROR("unknownMethod", "0", "1") "]",
		"[" DONE("0") "]]",
		"[" DONE("0") "] x",
		"[" DONE("0"),
		"['doveadmResponse',[],'0']",
		"[" DONE("0") ",[\"doveadmResponse\",[\"\xff\"],\"1\"]]",
		"[" DONE("0") ",[\"doveadmResponse\",[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]],\"1\"]]",
	};
	enum doveadm_result results[MAX_COMMANDS];
	char *error;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		print_message("%s\n", bodies[i]);
		read_and_clear(bodies[i], strlen(bodies[i]), 2, results, &error);
		assert_int_equal(results[0], DOVEADM_NO_ANSWER);
		assert_int_equal(results[1], DOVEADM_NO_ANSWER);
		assert_string_equal(error, "an answer that can't be read");
		free(error);
	}
}

static void test_too_long(void **state)
{
	size_t size = DOVEADM_ANSWER_MAX_SIZE + 1;
	enum doveadm_result results[MAX_COMMANDS];
	char *error, *body = malloc(size);

	(void)state;
	memset(body, ' ', size);
	memcpy(body, "[" DONE("0") "]", sizeof("[" DONE("0") "]") - 1);
	read_and_clear(body, size, 1, results, &error);
	assert_int_equal(results[0], DOVEADM_NO_ANSWER);
	free(error);
	read_and_clear(body, size - 1, 1, results, &error);
	assert_int_equal(results[0], DOVEADM_DONE);
	assert_null(error);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_errors_of_commands),
		cmocka_unit_test(test_not_an_answer),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
