/* doveadm backscatter addresses [<address> ...], sender <field> ... */

#include "lib.h"
#include "istream.h"
#include "str.h"
#include "doveadm-backscatter.h"
#include "sender/sender-check.h"

/*
 * addresses
 */

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

/*
 * sender
 */

/* One field, folded or not: what ends it, or begins with another, would hide the next
   one. */
static bool sender_is_field(const char *text)
{
	size_t name_size = strcspn(text, ":\r\n");

	/* a blank inside of the name is what some programs skip: the check refuses it */
	if (name_size == 0 || text[name_size] != ':')
		return FALSE;
	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		if (*text != ' ' && *text != '\t')
			return FALSE;
	}
	return TRUE;
}

/* On the way to another doveadm process Dovecot makes one word of an array of this name,
   and a display name may look like the next field. */
static bool sender_fields_may_be_joined(const struct doveadm_cmd_context *cctx,
					const char *field)
{
	const char *value = strchr(field, ':');

	return cctx->conn_type == DOVEADM_CONNECTION_TYPE_TCP &&
		(strcasestr(value, "from:") != NULL ||
		 strcasestr(value, "sender:") != NULL);
}

/* fields: each passes sender_is_field() */
static void sender_read(pool_t pool, const char *const *fields,
			struct outgoing_message *message_r)
{
	string_t *header = str_new(pool, 1024);
	struct istream *input;
	const char *error;

	for (; *fields != NULL; fields++)
		str_printfa(header, "%s\r\n", *fields);
	str_append(header, "\r\n");
	input = i_stream_create_from_data(str_data(header), str_len(header));
	if (outgoing_message_read(pool, input, message_r, &error) < 0)
		i_unreached();
	i_stream_unref(&input);
}

static int sender_check(struct doveadm_mail_cmd_context *ctx)
{
	pool_t pool = pool_alloconly_create("backscatter sender", 2048);
	const char *const *fields, *const *field;
	struct outgoing_message message;
	bool named;

	if (!doveadm_cmd_param_array(ctx->cctx, "field", &fields) ||
	    *fields == NULL)
		return doveadm_wrong_usage(ctx);
	for (field = fields; *field != NULL; field++) {
		if (!sender_is_field(*field)) {
			return doveadm_wrong_argument(ctx, "'%.200s' is no header "
				"field: give it as \"From: alice@example.org\"",
				*field);
		}
	}
	sender_read(pool, fields, &message);
	named = array_not_empty(&message.senders) ||
		message.unreadable.problem != NULL || message.truncated;
	pool_unref(&pool);
	return named ? 0 : doveadm_wrong_argument(ctx, "no field names a sender: "
		"From, Sender, Resent-From and Resent-Sender do");
}

/* 451 is no answer. */
static int sender_print(struct doveadm_run *run, bool allowed,
			const struct sender_refusal *refusal)
{
	if (!allowed && refusal->status == 451)
		return doveadm_run_failed(run, refusal->text);
	doveadm_print(allowed ? "allowed" : "refused");
	doveadm_print(allowed ? "" : refusal->text);
	return 0;
}

static int sender_run(struct doveadm_run *run)
{
	struct sender_addresses *senders;
	struct outgoing_message message;
	struct sender_refusal refusal;
	const char *const *fields;
	pool_t pool;
	int ret;

	if (!doveadm_cmd_param_array(run->cctx, "field", &fields))
		i_unreached();
	if (sender_fields_may_be_joined(run->cctx, *fields)) {
		return doveadm_run_failed(run, "several fields came as one: ask "
			"the doveadm of the host that has this user");
	}
	pool = pool_alloconly_create("backscatter sender", 2048);
	senders = sender_addresses_init(run->buser);
	sender_read(pool, fields, &message);
	ret = sender_print(run, sender_check_header(senders, &message,
						    &refusal), &refusal);
	sender_addresses_deinit(&senders);
	pool_unref(&pool);
	return ret;
}

static const struct doveadm_column sender_columns[] = {
	{ .name = "sender" },
	{ .name = "reason", .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = NULL }
};

static const struct doveadm_user_command sender_command = {
	.columns = sender_columns,
	.check = sender_check,
	.run = sender_run,
};

DOVEADM_USER_COMMAND(sender, "sender", "<field> ...",
DOVEADM_CMD_PARAM('\0', "field", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
);
