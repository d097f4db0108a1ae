/* The milter's configuration: what is read, and what is refused with which words. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "milter/config.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static struct config parse(const char *text)
{
	struct config config;
	char *error = NULL;

	if (config_parse("x.conf", text, strlen(text), &config, &error) < 0)
		fail_msg("%s", error);
	return config;
}

static void assert_refused(const char *text, size_t size, const char *words)
{
	static const struct config none;
	struct config config;
	char *error = NULL;

	assert_int_equal(config_parse("x.conf", text, size, &config, &error), -1);
	if (strstr(error, words) == NULL || strstr(error, "x.conf") == NULL)
		fail_msg("%s: error: %s", text, error);
	assert_memory_equal(&config, &none, sizeof(config));
	free(error);
}

static void test_defaults(void **state)
{
	struct config config = parse("# nothing\n\n  # at all");
	(void)state;

	assert_string_equal(config.socket,
			    "unix:/var/spool/postfix/backscatter/milter.sock");
	assert_string_equal(config_socket_path(&config),
			    "/var/spool/postfix/backscatter/milter.sock");
	assert_string_equal(config.line_socket, "");
	assert_int_equal(config.socket_mode, 0660);
	assert_string_equal(config.site_key, "/etc/dovecot/backscatter-site.key");
	assert_string_equal(config.spool, "/var/lib/backscatter-milter/spool.db");
	assert_int_equal(config.spool_max_rows, 100000);
	assert_string_equal(config.doveadm_socket, "/run/dovecot/http");
	assert_string_equal(config.doveadm_api_key,
			    "/etc/dovecot/backscatter-api.key");
	assert_int_equal(config.doveadm_connections, 4);
	assert_int_equal(config.sender_check, SENDER_CHECK_LOG);
	assert_true(config.envid);
	assert_false(config.tag);
	assert_string_equal(config.recipient_delimiter, "+");
	assert_false(config.local_submissions);
	assert_false(config.strict);
	assert_string_equal(config.user, "backscatter");
	config_free(&config);
}

static void test_values(void **state)
{
	struct config config = parse(
		"socket=inet:8891@localhost\n"
		" line_socket =\t/run/b/line.sock \r\n"
		"socket_mode = 600\n"
		"spool_max_rows = 1\n"
		"doveadm_socket = http://[::1]:8080\n"
		"doveadm_connections = 100\n"
		"sender_check = header\n"
		"envid = no\ntag = YES\nrecipient_delimiter = -+\n"
		"local_submissions = yes\nstrict = yes\nuser = _b");
	(void)state;

	assert_string_equal(config.socket, "inet:8891@localhost");
	assert_null(config_socket_path(&config));
	assert_string_equal(config.line_socket, "/run/b/line.sock");
	assert_int_equal(config.socket_mode, 0600);
	assert_int_equal(config.spool_max_rows, 1);
	assert_string_equal(config.doveadm_socket, "http://[::1]:8080");
	assert_int_equal(config.doveadm_connections, 100);
	assert_int_equal(config.sender_check, SENDER_CHECK_HEADER);
	assert_false(config.envid);
	assert_true(config.tag);
	assert_string_equal(config.recipient_delimiter, "-+");
	assert_true(config.local_submissions);
	assert_true(config.strict);
	assert_string_equal(config.user, "_b");
	config_free(&config);
}

static void test_wrong_values(void **state)
{
	static const char *const lines[] = {
		"socket = /run/milter.sock",
		"socket = unix:milter.sock",
		"socket = unix:/",
		"socket = inet:8891",
		"socket = inet:@localhost",
		"socket = inet:65536@localhost",
		"socket = inet:0@localhost",
		"socket = inet:88x@localhost",
		"socket = inet:8891@",
		"socket = tcp:8891@localhost",
		"line_socket = line.sock",
		"socket_mode = 0666",
		"socket_mode = 0661",
		"socket_mode = 0060",
		"socket_mode = 01660",
		"socket_mode = 888",
		"socket_mode = 660x",
		"socket_mode = -660",
		"socket_mode =",
		"site_key =",
		"site_key = site.key",
		"spool =",
		"spool_max_rows = 0",
		"spool_max_rows = -1",
		"spool_max_rows = 100000001",
		"spool_max_rows = 99999999999999999999",
		"spool_max_rows = 10k",
		"doveadm_socket =",
		"doveadm_socket = doveadm-http",
		"doveadm_socket = https://localhost:8080",
		"doveadm_socket = http://localhost",
		"doveadm_socket = http://:8080",
		"doveadm_socket = http://localhost:8080/path",
		"doveadm_socket = http://localhost:99999",
		"doveadm_connections = 0",
		"doveadm_connections = 101",
		"sender_check = both",
		"sender_check =",
		"envid = 1",
		"tag =",
		"recipient_delimiter = + -",
		"recipient_delimiter = @",
		"recipient_delimiter = \303\244",
		"local_submissions = true",
		"strict = ja",
		"user =",
		"user = a b",
	};
	(void)state;

	for (size_t i = 0; i < COUNT(lines); i++) {
		char words[100];

		/* the setting, its value, what is allowed */
		(void)snprintf(words, sizeof(words), "line 1: %s%s: wrong value, "
			       "allowed are ", lines[i],
			       lines[i][strlen(lines[i]) - 1] == '=' ?
			       " (empty)" : "");
		assert_refused(lines[i], strlen(lines[i]), words);
	}
}

static void test_wrong_lines(void **state)
{
	static const struct {
		const char *text, *words;
	} tests[] = {
		{ "envid\n", "line 1: envid: not \"name = value\"" },
		{ "\n#\nenvid = yes\nenvid = no\n",
		  "line 4: envid = no: a second time" },
		{ "Envid = yes", "line 1: Envid = yes: no such setting" },
		{ "= yes", "no such setting" },
		{ "socket =", "nobody could ask" },
		{ "tag = yes\nrecipient_delimiter =", "recipient_delimiter" },
	};
	(void)state;

	for (size_t i = 0; i < COUNT(tests); i++) {
		assert_refused(tests[i].text, strlen(tests[i].text),
			       tests[i].words);
	}
	assert_refused("envid = yes\0", 12, "no text");
}

static void test_files(void **state)
{
	char path[] = "/tmp/test-config-XXXXXX";
	char *blanks = malloc(70000);
	struct config config;
	char *error = NULL;
	int fd = mkstemp(path);
	(void)state;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "tag = yes\n", 10), 10);
	assert_int_equal(config_read(path, &config, &error), 0);
	assert_true(config.tag);
	config_free(&config);

	memset(blanks, '\n', 70000);
	assert_int_equal(write(fd, blanks, 70000), 70000);
	assert_int_equal(config_read(path, &config, &error), -1);
	assert_non_null(strstr(error, "larger than"));
	free(error);
	free(blanks);
	(void)close(fd);

	(void)unlink(path);
	assert_int_equal(config_read(path, &config, &error), -1);
	assert_non_null(strstr(error, path));
	assert_non_null(strstr(error, "No such file"));
	free(error);
	assert_int_equal(config_read("/tmp", &config, &error), -1);
	free(error);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
