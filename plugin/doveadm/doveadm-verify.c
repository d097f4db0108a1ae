/* doveadm backscatter verify ADDRESS-OR-SERIAL -u user: is it ours, and if not, why? */

#include "lib.h"
#include "doveadm-print.h"
#include "time-util.h"
#include "mail-user.h"
#include "compat/dovecot-compat.h"
#include "verdict/tag.h"
#include "doveadm-backscatter.h"
#include "doveadm-log.h"

#include <time.h>

#define VERIFY_COMMAND "backscatter verify"

struct verify_result {
	struct serial_check check;
	const char *serial;
	/* the return address that it was issued for; NULL = it doesn't verify */
	const char *address;
	bool logged;
};

static const char *
verify_explanation(const struct verify_result *result)
{
	if (result->logged)
		return "ours: this mailbox sent it";
	switch (result->check.status) {
	case SERIAL_VALID:
		return "ours: it verifies";
	case SERIAL_EXPIRED:
		return "it verifies, but is older than backscatter_retention";
	case SERIAL_WRONG_MAC:
		return "not issued for an own address of this user, or forged";
	case SERIAL_UNKNOWN_KEY:
		return "no key of this user or site has this id";
	case SERIAL_BAD_FORM:
		break;
	}
	return "no serial of this version, nor an address that has one as tag";
}

static void verify_print(const struct verify_result *result)
{
	bool has_form = result->check.status != SERIAL_BAD_FORM;

	doveadm_print(result->logged ? serial_status_name(SERIAL_VALID) :
		      serial_status_name(result->check.status));
	doveadm_print(!has_form ? "" :
		      t_strdup_printf("%04x", result->check.key_id));
	doveadm_print(!has_form ? "" :
		      t_strflocaltime("%Y-%m-%d", result->check.issued));
	doveadm_print(result->address == NULL ? "" : result->address);
	doveadm_print(result->logged ? "yes" : "no");
	doveadm_print(verify_explanation(result));
}

/* Own addresses that are written out, and the one of the tag if it is own. */
static const char *const *
verify_addresses(struct backscatter_user *buser, const char *tagged,
		 unsigned int *count_r)
{
	pool_t pool = pool_datastack_create();
	struct own_addresses *own = backscatter_user_own_addresses(buser, NULL, pool);

	if (tagged != NULL && own_addresses_match(own, tagged))
		own_addresses_add_recipient(own, tagged);
	*count_r = str_array_length(own_addresses_list(own, pool));
	return own_addresses_list(own, pool);
}

static void verify_keys(struct backscatter_user *buser, const char *tagged,
			struct verify_result *result)
{
	const char *const *addresses;
	struct serial_keys keys, own;
	unsigned int count;
	time_t now = time(NULL);

	addresses = verify_addresses(buser, tagged, &count);
	backscatter_user_get_keys(buser, now, &keys, &own);
	serial_verify(&keys, result->serial, addresses, count,
		      now - (time_t)buser->set->retention, &result->check);
	serial_keys_clear(&keys);
	serial_keys_clear(&own);
	if (result->check.status >= SERIAL_EXPIRED)
		result->address = addresses[result->check.address];
}

static int
verify_log(struct doveadm_mail_cmd_context *ctx, struct backscatter_user *buser,
	   struct verify_result *result)
{
	struct sent_log_identity identity = { .kind = SENT_LOG_IDENTITY_SERIAL };
	char serial[SERIAL_TEXT_SIZE];
	struct sent_log_entry entry;
	const char *error;
	int ret;

	if (!serial_normalise(result->serial, serial))
		return 0;
	identity.value = serial;
	ret = sent_log_find(buser->log, &identity, NULL, 0, time(NULL), &entry,
			    &error);
	if (ret < 0)
		return doveadm_log_failed(ctx, buser->user, error);
	result->logged = ret > 0;
	return 0;
}

static int
cmd_verify_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct verify_result result = { .logged = FALSE };
	struct backscatter_user *buser;
	const char *text;
	int ret;

	if (!doveadm_cmd_param_str(ctx->cctx, "address-or-serial", &text))
		i_unreached();
	result.serial = tag_get_serial(text, compat_recipient_delimiter(user,
						pool_datastack_create()));
	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_EXISTING, &buser);
	if (ret >= 0) {
		const char *tagged = result.serial == NULL ? NULL : text;

		if (result.serial == NULL)
			result.serial = text;
		if (ret > 0)
			ret = verify_log(ctx, buser, &result);
		verify_keys(buser, tagged, &result);
		verify_print(&result);
	}
	backscatter_user_deinit(&buser);
	return ret < 0 ? -1 : 0;
}

static void
cmd_verify_init(struct doveadm_mail_cmd_context *ctx COMPAT_DOVEADM_INIT_ARGS)
{
	const char *text;

	if (!doveadm_cmd_param_str(ctx->cctx, "address-or-serial", &text))
		doveadm_mail_help_name(VERIFY_COMMAND);
	doveadm_print_header_simple("status");
	doveadm_print_header_simple("key");
	doveadm_print_header_simple("issued");
	doveadm_print_header_simple("address");
	doveadm_print_header_simple("logged");
	doveadm_print_header("explanation", "explanation",
			     DOVEADM_PRINT_HEADER_FLAG_EXPAND);
}

static struct doveadm_mail_cmd_context *cmd_verify_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	ctx->v.init = cmd_verify_init;
	ctx->v.run = cmd_verify_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_verify = {
	.name = VERIFY_COMMAND,
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"<address-or-serial>",
	.mail_cmd = cmd_verify_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('\0', "address-or-serial", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
