/* The peer in a Received field: the name it gave, and its address from the place
   where the MTA writes it.

   The name is the client's word, and a hostile one tries to look like an
   address. The rule against it: a shape is taken only if the whole text is
   exactly that shape; one bracket or blank too many, and it is no peer at all. */

#include "lib.h"
#include "spf-addresses.h"
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

/* "before[address]after". Returns FALSE if there is no such thing, or another bracket up to
   there. */
static bool
split_brackets(const char *text, const char **before_r, const char **address_r,
	       const char **after_r)
{
	const char *open = strchr(text, '['), *close = strchr(text, ']');

	if (open == NULL || close == NULL || close < open)
		return FALSE;
	*before_r = t_strdup_until(text, open);
	*address_r = t_strdup_until(open + 1, close);
	*after_r = close + 1;
	return strpbrk(*before_r, brackets) == NULL &&
		strpbrk(*address_r, brackets) == NULL;
}

/* Exim: from [address] (helo=name), from [address] */
static bool
exim_literal_parse(const char *name, const char *comment,
		   struct received_peer *peer)
{
	const char *before, *address, *after, *helo = NULL;

	if (!split_brackets(name, &before, &address, &after) ||
	    *before != '\0' || *after != '\0' ||
	    (comment != NULL && !exim_pairs_parse(comment, &helo)))
		return FALSE;
	peer_set_ip(peer, address, helo);
	peer->lone = comment == NULL && peer->kind == SPF_RECEIVED_CLIENT;
	return TRUE;
}

/* Behind Exim's "[address]": ":port helo=name ident=user". There is no helo= where it is
   the same as the name before the parenthesis. */
static void
exim_after_parse(const char *address, const char *after, const char *name,
		 struct received_peer *peer)
{
	const char *helo = NULL;

	if (*after == ':')
		after += 1 + strspn(after + 1, "0123456789");
	if (*after == '\0' ||
	    (*after == ' ' && exim_pairs_parse(after + 1, &helo)))
		peer_set_ip(peer, address, helo == NULL ? name : helo);
}

/* Postfix, Sendmail, OpenSMTPD, amavisd: "rdns ", "user@rdns ", "user@" or nothing */
static bool is_rdns(const char *before)
{
	size_t size = strlen(before);

	if (size == 0 || before[size - 1] == '@')
		size++;
	else if (before[size - 1] != ' ')
		return FALSE;
	before = t_strndup(before, size - 1);
	/* "=": Exim's helo=, and then the bracket belongs to the name */
	return strpbrk(before, blanks) == NULL && strchr(before, '=') == NULL;
}

/* What is in the parentheses. */
static void
comment_parse(const char *comment, const char *helo, struct received_peer *peer)
{
	const char *before, *address, *after, *at;

	if (strpbrk(comment, brackets) == NULL && strpbrk(comment, blanks) == NULL) {
		/* Exchange, qmail: address, user@address */
		at = strrchr(comment, '@');
		peer_set_ip(peer, at == NULL ? comment : at + 1, helo);
	} else if (split_brackets(comment, &before, &address, &after)) {
		if (*after != '\0' && strcmp(after, MAY_BE_FORGED) != 0) {
			/* no nameless peer is Exim's */
			if (*before == '\0' && helo != NULL)
				exim_after_parse(address, after, helo, peer);
		} else if (!is_rdns(before)) {
			return;
		} else if (strcmp(address, "local") == 0) {
			/* OpenSMTPD's socket for its own sendmail command */
			peer->kind = SPF_RECEIVED_SUBMITTED;
		} else if (strcasecmp(address, "unix socket") == 0) {
			/* amavisd */
			peer->kind = SPF_RECEIVED_HANDED_ON;
		} else {
			peer_set_ip(peer, address, helo);
		}
	}
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
		comment_parse(text, NULL, peer_r);
}
