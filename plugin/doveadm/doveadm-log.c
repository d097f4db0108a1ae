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

static int
doveadm_log_open_failed(struct doveadm_mail_cmd_context *ctx,
			struct backscatter_user *buser, const char *error)
{
	buser->error = p_strdup_printf(buser->pool, "sent log %s: %s",
				       buser->path, error);
	return doveadm_log_failed(ctx, buser->user, buser->error);
}

int doveadm_log_adopt(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user, struct backscatter_user **log_r)
{
	struct backscatter_user *buser = *log_r = backscatter_user_init(user, user->event);
	const char *error;

	if (buser->log == NULL)
		return doveadm_log_failed(ctx, user, buser->error);
	backscatter_user_make_home(buser);
	if (sent_log_adopt_owner(buser->log, time(NULL), &error) < 0)
		return doveadm_log_open_failed(ctx, buser, error);
	return 1;
}

int doveadm_log_open(struct doveadm_mail_cmd_context *ctx,
		     struct mail_user *user, enum doveadm_log_open how,
		     struct backscatter_user **log_r)
{
	struct backscatter_user *buser = *log_r = backscatter_user_init(user, user->event);
	const char *error;
	struct stat st;

	if (buser->log == NULL)
		return doveadm_log_failed(ctx, user, buser->error);
	if (how == DOVEADM_LOG_OPEN_EXISTING &&
	    stat(buser->path, &st) < 0 && errno == ENOENT) {
		if (backscatter_user_check_place(buser, &error) == 0)
			return 0;
		buser->error = p_strdup(buser->pool, error);
		return doveadm_log_failed(ctx, user, error);
	}
	backscatter_user_make_home(buser);
	if (sent_log_open(buser->log, time(NULL), &error) < 0)
		return doveadm_log_open_failed(ctx, buser, error);
	return 1;
}

int doveadm_log_set_coverage(struct doveadm_mail_cmd_context *ctx,
			     struct mail_user *user, struct backscatter_user *buser,
			     time_t start, enum sent_log_coverage_cause cause)
{
	time_t now = time(NULL);
	const char *error;
	int ret = 0;

	/* or the next delivery would find another list than the one stored, and
	   start coverage anew */
	if (buser->set->sources_valid)
		ret = sent_log_set_listed_sources(buser->log, now, &error);
	if (ret >= 0) {
		ret = sent_log_set_coverage(buser->log, start, cause, now, &error);
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
