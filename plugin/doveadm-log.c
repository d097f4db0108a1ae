/* The user's log, as doveadm commands open and print it. */

#include "lib.h"
#include "str.h"
#include "time-util.h"
#include "mail-user.h"
#include "doveadm-log.h"

#include <sys/stat.h>
#include <time.h>

int doveadm_log_failed(struct doveadm_mail_cmd_context *ctx,
		       struct mail_user *user, const char *error)
{
	e_error(user->event, "backscatter: %s", error);
	doveadm_mail_failed_error(ctx, MAIL_ERROR_TEMP);
	return -1;
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
	    stat(log->path, &st) < 0 && errno == ENOENT)
		return 0;
	mailbox_log_make_home(log);
	if (sent_log_open(log->log, time(NULL), &error) < 0) {
		return doveadm_log_failed(ctx, user, t_strdup_printf(
			"sent log %s: %s", log->path, error));
	}
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
