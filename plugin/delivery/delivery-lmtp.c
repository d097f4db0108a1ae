/* LMTP: the message is scanned once, in DATA; each recipient of a marked message
   gets his own verdict and header, in local_deliver; the deliver hook (delivery.c)
   asks here whether the current recipient's report is to be quarantined or
   discarded. What is the same for all (SPF) is put in front of the message once. */

#include "lib.h"
#include "istream.h"
#include "module-context.h"
#include "smtp-address.h"
#include "mail-storage.h"
#include "mail-deliver.h"
#include "mail-user.h"
#include "lmtp-common.h"
#include "lmtp-recipient.h"
#include "delivery.h"
#include "headers/delivery-mail.h"

/* These exist in the lmtp process only; one module serves all. */
#pragma weak lmtp_client_created_hook_set
#pragma weak lmtp_module_register

#define LMTP_CLIENT_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, delivery_lmtp_module)

struct delivery_lmtp_client {
	union lmtp_module_context module_ctx;
	/* read when the first message comes */
	const struct spf_settings *spf;
};

/* One message, all its recipients. */
struct delivery_lmtp_message {
	struct report_scan scan;
	pool_t pool;
	/* read when the first recipient is due; NULL = not a report */
	const struct report *report;
	bool report_read;
	bool null_sender;
	/* What the first recipient was to get. Later ones may be given another's
	   saved mail, with his header in it. */
	struct mail *source;
	/* the recipient that is being delivered to; NULL = not a report */
	struct delivery_report *recipient;
};

static MODULE_CONTEXT_DEFINE_INIT(delivery_lmtp_module, &lmtp_module_register);
static lmtp_client_created_func_t *next_client_created;

/* Local delivery is synchronous inside cmd_data, so one at a time. */
static struct delivery_lmtp_message *current_message;

bool delivery_is_lmtp(void)
{
	return lmtp_client_created_hook_set != NULL;
}

struct delivery_report *delivery_lmtp_current_report(void)
{
	return current_message == NULL ? NULL : current_message->recipient;
}

/* XCLIENT's address, where it was given: without it, Dovecot's is the peer's. */
static void
delivery_lmtp_get_xclient(struct client *client,
			  struct delivery_spf_message *message)
{
	struct smtp_server_helo_data *helo =
		smtp_server_connection_get_helo_data(client->conn);
	struct smtp_proxy_data proxy;

	smtp_server_connection_get_proxy_data(client->conn, &proxy);
	if (net_ip_compare(&proxy.source_ip, &client->real_remote_ip))
		return;
	message->xclient_ip = proxy.source_ip;
	/* Without HELO in XCLIENT, Dovecot shows the peer's LHLO. */
	if (null_strcmp(proxy.helo, helo->domain) != 0)
		message->xclient_helo = proxy.helo;
}

/* What SPF says of the message, "" = nothing. */
static const char *
delivery_lmtp_spf_header(struct client *client,
			 const struct smtp_server_transaction *trans,
			 struct istream *input, const struct report_scan *scan)
{
	struct delivery_lmtp_client *lclient = LMTP_CLIENT_CONTEXT(client);
	struct delivery_spf_message message;
	size_t available;

	/* A backend, for other recipients of the message, writes its own. */
	if (!lclient->spf->spf || client->proxy != NULL)
		return "";
	i_zero(&message);
	message.header = i_stream_get_data(input, &available);
	/* of a header that is too long, what was seen of it */
	message.header_size = scan->complete ? scan->header_size : available;
	if (!smtp_address_is_broken(trans->mail_from))
		message.mail_from = smtp_address_encode(trans->mail_from);
	delivery_lmtp_get_xclient(client, &message);
	return delivery_spf_header(lclient->spf, &message, trans->event);
}

/* The message without what is forged, and with what SPF says of it. */
static struct istream *
delivery_lmtp_stream(struct client *client,
		     const struct smtp_server_transaction *trans,
		     struct istream *input, const struct report_scan *scan,
		     uoff_t *size)
{
	struct delivery_lmtp_client *lclient = LMTP_CLIENT_CONTEXT(client);
	struct istream *clean_input, *result;
	struct spf_own_names own;

	delivery_spf_own_names(lclient->spf, &own);
	T_BEGIN {
		const char *header = delivery_lmtp_spf_header(client, trans,
							      input, scan);

		clean_input = delivery_stream_without_forged(input, scan, &own,
							     size);
		result = delivery_stream_with_header(clean_input, header, size);
		i_stream_unref(&clean_input);
	} T_END;
	return result;
}

static int
delivery_lmtp_data(struct client *client, struct smtp_server_cmd_ctx *cmd,
		   struct smtp_server_transaction *trans,
		   struct istream *input, uoff_t size)
{
	struct delivery_lmtp_client *lclient = LMTP_CLIENT_CONTEXT(client);
	struct delivery_lmtp_message message;
	struct istream *stream;
	int ret;

	/* A proxy only passes on; the backend judges. */
	if (client->local == NULL) {
		return lclient->module_ctx.super.cmd_data(client, cmd, trans,
							  input, size);
	}

	i_zero(&message);
	message.null_sender = delivery_sender_is_null(trans->mail_from);
	report_scan_header(input, message.null_sender, &message.scan);
	if (lclient->spf == NULL) {
		lclient->spf = delivery_spf_settings(client->raw_mail_user,
						     client->pool,
						     client->event);
	}
	stream = delivery_lmtp_stream(client, trans, input, &message.scan,
				      &size);
	current_message = &message;
	ret = lclient->module_ctx.super.cmd_data(client, cmd, trans, stream,
						 size);
	current_message = NULL;
	i_stream_unref(&stream);
	pool_unref(&message.pool);
	return ret;
}

/* Returns the report, read once for all recipients, or NULL if it is none. */
static const struct report *
delivery_lmtp_get_report(struct delivery_lmtp_message *message,
			 struct event *event)
{
	struct istream *input;

	if (message->report_read)
		return message->report;
	message->report_read = TRUE;
	message->pool = pool_alloconly_create("backscatter report", 4096);
	if (mail_get_stream(message->source, NULL, NULL, &input) < 0) {
		e_error(event, "backscatter: Opening the message failed: %s - "
			"delivered unjudged",
			mailbox_get_last_internal_error(message->source->box,
							NULL));
		return NULL;
	}
	message->report = delivery_read_report(message->pool, input,
					       message->null_sender, event);
	return message->report;
}

/* Delivers with the header of this recipient's verdict. */
static int
delivery_lmtp_deliver_report(struct delivery_lmtp_message *message,
			     struct client *client,
			     struct lmtp_recipient *lrcpt,
			     struct smtp_server_cmd_ctx *cmd,
			     struct smtp_server_transaction *trans,
			     struct lmtp_local_deliver_context *lldctx)
{
	struct delivery_lmtp_client *lclient = LMTP_CLIENT_CONTEXT(client);
	struct delivery_mail mail;
	struct istream *input;
	const char *error;
	int ret;

	if (mail_get_stream(message->source, NULL, NULL, &input) < 0) {
		error = t_strdup(mailbox_get_last_internal_error(
			message->source->box, NULL));
		ret = -1;
	} else {
		ret = delivery_mail_open(&mail, client->raw_mail_user, input,
			delivery_report_header(message->recipient),
			smtp_address_encode(trans->mail_from), &error);
	}
	if (ret < 0) {
		e_error(lldctx->rcpt_user->event, "backscatter: Adding the "
			"header failed: %s - delivered without", error);
		lldctx->src_mail = message->source;
		return lclient->module_ctx.super.local_deliver(client, lrcpt,
			cmd, trans, lldctx);
	}
	lldctx->src_mail = mail.mail;
	ret = lclient->module_ctx.super.local_deliver(client, lrcpt, cmd, trans,
						      lldctx);
	lldctx->src_mail = message->source;
	delivery_mail_close(&mail);
	return ret;
}

/* The user's event stands below those of server, connection and recipient, whose
   prefixes say nothing that the user's own does not. lmtp drops them, too. */
#define LMTP_EVENT_PREFIXES 3

static struct delivery_report *
delivery_lmtp_report_begin(const struct report *report,
			   struct lmtp_recipient *lrcpt, struct mail_user *user)
{
	const struct delivery_envelope envelope = {
		.recipient = lrcpt->rcpt->path,
		.original_recipient = lrcpt->rcpt->params.orcpt.addr,
		.can_reject = TRUE,
	};
	struct event *event = event_create(lrcpt->rcpt->event);
	struct delivery_report *delivery;

	event_drop_parent_log_prefixes(event, LMTP_EVENT_PREFIXES);
	delivery = delivery_report_begin(report, user, &envelope, event);
	event_unref(&event);
	return delivery;
}

static int
delivery_lmtp_reject(struct smtp_server_recipient *rcpt)
{
	/* lib-smtp puts <recipient> in front of the text */
	smtp_server_recipient_reply(rcpt, 550, "5.7.1",
		"Not a report on a message that was sent from this address");
	return -1;
}

static int
delivery_lmtp_local_deliver(struct client *client,
			    struct lmtp_recipient *lrcpt,
			    struct smtp_server_cmd_ctx *cmd,
			    struct smtp_server_transaction *trans,
			    struct lmtp_local_deliver_context *lldctx)
{
	struct delivery_lmtp_client *lclient = LMTP_CLIENT_CONTEXT(client);
	struct delivery_lmtp_message *message = current_message;
	const struct report *report = NULL;
	int ret;

	if (message != NULL && message->scan.marked &&
	    delivery_user_has_plugin(lldctx->rcpt_user)) {
		if (message->source == NULL)
			message->source = lldctx->src_mail;
		report = delivery_lmtp_get_report(message,
						  lldctx->rcpt_user->event);
	}
	if (report == NULL) {
		return lclient->module_ctx.super.local_deliver(client, lrcpt,
			cmd, trans, lldctx);
	}

	T_BEGIN {
		message->recipient = delivery_lmtp_report_begin(report,
			lrcpt, lldctx->rcpt_user);
		if (delivery_report_is_rejected(message->recipient))
			ret = delivery_lmtp_reject(lrcpt->rcpt);
		else {
			ret = delivery_lmtp_deliver_report(message, client,
				lrcpt, cmd, trans, lldctx);
		}
		delivery_report_end(&message->recipient, ret == 0);
	} T_END;
	return ret;
}

static void delivery_lmtp_client_created(struct client **_client)
{
	struct client *client = *_client;
	struct delivery_lmtp_client *lclient =
		p_new(client->pool, struct delivery_lmtp_client, 1);

	lclient->module_ctx.super = client->v;
	client->v.cmd_data = delivery_lmtp_data;
	client->v.local_deliver = delivery_lmtp_local_deliver;
	MODULE_CONTEXT_SET(client, delivery_lmtp_module, lclient);

	if (next_client_created != NULL)
		next_client_created(_client);
}

void delivery_lmtp_init(void)
{
	if (delivery_is_lmtp()) {
		next_client_created = lmtp_client_created_hook_set(
			delivery_lmtp_client_created);
	}
}

void delivery_lmtp_deinit(void)
{
	if (delivery_is_lmtp())
		lmtp_client_created_hook_set(next_client_created);
}
