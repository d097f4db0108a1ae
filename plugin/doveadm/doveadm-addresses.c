/* doveadm backscatter addresses [<address> ...] */

#include "lib.h"
#include "doveadm-backscatter.h"
#include "sender/sender-addresses.h"

#define ADDRESSES_NOT_OWNED "not-owned"

static int addresses_dict_failed(struct doveadm_run *run, const char *error)
{
	return doveadm_run_failed(run, t_strconcat("backscatter_sender_dict: ",
						   error, NULL));
}

static void addresses_print_row(const char *address, const char *source)
{
	doveadm_print(address);
	doveadm_print(source);
}

/* Prints all that the user may send as. Returns 0 or -1. */
static int
addresses_print_all(struct doveadm_run *run, struct sender_addresses *senders)
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
		(void)addresses_dict_failed(run, error);
	} else if (ret == 0) {
		e_warning(run->buser->event, "backscatter_sender_dict: "
			"%s: give \"doveadm backscatter addresses\" the "
			"ones to be looked up", error);
	}
	pool_unref(&pool);
	return ret < 0 ? -1 : 0;
}

/* Prints by which source the user may send as these. Returns 0 or -1. */
static int
addresses_print_asked(struct doveadm_run *run, struct sender_addresses *senders,
		      const char *const *addresses)
{
	const char *source, *error;
	int ret;

	for (; *addresses != NULL; addresses++) {
		ret = sender_addresses_own(senders, *addresses, &source, &error);
		if (ret < 0)
			return addresses_dict_failed(run, error);
		addresses_print_row(*addresses, ret > 0 ? source :
				    ADDRESSES_NOT_OWNED);
	}
	return 0;
}

static int addresses_run(struct doveadm_run *run)
{
	struct sender_addresses *senders = sender_addresses_init(run->buser);
	const char *const *addresses;
	int ret;

	if (doveadm_cmd_param_array(run->cctx, "address", &addresses))
		ret = addresses_print_asked(run, senders, addresses);
	else
		ret = addresses_print_all(run, senders);
	sender_addresses_deinit(&senders);
	return ret;
}

static const struct doveadm_column addresses_columns[] = {
	{ .name = "address", .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = "source" },
	{ .name = NULL }
};

static const struct doveadm_user_command addresses_command = {
	.columns = addresses_columns,
	.run = addresses_run,
};

DOVEADM_USER_COMMAND(addresses, "addresses", "[<address> ...]",
DOVEADM_CMD_PARAM('\0', "address", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
);
