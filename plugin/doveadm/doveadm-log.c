/* The user's log, as doveadm commands open and print it. */

#include "lib.h"
#include "str.h"
#include "time-util.h"
#include "mail-user.h"
#include "doveadm-log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int doveadm_log_failed(struct doveadm_mail_cmd_context *ctx,
		       struct mail_user *user, const char *error)
{
	e_error(user->event, "backscatter: %s", error);
	doveadm_mail_failed_error(ctx, MAIL_ERROR_TEMP);
	return -1;
}

/* Could a log be made here? The home is made when it is needed, and with it all that
   leads to it. Returns 0, or -1 and what is wrong. */
static int
doveadm_log_check_place(const struct mailbox_log *log, const char **error_r)
{
	const char *folder = t_strdup_until(log->path,
					    strrchr(log->path, '/'));
	const char *place = *folder == '\0' ? "/" : folder;

	while (*log->set->db != '/' && *folder != '\0' &&
	       faccessat(AT_FDCWD, folder, F_OK, AT_EACCESS) < 0 &&
	       errno == ENOENT)
		place = folder = t_strdup_until(folder, strrchr(folder, '/'));
	if (*place == '\0')
		place = "/";
	if (faccessat(AT_FDCWD, place, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	*error_r = t_strdup_printf("sent log %s: can't be made: the directory "
		"%s %s", log->path, place,
		errno == ENOENT ? "doesn't exist" : t_strdup_printf(
			"can't be written by uid %ld (%s)", (long)geteuid(),
			strerror(errno)));
	return -1;
}

static int
doveadm_log_open_failed(struct doveadm_mail_cmd_context *ctx,
			struct mailbox_log *log, const char *error)
{
	return doveadm_log_failed(ctx, log->user, t_strdup_printf(
		"sent log %s: %s", log->path, error));
}

int doveadm_log_adopt(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user, struct mailbox_log **log_r)
{
	struct mailbox_log *log = *log_r = mailbox_log_init(user, user->event);
	const char *error;

	if (log->log == NULL)
		return doveadm_log_failed(ctx, user, log->error);
	mailbox_log_make_home(log);
	if (sent_log_adopt_owner(log->log, time(NULL), &error) < 0)
		return doveadm_log_open_failed(ctx, log, error);
	return 1;
}

int doveadm_log_open(struct doveadm_mail_cmd_context *ctx,
		     struct mail_user *user, enum doveadm_log_open how,
		     struct mailbox_log **log_r)
{
	struct mailbox_log *log = *log_r = mailbox_log_init(user, user->event);
	const char *error;
	struct stat st;

	if (log->log == NULL)
		return doveadm_log_failed(ctx, user, log->error);
	if (how == DOVEADM_LOG_OPEN_EXISTING &&
	    stat(log->path, &st) < 0 && errno == ENOENT) {
		return doveadm_log_check_place(log, &error) < 0 ?
			doveadm_log_failed(ctx, user, error) : 0;
	}
	mailbox_log_make_home(log);
	if (sent_log_open(log->log, time(NULL), &error) < 0)
		return doveadm_log_open_failed(ctx, log, error);
	return 1;
}

int doveadm_log_set_coverage(struct doveadm_mail_cmd_context *ctx,
			     struct mail_user *user, struct mailbox_log *log,
			     time_t start, enum sent_log_coverage_cause cause)
{
	time_t now = time(NULL);
	const char *error;
	int ret = 0;

	/* or the next delivery would find another list than the one stored, and
	   start coverage anew */
	if (log->set->sources_valid)
		ret = sent_log_set_listed_sources(log->log, now, &error);
	if (ret >= 0) {
		ret = sent_log_set_coverage(log->log, start, cause, now, &error);
		if (ret == 0) {
			error = "a message left without being logged "
				"meanwhile, so coverage starts anew: try again";
		}
	}
	return ret > 0 ? 0 : doveadm_log_failed(ctx, user, error);
}

const char *doveadm_log_time(time_t time)
{
	return time == 0 ? "" : t_strflocaltime("%Y-%m-%d %H:%M:%S", time);
}

const char *doveadm_log_sources(unsigned int sources)
{
	string_t *names = t_str_new(64);

	for (unsigned int bit = 1; bit <= SENT_LOG_SOURCE_ADMIN; bit <<= 1) {
		if ((sources & bit) == 0)
			continue;
		if (str_len(names) > 0)
			str_append_c(names, ' ');
		str_append(names,
			sent_log_source_name((enum sent_log_source)bit));
	}
	return str_c(names);
}
