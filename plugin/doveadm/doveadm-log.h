#ifndef DOVEADM_LOG_H
#define DOVEADM_LOG_H

/* What the doveadm commands that work on a user's log share. */

#include "doveadm-compat.h"
#include "user/backscatter-user.h"

/* Opens the log of this user. how: whether it is made if it isn't there, as everything
   that writes does. Returns 1, 0 if there is no log yet but there can be one (never with CREATE), or
   -1 after the error was logged and set in ctx; (*log_r)->error is it, too. *log_r must be freed with
   backscatter_user_deinit() in every case. */
enum doveadm_log_open {
	DOVEADM_LOG_OPEN_EXISTING,
	DOVEADM_LOG_OPEN_CREATE,
};
int doveadm_log_open(struct doveadm_mail_cmd_context *ctx,
		     struct mail_user *user, enum doveadm_log_open how,
		     struct backscatter_user **log_r);

/* Makes the log this user's, whosever it was, and restarts its coverage. Otherwise as
   doveadm_log_open(). */
int doveadm_log_adopt(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user, struct backscatter_user **log_r);

/* Moves the start of coverage on the administrator's word, which is about the
   sources that are listed now. Returns 0, or -1 after the error was logged. */
int doveadm_log_set_coverage(struct doveadm_mail_cmd_context *ctx,
			     struct mail_user *user, struct backscatter_user *buser,
			     time_t start, enum sent_log_coverage_cause cause);

/* Logs the error and sets the command's exit code. Returns -1. */
int doveadm_log_failed(struct doveadm_mail_cmd_context *ctx,
		       struct mail_user *user, const char *error);

/* "2026-11-24 18:03:12" in local time, "" for 0 */
const char *doveadm_log_time(time_t time);
/* "sent submission", "" for none */
const char *doveadm_log_sources(unsigned int sources);

#endif
