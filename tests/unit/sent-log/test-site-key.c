/* The site key's file: what is read, what is refused, and adding keys. Runs in
   the sent log's fixture for its folder. */

#include "test-sent-log-common.h"

#include "sent-log/site-key.h"

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
/* 2023-11-14 */
#define MIDNIGHT (NOW - NOW % DAY)

static const char *key_path(struct fixture *f)
{
	return in_folder(f, "site.key");
}

static void write_keys(struct fixture *f, const char *text)
{
	write_file(key_path(f), text, strlen(text));
	assert_int_equal(chmod(key_path(f), 0600), 0);
}

static struct serial_keys read_keys(struct fixture *f)
{
	struct serial_keys keys;
	char *error = NULL;

	if (site_key_read(key_path(f), &keys, &error) < 0)
		fail_msg("%s", error);
	return keys;
}

/* It is refused, the error names the file, and no secret is left. */
static void assert_refused(struct fixture *f, const char *reason)
{
	static const struct serial_keys none;
	struct serial_keys keys;
	char *error = NULL;

	assert_int_equal(site_key_read(key_path(f), &keys, &error), -1);
	if (strstr(error, reason) == NULL ||
	    strstr(error, key_path(f)) == NULL)
		fail_msg("error: %s", error);
	assert_null(strstr(error, "1011121314"));
	assert_memory_equal(&keys, &none, sizeof(keys));
	free(error);
}

/* Reading */

static void test_read(void **state)
{
	struct fixture *f = *state;
	struct serial_keys keys;

	write_keys(f, "# our site\n"
		      "\n"
		      "2023-11-14 " HEX_A " \r\n"
		      "2024-02-29 " HEX_B);
	keys = read_keys(f);
	assert_int_equal(keys.count, 2);
	assert_int_equal(keys.keys[0].created, MIDNIGHT);
	assert_int_equal(keys.keys[0].retired, 1709164800);
	assert_int_equal(keys.keys[0].id, 0x630d);
	assert_int_equal(keys.keys[0].secret[31], 0x1f);
	assert_int_equal(keys.keys[1].created, 1709164800);
	assert_int_equal(keys.keys[1].retired, 0);
	assert_int_equal(keys.keys[1].secret[0], 0xff);
}

static void test_bad_lines(void **state)
{
	struct fixture *f = *state;
	static const char *const lines[] = {
		"2023-11-14",
		HEX_A,
		"2023-11-14 " HEX_A "0",
		"2023-11-14 " HEX_A " 0",
		"2023-11-14  " HEX_A,
		" 2023-11-14 " HEX_A,
		"2023-11-14\t" HEX_A,
		"2023-11-31 " HEX_A,
		"2023-02-29 " HEX_A,
		"2023-13-01 " HEX_A,
		"2023-00-01 " HEX_A,
		"2023-01-00 " HEX_A,
		"1969-12-31 " HEX_A,
		"+023-11-14 " HEX_A,
		"2023-11-14 "
		"g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"2023-11-14 "
		"000102030405060708090a0b0c0d0e0f10111213141516171819",
	};
	char text[256];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "2023-11-14 " HEX_B "\n%s\n",
			 lines[i]);
		write_keys(f, text);
		assert_refused(f, "line 2 is not");
	}
}

static void test_nul_in_a_line(void **state)
{
	struct fixture *f = *state;
	char text[] = "2023-11-14 " HEX_A "\n";

	text[20] = '\0';
	write_file(key_path(f), text, sizeof(text) - 1);
	assert_int_equal(chmod(key_path(f), 0600), 0);
	assert_refused(f, "line 1 is not");
}

static void test_no_keys(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "No such file");
	write_keys(f, "");
	assert_refused(f, "no key in it");
	write_keys(f, "# 2023-11-14 " HEX_A "\n");
	assert_refused(f, "no key in it");
}

static void test_modes(void **state)
{
	struct fixture *f = *state;
	static const struct {
		mode_t mode;
		const char *refused;
	} tests[] = {
		{ 0600, NULL },
		{ 0400, NULL },
		{ 0640, NULL },
		{ 0660, "its group may write it (mode 0660)" },
		{ 0620, "its group may write it (mode 0620)" },
		{ 0644, "all users of this host" },
		{ 0604, "all users of this host" },
		{ 0602, "all users of this host" },
		{ 0666, "all users of this host" },
	};

	write_keys(f, "2023-11-14 " HEX_A "\n");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		assert_int_equal(chmod(key_path(f), tests[i].mode), 0);
		if (tests[i].refused != NULL)
			assert_refused(f, tests[i].refused);
		else
			assert_int_equal(read_keys(f).count, 1);
	}
}

static void test_no_regular_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(key_path(f), 0700), 0);
	assert_refused(f, "not a regular file");
	assert_int_equal(rmdir(key_path(f)), 0);
	assert_int_equal(mkfifo(key_path(f), 0600), 0);
	assert_refused(f, "not a regular file");
}

static void test_too_large(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(70000);

	memset(text, '\n', 70000);
	write_file(key_path(f), text, 70000);
	free(text);
	assert_int_equal(chmod(key_path(f), 0600), 0);
	assert_refused(f, "larger than 65536 bytes");
}

static void test_more_keys_than_fit(void **state)
{
	struct fixture *f = *state;
	struct serial_keys keys;
	char text[8192] = "";
	size_t used = 0;

	for (unsigned int i = 0; i < SERIAL_KEYS_MAX + 2; i++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "20%02u-01-01 %02x%s\n", i, i,
					 HEX_A + 2);
	}
	write_keys(f, text);
	keys = read_keys(f);
	assert_int_equal(keys.count, SERIAL_KEYS_MAX);
	assert_int_equal(keys.keys[0].secret[0], 2);
	assert_int_equal(keys.keys[SERIAL_KEYS_MAX - 1].secret[0],
			 SERIAL_KEYS_MAX + 1);
	assert_int_equal(keys.keys[SERIAL_KEYS_MAX - 1].retired, 0);
	assert_int_equal(keys.keys[0].retired, keys.keys[1].created);
}

/* Generating */

static struct serial_key generate(struct fixture *f, time_t now)
{
	struct serial_key key;
	char *error = NULL;

	if (site_key_generate(key_path(f), now, &key, &error) < 0)
		fail_msg("%s", error);
	return key;
}

static void assert_not_generated(struct fixture *f, const char *reason)
{
	static const struct serial_key none;
	struct serial_key key;
	char *error = NULL;

	assert_int_equal(site_key_generate(key_path(f), NOW, &key, &error), -1);
	if (strstr(error, reason) == NULL)
		fail_msg("error: %s", error);
	assert_memory_equal(&key, &none, sizeof(key));
	free(error);
}

static void test_generate(void **state)
{
	struct fixture *f = *state;
	struct serial_key first, second;
	struct serial_keys keys;
	struct stat st;
	mode_t old = umask(0);

	first = generate(f, NOW);
	umask(old);
	assert_int_equal(stat(key_path(f), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	second = generate(f, NOW + 100 * DAY);
	assert_false(exists(in_folder(f, "site.key.new")));

	keys = read_keys(f);
	assert_int_equal(keys.count, 2);
	assert_memory_equal(keys.keys[0].secret, first.secret,
			    SERIAL_SECRET_SIZE);
	assert_memory_equal(keys.keys[1].secret, second.secret,
			    SERIAL_SECRET_SIZE);
	assert_int_equal(keys.keys[1].id, second.id);
	assert_int_equal(keys.keys[1].created, MIDNIGHT + 100 * DAY);
	assert_int_equal(first.created, NOW);
	assert_int_equal(first.retired, 0);
}

/* Comments, mode and owner stay; a missing newline doesn't glue two lines. */
static void test_generate_keeps_what_is_there(void **state)
{
	struct fixture *f = *state;
	static const char old[] = "# our site\n2023-11-14 " HEX_A;
	struct stat st;
	size_t size;
	char *text;

	write_keys(f, old);
	if (geteuid() == 0)
		assert_int_equal(chown(key_path(f), 65534, 65534), 0);
	assert_int_equal(chmod(key_path(f), 0640), 0);
	(void)generate(f, NOW + DAY);

	assert_int_equal(stat(key_path(f), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (geteuid() == 0) {
		assert_int_equal(st.st_uid, 65534);
		assert_int_equal(st.st_gid, 65534);
	}
	text = read_file(key_path(f), &size);
	assert_memory_equal(text, old, strlen(old));
	assert_memory_equal(text + strlen(old), "\n2023-11-15 ", 12);
	free(text);
	assert_int_equal(read_keys(f).count, 2);
}

static void test_generate_through_a_link(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(symlink("real.key", key_path(f)), 0);
	assert_not_generated(f, "follow it");
	write_file(in_folder(f, "real.key"), "", 0);
	assert_int_equal(chmod(in_folder(f, "real.key"), 0600), 0);
	(void)generate(f, NOW);
	assert_int_equal(lstat(key_path(f), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(read_keys(f).count, 1);
}

static void test_generate_refuses(void **state)
{
	struct fixture *f = *state;

	write_keys(f, "something else\n");
	assert_not_generated(f, "line 1 is not");
	assert_false(exists(in_folder(f, "site.key.new")));
	write_keys(f, "2023-11-14 " HEX_A "\n");
	assert_int_equal(chmod(key_path(f), 0644), 0);
	assert_not_generated(f, "all users of this host");
	assert_int_equal(chmod(key_path(f), 0600), 0);
	write_file(in_folder(f, "site.key.new"), "", 0);
	assert_not_generated(f, "site.key.new exists");
	assert_true(exists(in_folder(f, "site.key.new")));
	assert_int_equal(read_keys(f).count, 1);
}

static void test_generate_when_full(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(65537);

	memset(text, '\n', 65536);
	text[65536] = '\0';
	memcpy(text, "2023-11-14 " HEX_A, strlen("2023-11-14 " HEX_A));
	write_keys(f, text);
	free(text);
	assert_int_equal(read_keys(f).count, 1);
	assert_not_generated(f, "it is full");
}

static bool make_five_keys(struct fixture *f, int number)
{
	(void)number;
	for (unsigned int made = 0; made < 5;) {
		struct serial_key key;
		char *error;

		if (site_key_generate(key_path(f), NOW, &key, &error) == 0)
			made++;
		else if (strstr(error, "another process") != NULL)
			free(error);
		else
			return complain("generate", error);
	}
	return true;
}

static void test_generate_at_once(void **state)
{
	struct fixture *f = *state;
	pid_t pids[4];

	for (int i = 0; i < 4; i++)
		pids[i] = start_child(f, make_five_keys, i);
	for (int i = 0; i < 4; i++)
		assert_true(wait_child(pids[i]));
	assert_int_equal(read_keys(f).count, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(test_read),
		room_test(test_bad_lines),
		room_test(test_nul_in_a_line),
		room_test(test_no_keys),
		room_test(test_modes),
		room_test(test_no_regular_file),
		room_test(test_too_large),
		room_test(test_more_keys_than_fit),
		room_test(test_generate),
		room_test(test_generate_keeps_what_is_there),
		room_test(test_generate_through_a_link),
		room_test(test_generate_refuses),
		room_test(test_generate_when_full),
		room_test(test_generate_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
