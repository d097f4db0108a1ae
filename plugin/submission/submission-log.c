/* From an SMTP transaction to a row in the sent log. */

#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "smtp-address.h"
#include "smtp-server.h"
#include "submission.h"

ARRAY_DEFINE_TYPE(sent_log_identity, struct sent_log_identity);

static void
add_identity(ARRAY_TYPE(sent_log_identity) *identities,
	     enum sent_log_identity_kind kind, const char *value)
{
	struct sent_log_identity *identity = array_append_space(identities);

	identity->kind = kind;
	identity->value = value;
}

/* All that a report can name the message by. */
static void
get_identities(const struct outgoing_message *message,
	       const struct smtp_server_transaction *trans, const char *serial,
	       ARRAY_TYPE(sent_log_identity) *identities_r)
{
	const char *message_id;

	t_array_init(identities_r, array_count(&message->message_ids) + 2);
	array_foreach_elem(&message->message_ids, message_id) {
		add_identity(identities_r, SENT_LOG_IDENTITY_MESSAGE_ID,
			     message_id);
	}
	if (*serial != '\0') {
		add_identity(identities_r, SENT_LOG_IDENTITY_SERIAL, serial);
	}
	/* the client's own */
	if (trans->params.envid != NULL &&
	    strcmp(trans->params.envid, serial) != 0) {
		add_identity(identities_r, SENT_LOG_IDENTITY_ENVELOPE_ID,
			     trans->params.envid);
	}
}

static void
get_recipients(const struct smtp_server_transaction *trans,
	       ARRAY_TYPE(const_string) *recipients_r)
{
	struct smtp_server_recipient *rcpt;
	const char *address;

	t_array_init(recipients_r, array_count(&trans->rcpt_to));
	array_foreach_elem(&trans->rcpt_to, rcpt) {
		address = t_str_lcase(smtp_address_encode(rcpt->path));
		array_push_back(recipients_r, &address);
	}
}

static int
add_row(struct backscatter_user *buser, const struct outgoing_message *message,
	const struct smtp_server_transaction *trans, const char *serial,
	time_t now, const char **error_r)
{
	ARRAY_TYPE(sent_log_identity) identities;
	ARRAY_TYPE(const_string) recipients;
	struct sent_log_message row;
	unsigned int count;

	if (buser->log == NULL) {
		*error_r = buser->error;
		return -1;
	}
	get_identities(message, trans, serial, &identities);
	get_recipients(trans, &recipients);
	i_zero(&row);
	row.source = SENT_LOG_SOURCE_SUBMISSION;
	row.identities = array_get(&identities, &count);
	row.identity_count = count;
	row.recipients = array_get(&recipients, &count);
	row.recipient_count = count;
	row.logged_at = now;
	row.date = message->date;
	return sent_log_add(buser->log, &row, 1, now, error_r);
}

void submission_log_message(struct backscatter_user *buser,
			    const struct outgoing_message *message,
			    const struct smtp_server_transaction *trans,
			    const char *serial, time_t now)
{
	const char *error;

	if (add_row(buser, message, trans, serial, now, &error) > 0)
		return;
	backscatter_user_not_logged(buser, *serial == '\0' ?
				    "message without serial" :
				    t_strconcat("message ", serial, NULL), error);
}
