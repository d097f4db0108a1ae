/* What tells a message that was sent from here from one that says so. */

#include "lib.h"
#include "array.h"
#include "mail-storage.h"
#include "doveadm-own-mail.h"

/* Added by final delivery (RFC 5321, 4.4; Dovecot's LMTP; Postfix; Exim). */
static const char *const delivery_headers[] = {
	"Return-Path", "Delivered-To", "Envelope-To", "X-Original-To",
};
/* RFC 2919, RFC 2369 */
static const char *const list_headers[] = {
	"List-Id", "List-Post", "List-Unsubscribe",
};

const char *const doveadm_own_mail_headers[] = {
	"Message-ID", "From", "Date", "To", "Cc", "Bcc", "Resent-To",
	"Resent-Cc", "Resent-Bcc", "Return-Path", "Delivered-To", "Envelope-To",
	"X-Original-To", "List-Id", "List-Post", "List-Unsubscribe", NULL
};

static bool mail_has_header(struct mail *mail, const char *const *names,
			    unsigned int count)
{
	const char *value;

	for (unsigned int i = 0; i < count; i++) {
		if (mail_get_first_header(mail, names[i], &value) > 0)
			return TRUE;
	}
	return FALSE;
}

bool doveadm_mail_was_delivered(struct mail *mail)
{
	return mail_has_header(mail, delivery_headers,
			       N_ELEMENTS(delivery_headers));
}

static bool is_copy_to_oneself(struct mail *mail, const struct sent_copy *copy,
			       const struct own_addresses *own)
{
	const char *recipient;

	if (array_count(&copy->recipients) == 0 ||
	    mail_has_header(mail, list_headers, N_ELEMENTS(list_headers)))
		return FALSE;
	array_foreach_elem(&copy->recipients, recipient) {
		if (own_addresses_match_from(own, recipient))
			return FALSE;
	}
	return TRUE;
}

bool doveadm_mail_is_own(struct mail *mail, const struct sent_copy *copy,
			 const struct own_addresses *own, bool deleted)
{
	if (!copy->from_own_address || (mail_get_flags(mail) & MAIL_DRAFT) != 0)
		return FALSE;
	if (!doveadm_mail_was_delivered(mail))
		return TRUE;
	/* most of what is deleted from INBOX is spam */
	return !deleted && is_copy_to_oneself(mail, copy, own);
}
