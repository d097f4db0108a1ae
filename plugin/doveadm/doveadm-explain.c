/* doveadm backscatter explain FILE -u user: which row of the verdict table decides,
   and what every row before it saw. Makes the log if there is none, and reads the Sent
   mailboxes into it, as a delivery would; changes nothing else. */

#include "lib.h"
#include "istream.h"
#include "doveadm-print.h"
#include "mail-user.h"
#include "report/report.h"
#include "report/report-scan.h"
#include "doveadm-backscatter.h"
#include "doveadm-log.h"
#include "judging/judge.h"

#include <sysexits.h>
#include <time.h>

#define EXPLAIN_COMMAND "backscatter explain"

static void explain_print_row(unsigned int row, const struct judgement *judgement)
{
	const struct verdict_result *result = &judgement->result;
	const char *saw;
	bool matches = verdict_row_matches(row, &judgement->facts.verdict, &saw);

	if (matches && judgement->not_caught_up != NULL)
		saw = t_strdup_printf("%s: %s", saw, judgement->not_caught_up);
	doveadm_print_num(row);
	doveadm_print(matches ? verdict_name(result->verdict) : "-");
	doveadm_print(matches ? verdict_reason_name(result->reason) : "-");
	doveadm_print(matches ? action_name(judgement->action) : "-");
	doveadm_print(t_strdup_printf("%s? %s", verdict_row_situation(row), saw));
}

static void explain_print(const struct judgement *judgement)
{
	for (unsigned int row = 1; row <= judgement->result.row; row++) T_BEGIN {
		explain_print_row(row, judgement);
	} T_END;
}

static void explain_print_no_report(const char *why)
{
	doveadm_print_num(0);
	doveadm_print("-");
	doveadm_print("-");
	doveadm_print("-");
	doveadm_print(t_strdup_printf("not a report: %s", why));
}

/* Returns 1 if the message is a report, 0 if it is none (printed), -1 on error. */
static int
explain_read(struct istream *input, pool_t pool, struct report *report_r,
	     const char **error_r)
{
	struct report_scan scan;
	int ret;

	i_stream_seek(input, 0);
	report_scan_header(input, FALSE, &scan);
	if (!scan.marked) {
		explain_print_no_report("the header has no mark of a report");
		return 0;
	}
	ret = report_read(pool, input, REPORT_SENDER_UNKNOWN, report_r, error_r);
	if (ret == 0)
		explain_print_no_report("marked, but not a report when read");
	return ret;
}

static int
explain_report(struct doveadm_mail_cmd_context *ctx, struct mail_user *user,
	       const struct report *report)
{
	struct judge_envelope envelope = { .can_reject = TRUE };
	struct judgement judgement;
	struct backscatter_user *buser;
	int ret;

	(void)doveadm_cmd_param_str(ctx->cctx, "recipient",
				    &envelope.recipient);
	/* a log that can't be opened is explained, too */
	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_CREATE, &buser);
	judge_report(buser, report, &envelope, time(NULL), &judgement);
	explain_print(&judgement);
	backscatter_user_deinit(&buser);
	return ret < 0 ? -1 : 0;
}

static int
cmd_explain_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	pool_t pool = pool_alloconly_create("backscatter explain", 4096);
	struct report report;
	const char *error;
	int ret;

	ret = explain_read(ctx->cmd_input, pool, &report, &error);
	if (ret < 0)
		ret = doveadm_log_failed(ctx, user, error);
	else if (ret > 0)
		ret = explain_report(ctx, user, &report);
	pool_unref(&pool);
	return ret;
}

static void
cmd_explain_init(struct doveadm_mail_cmd_context *ctx COMPAT_DOVEADM_INIT_ARGS)
{
	if (ctx->cmd_input == NULL)
		doveadm_mail_help_name(EXPLAIN_COMMAND);
	/* opens the file here, where doveadm still is who started it */
	if (i_stream_read(ctx->cmd_input) < 0 &&
	    ctx->cmd_input->stream_errno != 0)
		i_fatal_status(EX_NOINPUT, "%s",
			       i_stream_get_error(ctx->cmd_input));

	doveadm_print_header("row", "row",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header_simple("verdict");
	doveadm_print_header_simple("reason");
	doveadm_print_header_simple("action");
	/* one wide column, the last: the table formatter fits into 80 */
	doveadm_print_header("saw", "situation? what was seen",
			     DOVEADM_PRINT_HEADER_FLAG_EXPAND);
}

static struct doveadm_mail_cmd_context *cmd_explain_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx, "r:");
	ctx->v.init = cmd_explain_init;
	ctx->v.run = cmd_explain_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_explain = {
	.name = EXPLAIN_COMMAND,
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[-r <recipient>] <file>",
	.mail_cmd = cmd_explain_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('r', "recipient", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "file", CMD_PARAM_ISTREAM, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
