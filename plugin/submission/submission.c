/* Submission: MAIL is checked for ownership and given a serial, which goes to the
   relay as ENVID and, if wanted, as a tag; DATA is checked, given the headers that it
   lacks, and logged before the relay sees it. */

#include "lib.h"
#include "array.h"
#include "guid.h"
#include "istream.h"
#include "istream-concat.h"
#include "message-date.h"
#include "module-context.h"
#include "module-dir.h"
#include "str.h"
#include "smtp-address.h"
#include "smtp-server.h"
#include "mail-user.h"
#include "submission-common.h"
#include "submission-client.h"
#include "report/report.h"
#include "sender/sender-check.h"
#include "submission.h"

#include <time.h>

#define SUBMISSION_CLIENT_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, submission_backscatter_module)

struct submission_backscatter_client {
	union submission_module_context module_ctx;
	/* prepared when the first message comes */
	struct backscatter_user *buser;
	struct sender_addresses *senders;
	struct submission_serial serial;
};

static MODULE_CONTEXT_DEFINE_INIT(submission_backscatter_module,
				  &submission_module_register);
static submission_client_created_func_t *next_client_created;

static void
submission_prepare(struct submission_backscatter_client *bclient,
		   struct client *client)
{
	if (bclient->buser != NULL)
		return;
	bclient->buser = backscatter_user_init(client->user, client->user->event);
	backscatter_user_make_home(bclient->buser);
	bclient->senders = sender_addresses_init(bclient->buser);
	submission_serial_init(&bclient->serial, bclient->buser, client->pool);
}

/* Senders */

/* refuses: the setting refuses this here; otherwise it was checked only to say so.
   Returns TRUE if the message may go on. */
static bool
submission_refuse(struct submission_backscatter_client *bclient,
		  struct smtp_server_cmd_ctx *cmd, bool refuses,
		  const struct sender_refusal *refusal)
{
	e_info(bclient->buser->event, "%s: %s%s", refuses ?
	       "Refused" : "backscatter_sender_check=both would refuse",
	       refusal->text, refusal->setting == NULL ? "" :
	       t_strdup_printf(" (%s)", refusal->setting));
	if (refuses) {
		smtp_server_reply(cmd, refusal->status, refusal->enhanced_code,
				  "%s", refusal->text);
	}
	return !refuses;
}

/* The null sender is everybody's. */
static bool
submission_check_envelope(struct submission_backscatter_client *bclient,
			  struct smtp_server_cmd_ctx *cmd,
			  const struct smtp_address *mail_from)
{
	enum sender_check check = bclient->buser->set->sender_check;
	struct sender_refusal refusal;

	return check == SENDER_CHECK_OFF || smtp_address_isnull(mail_from) ||
		sender_check_address(bclient->senders, "MAIL FROM",
				     smtp_address_encode(mail_from),
				     &refusal) ||
		submission_refuse(bclient, cmd, check != SENDER_CHECK_LOG,
				  &refusal);
}

static bool
submission_check_header(struct submission_backscatter_client *bclient,
			struct smtp_server_cmd_ctx *cmd,
			const struct outgoing_message *message)
{
	enum sender_check check = bclient->buser->set->sender_check;
	struct sender_refusal refusal;

	return check == SENDER_CHECK_OFF || check == SENDER_CHECK_ENVELOPE ||
		sender_check_header(bclient->senders, message, &refusal) ||
		submission_refuse(bclient, cmd, check == SENDER_CHECK_BOTH,
				  &refusal);
}

/* Headers */

static const char *
new_message_id(struct client *client, const struct smtp_address *mail_from)
{
	const char *domain = client->set->hostname;
	guid_128_t guid;

	if (!smtp_address_isnull(mail_from) && mail_from->domain != NULL)
		domain = mail_from->domain;
	guid_128_generate(guid);
	return t_strdup_printf("%s@%s", guid_128_to_string(guid), domain);
}

/* What the message gets in front; adds a Message-ID to message if it has none. */
static const char *
submission_header(struct client *client,
		  const struct smtp_server_transaction *trans,
		  struct outgoing_message *message, const char *serial)
{
	string_t *header = t_str_new(256);

	if (*serial != '\0')
		str_printfa(header, "%s: %s\r\n", REPORT_SERIAL_HEADER, serial);
	if (!message->has_message_id) {
		const char *message_id = new_message_id(client,
							trans->mail_from);
		const char *logged = t_str_lcase(message_id);

		str_printfa(header, "Message-ID: <%s>\r\n", message_id);
		array_push_back(&message->message_ids, &logged);
	}
	if (!message->has_date) {
		message->date = time(NULL);
		str_printfa(header, "Date: %s\r\n",
			    message_date_create(message->date));
	}
	return str_c(header);
}

static struct istream *
submission_stream(const char *header, struct istream *input)
{
	struct istream *inputs[] = {
		i_stream_create_copy_from_data(header, strlen(header)), input,
		NULL
	};
	struct istream *stream = i_stream_create_concat(inputs);

	i_stream_set_name(stream, "<submission DATA>");
	i_stream_unref(&inputs[0]);
	return stream;
}

/* Commands */

static int
submission_mail_real(struct client *client, struct smtp_server_cmd_ctx *cmd,
		     struct smtp_server_cmd_mail *data)
{
	struct submission_backscatter_client *bclient =
		SUBMISSION_CLIENT_CONTEXT(client);

	submission_prepare(bclient, client);
	backscatter_user_begin(bclient->buser);
	if (!submission_check_envelope(bclient, cmd, data->path))
		return -1;
	submission_serial_mark_envelope(&bclient->serial, cmd, data,
		(client->backend_capabilities & SMTP_CAPABILITY_DSN) != 0);
	return bclient->module_ctx.super.cmd_mail(client, cmd, data);
}

static int
submission_mail(struct client *client, struct smtp_server_cmd_ctx *cmd,
		struct smtp_server_cmd_mail *data)
{
	struct submission_backscatter_client *bclient =
		SUBMISSION_CLIENT_CONTEXT(client);
	int ret;

	/* refused by the base */
	if (client->user->anonymous)
		return bclient->module_ctx.super.cmd_mail(client, cmd, data);
	T_BEGIN {
		ret = submission_mail_real(client, cmd, data);
	} T_END;
	return ret;
}

static int
submission_data_read(struct submission_backscatter_client *bclient,
		     struct client *client, struct smtp_server_cmd_ctx *cmd,
		     struct smtp_server_transaction *trans,
		     struct outgoing_message *message, struct istream *input,
		     uoff_t size)
{
	char serial[SERIAL_TEXT_SIZE];
	struct istream *stream;
	const char *header;
	int ret;

	if (!submission_check_header(bclient, cmd, message))
		return -1;
	submission_serial_take(&bclient->serial, trans->mail_from, serial);
	header = submission_header(client, trans, message, serial);
	submission_log_message(bclient->buser, message, trans, serial,
			       time(NULL));

	stream = submission_stream(header, input);
	ret = bclient->module_ctx.super.cmd_data(client, cmd, trans, stream,
						 size + strlen(header));
	i_stream_unref(&stream);
	return ret;
}

static int
submission_data(struct client *client, struct smtp_server_cmd_ctx *cmd,
		struct smtp_server_transaction *trans, struct istream *input,
		uoff_t size)
{
	struct submission_backscatter_client *bclient =
		SUBMISSION_CLIENT_CONTEXT(client);
	pool_t pool = pool_alloconly_create("backscatter outgoing", 1024);
	struct outgoing_message message;
	const char *error;
	int ret;

	submission_prepare(bclient, client);
	T_BEGIN {
		/* What can't be read here, the base can't read either, and
		   says so to the client. */
		if (outgoing_message_read(pool, input, &message, &error) < 0) {
			e_error(bclient->buser->event,
				"Reading the message failed: %s",
				error);
		}
		ret = submission_data_read(bclient, client, cmd, trans,
					   &message, input, size);
	} T_END;
	pool_unref(&pool);
	return ret;
}

/* Clients */

static void submission_client_destroy(struct client *client)
{
	struct submission_backscatter_client *bclient =
		SUBMISSION_CLIENT_CONTEXT(client);

	if (bclient->buser != NULL) {
		submission_serial_deinit(&bclient->serial);
		sender_addresses_deinit(&bclient->senders);
		backscatter_user_deinit(&bclient->buser);
	}
	bclient->module_ctx.super.destroy(client);
}

static void submission_client_created(struct client **_client)
{
	struct client *client = *_client;
	struct submission_backscatter_client *bclient =
		p_new(client->pool, struct submission_backscatter_client, 1);

	bclient->module_ctx.super = client->v;
	client->v.destroy = submission_client_destroy;
	client->v.cmd_mail = submission_mail;
	client->v.cmd_data = submission_data;
	MODULE_CONTEXT_SET(client, submission_backscatter_module, bclient);

	if (next_client_created != NULL)
		next_client_created(_client);
}

const char *submission_backscatter_plugin_version = DOVECOT_ABI_VERSION;

void submission_backscatter_plugin_init(struct module *module ATTR_UNUSED)
{
	/* each message is logged, and its user may be in a chroot */
	sent_log_load_libraries();
	next_client_created =
		submission_client_created_hook_set(submission_client_created);
}

void submission_backscatter_plugin_deinit(void)
{
	submission_client_created_hook_set(next_client_created);
}
