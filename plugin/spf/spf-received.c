/* Decides what kind of hop a Received field tells of. */

#include "lib.h"
#include <ctype.h>
#include "spf-header-limits.h"
#include "spf-received-private.h"

/* SMTP, ESMTP, ESMTPSA, UTF8SMTPA, LMTP...: RFC 3848, RFC 6531, 4.3, and
   OpenSMTPD's SMTPSA. */
static bool
protocol_is_mail(const char *protocol, bool *lmtp_r, bool *authenticated_r)
{
	*lmtp_r = *authenticated_r = FALSE;
	if (strncasecmp(protocol, "UTF8", 4) == 0)
		protocol += 4;
	else if (i_toupper(*protocol) == 'E')
		protocol++;
	if (strncasecmp(protocol, "SMTP", 4) != 0 &&
	    strncasecmp(protocol, "LMTP", 4) != 0)
		return FALSE;
	*lmtp_r = i_toupper(*protocol) == 'L';
	protocol += 4;
	if (i_toupper(*protocol) == 'S')
		protocol++;
	*authenticated_r = i_toupper(*protocol) == 'A';
	if (*authenticated_r)
		protocol++;
	return *protocol == '\0';
}

/* Other protocols, by how they begin. */
static const struct {
	const char *prefix;
	enum spf_received_kind kind;
} protocol_kinds[] = {
	/* Exim: local, local-esmtp... */
	{ "local", SPF_RECEIVED_SUBMITTED },
	{ "stdin", SPF_RECEIVED_SUBMITTED },
	/* Exchange, inside */
	{ "mapi", SPF_RECEIVED_SUBMITTED },
	/* Exim 3 */
	{ "asmtp", SPF_RECEIVED_AUTHENTICATED },
	/* fetchmail, getmail: POP3, IMAP4-SSL... */
	{ "POP", SPF_RECEIVED_FETCHED },
	{ "IMAP", SPF_RECEIVED_FETCHED },
	{ "HTTP", SPF_RECEIVED_FETCHED },
};

static enum spf_received_kind protocol_kind(const char *protocol, bool *lmtp_r)
{
	const char *prefix;
	bool authenticated;

	if (protocol_is_mail(protocol, lmtp_r, &authenticated)) {
		return authenticated ? SPF_RECEIVED_AUTHENTICATED :
			SPF_RECEIVED_UNKNOWN;
	}
	for (unsigned int i = 0; i < N_ELEMENTS(protocol_kinds); i++) {
		prefix = protocol_kinds[i].prefix;
		if (strncasecmp(protocol, prefix, strlen(prefix)) == 0)
			return protocol_kinds[i].kind;
	}
	return SPF_RECEIVED_UNKNOWN;
}

static enum spf_received_kind
peer_kind(const struct received_peer *peer,
	  const struct received_session *session, bool lmtp)
{
	switch (peer->kind) {
	case RECEIVED_PEER_ADDRESS:
		if (!peer->lone || session->by_exim)
			return SPF_RECEIVED_CLIENT;
		/* fall through */
	case RECEIVED_PEER_NAME:
		return lmtp ? SPF_RECEIVED_HANDED_ON : SPF_RECEIVED_UNKNOWN;
	case RECEIVED_PEER_PROCESS:
		return SPF_RECEIVED_SUBMITTED;
	case RECEIVED_PEER_LOCALHOST:
		return *session->protocol == '\0' ?
			SPF_RECEIVED_SUBMITTED : SPF_RECEIVED_UNKNOWN;
	case RECEIVED_PEER_SOCKET:
		return SPF_RECEIVED_HANDED_ON;
	case RECEIVED_PEER_UNKNOWN:
		break;
	}
	return SPF_RECEIVED_UNKNOWN;
}

/* A field that begins with "by": only Postfix's are known. With its setting
   smtpd_hide_client_session it leaves a client out too, but then no line ends
   before "id". */
static enum spf_received_kind
hidden_peer_kind(const struct received_session *session)
{
	if (session->comment == NULL || *session->protocol != '\0')
		return SPF_RECEIVED_UNKNOWN;
	if (strncmp(session->comment, "Postfix, from userid ", 21) == 0)
		return SPF_RECEIVED_SUBMITTED;
	if (strcmp(session->comment, "Postfix") == 0 &&
	    session->comment_ends_line)
		return SPF_RECEIVED_REQUEUED;
	return SPF_RECEIVED_UNKNOWN;
}

/* A field without from and by: qmail writes them above its others. */
static enum spf_received_kind comment_kind(const char *comment)
{
	if (strncmp(comment, "qmail ", 6) != 0)
		return SPF_RECEIVED_UNKNOWN;
	if (strstr(comment, " invoked from network") != NULL)
		return SPF_RECEIVED_HANDED_ON;
	if (strstr(comment, " invoked by uid ") != NULL)
		return SPF_RECEIVED_SUBMITTED;
	return SPF_RECEIVED_UNKNOWN;
}

static enum spf_received_kind
parts_kind(const struct received_parts *parts, bool *lmtp_r)
{
	enum spf_received_kind kind;

	if (parts->start == RECEIVED_START_COMMENT)
		return comment_kind(parts->comment);
	kind = protocol_kind(parts->session.protocol, lmtp_r);
	if (kind != SPF_RECEIVED_UNKNOWN)
		return kind;
	if (parts->authenticated)
		return SPF_RECEIVED_AUTHENTICATED;
	return parts->start == RECEIVED_START_BY ?
		hidden_peer_kind(&parts->session) :
		peer_kind(&parts->peer, &parts->session, *lmtp_r);
}

const char *spf_received_helo(const char *helo)
{
	const char *p;

	if (helo == NULL || *helo == '\0' || strlen(helo) > SPF_MAX_DOMAIN)
		return NULL;
	for (p = helo; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("()<>\",;@\\", *p) != NULL)
			return NULL;
	}
	return helo;
}

static void
received_parse(pool_t pool, const unsigned char *value, size_t size,
	       struct spf_received *received)
{
	struct received_parts parts;
	bool lmtp = FALSE;

	if (!received_parts_parse(value, size, &parts))
		return;
	received->kind = parts_kind(&parts, &lmtp);
	received->lmtp = lmtp;
	if (received->kind != SPF_RECEIVED_CLIENT)
		return;
	received->ip = parts.peer.ip;
	received->helo = p_strdup(pool, spf_received_helo(parts.peer.helo));
}

void spf_received_parse(pool_t pool, const unsigned char *value, size_t size,
			struct spf_received *received_r)
{
	i_zero(received_r);
	if (size > SPF_MAX_FIELD || memchr(value, '\0', size) != NULL)
		return;
	T_BEGIN {
		received_parse(pool, value, size, received_r);
	} T_END;
}
