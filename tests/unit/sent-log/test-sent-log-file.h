#ifndef TEST_SENT_LOG_FILE_H
#define TEST_SENT_LOG_FILE_H

/* What the tests of the sent log's file share: how it is made and opened, corrupted,
   replaced, locked, full and written by many. Real files, real SQLite, other
   processes where it is about other processes. */

#include "test-sent-log-common.h"

#include <glob.h>

static inline mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static inline ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Files in the folder that match. */
static inline size_t count_files(struct fixture *f, const char *pattern)
{
	glob_t found;
	size_t files = 0;

	if (glob(in_folder(f, pattern), 0, NULL, &found) == 0) {
		files = found.gl_pathc;
		globfree(&found);
	}
	return files;
}

static inline int add_to(struct sent_log *log, const char *message_id,
		  const char **error_r)
{
	struct sent_log_identity identity = { SENT_LOG_IDENTITY_MESSAGE_ID, message_id };
	struct sent_log_message message = {
		.source = SENT_LOG_SOURCE_SUBMISSION,
		.identities = &identity,
		.identity_count = 1,
		.logged_at = NOW,
	};

	return sent_log_add(log, &message, 1, NOW, error_r);
}

static inline int find_in(struct sent_log *log, const char *message_id,
		   const char **error_r)
{
	struct sent_log_identity identity = { SENT_LOG_IDENTITY_MESSAGE_ID, message_id };
	struct sent_log_entry entry;

	return sent_log_find(log, &identity, NULL, 0, NOW, &entry, error_r);
}

static inline void assert_untouched(struct fixture *f, const char *text)
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

static inline void random_bytes(const char *path, size_t size, bool with_header)
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

static inline void assert_replaced(struct fixture *f, size_t moved)
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

static inline int call_any(struct fixture *f, unsigned int number)
{
	struct sent_log_identity identity = { SENT_LOG_IDENTITY_MESSAGE_ID, "a" };
	struct sent_log_coverage coverage;
	struct sent_log_report_count reports;
	struct sent_log_row row;
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
		return sent_log_count(f->log, SENT_LOG_SOURCE_SENT, &messages,
				      &f->error);
	case 11:
		return expire_old(f, NOW, 1);
	}
	return -2;
}
#define SENT_LOG_CALLS 12

static inline void set_path(struct fixture *f, const char *name)
{
	snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
	fixture_reopen(f);
}

#endif
