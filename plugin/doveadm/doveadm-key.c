/* doveadm backscatter key list|rotate|generate, and verify: is an address or a serial ours,
   and if not, why? */

#include "lib.h"
#include "time-util.h"
#include "compat/dovecot-compat.h"
#include "sent-log/site-key.h"
#include "verdict/tag.h"
#include "doveadm-backscatter.h"

#include <stdlib.h>

static const struct doveadm_column key_columns[] = {
	{ .name = "key" },
	{ .name = "of" },
	{ .name = "created" },
	{ .name = "retired" },
	{ .name = "use", .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = NULL }
};

/*
 * key list, key rotate
 */

static void
key_print(const struct serial_key *key, const char *owner, bool issues)
{
	doveadm_print(t_strdup_printf("%04x", key->id));
	doveadm_print(owner);
	doveadm_print(doveadm_show_time(key->created));
	doveadm_print(doveadm_show_time(key->retired));
	doveadm_print(issues ? "issues and verifies" : "verifies");
}

/* issues: the newest of them does. */
static void
key_print_all(const struct serial_keys *keys, const char *owner, bool issues)
{
	for (size_t i = 0; i < keys->count; i++) T_BEGIN {
		key_print(&keys->keys[i], owner,
			  issues && i + 1 == keys->count);
	} T_END;
}

/* Returns 1 if the site has keys, 0 if not, -1 after the error was logged. */
static int key_print_site(struct doveadm_run *run)
{
	struct serial_keys keys;
	char *error;
	int ret;

	if (run->buser->set->site_key == NULL)
		return 0;
	if (site_key_read(run->buser->set->site_key, &keys, &error) < 0) {
		ret = doveadm_run_failed(run, error);
		free(error);
		return ret;
	}
	key_print_all(&keys, "site", TRUE);
	ret = keys.count > 0 ? 1 : 0;
	serial_keys_clear(&keys);
	return ret;
}

/* exists: the mailbox has a log. */
static int key_list(struct doveadm_run *run, bool exists)
{
	struct serial_keys keys;
	const char *error;
	int site = key_print_site(run), ret = site < 0 ? -1 : 0;

	if (!exists)
		return ret;
	if (sent_log_get_serial_keys(run->buser->log, run->now, &keys, &error) < 0)
		return doveadm_run_failed(run, error);
	/* also where the site's can't be read */
	key_print_all(&keys, "mailbox", site <= 0);
	serial_keys_clear(&keys);
	return ret;
}

static int key_list_run(struct doveadm_run *run)
{
	int ret = doveadm_log_open(run, DOVEADM_LOG_EXISTING);

	return ret < 0 ? -1 : key_list(run, ret > 0);
}

static const struct doveadm_user_command key_list_command = {
	.columns = key_columns,
	.run = key_list_run,
};

DOVEADM_USER_COMMAND(key_list, "key list", "");

static int key_rotate_run(struct doveadm_run *run)
{
	const char *site_key = run->buser->set->site_key;
	struct serial_key key;
	const char *error;

	if (site_key != NULL) {
		e_error(run->buser->event, "backscatter_site_key is what this "
			"user sends with: doveadm backscatter key generate %s "
			"makes a new one", site_key);
		return doveadm_run_not_possible(run);
	}
	if (doveadm_log_open(run, DOVEADM_LOG_CREATE) < 0)
		return -1;
	if (sent_log_rotate_serial_key(run->buser->log, run->now, &key,
				       &error) < 0)
		return doveadm_run_failed(run, error);
	return key_list(run, TRUE);
}

static const struct doveadm_user_command key_rotate_command = {
	.columns = key_columns,
	.run = key_rotate_run,
};

DOVEADM_USER_COMMAND(key_rotate, "key rotate", "");

/*
 * key generate
 */

static void key_generate_run(struct doveadm_cmd_context *cctx)
{
	struct serial_key key;
	const char *path = doveadm_argument(cctx, "file");
	char *error;

	if (path == NULL) {
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
	doveadm_print_columns(key_columns);
	key_print(&key, "site", TRUE);
}

struct doveadm_cmd_ver2 doveadm_backscatter_key_generate = {
	.name = "backscatter key generate",
	.cmd = key_generate_run,
	.usage = "<file>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "file", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

/*
 * verify
 */

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

static int verify_log(struct doveadm_run *run, struct verify_result *result)
{
	struct sent_log_identity identity = { .kind = SENT_LOG_IDENTITY_SERIAL };
	char serial[SERIAL_TEXT_SIZE];
	struct sent_log_entry entry;
	const char *error;
	int ret;

	if (!serial_normalise(result->serial, serial))
		return 0;
	identity.value = serial;
	ret = sent_log_find(run->buser->log, &identity, NULL, 0, run->now,
			    &entry, &error);
	if (ret < 0)
		return doveadm_run_failed(run, error);
	result->logged = ret > 0;
	return 0;
}

static int verify_run(struct doveadm_run *run)
{
	struct verify_result result = { .logged = FALSE };
	const char *text = doveadm_argument(run->cctx, "address-or-serial");
	const char *tagged = NULL;
	int ret;

	result.serial = tag_get_serial(text, compat_recipient_delimiter(
			run->buser->user, pool_datastack_create()));
	if (result.serial == NULL)
		result.serial = text;
	else
		tagged = text;
	ret = doveadm_log_open(run, DOVEADM_LOG_EXISTING);
	if (ret < 0)
		return -1;
	if (ret > 0)
		ret = verify_log(run, &result);
	verify_keys(run->buser, tagged, &result);
	verify_print(&result);
	return ret;
}

static int verify_check(struct doveadm_mail_cmd_context *ctx)
{
	return doveadm_argument(ctx->cctx, "address-or-serial") != NULL ? 0 :
		doveadm_wrong_usage(ctx);
}

static const struct doveadm_column verify_columns[] = {
	{ .name = "status" },
	{ .name = "key" },
	{ .name = "issued" },
	{ .name = "address" },
	{ .name = "logged" },
	{ .name = "explanation", .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = NULL }
};

static const struct doveadm_user_command verify_command = {
	.columns = verify_columns,
	.check = verify_check,
	.run = verify_run,
};

DOVEADM_USER_COMMAND(verify, "verify", "<address-or-serial>",
DOVEADM_CMD_PARAM('\0', "address-or-serial", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
);
