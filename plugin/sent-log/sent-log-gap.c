/* The gap mark PATH.gap: a message left without its row. It is set without the
   database, and taken up by whoever writes next.

   Inside the write transaction it is renamed to PATH.gap-taken, and the
   transaction remembers which file it was. So a mark made meanwhile is another
   file, a crash before the commit leaves one that is not yet remembered, and
   only a remembered one is ever removed. */

#include "sent-log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sent_log_mark_gap(struct sent_log *log, const char **error_r)
{
	int fd = sent_log_door_open(log, log->gap_path, O_WRONLY | O_CREAT);

	if (fd >= 0 && futimens(fd, NULL) == 0) {
		/* whatever the umask has made of it */
		(void)fchmod(fd, 0600);
		(void)close(fd);
		return 1;
	}
	if (fd >= 0) {
		(void)sent_log_fail(log, "can't renew %s: %s", log->gap_path,
				    strerror(errno));
		(void)close(fd);
	}
	*error_r = log->error;
	return -1;
}

bool sent_log_gap_exists(struct sent_log *log)
{
	struct sent_log_file file;

	/* one that can't be looked at may be there, and so may one that could
	   not be made because something else is */
	return sent_log_stat(log->gap_path, &file) != 0 ||
	       sent_log_stat(log->gap_taken_path, &file) != 0;
}

/* Returns 1 if coverage already speaks of this mark, 0 or -1. */
static int is_remembered(struct sent_log *log, const struct sent_log_file *mark)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_GET_GAP);
	int64_t found;

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, mark->inode);
	(void)sqlite3_bind_int64(stmt, 2, mark->modified);
	return sent_log_get_int64(log, stmt, &found);
}

static int remember(struct sent_log *log, const struct sent_log_file *mark)
{
	sqlite3_stmt *stmt = sent_log_statement(log, SENT_LOG_SET_GAP);

	if (stmt == NULL)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, mark->inode);
	(void)sqlite3_bind_int64(stmt, 2, mark->modified);
	if (sent_log_run(log, stmt) < 0)
		return -1;
	log->gap_taken = true;
	return sent_log_break_coverage(log, SENT_LOG_COVERAGE_GAP);
}

/* Something else stands where a mark has to be, so a message may have left without
   one: for as long as it is there, coverage starts anew with every write. It stays
   where it is: an IMAP folder of that name, where the home is a Maildir. */
static int obstructed(struct sent_log *log)
{
	free(log->gap_obstacle);
	log->gap_obstacle = sent_log_format("%s", log->error);
	log->gap_obstructed = true;
	log->gap_taken = true;
	return sent_log_break_coverage(log, SENT_LOG_COVERAGE_GAP);
}

/* Removes a taken mark that is remembered. Returns 0 if there is none left, 1 and
   the mark if it is not yet remembered, 2 if it is no mark, -1 on error. */
static int remove_remembered(struct sent_log *log, struct sent_log_file *mark_r)
{
	int ret = sent_log_door_look(log, log->gap_taken_path, mark_r);

	if (ret <= 0)
		return ret < 0 ? 2 : 0;
	ret = is_remembered(log, mark_r);
	if (ret > 0) {
		(void)unlink(log->gap_taken_path);
		return 0;
	}
	return ret < 0 ? -1 : 1;
}

static int take(struct sent_log *log)
{
	struct sent_log_file mark;
	int ret = sent_log_door_look(log, log->gap_path, &mark);

	if (ret <= 0)
		return ret < 0 ? obstructed(log) : 0;
	if (rename(log->gap_path, log->gap_taken_path) < 0) {
		return sent_log_fail(log, "can't rename %s: %s", log->gap_path,
				     strerror(errno));
	}
	/* another may have come in between */
	if (sent_log_door_look(log, log->gap_taken_path, &mark) <= 0)
		return obstructed(log);
	return remember(log, &mark);
}

int sent_log_gap_take(struct sent_log *log)
{
	struct sent_log_file mark;

	log->gap_taken = false;
	log->gap_obstructed = false;
	switch (remove_remembered(log, &mark)) {
	case 0:
		return take(log);
	case 1:
		return remember(log, &mark);
	case 2:
		return obstructed(log);
	default:
		return -1;
	}
}

static void gap_obstructed(struct sent_log *log)
{
	log->gap_obstructed = false;
	sent_log_notice(log, "%s - a message that leaves without being logged "
			"can't be marked there, so coverage starts anew with "
			"each write", log->gap_obstacle);
}

void sent_log_gap_taken(struct sent_log *log)
{
	struct sent_log_file mark;

	log->gap_taken = false;
	if (log->gap_obstructed) {
		gap_obstructed(log);
		return;
	}
	sent_log_notice(log, "a message left without being logged, so coverage "
			"starts anew");
	/* Whoever gets the lock next may do it as well. */
	if (sqlite3_exec(log->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) !=
	    SQLITE_OK)
		return;
	(void)remove_remembered(log, &mark);
	(void)sqlite3_exec(log->db, "COMMIT", NULL, NULL, NULL);
}
