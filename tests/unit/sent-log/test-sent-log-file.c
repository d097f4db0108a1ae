/* The sent log's file: how it is made and opened, where it may lie, and of whose
   making and which version it has to be. */

#include "test-sent-log-file.h"

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

/* What a report is judged by is read as of one moment. */
static void test_reading_as_of_one_moment(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other = another_handle(f);

	assert_done(f, add(f, "a", NULL));
	assert_done(f, sent_log_read_begin(f->log, &f->error));
	assert_done(f, find(f, "a"));
	assert_done(f, add_to(other, "b", &f->error));
	assert_none(f, find(f, "b"));
	sent_log_read_end(f->log);
	assert_none(f, sent_log_is_unchanged(f->log, &f->error));
	assert_done(f, find(f, "b"));
	sent_log_deinit(&other);
}

static void read_again(struct fixture *f)
{
	assert_done(f, sent_log_read_begin(f->log, &f->error));
	(void)find(f, "a");
	sent_log_read_end(f->log);
	assert_done(f, sent_log_is_unchanged(f->log, &f->error));
}

static void test_unchanged_until_written(void **state)
{
	struct fixture *f = *state;
	struct sent_log *other = another_handle(f);

	assert_none(f, sent_log_is_unchanged(f->log, &f->error));
	read_again(f);
	assert_done(f, find_in(other, "a", &f->error) >= 0);
	assert_done(f, sent_log_is_unchanged(f->log, &f->error));
	assert_done(f, add_to(other, "b", &f->error));
	assert_none(f, sent_log_is_unchanged(f->log, &f->error));
	read_again(f);
	assert_done(f, add(f, "c", NULL));
	assert_none(f, sent_log_is_unchanged(f->log, &f->error));
	read_again(f);
	assert_done(f, sent_log_mark_gap(other, &f->error));
	assert_none(f, sent_log_is_unchanged(f->log, &f->error));
	assert_done(f, add(f, "d", NULL));
	read_again(f);
	sent_log_deinit(&other);
	/* another file, with the same content */
	copy_file(f->path, in_folder(f, "copy"));
	assert_int_equal(rename(in_folder(f, "copy"), f->path), 0);
	assert_none(f, sent_log_is_unchanged(f->log, &f->error));
}

/* It ends what is read as of one moment: both would wait for each other. */
static void test_writing_while_reading(void **state)
{
	struct fixture *f = *state;

	assert_done(f, sent_log_read_begin(f->log, &f->error));
	assert_none(f, find(f, "a"));
	assert_done(f, add(f, "a", NULL));
	assert_done(f, find(f, "a"));
	sent_log_read_end(f->log);
	assert_none(f, sent_log_is_unchanged(f->log, &f->error));
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

static void test_missing_folder(void **state)
{
	struct fixture *f = *state;

	set_path(f, "missing/log.db");
	assert_failed(f, add(f, "a", NULL), "missing/log.db.lock: No such");
	assert_failed(f, find(f, "a"), "No such file or directory");
	assert_failed(f, sent_log_mark_gap(f->log, &f->error),
		      "missing/log.db.gap: No such");
	assert_none(f, expire_old(f, NOW, 1));
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
	char *path = store_alloc(5001);

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(test_init_touches_no_file),
		room_test(test_mode_is_0600),
		room_test(test_journal_mode),
		room_test(test_journal_mode_of_two),
		both(test_two_handles_at_once),
		room_test(test_reading_as_of_one_moment),
		both(test_unchanged_until_written),
		both(test_writing_while_reading),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
