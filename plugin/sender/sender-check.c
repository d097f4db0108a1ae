/* Each sender that a message names, and who owns it. */

#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "text/text.h"
#include "sender-check.h"

/* of an address in a reply or a log line */
#define SHOWN_ADDRESS_MAX 120

/* What a client gets, and a log line shows, of an address that a client wrote. */
static const char *shown(const char *address)
{
	return text_printable(address, SHOWN_ADDRESS_MAX, "");
}

static const char *sender_user(const struct sender_addresses *senders)
{
	return shown(sender_addresses_user(senders)->user->username);
}

bool sender_check_address(struct sender_addresses *senders, const char *where,
			  const char *address,
			  struct sender_refusal *refusal_r)
{
	const char *source, *error, *owned;
	int ret;

	i_zero(refusal_r);
	ret = sender_addresses_own(senders, address, &source, &error);
	if (ret > 0)
		return TRUE;
	if (ret < 0) {
		e_error(sender_addresses_user(senders)->event,
			"backscatter_sender_dict: %s", error);
		refusal_r->status = 451;
		refusal_r->enhanced_code = "4.3.0";
		refusal_r->text = t_strdup_printf("%s: <%s>: Addresses of %s "
			"can't be looked up now, try again later", where,
			shown(address), sender_user(senders));
		return FALSE;
	}
	refusal_r->status = 553;
	refusal_r->enhanced_code = "5.7.1";
	owned = sender_addresses_describe(senders);
	if (owned == NULL)
		refusal_r->setting = "backscatter_addresses";
	refusal_r->text = t_strdup_printf("%s: <%s>: Not an address of %s, "
		"who %s", where, shown(address), sender_user(senders), owned == NULL ?
		"has no address of his own" :
		t_strconcat("may send as ", owned, NULL));
	return FALSE;
}

static void
refuse_unreadable(const struct outgoing_unreadable *unreadable,
		  struct sender_refusal *refusal_r)
{
	const char *field = *unreadable->field == '\0' ? "Header" :
		shown(unreadable->field);

	refusal_r->status = 553;
	refusal_r->enhanced_code = "5.7.1";
	refusal_r->text = *unreadable->value == '\0' ?
		t_strdup_printf("%s: Field can't be read: %s", field,
				unreadable->problem) :
		t_strdup_printf("%s: Field can't be read: %s: %s", field,
				unreadable->problem, shown(unreadable->value));
}

bool sender_check_header(struct sender_addresses *senders,
			 const struct outgoing_message *message,
			 struct sender_refusal *refusal_r)
{
	const struct outgoing_sender *claimed;

	i_zero(refusal_r);
	if (message->truncated) {
		refusal_r->status = 552;
		refusal_r->enhanced_code = "5.3.4";
		refusal_r->text = "Header is too long to be checked";
		return FALSE;
	}
	array_foreach(&message->senders, claimed) {
		if (!sender_check_address(senders, claimed->field,
					  claimed->address, refusal_r))
			return FALSE;
	}
	if (message->unreadable.problem != NULL) {
		refuse_unreadable(&message->unreadable, refusal_r);
		return FALSE;
	}
	return TRUE;
}
