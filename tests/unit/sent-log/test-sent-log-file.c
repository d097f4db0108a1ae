/* The sent log's file: how it is made, opened, migrated, replaced, restored,
   corrupted, locked, full and written by many. Real files, real SQLite, other
   processes where it is about other processes. */

#include "test-sent-log-common.h"

#include <glob.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define MESSAGE_ID SENT_LOG_IDENTITY_MESSAGE_ID

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Files in the folder that match. */
static size_t count_files(struct fixture *f, const char *pattern)
{
	glob_t found;
	size_t files = 0;

	if (glob(in_folder(f, pattern), 0, NULL, &found) == 0) {
		files = found.gl_pathc;
		globfree(&found);
	}
	return files;
}

/* SQLite's file format: the read version is 2 in WAL mode. */
static bool is_wal(const char *path)
{
	size_t size;
	char *content = read_file(path, &size);
	bool wal;

	assert_true(size > 18);
	wal = content[18] == 2;
	free(content);
	return wal;
}

static int add_to(struct sent_log *log, const char *message_id,
		  const char **error_r)
{
	struct sent_log_identity identity = { MESSAGE_ID, message_id };
	struct sent_log_message message = {
		.source = SENT_LOG_SOURCE_SUBMISSION,
		.identities = &identity,
		.identity_count = 1,
		.logged_at = NOW,
	};

	return sent_log_add(log, &message, 1, NOW, error_r);
}

static int find_in(struct sent_log *log, const char *message_id,
		   const char **error_r)
{
	struct sent_log_identity identity = { MESSAGE_ID, message_id };
	struct sent_log_entry entry;

	return sent_log_find(log, &identity, NULL, 0, NOW, &entry, error_r);
}

/* A process that holds something until it is told to end. */
struct holder {
	pid_t pid;
	int ready[2], end[2];
};

static void holder_start(struct holder *holder, struct fixture *f,
			 bool (*hold)(struct fixture *f))
{
	char byte;

	assert_int_equal(pipe(holder->ready), 0);
	assert_int_equal(pipe(holder->end), 0);
	holder->pid = fork();
	assert_true(holder->pid >= 0);
	if (holder->pid == 0) {
		close(holder->end[1]);
		if (!hold(f))
			_exit(1);
		(void)!write(holder->ready[1], "1", 1);
		(void)!read(holder->end[0], &byte, 1);
		_exit(0);
	}
	close(holder->ready[1]);
	close(holder->end[0]);
	assert_int_equal(read(holder->ready[0], &byte, 1), 1);
	close(holder->ready[0]);
}

static void holder_end(struct holder *holder)
{
	close(holder->end[1]);
	(void)wait_child(holder->pid);
}

static int64_t now_msecs(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Making it */

static void test_init_touches_no_file(void **state)
{
	struct fixture *f = *state;

	fixture_reopen(f);
	assert_int_equal(count_files(f, "*"), 0);
}

static void test_mode_is_0600(void **state)
{
	struct fixture *f = *state;
	static const mode_t umasks[] = { 0, 022, 0777 };

	for (unsigned int i = 0; i < 3; i++) {
		mode_t old = umask(umasks[i]);

		assert_done(f, add(f, "a", "ann@example.net"));
		assert_done(f, sent_log_mark_gap(f->log, &f->error));
		umask(old);
		assert_int_equal(mode_of(f->path), 0600);
		assert_int_equal(mode_of(in_folder(f, "log.db-wal")), 0600);
		assert_int_equal(mode_of(in_folder(f, "log.db-shm")), 0600);
		assert_int_equal(mode_of(in_folder(f, "log.db.lock")), 0600);
		assert_int_equal(mode_of(in_folder(f, "log.db.gap")), 0600);
		fixture_reopen(f);
		assert_int_equal(unlink(f->path), 0);
		assert_int_equal(unlink(in_folder(f, "log.db.lock")), 0);
		assert_int_equal(unlink(in_folder(f, "log.db.gap")), 0);
		assert_int_equal(count_files(f, "*"), 0);
	}
}

static void test_journal_mode(void **state)
{
	struct fixture *f = *state;
	static const bool network[] = { false, true, false, true };
	char value[32];

	for (unsigned int i = 0; i < 4; i++) {
		f->set.network_filesystem = network[i];
		fixture_reopen(f);
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, NULL));
		assert_int_equal(is_wal(f->path), !network[i]);
		assert_int_equal(exists(in_folder(f, "log.db-wal")),
				 !network[i]);
		for (unsigned int j = 0; j <= i; j++) {
			snprintf(value, sizeof(value), "%u", j);
			assert_done(f, find(f, value));
		}
	}
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_CREATED);
}

/* As long as one has it open in the old mode, the old mode holds for both. */
static void test_journal_mode_of_two(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other;

	assert_done(f, add(f, "a", NULL));
	f->set.network_filesystem = true;
	other = another_handle(f);
	assert_done(f, add_to(other, "b", &f->error));
	assert_true(is_wal(f->path));
	assert_done(f, find(f, "b"));
	assert_done(f, add(f, "c", NULL));
	assert_done(f, find_in(other, "c", &f->error));
	sent_log_deinit(&other);
	fixture_reopen(f);
	assert_done(f, find(f, "c"));
	assert_false(is_wal(f->path));

	/* the other way round, an idle handle follows */
	f->set.network_filesystem = false;
	other = another_handle(f);
	assert_done(f, add_to(other, "d", &f->error));
	assert_true(is_wal(f->path));
	assert_done(f, add(f, "e", NULL));
	assert_done(f, find_in(other, "e", &f->error));
	assert_done(f, find(f, "d"));
	sent_log_deinit(&other);
}

static void test_two_handles_at_once(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other = another_handle(f);
	char value[32];

	for (unsigned int i = 0; i < 20; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, i % 2 == 0 ? add(f, value, NULL) :
					    add_to(other, value, &f->error));
		assert_done(f, find(f, value));
		assert_done(f, find_in(other, value, &f->error));
	}
	sent_log_deinit(&other);
	assert_done(f, add(f, "after", NULL));
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), 21);
}

static void test_no_notice_function(void **state)
{
	struct fixture *f = *state;

	f->set.notice = NULL;
	fixture_reopen(f);
	write_file(f->path, "no database", 11);
	assert_failed(f, find(f, "a"), "moved to");
	assert_done(f, add(f, "a", NULL));
}

/* What is no place for a log */

static void set_path(struct fixture *f, const char *name)
{
	snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
	fixture_reopen(f);
}

static void test_missing_folder(void **state)
{
	struct fixture *f = *state;

	set_path(f, "missing/log.db");
	assert_failed(f, add(f, "a", NULL), "missing/log.db.lock: No such");
	assert_failed(f, find(f, "a"), "No such file or directory");
	assert_failed(f, sent_log_mark_gap(f->log, &f->error),
		      "missing/log.db.gap: No such");
	assert_none(f, sent_log_expire(f->log, NOW, 1, &f->error));
}

static void test_path_is_a_directory(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_failed(f, sent_log_open(f->log, NOW, &f->error),
		      "not a regular file");
	assert_true(exists(f->path));
}

static void test_folder_is_a_file(void **state)
{
	struct fixture *f = *state;

	write_file(f->path, "x", 1);
	set_path(f, "log.db/log.db");
	assert_failed(f, sent_log_open(f->log, NOW, &f->error),
		      "Not a directory");
	assert_failed(f, sent_log_mark_gap(f->log, &f->error),
		      "Not a directory");
}

static void test_name_too_long(void **state)
{
	struct fixture *f = *state;
	char *path = sent_log_alloc(5001);

	memset(path, 'x', 5000);
	path[0] = '/';
	f->set.path = path;
	fixture_reopen(f);
	assert_failed(f, sent_log_open(f->log, NOW, &f->error), "too long");
	assert_failed(f, find(f, "a"), "too long");
	free(path);
}

/* Above the log they are the administrator's. */
static void test_symbolic_link_to_the_folder(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(in_folder(f, "real"), 0700), 0);
	assert_int_equal(symlink("real", in_folder(f, "link")), 0);
	set_path(f, "link/log.db");
	assert_done(f, add(f, "a", NULL));
	assert_true(exists(in_folder(f, "real/log.db-wal")));
	set_path(f, "real/log.db");
	assert_done(f, find(f, "a"));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_CREATED);
}

/* Read-only: in a process that is not root. */

static bool become_nobody(struct fixture *f)
{
	if (geteuid() != 0)
		return true;
	(void)f;
	return setgid(65534) == 0 && setuid(65534) == 0;
}

static void give_to_nobody(struct fixture *f)
{
	glob_t found;

	if (geteuid() != 0)
		return;
	assert_int_equal(chown(f->folder, 65534, 65534), 0);
	if (glob(in_folder(f, "*"), 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			assert_int_equal(chown(found.gl_pathv[i], 65534, 65534),
					 0);
		globfree(&found);
	}
}

static bool fails_with(struct fixture *f, const char *text)
{
	bool ok = true;

	if (!become_nobody(f))
		return false;
	for (unsigned int i = 0; i < 2; i++) {
		ok = expect(add(f, "b", NULL) == -1, "add", "worked") && ok;
		ok = expect(strstr(f->error, text) != NULL, text, f->error) &&
		     ok;
		ok = expect(find(f, "a") == -1, "find", "worked") && ok;
		ok = expect(strstr(f->error, text) != NULL, text, f->error) &&
		     ok;
	}
	return ok;
}

static bool read_only_file(struct fixture *f, int number)
{
	(void)number;
	return fails_with(f, "file is read-only");
}

static void test_read_only_file(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	give_to_nobody(f);
	assert_int_equal(chmod(f->path, 0400), 0);
	run_child(f, read_only_file);
}

static bool read_only_folder(struct fixture *f, int number)
{
	(void)number;
	return fails_with(f, "is not writable (Permission denied)");
}

static void test_read_only_folder(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	give_to_nobody(f);
	assert_int_equal(chmod(f->folder, 0500), 0);
	run_child(f, read_only_folder);
	assert_int_equal(chmod(f->folder, 0700), 0);
}

static bool read_only_empty_folder(struct fixture *f, int number)
{
	(void)number;
	return fails_with(f, "log.db.lock: Permission denied") &&
	       expect(sent_log_mark_gap(f->log, &f->error) == -1 &&
			      strstr(f->error, "Permission denied") != NULL,
		      "gap", f->error);
}

static void test_read_only_empty_folder(void **state)
{
	struct fixture *f = *state;

	give_to_nobody(f);
	assert_int_equal(chmod(f->folder, 0500), 0);
	run_child(f, read_only_empty_folder);
	assert_int_equal(chmod(f->folder, 0700), 0);
}

static bool unreadable_file(struct fixture *f, int number)
{
	(void)number;
	return fails_with(f, "can't open");
}

static void test_unreadable_file(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	fixture_reopen(f);
	give_to_nobody(f);
	assert_int_equal(chmod(f->path, 0), 0);
	run_child(f, unreadable_file);
	assert_int_equal(count_files(f, "*corrupt*"), 0);
}

static bool forbidden_folder(struct fixture *f, int number)
{
	(void)number;
	return fails_with(f, "Permission denied");
}

static void test_forbidden_folder(void **state)
{
	struct fixture *f = *state;

	give_to_nobody(f);
	assert_int_equal(chmod(f->folder, 0), 0);
	run_child(f, forbidden_folder);
	assert_int_equal(chmod(f->folder, 0700), 0);
}

/* An imap process has it open, then the disk turns read-only (here: the folder,
   in which a rollback journal has to be made). */
static bool folder_turns_read_only(struct fixture *f, int number)
{
	(void)number;
	return become_nobody(f) &&
	       expect(add(f, "a", NULL) == 1, "add", f->error) &&
	       chmod(f->folder, 0500) == 0 &&
	       expect(add(f, "b", NULL) == -1, "add", "worked") &&
	       expect(find(f, "a") == 1, "find", f->error) &&
	       chmod(f->folder, 0700) == 0 &&
	       expect(add(f, "b", NULL) == 1, "add", f->error);
}

static void test_folder_turns_read_only(void **state)
{
	struct fixture *f = *state;

	give_to_nobody(f);
	run_child(f, folder_turns_read_only);
}

/* Versions */

static void test_empty_file(void **state)
{
	struct fixture *f = *state;

	for (size_t size = 0; size < 2; size++) {
		fixture_reopen(f);
		write_file(f->path, "", size);
		assert_done(f, add(f, "a", NULL));
		assert_int_equal(mode_of(f->path), 0600);
		assert_int_equal(coverage_at(f, NOW).start, NOW);
		assert_non_null(strstr(f->notices, "empty"));
		f->notices[0] = '\0';
	}
}

static void test_empty_database(void **state)
{
	struct fixture *f = *state;

	exec_sql(f->path, "CREATE TABLE x (y); DROP TABLE x");
	assert_done(f, add(f, "a", NULL));
	assert_done(f, find(f, "a"));
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	assert_true(is_wal(f->path));
	assert_string_equal(f->notices, "");
}

static void assert_untouched(struct fixture *f, const char *text)
{
	size_t size, size_after;
	char *content = read_file(f->path, &size), *after;
	ino_t inode = inode_of(f->path);
	struct sent_log_coverage coverage;

	assert_failed(f, sent_log_open(f->log, NOW, &f->error), text);
	assert_failed(f, add(f, "b", NULL), text);
	assert_failed(f, find(f, "a"), text);
	assert_failed(f, sent_log_get_coverage(f->log, NOW, &coverage,
					       &f->error),
		      text);
	sent_log_deinit(&f->log);
	assert_int_equal(inode_of(f->path), inode);
	after = read_file(f->path, &size_after);
	assert_int_equal(size, size_after);
	assert_memory_equal(content, after, size);
	free(content);
	free(after);
}

static void test_newer_version(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	exec_sql(f->path, "PRAGMA user_version = 4711");
	f->log = sent_log_init(&f->set);
	assert_untouched(f, "newer dovecot-backscatter (schema version 4711, "
			    "this one knows ");
}

static void test_database_of_another_program(void **state)
{
	struct fixture *f = *state;

	exec_sql(f->path, "CREATE TABLE precious (x)");
	assert_untouched(f, "another program");
}

static void test_database_of_another_program_with_version(void **state)
{
	struct fixture *f = *state;

	exec_sql(f->path, "PRAGMA user_version = 1");
	assert_untouched(f, "another program");
}

/* Ours, but an index is gone: nobody knows why, so nothing is moved. */
static void test_missing_index(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	exec_sql(f->path, "DROP INDEX recipient_address");
	f->log = sent_log_init(&f->set);
	assert_failed(f, find(f, "a"), "index recipient_address is missing");
	assert_failed(f, add(f, "b", NULL), "recipient_address is missing");
	assert_int_equal(count_files(f, "*corrupt*"), 0);
}

/* Corrupt files */

static void random_bytes(const char *path, size_t size, bool with_header)
{
	unsigned char *bytes = malloc(size);
	uint32_t x = 12345;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(x >> 24);
	}
	if (with_header) {
		memset(bytes, 0, size < 100 ? size : 100);
		memcpy(bytes, "SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20",
		       24);
	}
	write_file(path, bytes, size);
	free(bytes);
}

static void assert_replaced(struct fixture *f, size_t moved)
{
	struct sent_log_coverage coverage;

	assert_int_equal(count_files(f, "log.db.corrupt-*[!mlk]"), moved);
	assert_non_null(strstr(f->notices, "is corrupt"));
	assert_done(f, add(f, "after", NULL));
	assert_done(f, find(f, "after"));
	coverage = coverage_at(f, NOW);
	assert_int_equal(coverage.start, NOW);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_CORRUPT);
	assert_int_equal(mode_of(f->path), 0600);
}

static void test_random_bytes(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 2,    2,    50,	   100,	 512,
					1000, 4096, 10000, 100000 };
	size_t size;
	glob_t found;

	for (unsigned int i = 0; i < 18; i++) {
		sent_log_deinit(&f->log);
		f->log = sent_log_init(&f->set);
		random_bytes(f->path, sizes[i / 2], i % 2 != 0 && i > 9);
		assert_failed(f, add(f, "a", NULL), "moved to");
		assert_replaced(f, i + 1);
	}
	/* the first is still what it was */
	assert_int_equal(glob(in_folder(f, "log.db.corrupt-*"), 0, NULL,
			      &found), 0);
	assert_int_equal(found.gl_pathc, 18);
	free(read_file(found.gl_pathv[0], &size));
	assert_int_equal(size, 2);
	globfree(&found);
}

static int call_any(struct fixture *f, unsigned int number)
{
	struct sent_log_identity identity = { MESSAGE_ID, "a" };
	struct sent_log_coverage coverage;
	struct sent_log_report_count reports;
	struct sent_log_row row;
	size_t rows;
	uint64_t messages;

	sent_log_begin(f->log);
	switch (number) {
	case 0:
		return sent_log_open(f->log, NOW, &f->error);
	case 1:
		return add(f, "a", NULL);
	case 2:
		return find(f, "a");
	case 3:
		return sent_log_find_recipient(f->log, "a", NOW, &f->error);
	case 4:
		return sent_log_get_report_count(f->log, &identity, "mdn", "",
						 &reports, &f->error);
	case 5:
		return sent_log_count_report(f->log, &identity, "mdn", NULL, 0,
					     NOW, &f->error);
	case 6:
		return sent_log_get_coverage(f->log, NOW, &coverage, &f->error);
	case 7:
		return sent_log_set_coverage(f->log, NOW, SENT_LOG_COVERAGE_SET,
					     NOW, &f->error);
	case 8:
		return sent_log_set_listed_sources(f->log, NOW, &f->error);
	case 9:
		return sent_log_find_unlisted_copy(f->log, 0, NOW, &row,
						   &f->error);
	case 10:
		return sent_log_list(f->log, 0, &row, 1, &rows, &f->error);
	case 11:
		return sent_log_count(f->log, SENT_LOG_SOURCE_SENT, &messages,
				      &f->error);
	case 12:
		return sent_log_expire(f->log, NOW, 1, &f->error);
	}
	return -2;
}
#define CALLS 13

static void test_every_call_finds_it_corrupt(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < CALLS; i++) {
		sent_log_deinit(&f->log);
		f->log = sent_log_init(&f->set);
		random_bytes(f->path, 5000, false);
		assert_failed(f, call_any(f, i), "moved to");
		assert_int_equal(count_files(f, "log.db.corrupt-*"), i + 1);
		assert_true(call_any(f, i) >= 0);
	}
}

static void test_truncated(void **state)
{
	struct fixture *f = *state;
	static const off_t sizes[] = { 10, 100, 4096, 20480 };

	for (unsigned int i = 0; i < 4; i++) {
		assert_done(f, add(f, "a", "ann@example.net"));
		fixture_reopen(f);
		assert_int_equal(truncate(f->path, sizes[i]), 0);
		assert_failed(f, find(f, "a"), "moved to");
		assert_replaced(f, i + 1);
	}
}

/* Perhaps a later SQLite's: nobody knows, so it is left alone. */
static void test_unknown_file_format(void **state)
{
	struct fixture *f = *state;
	size_t size;
	char *content;

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	content = read_file(f->path, &size);
	content[47] = 5;
	write_file(f->path, content, size);
	free(content);
	f->log = sent_log_init(&f->set);
	assert_untouched(f, "unsupported file format");
}

/* The pages inside are random, the first is not. */
static void test_corrupt_inside(void **state)
{
	struct fixture *f = *state;
	size_t size;
	char *content, value[32];

	for (unsigned int i = 0; i < 300; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	sent_log_deinit(&f->log);
	content = read_file(f->path, &size);
	memset(content + 8192, 0x5a, size - 8192);
	write_file(f->path, content, size);
	free(content);
	f->log = sent_log_init(&f->set);
	assert_failed(f, find(f, "7"), "moved to");
	assert_replaced(f, 1);
}

static void test_corrupt_with_its_wal(void **state)
{
	struct fixture *f = *state;

	random_bytes(f->path, 5000, false);
	random_bytes(in_folder(f, "log.db-wal"), 6000, false);
	random_bytes(in_folder(f, "log.db-shm"), 7000, false);
	assert_failed(f, find(f, "a"), "moved to");
	assert_int_equal(count_files(f, "log.db.corrupt-*Z"), 1);
	assert_int_equal(count_files(f, "log.db.corrupt-*Z-wal"), 1);
	assert_int_equal(count_files(f, "log.db.corrupt-*Z-shm"), 1);
	assert_replaced(f, 1);
}

static void test_meta_is_gone(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	exec_sql(f->path, "DELETE FROM meta");
	/* open: the key is known, but coverage is not */
	assert_done(f, find(f, "a"));
	assert_failed(f, call_any(f, 6), "moved to");
	assert_replaced(f, 1);

	exec_sql(f->path, "UPDATE meta SET hash_key = x'00'");
	fixture_reopen(f);
	assert_failed(f, find(f, "a"), "hash key is missing; moved to");
	assert_replaced(f, 2);
}

/* Whoever comes second must not move the new one. */
static void test_corrupt_for_two_handles(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other = another_handle(f);
	char value[32];
	int fd;
	size_t size;
	char *garbage = calloc(1, 200000);

	for (unsigned int i = 0; i < 300; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	assert_done(f, find_in(other, "1", &f->error));
	exec_sql(f->path, "PRAGMA wal_checkpoint(TRUNCATE)");
	free(read_file(f->path, &size));
	fd = open(f->path, O_WRONLY);
	assert_int_equal(pwrite(fd, garbage, size - 4096, 4096), size - 4096);
	close(fd);
	free(garbage);

	/* the other has some of it in memory */
	fixture_reopen(f);
	assert_int_equal(add(f, "new", "new"), -1);
	assert_int_equal(count_files(f, "log.db.corrupt-*Z"), 1);
	assert_done(f, add(f, "newer", NULL));
	(void)add_to(other, "newest", &f->error);
	assert_done(f, add_to(other, "newest", &f->error));
	assert_int_equal(count_files(f, "log.db.corrupt-*Z"), 1);
	assert_done(f, find_in(other, "newer", &f->error));
	assert_done(f, find(f, "newest"));
	sent_log_deinit(&other);
}

/* Another file at the path */

static void make_other(struct fixture *f, const char *path)
{
	struct sent_log *other;

	f->set.path = path;
	other = sent_log_init(&f->set);
	assert_done(f, add_to(other, "other", &f->error));
	sent_log_deinit(&other);
	f->set.path = f->path;
}

static void test_replaced_while_open(void **state)
{
	struct fixture *f = *state;
	const char *other_path = in_folder(f, "other.db");

	make_other(f, other_path);
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(rename(other_path, f->path), 0);
	assert_done(f, add(f, "b", NULL));
	assert_done(f, find(f, "b"));
	assert_done(f, find(f, "other"));
	assert_none(f, find(f, "a"));
	/* it has lived elsewhere, so who knows what it missed */
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), 2);
	fixture_reopen(f);
	assert_done(f, find(f, "b"));
	assert_intact(f->path);
}

/* What the predecessor had in its -wal must not be read into the new file,
   whoever opens it first. */
static void test_replaced_beside_its_wal(void **state)
{
	struct fixture *f = *state;
	const char *other_path = in_folder(f, "other.db");
	struct sent_log *delivery = another_handle(f);

	make_other(f, other_path);
	assert_done(f, add(f, "a", "ann@example.net"));
	assert_int_equal(rename(other_path, f->path), 0);
	assert_true(exists(in_folder(f, "log.db-wal")));
	assert_done(f, find_in(delivery, "other", &f->error));
	assert_none(f, find_in(delivery, "a", &f->error));
	assert_done(f, add_to(delivery, "b", &f->error));
	assert_done(f, find(f, "b"));
	assert_intact(f->path);
	assert_int_equal(count_files(f, "log.db.left-*-wal"), 1);
	assert_non_null(strstr(f->notices, "another file stood here before"));
	sent_log_deinit(&delivery);
}

static void test_deleted_while_open(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW - DAY, &f->error));
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(unlink(f->path), 0);
	assert_none(f, find(f, "a"));
	assert_done(f, add(f, "b", NULL));
	assert_int_equal(mode_of(f->path), 0600);
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	/* nothing of the old -wal has got into it */
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), 1);
	assert_intact(f->path);
	fixture_reopen(f);
	assert_done(f, find(f, "b"));
	assert_none(f, find(f, "a"));
}

static void test_moved_away_while_open(void **state)
{
	struct fixture *f = *state;
	const char *away = in_folder(f, "away.db");
	size_t size, size_after;

	assert_done(f, add(f, "a", NULL));
	assert_int_equal(rename(f->path, away), 0);
	free(read_file(away, &size));
	for (unsigned int i = 0; i < 5; i++)
		assert_done(f, add(f, "b", "ann@example.net"));
	free(read_file(away, &size_after));
	assert_int_equal(size, size_after);
	assert_none(f, find(f, "a"));
	assert_done(f, find(f, "b"));
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), 1);
	assert_intact(f->path);
}

static void test_emptied_while_open(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	assert_int_equal(truncate(f->path, 0), 0);
	assert_done(f, add(f, "b", NULL));
	assert_done(f, find(f, "b"));
	assert_none(f, find(f, "a"));
}

static void test_handle_of_a_moved_file_harms_nothing(void **state)
{
	struct fixture *f = *state;
	struct sent_log *old = another_handle(f);
	char value[32];

	assert_done(f, add_to(old, "a", &f->error));
	assert_int_equal(unlink(f->path), 0);
	for (unsigned int i = 0; i < 50; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	/* its checkpoint would write into the -wal of the new one */
	sent_log_deinit(&old);
	for (unsigned int i = 50; i < 100; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, add(f, value, value));
	}
	fixture_reopen(f);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_done(f, find(f, value));
	}
	assert_intact(f->path);
}

static void test_lock_file_is_removed(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	assert_int_equal(unlink(in_folder(f, "log.db.lock")), 0);
	assert_done(f, add(f, "b", NULL));
	struct sent_log *other = another_handle(f);
	assert_done(f, find_in(other, "b", &f->error));
	assert_done(f, add_to(other, "c", &f->error));
	assert_done(f, find(f, "c"));
	sent_log_deinit(&other);
	write_file(in_folder(f, "log.db.lock"), "nonsense", 8);
	fixture_reopen(f);
	assert_done(f, find(f, "c"));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_CREATED);
	assert_int_equal(count_files(f, "log.db.left*"), 0);
}

/* Copies */

static void assert_restored(struct fixture *f, time_t now)
{
	struct sent_log_coverage coverage = coverage_at(f, now);

	assert_int_equal(coverage.start, now);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_RESTORED);
	assert_non_null(strstr(f->notices, "copied or restored"));
	/* once */
	fixture_reopen(f);
	f->notices[0] = '\0';
	assert_int_equal(coverage_at(f, now + 5).start, now);
	assert_string_equal(f->notices, "");
}

static void test_restored_copy(void **state)
{
	struct fixture *f = *state;
	const char *backup = in_folder(f, "backup.db");

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	copy_file(f->path, backup);
	f->log = sent_log_init(&f->set);
	assert_done(f, add(f, "b", NULL));
	sent_log_deinit(&f->log);

	/* the freed inode may well be given out again */
	assert_int_equal(unlink(f->path), 0);
	copy_file(backup, f->path);
	f->log = sent_log_init(&f->set);
	assert_done(f, find(f, "a"));
	assert_none(f, find(f, "b"));
	assert_restored(f, NOW);
}

/* With a clock that has fallen back, too, and no row to tell. */
static void test_restored_by_a_fallen_clock(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	sent_log_deinit(&f->log);
	copy_file(f->path, in_folder(f, "copy.db"));
	assert_int_equal(rename(in_folder(f, "copy.db"), f->path), 0);
	f->log = sent_log_init(&f->set);
	assert_done(f, sent_log_open(f->log, NOW - 400 * DAY, &f->error));
	assert_int_equal(coverage_at(f, NOW + 1).start, NOW + 1);
}

static void test_restored_while_open(void **state)
{
	struct fixture *f = *state;
	const char *backup = in_folder(f, "backup.db");

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	copy_file(f->path, backup);
	f->log = sent_log_init(&f->set);
	assert_done(f, add(f, "b", NULL));
	assert_int_equal(rename(backup, f->path), 0);
	assert_restored(f, NOW + 7);
	assert_done(f, find(f, "a"));
	assert_none(f, find(f, "b"));
}

/* Copied to another host, with the -wal of a process that was writing. */
static void test_restored_with_its_wal(void **state)
{
	struct fixture *f = *state;
	const char *copy = in_folder(f, "copy.db");

	assert_done(f, add(f, "a", NULL));
	copy_file(f->path, copy);
	copy_file(in_folder(f, "log.db-wal"), in_folder(f, "copy.db-wal"));
	sent_log_deinit(&f->log);
	f->set.path = copy;
	f->log = sent_log_init(&f->set);
	assert_done(f, find(f, "a"));
	assert_restored(f, NOW);
	f->set.path = f->path;
}

static void test_renamed_folder_is_no_copy(void **state)
{
	struct fixture *f = *state;
	const char *moved = in_folder(f, "renamed.db");

	assert_done(f, add(f, "a", NULL));
	sent_log_deinit(&f->log);
	assert_int_equal(rename(f->path, moved), 0);
	f->set.path = moved;
	f->log = sent_log_init(&f->set);
	assert_done(f, find(f, "a"));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_CREATED);
	f->set.path = f->path;
}

/* The gap mark */

static void assert_gap(struct fixture *f, time_t now)
{
	struct sent_log_coverage coverage = coverage_at(f, now);

	assert_int_equal(coverage.start, now);
	assert_int_equal(coverage.cause, SENT_LOG_COVERAGE_GAP);
	assert_non_null(strstr(f->notices, "without being logged"));
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	f->notices[0] = '\0';
}

static void test_gap_mark(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	/* seen by whoever asks */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_true(exists(in_folder(f, "log.db.gap")));
	assert_gap(f, NOW + 10);

	/* by whoever writes */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_done(f, add_at(f, SENT_LOG_SOURCE_SUBMISSION, "a", NULL,
			      NOW + 20, NOW + 20));
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	assert_int_equal(coverage_at(f, NOW + 30).start, NOW + 20);
	assert_done(f, find_kind(f, MESSAGE_ID, "a", NULL, NOW + 30,
				 &(struct sent_log_entry){ 0 }));

	/* by whoever opens */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	fixture_reopen(f);
	assert_done(f, sent_log_open(f->log, NOW + 40, &f->error));
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	assert_int_equal(coverage_at(f, NOW + 50).start, NOW + 40);
	assert_int_equal(coverage_at(f, NOW + 50).cause, SENT_LOG_COVERAGE_GAP);
}

static void test_gap_mark_is_renewed(void **state)
{
	struct fixture *f = *state;
	const struct timespec old[2] = { { .tv_sec = 1000 },
					 { .tv_sec = 1000 } };
	struct stat st;

	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(count_files(f, "*"), 1);
	assert_int_equal(utimensat(AT_FDCWD, in_folder(f, "log.db.gap"), old,
				   0), 0);
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(stat(in_folder(f, "log.db.gap"), &st), 0);
	assert_true(st.st_mtime > NOW);
	assert_int_equal(st.st_size, 0);
}

/* A process died between the rename and the commit. */
static void test_gap_taken_but_not_committed(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(rename(in_folder(f, "log.db.gap"),
				in_folder(f, "log.db.gap-taken")), 0);
	assert_gap(f, NOW + 10);
}

/* A mark that has been taken, and coverage that speaks of it. */
static void leave_committed_mark(struct fixture *f, const char *taken)
{
	struct stat st;
	char sql[160];

	write_file(taken, "", 0);
	assert_int_equal(stat(taken, &st), 0);
	snprintf(sql, sizeof(sql), "UPDATE meta SET gap_inode = %lld,"
		 " gap_time = %lld", (long long)st.st_ino,
		 (long long)st.st_mtim.tv_sec * 1000000000 +
			 st.st_mtim.tv_nsec);
	exec_sql(f->path, sql);
}

/* A process died between the commit and the unlink: counted once. */
static void test_gap_committed_but_not_removed(void **state)
{
	struct fixture *f = *state;
	const char *taken = in_folder(f, "log.db.gap-taken");

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	leave_committed_mark(f, taken);
	assert_int_equal(coverage_at(f, NOW + 20).start, NOW);
	assert_false(exists(taken));
	assert_string_equal(f->notices, "");

	/* with a new mark beside it */
	leave_committed_mark(f, taken);
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_gap(f, NOW + 40);
}

/* The transaction that took it up fails. */
static void test_gap_survives_a_rollback(void **state)
{
	struct fixture *f = *state;

	assert_done(f, add(f, "a", NULL));
	exec_sql(f->path, "CREATE UNIQUE INDEX full ON message (source)");
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_failed(f, add(f, "b", NULL), "UNIQUE");
	assert_int_equal(count_files(f, "log.db.gap*"), 1);
	assert_string_equal(f->notices, "");
	assert_gap(f, NOW + 10);
}

static void test_gap_without_a_log(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(coverage_at(f, NOW + 5).start, NOW);
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
}

/* The administrator's word was given before he could know of the mark. */
static void test_gap_before_set_coverage(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_open(f->log, NOW, &f->error));
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	assert_int_equal(sent_log_set_coverage(f->log, NOW - DAY,
					       SENT_LOG_COVERAGE_SET, NOW,
					       &f->error), 0);
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
	assert_done(f, sent_log_set_coverage(f->log, NOW - DAY,
					     SENT_LOG_COVERAGE_SET, NOW,
					     &f->error));
	assert_int_equal(coverage_at(f, NOW).start, NOW - DAY);
}

static bool mark_gap_100_times(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	const char *error = "";
	bool ok = true;

	(void)number;
	for (unsigned int i = 0; i < 100 && ok; i++)
		ok = expect(sent_log_mark_gap(log, &error) == 1, "mark", error);
	sent_log_deinit(&log);
	return ok;
}

/* After the last mark there is one more new start. */
static void test_gap_marks_while_others_write(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other = another_handle(f);
	pid_t pid;
	int status;

	assert_done(f, add(f, "a", NULL));
	pid = start_child(f, mark_gap_100_times, 0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		assert_done(f, add(f, "a", NULL));
		assert_done(f, add_to(other, "a", &f->error));
	}
	assert_int_equal(status, 0);
	sent_log_deinit(&other);
	assert_done(f, add(f, "a", NULL));
	assert_int_equal(coverage_at(f, NOW).cause, SENT_LOG_COVERAGE_GAP);
	assert_int_equal(count_files(f, "log.db.gap*"), 0);
}

/* Locks */

static bool hold_exclusive(struct fixture *f)
{
	sqlite3 *db;

	return sqlite3_open(f->path, &db) == SQLITE_OK &&
	       sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE;"
				"BEGIN EXCLUSIVE; UPDATE meta SET id = 1",
			    NULL, NULL, NULL) == SQLITE_OK;
}

static bool hold_write_lock(struct fixture *f)
{
	sqlite3 *db;

	return sqlite3_open(f->path, &db) == SQLITE_OK &&
	       sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) ==
		       SQLITE_OK;
}

static bool hold_flock(struct fixture *f)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s.lock", f->path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	return fd >= 0 && flock(fd, LOCK_EX) == 0;
}

static void assert_locked(struct fixture *f, int ret, int64_t started)
{
	assert_int_equal(ret, -1);
	if (strstr(f->error, "locked by another process for ") == NULL)
		fail_msg("%s", f->error);
	assert_true(now_msecs() - started >= 100);
	/* generous: valgrind, a busy machine */
	assert_in_range(now_msecs() - started, 100, 2000);
}

static void test_locked_within_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct holder holder;
	int64_t started;

	assert_done(f, add(f, "a", NULL));
	f->set.deadline_msecs = 100;
	fixture_reopen(f);
	holder_start(&holder, f, hold_exclusive);
	for (unsigned int i = 0; i < CALLS; i++) {
		started = now_msecs();
		assert_locked(f, call_any(f, i), started);
	}
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	holder_end(&holder);
	/* and the handle works again */
	assert_done(f, find(f, "a"));
	assert_done(f, add(f, "b", NULL));
	assert_int_equal(count_files(f, "*corrupt*"), 0);
}

/* In WAL mode others' write lock keeps nobody from reading. */
static void test_write_lock(void **state)
{
	struct fixture *f = *state;
	struct holder holder;
	int64_t started;

	assert_done(f, add(f, "a", NULL));
	f->set.deadline_msecs = 100;
	fixture_reopen(f);
	assert_done(f, find(f, "a"));
	holder_start(&holder, f, hold_write_lock);
	assert_done(f, find(f, "a"));
	assert_int_equal(coverage_at(f, NOW).start, NOW);
	started = now_msecs();
	assert_locked(f, add(f, "b", NULL), started);
	started = now_msecs();
	assert_locked(f, call_any(f, 0), started);
	assert_done(f, find(f, "a"));
	holder_end(&holder);
	assert_done(f, add(f, "b", NULL));
}

static void test_creation_is_locked(void **state)
{
	struct fixture *f = *state;
	struct holder holder;
	int64_t started;

	f->set.deadline_msecs = 100;
	fixture_reopen(f);
	holder_start(&holder, f, hold_flock);
	started = now_msecs();
	assert_locked(f, add(f, "a", NULL), started);
	assert_false(exists(f->path));
	holder_end(&holder);
	assert_done(f, add(f, "a", NULL));

	/* an open log doesn't care */
	holder_start(&holder, f, hold_flock);
	assert_done(f, add(f, "b", NULL));
	fixture_reopen(f);
	assert_done(f, find(f, "b"));
	holder_end(&holder);
}

/* A corrupt file stays where it is until the lock is free. */
static void test_corrupt_but_locked(void **state)
{
	struct fixture *f = *state;
	struct holder holder;

	assert_done(f, add(f, "a", NULL));
	f->set.deadline_msecs = 50;
	fixture_reopen(f);
	random_bytes(f->path, 5000, false);
	holder_start(&holder, f, hold_flock);
	assert_failed(f, find(f, "a"), "locked by another process");
	assert_int_equal(count_files(f, "*corrupt*"), 0);
	holder_end(&holder);
	assert_failed(f, find(f, "a"), "moved to");
	assert_replaced(f, 1);
}

/* Many processes */

#define WRITERS 8
#define WRITER_ROWS 200

static bool writer(struct fixture *f, int number)
{
	struct sent_log *log = another_handle(f);
	const char *error = "";
	char value[64];
	bool ok = true;

	for (int i = 0; i < WRITER_ROWS && ok; i++) {
		snprintf(value, sizeof(value), "%d.%d@example.org", number, i);
		ok = expect(add_to(log, value, &error) == 1, value, error);
	}
	sent_log_deinit(&log);
	return ok;
}

static void test_eight_writers(void **state)
{
	struct fixture *f = *state;
	pid_t pids[WRITERS];
	char value[64];
	unsigned int reads = 0;

	f->set.deadline_msecs = 60000;
	fixture_reopen(f);
	for (int i = 0; i < WRITERS; i++)
		pids[i] = start_child(f, writer, i);
	/* a delivery reads meanwhile */
	do {
		int ret = find(f, "7.199@example.org");

		assert_true(ret >= 0);
		(void)coverage_at(f, NOW);
		if (reads++ % 10 == 0)
			fixture_reopen(f);
	} while (count(f, SENT_LOG_SOURCE_SUBMISSION) < WRITERS * WRITER_ROWS &&
		 reads < 100000);
	for (int i = 0; i < WRITERS; i++)
		assert_true(wait_child(pids[i]));

	for (int i = 0; i < WRITERS; i++) {
		for (int j = 0; j < WRITER_ROWS; j++) {
			snprintf(value, sizeof(value), "%d.%d@example.org", i,
				 j);
			assert_done(f, find(f, value));
		}
	}
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION),
			 WRITERS * WRITER_ROWS);
	assert_string_equal(f->notices, "");
	assert_int_equal(count_files(f, "*corrupt*"), 0);
	assert_intact(f->path);
}

static bool opening_writer(struct fixture *f, int number)
{
	char value[64];
	bool ok = true;

	for (int i = 0; i < 20 && ok; i++) {
		fixture_reopen(f);
		snprintf(value, sizeof(value), "%d.%d@example.org", number, i);
		ok = expect(add(f, value, NULL) == 1, value, f->error);
	}
	sent_log_deinit(&f->log);
	return ok;
}

/* As deliveries do: open, write, close; all begin with no log at all. */
static void test_eight_openers(void **state)
{
	struct fixture *f = *state;
	pid_t pids[WRITERS];

	f->set.deadline_msecs = 60000;
	fixture_reopen(f);
	for (int i = 0; i < WRITERS; i++)
		pids[i] = start_child(f, opening_writer, i);
	for (int i = 0; i < WRITERS; i++)
		assert_true(wait_child(pids[i]));
	assert_int_equal(count(f, SENT_LOG_SOURCE_SUBMISSION), WRITERS * 20);
	assert_done(f, find(f, "0.0@example.org"));
	assert_done(f, find(f, "7.19@example.org"));
}

/* Whoever finds it corrupt fails, perhaps others that had it open; and with a
   rollback journal also a writer whose journal one of those took for the moved
   file's ("disk I/O error"). All of that is over once it has been moved. */
#define CORRUPT_ATTEMPTS 50

static int start_writing[2];

static bool corrupt_writer(struct fixture *f, int number)
{
	char value[64], byte;
	int ret = -1;

	close(start_writing[1]);
	(void)!read(start_writing[0], &byte, 1);
	snprintf(value, sizeof(value), "%d@example.org", number);
	for (unsigned int i = 0; i < CORRUPT_ATTEMPTS && ret < 0; i++)
		ret = add(f, value, NULL);
	return expect(ret == 1, value, f->error);
}

/* How many of them see it before it has been moved is chance. */
static void test_eight_write_to_a_corrupt_one_and_it_is_replaced_once(void **state)
{
	struct fixture *f = *state;
	pid_t pids[WRITERS];
	char value[64];

	f->set.deadline_msecs = 60000;
	for (unsigned int round = 0; round < 5; round++) {
		fixture_reopen(f);
		random_bytes(f->path, 50000, false);
		assert_int_equal(pipe(start_writing), 0);
		for (int i = 0; i < WRITERS; i++)
			pids[i] = start_child(f, corrupt_writer, i);
		close(start_writing[0]);
		close(start_writing[1]);
		for (int i = 0; i < WRITERS; i++)
			assert_true(wait_child(pids[i]));
		assert_int_equal(count_files(f, "log.db.corrupt-*"), round + 1);
		for (int i = 0; i < WRITERS; i++) {
			snprintf(value, sizeof(value), "%d@example.org", i);
			assert_done(f, find(f, value));
		}
	}
}

/* What was acknowledged is there after a kill -9. */
static void test_killed_writer(void **state)
{
	struct fixture *f = *state;
	int acknowledged[2], last = -1, number;
	char value[64];
	pid_t pid;

	assert_int_equal(pipe(acknowledged), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0;; i++) {
			snprintf(value, sizeof(value), "%d", i);
			if (add(f, value, value) != 1 ||
			    write(acknowledged[1], &i, sizeof(i)) < 0)
				_exit(1);
		}
	}
	close(acknowledged[1]);
	while (last < 50 &&
	       read(acknowledged[0], &number, sizeof(number)) == sizeof(number))
		last = number;
	kill(pid, SIGKILL);
	(void)wait_child(pid);
	while (read(acknowledged[0], &number, sizeof(number)) == sizeof(number))
		last = number;
	close(acknowledged[0]);

	assert_true(last >= 50);
	for (int i = 0; i <= last; i++) {
		snprintf(value, sizeof(value), "%d", i);
		assert_done(f, find(f, value));
	}
	assert_done(f, add(f, "after", NULL));
	assert_string_equal(f->notices, "");
	assert_intact(f->path);
}

/* A full disk */

/* Adds until it fails; then what was there is still found, and once there is
   room again, everything works. */
static bool fill_up(struct fixture *f, unsigned int *added_r)
{
	char value[64];
	int ret = 1;

	for (*added_r = 0; *added_r < 100000; (*added_r)++) {
		snprintf(value, sizeof(value), "%u", *added_r);
		ret = add(f, value, value);
		if (ret < 0)
			break;
	}
	return expect(ret == -1, "full", "never") &&
	       expect(strstr(f->error, "full") != NULL ||
			      strstr(f->error, "disk I/O error") != NULL,
		      "error", f->error) &&
	       expect(find(f, "0") == 1, "find", f->error) &&
	       expect(find(f, value) == 0, "rolled back", "found");
}

static bool full_by_limit(struct fixture *f, int number)
{
	struct rlimit limit, old;
	unsigned int added;

	(void)number;
	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &old) < 0 || add(f, "0", NULL) != 1)
		return false;
	limit = old;
	limit.rlim_cur = 300 * 1024;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || !fill_up(f, &added))
		return false;
	if (setrlimit(RLIMIT_FSIZE, &old) < 0)
		return false;
	return expect(add(f, "later", NULL) == 1, "add", f->error) &&
	       expect(find(f, "0") == 1, "find", f->error);
}

static void test_full_by_limit(void **state)
{
	struct fixture *f = *state;

	run_child(f, full_by_limit);
	assert_done(f, find(f, "later"));
	assert_int_equal(count_files(f, "*corrupt*"), 0);
}

static int unmount_teardown(void **state)
{
	struct fixture *f = *state;

	sent_log_deinit(&f->log);
	(void)umount2(in_folder(f, "small"), MNT_DETACH);
	return fixture_teardown(state);
}

static void test_full_tmpfs(void **state)
{
	struct fixture *f = *state;
	char folder[128], *filler;
	unsigned int added;

	snprintf(folder, sizeof(folder), "%s", in_folder(f, "small"));
	assert_int_equal(mkdir(folder, 0700), 0);
	if (mount("tmpfs", folder, "tmpfs", 0, "size=512k") < 0) {
		print_message("skipped: test_full_tmpfs: "
			      "mount() needs root\n");
		skip();
	}
	set_path(f, "small/log.db");
	if (!fill_up(f, &added))
		fail();
	/* an empty file can still be made there */
	assert_done(f, sent_log_mark_gap(f->log, &f->error));
	fixture_reopen(f);
	print_message("%u rows in 512 KiB\n", added);
	assert_int_equal(umount2(folder, MNT_DETACH), 0);

	/* no room for a new log: nothing half made stays behind */
	assert_int_equal(mount("tmpfs", folder, "tmpfs", 0, "size=96k"), 0);
	filler = calloc(1, 80 * 1024);
	write_file(in_folder(f, "small/filler"), filler, 80 * 1024);
	free(filler);
	assert_int_equal(add(f, "a", NULL), -1);
	assert_false(exists(f->path));
	assert_false(exists(in_folder(f, "small/log.db.new")));
	assert_int_equal(unlink(in_folder(f, "small/filler")), 0);
	sent_log_deinit(&f->log);
	f->set.network_filesystem = true;
	f->log = sent_log_init(&f->set);
	assert_done(f, sent_log_open(f->log, NOW, &f->error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(test_init_touches_no_file),
		room_test(test_mode_is_0600),
		room_test(test_journal_mode),
		room_test(test_journal_mode_of_two),
		both(test_two_handles_at_once),
		both(test_no_notice_function),
		both(test_missing_folder),
		room_test(test_path_is_a_directory),
		room_test(test_folder_is_a_file),
		room_test(test_name_too_long),
		room_test(test_symbolic_link_to_the_folder),
		both(test_read_only_file),
		both(test_read_only_folder),
		room_test(test_read_only_empty_folder),
		both(test_unreadable_file),
		room_test(test_forbidden_folder),
		room_test_rollback(test_folder_turns_read_only),
		both(test_empty_file),
		room_test(test_empty_database),
		both(test_newer_version),
		room_test(test_database_of_another_program),
		room_test(test_database_of_another_program_with_version),
		room_test(test_missing_index),
		both(test_random_bytes),
		both(test_every_call_finds_it_corrupt),
		both(test_truncated),
		room_test(test_unknown_file_format),
		both(test_corrupt_inside),
		room_test(test_corrupt_with_its_wal),
		room_test(test_meta_is_gone),
		both(test_corrupt_for_two_handles),
		both(test_replaced_while_open),
		room_test(test_replaced_beside_its_wal),
		both(test_deleted_while_open),
		both(test_moved_away_while_open),
		both(test_emptied_while_open),
		both(test_handle_of_a_moved_file_harms_nothing),
		both(test_lock_file_is_removed),
		both(test_restored_copy),
		room_test(test_restored_by_a_fallen_clock),
		both(test_restored_while_open),
		room_test(test_restored_with_its_wal),
		room_test(test_renamed_folder_is_no_copy),
		both(test_gap_mark),
		room_test(test_gap_mark_is_renewed),
		room_test(test_gap_taken_but_not_committed),
		room_test(test_gap_committed_but_not_removed),
		both(test_gap_survives_a_rollback),
		room_test(test_gap_without_a_log),
		room_test(test_gap_before_set_coverage),
		both(test_gap_marks_while_others_write),
		both(test_locked_within_the_deadline),
		room_test(test_write_lock),
		room_test(test_creation_is_locked),
		room_test(test_corrupt_but_locked),
		both(test_eight_writers),
		both(test_eight_openers),
		both(test_eight_write_to_a_corrupt_one_and_it_is_replaced_once),
		both(test_killed_writer),
		both(test_full_by_limit),
		cmocka_unit_test_setup_teardown(test_full_tmpfs, fixture_setup,
						unmount_teardown),
		cmocka_unit_test_setup_teardown(test_full_tmpfs,
						fixture_setup_rollback,
						unmount_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
