/* doveadm backscatter sent add|find|count */

#include "lib.h"
#include "array.h"
#include "report/report.h"
#include "doveadm-backscatter.h"
#include "quarantine/rejudge.h"

/* The identity of the Message-ID that was given, allocated from the data stack. Its value
   is NULL if it is none. */
static struct sent_log_identity sent_get_identity(struct doveadm_cmd_context *cctx)
{
	struct sent_log_identity identity = {
		.kind = SENT_LOG_IDENTITY_MESSAGE_ID,
	};
	const char *message_id = doveadm_argument(cctx, "message-id");

	if (message_id != NULL) {
		identity.value = report_message_id_first(
			pool_datastack_create(), message_id);
	}
	return identity;
}

static int sent_check(struct doveadm_mail_cmd_context *ctx)
{
	const char *message_id = doveadm_argument(ctx->cctx, "message-id");

	if (message_id == NULL)
		return doveadm_wrong_usage(ctx);
	return sent_get_identity(ctx->cctx).value != NULL ? 0 :
		doveadm_wrong_argument(ctx, "'%s' is no Message-ID", message_id);
}

/*
 * sent add
 */

static int sent_add_message(struct doveadm_run *run, const char **error_r)
{
	const struct sent_log_identity identity = sent_get_identity(run->cctx);
	struct sent_log_message message = {
		.source = SENT_LOG_SOURCE_ADMIN,
		.identities = &identity, .identity_count = 1,
		.logged_at = run->now,
	};
	ARRAY_TYPE(const_string) addresses;
	const char *const *recipients;
	unsigned int count;

	t_array_init(&addresses, 4);
	if (doveadm_cmd_param_array(run->cctx, "recipient", &recipients)) {
		for (; *recipients != NULL; recipients++) {
			const char *address = t_str_lcase(*recipients);

			array_push_back(&addresses, &address);
		}
	}
	message.recipients = array_get(&addresses, &count);
	message.recipient_count = count;
	return sent_log_add(run->buser->log, &message, 1, run->now, error_r);
}

static int sent_add_run(struct doveadm_run *run)
{
	const char *error;

	if (doveadm_log_open(run, DOVEADM_LOG_CREATE) < 0)
		return -1;
	if (sent_add_message(run, &error) < 0)
		return doveadm_run_failed(run, error);
	rejudge_due_reports(run->buser);
	return 0;
}

static const struct doveadm_user_command sent_add_command = {
	.check = sent_check,
	.run = sent_add_run,
};

DOVEADM_USER_COMMAND(sent_add, "sent add", "<message-id> [<recipient> ...]",
DOVEADM_CMD_PARAM('\0', "message-id", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "recipient", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
);

/*
 * sent find
 */

static const struct doveadm_column sent_find_columns[] = {
	{ .name = "known" },
	{ .name = "sources" },
	{ .name = "logged" },
	{ .name = "recipients", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = NULL }
};

static int sent_find_run(struct doveadm_run *run)
{
	const struct sent_log_identity identity = sent_get_identity(run->cctx);
	struct sent_log_entry entry;
	const char *error;
	int ret = doveadm_log_open(run, DOVEADM_LOG_EXISTING);

	if (ret < 0)
		return -1;
	i_zero(&entry);
	if (ret > 0) {
		ret = sent_log_find(run->buser->log, &identity, NULL, 0,
				    run->now, &entry, &error);
	}
	if (ret < 0)
		return doveadm_run_failed(run, error);
	doveadm_print(ret > 0 ? "yes" : "no");
	doveadm_print(doveadm_show_sources(entry.sources));
	doveadm_print(doveadm_show_time(entry.logged_at));
	doveadm_print_num(entry.recipient_count);
	return 0;
}

static const struct doveadm_user_command sent_find_command = {
	.columns = sent_find_columns,
	.check = sent_check,
	.run = sent_find_run,
};

DOVEADM_USER_COMMAND(sent_find, "sent find", "<message-id>",
DOVEADM_CMD_PARAM('\0', "message-id", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
);

/*
 * sent count
 */

/* as doveadm_sources */
static const struct doveadm_column sent_count_columns[] = {
	{ .name = "submission", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "milter", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "sent", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "admin", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = NULL }
};

static int sent_count_run(struct doveadm_run *run)
{
	uint64_t counts[DOVEADM_SOURCE_COUNT];
	const char *error;
	int ret = doveadm_log_open(run, DOVEADM_LOG_EXISTING);

	if (ret < 0)
		return -1;
	if (doveadm_log_count(run->buser, ret > 0, counts, &error) < 0)
		return doveadm_run_failed(run, error);
	for (unsigned int i = 0; i < DOVEADM_SOURCE_COUNT; i++)
		doveadm_print_num(counts[i]);
	return 0;
}

static const struct doveadm_user_command sent_count_command = {
	.columns = sent_count_columns,
	.run = sent_count_run,
};

DOVEADM_USER_COMMAND(sent_count, "sent count", "");
