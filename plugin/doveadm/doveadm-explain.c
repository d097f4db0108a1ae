/* doveadm backscatter explain FILE -u user: which row of the verdict table decides,
   and what every row before it saw. Makes the log if there is none, and reads the Sent
   mailboxes into it, as a delivery would; changes nothing else. */

#include "lib.h"
#include "istream.h"
#include "report/report.h"
#include "report/report-scan.h"
#include "doveadm-backscatter.h"
#include "judging/judge.h"

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
	for (unsigned int i = 0; i < 3; i++)
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

static int explain_report(struct doveadm_run *run, const struct report *report)
{
	struct judge_envelope envelope = {
		.recipient = doveadm_argument(run->cctx, "recipient"),
		.can_reject = TRUE,
	};
	struct judgement judgement;
	int ret;

	/* a log that can't be opened is explained, too */
	ret = doveadm_log_open(run, DOVEADM_LOG_CREATE);
	judge_report(run->buser, report, &envelope, run->now, &judgement);
	explain_print(&judgement);
	return ret < 0 ? -1 : 0;
}

static int explain_run(struct doveadm_run *run)
{
	pool_t pool = pool_alloconly_create("backscatter explain", 4096);
	struct report report;
	const char *error;
	int ret = explain_read(run->ctx->cmd_input, pool, &report, &error);

	if (ret < 0)
		ret = doveadm_run_failed(run, error);
	else if (ret > 0)
		ret = explain_report(run, &report);
	pool_unref(&pool);
	return ret;
}

static int explain_check(struct doveadm_mail_cmd_context *ctx)
{
	if (ctx->cmd_input == NULL)
		return doveadm_wrong_usage(ctx);
	/* opens the file here, where doveadm still is who started it */
	if (i_stream_read(ctx->cmd_input) >= 0 ||
	    ctx->cmd_input->stream_errno == 0)
		return 0;
	i_error("%s", i_stream_get_error(ctx->cmd_input));
	ctx->exit_code = EX_NOINPUT;
	return -1;
}

static const struct doveadm_column explain_columns[] = {
	{ .name = "row", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "verdict" },
	{ .name = "reason" },
	{ .name = "action" },
	/* one wide column, the last: the table formatter fits into 80 */
	{ .name = "saw", .title = "situation? what was seen",
	  .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = NULL }
};

static const struct doveadm_user_command explain_command = {
	.columns = explain_columns,
	.check = explain_check,
	.run = explain_run,
};

DOVEADM_USER_COMMAND(explain, "explain", "[-r <recipient>] <file>|-",
DOVEADM_CMD_PARAM('r', "recipient", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "file", CMD_PARAM_ISTREAM, CMD_PARAM_FLAG_POSITIONAL)
);
