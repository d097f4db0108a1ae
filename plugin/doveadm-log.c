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
	if (sent_log_open(log->log, time(NULL), &error) < 0)
		return doveadm_log_failed(ctx, user, error);
	return 1;
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
