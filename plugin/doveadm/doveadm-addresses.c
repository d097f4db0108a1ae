/* doveadm backscatter addresses [<address> ...] */

#include "lib.h"
#include "doveadm-print.h"
#include "mail-user.h"
#include "doveadm-backscatter.h"
#include "doveadm-log.h"
#include "user/sender-addresses.h"

#define ADDRESSES_COMMAND "backscatter addresses"
#define SOURCE_NOT_OWNED "not-owned"

static int
dict_failed(struct doveadm_mail_cmd_context *ctx, struct mail_user *user,
	    const char *error)
{
	return doveadm_log_failed(ctx, user, t_strconcat(
		"backscatter_sender_dict: ", error, NULL));
}

static void addresses_print_row(const char *address, const char *source)
{
	doveadm_print(address);
	doveadm_print(source);
}

/* Prints all that the user may send as. Returns 0 or -1. */
static int
addresses_print_all(struct doveadm_mail_cmd_context *ctx,
		    struct mail_user *user, struct sender_addresses *senders)
{
	pool_t pool = pool_alloconly_create("backscatter addresses", 1024);
	const struct sender_address *addresses;
	unsigned int count;
	const char *error;
	int ret;

	ret = sender_addresses_list(senders, pool, &addresses, &count, &error);
	for (unsigned int i = 0; i < count; i++)
		addresses_print_row(addresses[i].address, addresses[i].source);
	if (ret < 0) {
		(void)dict_failed(ctx, user, error);
	} else if (ret == 0) {
		e_warning(user->event, "backscatter: backscatter_sender_dict: "
			"%s: give \"doveadm "ADDRESSES_COMMAND"\" the ones "
			"to be looked up", error);
	}
	pool_unref(&pool);
	return ret < 0 ? -1 : 0;
}

/* Prints by which source the user may send as these. Returns 0 or -1. */
static int
addresses_print_asked(struct doveadm_mail_cmd_context *ctx,
		      struct mail_user *user, struct sender_addresses *senders,
		      const char *const *addresses)
{
	const char *source, *error;
	int ret;

	for (; *addresses != NULL; addresses++) {
		ret = sender_addresses_own(senders, *addresses, &source, &error);
		if (ret < 0)
			return dict_failed(ctx, user, error);
		addresses_print_row(*addresses, ret > 0 ? source :
				    SOURCE_NOT_OWNED);
	}
	return 0;
}

static int
cmd_addresses_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct backscatter_user *buser = backscatter_user_init(user, user->event);
	struct sender_addresses *senders = sender_addresses_init(buser);
	const char *const *addresses;
	int ret;

	if (doveadm_cmd_param_array(ctx->cctx, "address", &addresses))
		ret = addresses_print_asked(ctx, user, senders, addresses);
	else
		ret = addresses_print_all(ctx, user, senders);
	sender_addresses_deinit(&senders);
	backscatter_user_deinit(&buser);
	return ret;
}

static void
cmd_addresses_init(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED
		   COMPAT_DOVEADM_INIT_ARGS)
{
	doveadm_print_header("address", "address",
			     DOVEADM_PRINT_HEADER_FLAG_EXPAND);
	doveadm_print_header_simple("source");
}

static struct doveadm_mail_cmd_context *cmd_addresses_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	ctx->v.init = cmd_addresses_init;
	ctx->v.run = cmd_addresses_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_addresses = {
	.name = ADDRESSES_COMMAND,
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[<address> ...]",
	.mail_cmd = cmd_addresses_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('\0', "address", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
