/* doveadm backscatter key list|rotate|generate */

#include "lib.h"
#include "doveadm-print.h"
#include "mail-user.h"
#include "sent-log/site-key.h"
#include "doveadm-backscatter.h"
#include "doveadm-log.h"

#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

static void key_print_headers(void)
{
	doveadm_print_header_simple("key");
	doveadm_print_header_simple("of");
	doveadm_print_header_simple("created");
	doveadm_print_header_simple("retired");
	doveadm_print_header("use", "use", DOVEADM_PRINT_HEADER_FLAG_EXPAND);
}

/*
 * key list, key rotate
 */

static void
key_print(const struct serial_key *key, const char *owner, bool issues)
{
	doveadm_print(t_strdup_printf("%04x", key->id));
	doveadm_print(owner);
	doveadm_print(doveadm_log_time(key->created));
	doveadm_print(doveadm_log_time(key->retired));
	doveadm_print(issues ? "issues and verifies" : "verifies");
}

/* issues: the newest of them does. */
static void
keys_print(const struct serial_keys *keys, const char *owner, bool issues)
{
	for (size_t i = 0; i < keys->count; i++) T_BEGIN {
		key_print(&keys->keys[i], owner,
			  issues && i + 1 == keys->count);
	} T_END;
}

/* Returns 1 if the site has keys, 0 if not, -1 after the error was logged. */
static int
site_keys_print(struct doveadm_mail_cmd_context *ctx, struct backscatter_user *buser)
{
	struct serial_keys keys;
	char *error;
	int ret;

	if (buser->set->site_key == NULL)
		return 0;
	if (site_key_read(buser->set->site_key, &keys, &error) < 0) {
		ret = doveadm_log_failed(ctx, buser->user, error);
		free(error);
		return ret;
	}
	keys_print(&keys, "site", TRUE);
	ret = keys.count > 0 ? 1 : 0;
	serial_keys_clear(&keys);
	return ret;
}

/* exists: the mailbox has a log. */
static int
key_list(struct doveadm_mail_cmd_context *ctx, struct backscatter_user *buser,
	 bool exists)
{
	struct serial_keys keys;
	const char *error;
	int site = site_keys_print(ctx, buser);

	if (site < 0 || !exists)
		return site;
	if (sent_log_get_serial_keys(buser->log, time(NULL), &keys, &error) < 0)
		return doveadm_log_failed(ctx, buser->user, error);
	keys_print(&keys, "mailbox", site == 0);
	serial_keys_clear(&keys);
	return 0;
}

static int
cmd_key_list_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct backscatter_user *buser;
	int ret;

	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_EXISTING, &buser);
	if (ret >= 0)
		ret = key_list(ctx, buser, ret > 0);
	backscatter_user_deinit(&buser);
	return ret < 0 ? -1 : 0;
}

static int
key_rotate(struct doveadm_mail_cmd_context *ctx, struct backscatter_user *buser)
{
	struct serial_key key;
	const char *error;

	if (buser->set->site_key != NULL) {
		return doveadm_log_failed(ctx, buser->user, t_strdup_printf(
			"backscatter_site_key is what this user sends with: "
			"doveadm backscatter key generate %s makes a new one",
			buser->set->site_key));
	}
	if (sent_log_rotate_serial_key(buser->log, time(NULL), &key, &error) < 0)
		return doveadm_log_failed(ctx, buser->user, error);
	return key_list(ctx, buser, TRUE);
}

static int
cmd_key_rotate_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct backscatter_user *buser;
	int ret;

	ret = doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_CREATE, &buser);
	if (ret > 0)
		ret = key_rotate(ctx, buser);
	backscatter_user_deinit(&buser);
	return ret < 0 ? -1 : 0;
}

static void
cmd_key_init(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED
	     COMPAT_DOVEADM_INIT_ARGS)
{
	key_print_headers();
}

static struct doveadm_mail_cmd_context *cmd_key_list_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	ctx->v.init = cmd_key_init;
	ctx->v.run = cmd_key_list_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

static struct doveadm_mail_cmd_context *cmd_key_rotate_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx = cmd_key_list_alloc();

	ctx->v.run = cmd_key_rotate_run;
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_key_list = {
	.name = "backscatter key list",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_key_list_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_key_rotate = {
	.name = "backscatter key rotate",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX,
	.mail_cmd = cmd_key_rotate_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAMS_END
};

/*
 * key generate
 */

static void cmd_key_generate(struct doveadm_cmd_context *cctx)
{
	struct serial_key key;
	const char *path;
	char *error;

	if (!doveadm_cmd_param_str(cctx, "file", &path)) {
		i_error("backscatter key generate: no file given");
		doveadm_exit_code = EX_USAGE;
		return;
	}
	if (site_key_generate(path, time(NULL), &key, &error) < 0) {
		i_error("%s", error);
		free(error);
		doveadm_exit_code = EX_CANTCREAT;
		return;
	}
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	key_print_headers();
	key_print(&key, "site", TRUE);
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_key_generate = {
	.name = "backscatter key generate",
	.cmd = cmd_key_generate,
	.usage = "<file>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "file", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
