/* Ownership of what a message says it is from. What a user owns is known to
   sender-addresses.c. */

#include "lib.h"
#include "array.h"
#include "mail-user.h"
#include "submission.h"

/* of an address in a reply or a log line */
#define SHOWN_ADDRESS_MAX 120

/* What a client gets, and a log line shows, of an address that a client wrote. */
static const char *shown(const char *address)
{
	char *text = p_strndup(pool_datastack_create(), address,
			       SHOWN_ADDRESS_MAX);

	for (char *p = text; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	return text;
}

/* where: "MAIL FROM", or a field's name. Returns TRUE if the user owns it. */
static bool
check_address(struct submission_sender *sender, const char *where,
	      const char *address, struct submission_refusal *refusal_r)
{
	const char *user = sender->buser->user->username;
	const char *source, *error, *owned;
	int ret = sender_addresses_own(sender->addresses, address, &source,
				       &error);

	if (ret > 0)
		return TRUE;
	if (ret < 0) {
		e_error(sender->buser->event, "backscatter_sender_dict: %s", error);
		refusal_r->status = 451;
		refusal_r->enhanced_code = "4.3.0";
		refusal_r->text = t_strdup_printf("%s: <%s>: Addresses of %s "
			"can't be looked up now, try again later", where,
			shown(address), shown(user));
		return FALSE;
	}
	refusal_r->status = 553;
	refusal_r->enhanced_code = "5.7.1";
	owned = sender_addresses_describe(sender->addresses);
	if (owned == NULL)
		refusal_r->setting = "backscatter_addresses";
	refusal_r->text = t_strdup_printf("%s: <%s>: Not an address of %s, "
		"who %s", where, shown(address), shown(user), owned == NULL ?
		"has no address of his own" :
		t_strconcat("may send as ", owned, NULL));
	return FALSE;
}

/* refuses: the setting refuses this here. Either way there is a log line. */
static bool
refuse_or_log(struct submission_sender *sender, bool refuses,
	      const struct submission_refusal *refusal)
{
	e_info(sender->buser->event, "%s: %s%s", refuses ?
	       "Refused" : "backscatter_sender_check=both would refuse",
	       refusal->text, refusal->setting == NULL ? "" :
	       t_strdup_printf(" (%s)", refusal->setting));
	return !refuses;
}

bool submission_sender_check_envelope(struct submission_sender *sender,
				      const char *mail_from,
				      struct submission_refusal *refusal_r)
{
	enum sender_check check = sender->buser->set->sender_check;

	i_zero(refusal_r);
	if (check == SENDER_CHECK_OFF || *mail_from == '\0' ||
	    check_address(sender, "MAIL FROM", mail_from, refusal_r))
		return TRUE;
	return refuse_or_log(sender, check != SENDER_CHECK_LOG, refusal_r);
}

static void
refuse_unreadable(const struct outgoing_unreadable *unreadable,
		  struct submission_refusal *refusal_r)
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

static bool
check_header(struct submission_sender *sender,
	     const struct outgoing_message *message,
	     struct submission_refusal *refusal_r)
{
	const struct outgoing_sender *claimed;

	if (message->truncated) {
		refusal_r->status = 552;
		refusal_r->enhanced_code = "5.3.4";
		refusal_r->text = "Header is too long to be checked";
		return FALSE;
	}
	array_foreach(&message->senders, claimed) {
		if (!check_address(sender, claimed->field, claimed->address,
				   refusal_r))
			return FALSE;
	}
	if (message->unreadable.problem != NULL) {
		refuse_unreadable(&message->unreadable, refusal_r);
		return FALSE;
	}
	return TRUE;
}

bool submission_sender_check_header(struct submission_sender *sender,
				    const struct outgoing_message *message,
				    struct submission_refusal *refusal_r)
{
	enum sender_check check = sender->buser->set->sender_check;

	i_zero(refusal_r);
	if (check == SENDER_CHECK_OFF || check == SENDER_CHECK_ENVELOPE ||
	    check_header(sender, message, refusal_r))
		return TRUE;
	return refuse_or_log(sender, check == SENDER_CHECK_BOTH, refusal_r);
}
