/* doveadm backscatter sent add|list|count */

#include "lib.h"
#include "array.h"
#include "doveadm-print.h"
#include "mail-user.h"
#include "report/report.h"
#include "doveadm-backscatter.h"
#include "doveadm-log.h"
#include "quarantine/rejudge.h"

#include <sysexits.h>
#include <time.h>

#define SENT_LIST_PAGE 100

/*
 * sent add
 */

static int
sent_add_message(struct backscatter_user *buser, const char *message_id,
		 const char *const *recipients, const char **error_r)
{
	struct sent_log_identity identity = {
		.kind = SENT_LOG_IDENTITY_MESSAGE_ID,
	};
	struct sent_log_message message;
	ARRAY_TYPE(const_string) addresses;
	unsigned int count;
	time_t now = time(NULL);

	identity.value = report_message_id_first(pool_datastack_create(),
						 message_id);
	i_assert(identity.value != NULL);
	t_array_init(&addresses, 4);
	for (; *recipients != NULL; recipients++) {
		const char *address = t_str_lcase(*recipients);

		array_push_back(&addresses, &address);
	}

	i_zero(&message);
	message.source = SENT_LOG_SOURCE_ADMIN;
	message.identities = &identity;
	message.identity_count = 1;
	message.recipients = array_get(&addresses, &count);
	message.recipient_count = count;
	message.logged_at = now;
	return sent_log_add(buser->log, &message, 1, now, error_r);
}

static int
cmd_sent_add_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	static const char *const none[] = { NULL };
	const char *const *recipients;
	const char *message_id, *error;
	struct backscatter_user *buser;
	int ret;

	if (!doveadm_cmd_param_str(ctx->cctx, "message-id", &message_id))
		i_unreached();
	if (!doveadm_cmd_param_array(ctx->cctx, "recipient", &recipients))
		recipients = none;
	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_CREATE, &buser);
	if (ret > 0 && sent_add_message(buser, message_id, recipients,
					&error) < 0)
		ret = doveadm_log_failed(ctx, user, error);
	if (ret > 0)
		rejudge_due_reports(buser);
	backscatter_user_deinit(&buser);
	return ret < 0 ? -1 : 0;
}

static void
cmd_sent_add_init(struct doveadm_mail_cmd_context *ctx COMPAT_DOVEADM_INIT_ARGS)
{
	const char *message_id;

	if (!doveadm_cmd_param_str(ctx->cctx, "message-id", &message_id))
		doveadm_mail_help_name("backscatter sent add");
	if (report_message_id_first(pool_datastack_create(), message_id) == NULL)
		i_fatal_status(EX_USAGE, "'%s' is no Message-ID", message_id);
}

static struct doveadm_mail_cmd_context *cmd_sent_add_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	ctx->v.init = cmd_sent_add_init;
	ctx->v.run = cmd_sent_add_run;
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_sent_add = {
	.name = "backscatter sent add",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX
		"<message-id> [<recipient> ...]",
	.mail_cmd = cmd_sent_add_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('\0', "message-id", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "recipient", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

/*
 * sent list
 */

static void sent_list_print(const struct sent_log_row *row)
{
	doveadm_print(doveadm_log_time(row->logged_at));
	doveadm_print(sent_log_source_name(row->source));
	doveadm_print(doveadm_log_time(row->date));
	doveadm_print_num(row->recipient_count);
	doveadm_print(row->serial);
	doveadm_print(row->identity_hash);
}

static int sent_list_print_all(struct backscatter_user *buser, const char **error_r)
{
	struct sent_log_row rows[SENT_LIST_PAGE];
	size_t count;
	int64_t last_id = 0;
	int ret;

	while ((ret = sent_log_list(buser->log, last_id, rows, N_ELEMENTS(rows),
				    &count, error_r)) > 0) {
		for (size_t i = 0; i < count; i++) T_BEGIN {
			sent_list_print(&rows[i]);
		} T_END;
		last_id = rows[count - 1].id;
		backscatter_user_begin(buser);
	}
	return ret;
}

static int
cmd_sent_list_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct backscatter_user *buser;
	const char *error;
	int ret;

	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_EXISTING, &buser);
	if (ret > 0 && sent_list_print_all(buser, &error) < 0)
		ret = doveadm_log_failed(ctx, user, error);
	backscatter_user_deinit(&buser);
	return ret < 0 ? -1 : 0;
}

static void
cmd_sent_list_init(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED
		   COMPAT_DOVEADM_INIT_ARGS)
{
	doveadm_print_header_simple("logged");
	doveadm_print_header_simple("source");
	doveadm_print_header_simple("date");
	doveadm_print_header("recipients", "recipients",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header_simple("serial");
	doveadm_print_header("hash", "hash", DOVEADM_PRINT_HEADER_FLAG_EXPAND);
}

static struct doveadm_mail_cmd_context *cmd_sent_list_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	ctx->v.init = cmd_sent_list_init;
	ctx->v.run = cmd_sent_list_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_sent_list = {
	.name = "backscatter sent list",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_sent_list_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};

/*
 * sent count
 */

static const enum sent_log_source counted_sources[] = {
	SENT_LOG_SOURCE_SUBMISSION,
	SENT_LOG_SOURCE_MILTER,
	SENT_LOG_SOURCE_SENT,
	SENT_LOG_SOURCE_ADMIN,
};

static int sent_count_print(struct backscatter_user *buser, bool exists,
			    const char **error_r)
{
	uint64_t counts[N_ELEMENTS(counted_sources)] = { 0 };
	unsigned int i;

	for (i = 0; exists && i < N_ELEMENTS(counted_sources); i++) {
		if (sent_log_count(buser->log, counted_sources[i], &counts[i],
				   error_r) < 0)
			return -1;
	}
	for (i = 0; i < N_ELEMENTS(counted_sources); i++)
		doveadm_print_num(counts[i]);
	return 0;
}

static int
cmd_sent_count_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct backscatter_user *buser;
	const char *error;
	int ret;

	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_EXISTING, &buser);
	if (ret >= 0 && sent_count_print(buser, ret > 0, &error) < 0)
		ret = doveadm_log_failed(ctx, user, error);
	backscatter_user_deinit(&buser);
	return ret < 0 ? -1 : 0;
}

static void
cmd_sent_count_init(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED
		    COMPAT_DOVEADM_INIT_ARGS)
{
	for (unsigned int i = 0; i < N_ELEMENTS(counted_sources); i++) {
		const char *name = sent_log_source_name(counted_sources[i]);

		doveadm_print_header(name, name,
				     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	}
}

static struct doveadm_mail_cmd_context *cmd_sent_count_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	ctx->v.init = cmd_sent_count_init;
	ctx->v.run = cmd_sent_count_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_sent_count = {
	.name = "backscatter sent count",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_sent_count_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};
