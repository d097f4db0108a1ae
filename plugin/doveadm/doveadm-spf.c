/* doveadm backscatter spf IP HELO MAILFROM: what the service says, step by step. */

#include "lib.h"
#include "hostpid.h"
#include "compat/dovecot-compat.h"
#include "spf/spf.h"
#include "spf/spf-addresses.h"
#include "doveadm-backscatter.h"
#include "doveadm-compat.h"

#define SPF_COMMAND "backscatter spf"

static const struct doveadm_column spf_columns[] = {
	{ .name = "what" },
	{ .name = "text", .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = NULL }
};

static void spf_print_step(const char *step, const char *text)
{
	doveadm_print(step);
	doveadm_print(text);
}

static void spf_print_trace(const char *line, void *context ATTR_UNUSED)
{
	spf_print_step("step", line);
}

static void spf_print_reply(const struct spf_check_reply *reply)
{
	spf_print_step("result", spf_check_result_name(reply->result));
	spf_print_step("identity", spf_identity_name(reply->identity));
	spf_print_step("domain", reply->domain);
	if (reply->mechanism != NULL)
		spf_print_step("mechanism", reply->mechanism);
	if (reply->problem != NULL)
		spf_print_step("problem", reply->problem);
	if (reply->explanation != NULL)
		spf_print_step("explanation", reply->explanation);
}

/* "<>" as in SMTP, or "", is the null sender. */
static const char *spf_without_brackets(const char *path)
{
	size_t size = strlen(path);

	if (size < 2 || path[0] != '<' || path[size - 1] != '>')
		return path;
	return t_strdup_until(path + 1, path + size - 1);
}

static void
spf_print_evaluation(const struct spf_settings *set, struct spf_check_request *request)
{
	const char *error;
	pool_t pool = pool_alloconly_create("backscatter spf", 2048);
	struct spf_check_reply reply;

	request->receiver = my_hostname;
	request->timeout_msecs = set->spf_timeout;
	request->dns_servers = set->spf_dns;
	request->trace = spf_print_trace;
	if (spf_ask(compat_base_dir(), request, pool, &reply, &error) < 0) {
		i_error("backscatter: %s", error);
		doveadm_exit_code = EX_TEMPFAIL;
	}
	spf_print_reply(&reply);
	pool_unref(&pool);
}

static void spf_run(struct doveadm_cmd_context *cctx)
{
	const struct spf_settings *set;
	struct spf_check_request request;
	const char *ip = doveadm_argument(cctx, "ip"), *const *error;
	const char *mail_from = doveadm_argument(cctx, "mailfrom");
	pool_t pool;

	i_zero(&request);
	request.helo = doveadm_argument(cctx, "helo");
	if (ip == NULL || request.helo == NULL || mail_from == NULL) {
		i_error(SPF_COMMAND": IP, HELO and MAILFROM have to be given "
			"(\"\": null sender)");
		doveadm_exit_code = EX_USAGE;
		return;
	}
	if (spf_ip_parse(ip, &request.client_ip) < 0) {
		i_error(SPF_COMMAND": '%s' is no IP address", ip);
		doveadm_exit_code = EX_USAGE;
		return;
	}
	request.mail_from = spf_without_brackets(mail_from);

	pool = pool_alloconly_create("backscatter spf settings", 1024);
	set = compat_doveadm_spf_settings(cctx, pool);
	for (error = set->errors; *error != NULL; error++)
		i_error("backscatter: %s", *error);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	doveadm_print_columns(spf_columns);
	spf_print_evaluation(set, &request);
	pool_unref(&pool);
}

struct doveadm_cmd_ver2 doveadm_backscatter_spf = {
	.name = SPF_COMMAND,
	.cmd = spf_run,
	.usage = "<ip> <helo> <mailfrom>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "ip", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "helo", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "mailfrom", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
