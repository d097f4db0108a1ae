/* The peer in a Received field: the name it gave, and its address from the place
   where the MTA writes it.

   The name is the client's word, and a hostile one tries to look like an
   address. The rule against it: a shape is taken only if the whole text is
   exactly that shape; one bracket or blank too many, and it is no peer at all. */

#include "lib.h"
#include "spf-networks.h"
#include "spf-received-private.h"

/* Sendmail: the name of the address doesn't lead back to it. */
#define MAY_BE_FORGED " (may be forged)"

static const char *const brackets = "[]()";
static const char *const blanks = " \t\r\n";

static void
peer_set_ip(struct received_peer *peer, const char *address, const char *helo)
{
	if (spf_ip_parse(address, &peer->ip) < 0)
		return;
	peer->kind = SPF_RECEIVED_CLIENT;
	peer->helo = helo;
}

/* "helo=name ident=user port=25", in any order, each at most once: Exim. */
static bool exim_pairs_parse(const char *text, const char **helo_r)
{
	static const char *const keys[] = { "helo=", "ident=", "port=" };
	const char *values[N_ELEMENTS(keys)] = { NULL };
	const char *const *pair = t_strsplit(text, " ");
	unsigned int i;

	for (; *pair != NULL; pair++) {
		for (i = 0; i < N_ELEMENTS(keys); i++) {
			if (strncmp(*pair, keys[i], strlen(keys[i])) == 0)
				break;
		}
		if (i == N_ELEMENTS(keys) || values[i] != NULL ||
		    strpbrk(*pair, "()") != NULL)
			return FALSE;
		values[i] = *pair + strlen(keys[i]);
	}
	*helo_r = values[0];
	return TRUE;
}

/* "[address]", whole. Returns NULL if it is something else. */
static const char *literal_address(const char *text)
{
	size_t size = strlen(text);

	if (size < 2 || text[0] != '[' || text[size - 1] != ']')
		return NULL;
	text = t_strndup(text + 1, size - 2);
	return strpbrk(text, brackets) == NULL ? text : NULL;
}

/* Exim: from [address] (helo=name), from [address] */
static bool
exim_literal_parse(const char *name, const char *comment,
		   struct received_peer *peer)
{
	const char *address = literal_address(name);
	const char *helo = NULL;

	if (address == NULL ||
	    (comment != NULL && !exim_pairs_parse(comment, &helo)))
		return FALSE;
	peer_set_ip(peer, address, helo);
	peer->lone = comment == NULL && peer->kind == SPF_RECEIVED_CLIENT;
	return TRUE;
}

/* Exim, in parentheses: [address]:port helo=name ident=user. It writes no helo=
   where it is the same as the name before the parenthesis. */
static bool
exim_comment_parse(const char *comment, const char *name,
		   struct received_peer *peer)
{
	const char *address, *helo, *end = strchr(comment, ']');
	const char *rest;

	if (comment[0] != '[' || end == NULL || end[1] == '\0')
		return FALSE;
	address = literal_address(t_strdup_until(comment, end + 1));
	rest = end + 1;
	if (*rest == ':')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (*rest == '\0')
		helo = NULL;
	else if (*rest != ' ' || !exim_pairs_parse(rest + 1, &helo))
		return FALSE;
	if (address == NULL)
		return FALSE;
	peer_set_ip(peer, address, helo == NULL ? name : helo);
	return TRUE;
}

/* What others than Internet addresses stands in the brackets. */
static void
peer_set_bracketed(struct received_peer *peer, const char *text,
		   const char *helo)
{
	if (strcmp(text, "local") == 0) {
		/* OpenSMTPD's socket for its own sendmail command */
		peer->kind = SPF_RECEIVED_SUBMITTED;
	} else if (strcasecmp(text, "unix socket") == 0) {
		/* amavisd */
		peer->kind = SPF_RECEIVED_HANDED_ON;
	} else {
		peer_set_ip(peer, text, helo);
	}
}

/* Postfix, Sendmail, OpenSMTPD, amavisd, in parentheses: rdns [address],
   user@rdns [address], [address]; the rdns may be missing. */
static bool
bracketed_parse(const char *comment, const char *helo,
		struct received_peer *peer)
{
	size_t size = strlen(comment), forged_size = strlen(MAY_BE_FORGED);
	const char *open, *rdns;

	if (size > forged_size &&
	    strcmp(comment + size - forged_size, MAY_BE_FORGED) == 0)
		size -= forged_size;
	if (size < 2 || comment[size - 1] != ']')
		return FALSE;
	comment = t_strndup(comment, size - 1);
	open = strchr(comment, '[');
	if (open == NULL || strpbrk(open + 1, brackets) != NULL)
		return FALSE;

	rdns = t_strdup_until(comment, open);
	size = strlen(rdns);
	if (size > 0 && rdns[size - 1] != ' ' && rdns[size - 1] != '@')
		return FALSE;
	if (size > 0 && rdns[size - 1] == ' ')
		rdns = t_strndup(rdns, size - 1);
	/* "=": Exim's helo=, and then the bracket belongs to the name */
	if (strpbrk(rdns, brackets) != NULL || strpbrk(rdns, blanks) != NULL ||
	    strchr(rdns, '=') != NULL)
		return FALSE;
	peer_set_bracketed(peer, open + 1, helo);
	return TRUE;
}

/* Exchange, qmail, in parentheses: address, user@address */
static bool
bare_parse(const char *comment, const char *helo, struct received_peer *peer)
{
	const char *at = strrchr(comment, '@');

	if (strpbrk(comment, brackets) != NULL ||
	    strpbrk(comment, blanks) != NULL)
		return FALSE;
	peer_set_ip(peer, at == NULL ? comment : at + 1, helo);
	return TRUE;
}

static void
comment_parse(const char *comment, const char *helo, struct received_peer *peer)
{
	if (!exim_comment_parse(comment, helo, peer) &&
	    !bracketed_parse(comment, helo, peer))
		(void)bare_parse(comment, helo, peer);
}

bool received_peer_is_helo(const char *comment)
{
	return strncasecmp(comment, "HELO ", 5) == 0 ||
		strncasecmp(comment, "EHLO ", 5) == 0;
}

void received_peer_parse(const char *name, const char *comment,
			 const char *more, struct received_peer *peer_r)
{
	i_zero(peer_r);
	if (exim_literal_parse(name, comment, peer_r))
		return;
	if (comment == NULL) {
		peer_r->lone = *name != '\0';
	} else if (more != NULL) {
		/* qmail: from rdns (HELO name) (address) */
		comment_parse(more, comment + 5, peer_r);
	} else if (strcmp(name, "localhost") == 0 &&
		   strcmp(comment, "localhost") == 0) {
		peer_r->kind = SPF_RECEIVED_SUBMITTED;
		peer_r->localhost = TRUE;
	} else {
		comment_parse(comment, name, peer_r);
	}
}

void received_peer_parse_nameless(const char *text,
				  struct received_peer *peer_r)
{
	i_zero(peer_r);
	if (strpbrk(text, brackets) == NULL)
		peer_r->kind = SPF_RECEIVED_SUBMITTED;
	else
		(void)bracketed_parse(text, NULL, peer_r);
}
