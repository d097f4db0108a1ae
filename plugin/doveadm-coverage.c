/* doveadm backscatter coverage [show|restart|--since DATE] */

#include "lib.h"
#include "doveadm-print.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "verdict/coverage.h"
#include "doveadm-backscatter.h"
#include "doveadm-copy.h"
#include "doveadm-log.h"

#include <sysexits.h>
#include <time.h>

#define COVERAGE_COMMAND "backscatter coverage"

/* What the log says, and what that means for a report that comes now and does not
   tell when its original was sent. */
struct coverage_view {
	struct sent_log_coverage log;
	struct sent_log_row unlisted_copy;
	struct coverage_facts facts;
	/* the mail that unlisted_copy stands for; NULL = not found */
	const char *unlisted_mail;
	bool exists;
	bool sources_changed;
};

static int coverage_view_read(struct mailbox_log *log, time_t now, bool exists,
			      struct coverage_view *view_r, const char **error_r)
{
	struct coverage_facts *facts = &view_r->facts;
	int ret;

	i_zero(view_r);
	view_r->exists = exists;
	facts->sources_listed = log->set->sources != 0;
	facts->since = log->set->since;
	facts->now = facts->log_start = now;
	facts->report_age = log->set->report_age;
	facts->retention = log->set->retention;
	facts->original_date = facts->arrival_date = (time_t)-1;
	if (!exists)
		return 0;

	if (sent_log_get_coverage(log->log, now, &view_r->log, error_r) < 0)
		return -1;
	facts->log_start = view_r->log.start;
	view_r->sources_changed =
		view_r->log.listed_sources != log->set->sources;
	if (!facts->sources_listed ||
	    (log->set->sources & SENT_LOG_SOURCE_SENT) != 0)
		return 0;
	ret = sent_log_find_unlisted_copy(log->log, coverage_start(facts), now,
					  &view_r->unlisted_copy, error_r);
	facts->unlisted_copy = ret > 0;
	if (ret > 0) {
		view_r->unlisted_mail =
			doveadm_copy_find(log, &view_r->unlisted_copy);
	}
	return ret < 0 ? -1 : 0;
}

static const char *coverage_cause(const struct coverage_view *view)
{
	if (!view->exists)
		return "no-log";
	if (view->sources_changed)
		return "sources-changed";
	if (view->facts.since > view->log.start)
		return "backscatter_since";
	return sent_log_coverage_cause_name(view->log.cause);
}

static const char *coverage_explanation(const struct coverage_view *view)
{
	enum coverage_state state = coverage_decide(&view->facts);

	if (!view->exists)
		return "the log is made by the first sent message or report";
	if (view->sources_changed) {
		return t_strdup_printf("sources were '%s': coverage restarts "
			"with the next delivered report",
			doveadm_log_sources(view->log.listed_sources));
	}
	if (state == COVERAGE_UNLISTED_COPY) {
		return t_strdup_printf("%s (%s, logged %s)",
			coverage_state_explanation(state),
			view->unlisted_mail != NULL ? view->unlisted_mail :
			t_strdup_printf("a copy that is gone, hash %s",
				view->unlisted_copy.identity_hash),
			doveadm_log_time(view->unlisted_copy.logged_at));
	}
	return coverage_state_explanation(state);
}

static void coverage_view_print(const struct coverage_view *view,
				unsigned int sources)
{
	enum coverage_state state = coverage_decide(&view->facts);
	bool covered = state == COVERAGE_COVERED && view->exists &&
		!view->sources_changed;

	doveadm_print(covered ? "yes" : "no");
	doveadm_print(!view->exists ? "" :
		      doveadm_log_time(coverage_start(&view->facts)));
	doveadm_print(coverage_cause(view));
	doveadm_print(doveadm_log_sources(sources));
	doveadm_print(coverage_explanation(view));
}

/* Prints what holds now. Returns 0 or -1. */
static int
coverage_print(struct doveadm_mail_cmd_context *ctx, struct mail_user *user,
	       struct mailbox_log *log, bool exists)
{
	struct coverage_view view;
	const char *error;

	if (coverage_view_read(log, time(NULL), exists, &view, &error) < 0)
		return doveadm_log_failed(ctx, user, error);
	coverage_view_print(&view, log->set->sources);
	return 0;
}

static int coverage_show(struct doveadm_mail_cmd_context *ctx,
			 struct mail_user *user)
{
	struct mailbox_log *log;
	int ret;

	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_EXISTING, &log);
	if (ret >= 0)
		ret = coverage_print(ctx, user, log, ret > 0);
	mailbox_log_deinit(&log);
	return ret;
}

static int
coverage_set(struct doveadm_mail_cmd_context *ctx, struct mail_user *user,
	     time_t start, enum sent_log_coverage_cause cause)
{
	struct mailbox_log *log;
	int ret;

	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_CREATE, &log);
	if (ret > 0)
		ret = doveadm_log_set_coverage(ctx, user, log, start, cause);
	if (ret == 0)
		ret = coverage_print(ctx, user, log, TRUE);
	mailbox_log_deinit(&log);
	return ret;
}

/* A date, or a time before now ("14 days"). Returns 0 or -1. */
static int coverage_parse_since(const char *since, time_t *start_r)
{
	bool utc;

	/* Dovecot's parser takes any two figures for month and day */
	if (strchr(since, '-') != NULL)
		return backscatter_date_parse(since, start_r);
	return mail_parse_human_timestamp(since, start_r, &utc);
}

/* "show" or "restart"; NULL = none given */
static const char *coverage_command(struct doveadm_mail_cmd_context *ctx)
{
	const char *command;

	return doveadm_cmd_param_str(ctx->cctx, "command", &command) ?
		command : NULL;
}

static int
cmd_coverage_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	const char *since;
	time_t start;

	if (doveadm_cmd_param_str(ctx->cctx, "since", &since)) {
		if (coverage_parse_since(since, &start) < 0)
			i_unreached();
		return coverage_set(ctx, user, start, SENT_LOG_COVERAGE_SET);
	}
	if (null_strcmp(coverage_command(ctx), "restart") == 0) {
		return coverage_set(ctx, user, time(NULL),
				    SENT_LOG_COVERAGE_RESTARTED);
	}
	return coverage_show(ctx, user);
}

static void coverage_check_since(const char *since)
{
	time_t start;

	if (coverage_parse_since(since, &start) < 0) {
		i_fatal_status(EX_USAGE, "--since has the wrong value '%s': "
			"allowed are a date as YYYY-MM-DD and a time as "
			"'14 days'", since);
	}
	if (start > time(NULL)) {
		i_fatal_status(EX_USAGE, "--since %s lies in the future",
			       since);
	}
}

static void
cmd_coverage_init(struct doveadm_mail_cmd_context *ctx COMPAT_DOVEADM_INIT_ARGS)
{
	const char *since, *command = coverage_command(ctx);

	if (doveadm_cmd_param_str(ctx->cctx, "since", &since)) {
		if (command != NULL)
			doveadm_mail_help_name(COVERAGE_COMMAND);
		coverage_check_since(since);
	}
	if (command != NULL && strcmp(command, "restart") != 0 &&
	    strcmp(command, "show") != 0)
		doveadm_mail_help_name(COVERAGE_COMMAND);

	doveadm_print_header_simple("covered");
	doveadm_print_header_simple("since");
	doveadm_print_header_simple("cause");
	doveadm_print_header_simple("sources");
	doveadm_print_header("explanation", "explanation",
			     DOVEADM_PRINT_HEADER_FLAG_EXPAND);
}

static struct doveadm_mail_cmd_context *cmd_coverage_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx, "s:");
	ctx->v.init = cmd_coverage_init;
	ctx->v.run = cmd_coverage_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_coverage = {
	.name = COVERAGE_COMMAND,
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[show|restart|--since <date>]",
	.mail_cmd = cmd_coverage_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('s', "since", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "command", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
