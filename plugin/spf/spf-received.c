/* Splits a Received field into words and comments, finds the part that says from whom
   the message came and the part that says by whom and how it was taken, and decides what
   kind of hop that is.

   A hostile HELO name stands in the first part. Some MTAs let anything into it, a
   whole forged "by ... with ..." too. Those fold before their own "by", and no
   name can hold a line break: so a line that begins with "by" is the only one
   that counts, and a second "by" makes the field say nothing. */

#include "lib.h"
#include <ctype.h>
#include "str.h"
#include "rfc822-parser.h"
#include "spf-limits.h"
#include "spf-received-private.h"

enum received_token {
	RECEIVED_TOKEN_WORD,
	RECEIVED_TOKEN_COMMENT,
	RECEIVED_TOKEN_SEMICOLON,
	RECEIVED_TOKEN_END,
	/* an unbalanced parenthesis */
	RECEIVED_TOKEN_BROKEN
};

struct received_reader {
	struct rfc822_parser_context parser;
	const unsigned char *start;

	/* The token that is looked at: a word, or a comment's content. */
	enum received_token token;
	const char *text;
	const unsigned char *token_start;
	/* it stands at the beginning of a continuation line */
	bool folded:1;

	/* What was read; strings on the data stack. */

	/* no peer at all: the field begins with "by" */
	bool hidden_peer:1;
	struct received_peer peer;
	/* behind the peer it says that the client was authenticated */
	bool authenticated:1;
	/* the "by" that was found */
	const unsigned char *by;
	/* behind it the word after "with" or "via", "" if there is none */
	const char *protocol;
	/* ... and the first comment */
	const char *comment;
	bool comment_ends_line:1;
	bool by_exim:1;
};

static bool is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Some hop may have folded inside of a comment. */
static const char *squeeze_space(const char *text)
{
	string_t *squeezed = t_str_new(128);

	for (; *text != '\0'; text++) {
		if (!is_space(*text))
			str_append_c(squeezed, *text);
		else if (!is_space(text[1]))
			str_append_c(squeezed, ' ');
	}
	return str_c(squeezed);
}

static void read_comment(struct received_reader *reader)
{
	string_t *comment = t_str_new(128);

	reader->parser.last_comment = comment;
	reader->token = rfc822_skip_comment(&reader->parser) < 0 ?
		RECEIVED_TOKEN_BROKEN : RECEIVED_TOKEN_COMMENT;
	reader->parser.last_comment = NULL;
	reader->text = squeeze_space(str_c(comment));
}

static void read_word(struct received_reader *reader)
{
	struct rfc822_parser_context *parser = &reader->parser;

	while (parser->data < parser->end && !is_space(*parser->data) &&
	       strchr("();", *parser->data) == NULL)
		parser->data++;
	reader->token = RECEIVED_TOKEN_WORD;
	reader->text = t_strdup_until(reader->token_start, parser->data);
}

static void read_next(struct received_reader *reader)
{
	struct rfc822_parser_context *parser = &reader->parser;

	reader->folded = FALSE;
	for (; parser->data < parser->end; parser->data++) {
		if (!is_space(*parser->data))
			break;
		if (*parser->data == '\n')
			reader->folded = TRUE;
	}
	reader->token_start = parser->data;
	reader->text = "";
	if (parser->data == parser->end) {
		reader->token = RECEIVED_TOKEN_END;
	} else if (*parser->data == '(') {
		read_comment(reader);
	} else if (*parser->data == ')') {
		reader->token = RECEIVED_TOKEN_BROKEN;
	} else if (*parser->data == ';') {
		reader->token = RECEIVED_TOKEN_SEMICOLON;
		parser->data++;
	} else {
		read_word(reader);
	}
}

static bool at_word(const struct received_reader *reader, const char *word)
{
	return reader->token == RECEIVED_TOKEN_WORD &&
		strcasecmp(reader->text, word) == 0;
}

static bool at_end(const struct received_reader *reader)
{
	return reader->token == RECEIVED_TOKEN_END ||
		reader->token == RECEIVED_TOKEN_BROKEN;
}

/* Comments on lines of their own behind the peer: TLS and authentication. */
static void read_session_comments(struct received_reader *reader)
{
	while (reader->token == RECEIVED_TOKEN_COMMENT && reader->folded) {
		/* Postfix: (Authenticated sender: x), Sendmail: (authenticated
		   bits=0) */
		if (strncasecmp(reader->text, "authenticated", 13) == 0)
			reader->authenticated = TRUE;
		read_next(reader);
	}
}

/* "from name (comment)", up to "by". */
static void read_from(struct received_reader *reader)
{
	const char *name = "", *comment = NULL, *more = NULL;

	read_next(reader);
	if (reader->token == RECEIVED_TOKEN_WORD) {
		name = reader->text;
		read_next(reader);
	}
	if (reader->token == RECEIVED_TOKEN_COMMENT) {
		comment = reader->text;
		read_next(reader);
	}
	if (reader->token == RECEIVED_TOKEN_COMMENT && comment != NULL &&
	    received_peer_is_helo(comment)) {
		more = reader->text;
		read_next(reader);
	}
	read_session_comments(reader);
	if (at_word(reader, "by"))
		received_peer_parse(name, comment, more, &reader->peer);
	while (!at_end(reader) && !at_word(reader, "by"))
		read_next(reader);
}

/* Sendmail: (from user@host) */
static void read_nameless_from(struct received_reader *reader)
{
	const char *text = reader->text + strlen("from ");

	read_next(reader);
	read_session_comments(reader);
	if (at_word(reader, "by"))
		received_peer_parse_nameless(text, &reader->peer);
}

/* Up to where protocol or comments of ours can stand no more: what follows has
   addresses in it. */
static bool at_session_end(const struct received_reader *reader)
{
	return at_end(reader) || reader->token == RECEIVED_TOKEN_SEMICOLON ||
		at_word(reader, "id") || at_word(reader, "for");
}

static void read_session_token(struct received_reader *reader)
{
	if (reader->token == RECEIVED_TOKEN_COMMENT) {
		if (reader->comment == NULL) {
			reader->comment = reader->text;
			read_next(reader);
			reader->comment_ends_line = reader->folded;
			return;
		}
	} else if ((at_word(reader, "with") || at_word(reader, "via")) &&
		   *reader->protocol == '\0') {
		read_next(reader);
		if (reader->token == RECEIVED_TOKEN_WORD)
			reader->protocol = reader->text;
		return;
	}
	read_next(reader);
}

/* "by host (comment) with protocol (comment) id ...": from "by" on. Returns FALSE
   if another "by" follows, or the rest is broken. */
static bool read_by(struct received_reader *reader)
{
	reader->by = reader->token_start;
	read_next(reader);
	if (reader->token != RECEIVED_TOKEN_WORD)
		return FALSE;
	read_next(reader);
	while (!at_session_end(reader)) {
		if (at_word(reader, "by"))
			return FALSE;
		if (reader->token == RECEIVED_TOKEN_COMMENT &&
		    strncmp(reader->text, "Exim ", 5) == 0)
			reader->by_exim = TRUE;
		read_session_token(reader);
	}
	while (!at_end(reader)) {
		if (at_word(reader, "by"))
			return FALSE;
		read_next(reader);
	}
	return reader->token == RECEIVED_TOKEN_END;
}

/* A line begins with "by", and it isn't the one that was read: it is inside of a
   comment that a name has opened. */
static bool has_other_by_line(const struct received_reader *reader)
{
	const unsigned char *line = reader->start, *end = reader->parser.end;

	while ((line = memchr(line, '\n', end - line)) != NULL) {
		while (line < end && is_space(*line))
			line++;
		if (end - line > 2 && i_memcasecmp(line, "by", 2) == 0 &&
		    is_space(line[2]) && line != reader->by)
			return TRUE;
	}
	return FALSE;
}

/* What it means */

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

/* A field that begins with "by": only Postfix's are known. With its setting
   smtpd_hide_client_session it leaves a client out too, but then no line ends
   before "id". */
static enum spf_received_kind
hidden_peer_kind(const struct received_reader *reader)
{
	if (reader->comment == NULL || *reader->protocol != '\0')
		return SPF_RECEIVED_UNKNOWN;
	if (strncmp(reader->comment, "Postfix, from userid ", 21) == 0)
		return SPF_RECEIVED_SUBMITTED;
	if (strcmp(reader->comment, "Postfix") == 0 &&
	    reader->comment_ends_line)
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

/* Leaves the reader at "by". Returns FALSE where the kind is known without it, or never
   will be. */
static bool read_start(struct received_reader *reader, enum spf_received_kind *kind_r)
{
	*kind_r = SPF_RECEIVED_UNKNOWN;
	read_next(reader);
	if (at_word(reader, "from"))
		read_from(reader);
	else if (reader->token == RECEIVED_TOKEN_COMMENT) {
		if (strncmp(reader->text, "from ", 5) != 0) {
			*kind_r = comment_kind(reader->text);
			return FALSE;
		}
		read_nameless_from(reader);
	} else {
		reader->hidden_peer = at_word(reader, "by");
	}
	return at_word(reader, "by");
}

static enum spf_received_kind peer_kind(const struct received_reader *reader, bool lmtp)
{
	const struct received_peer *peer = &reader->peer;

	if (peer->lone && (peer->kind != SPF_RECEIVED_CLIENT || !reader->by_exim))
		return lmtp ? SPF_RECEIVED_HANDED_ON : SPF_RECEIVED_UNKNOWN;
	if (peer->localhost && *reader->protocol != '\0')
		return SPF_RECEIVED_UNKNOWN;
	return peer->kind;
}

static enum spf_received_kind read_field(struct received_reader *reader, bool *lmtp_r)
{
	enum spf_received_kind kind;

	if (!read_start(reader, &kind))
		return kind;
	if (!read_by(reader) || has_other_by_line(reader))
		return SPF_RECEIVED_UNKNOWN;
	kind = protocol_kind(reader->protocol, lmtp_r);
	if (kind != SPF_RECEIVED_UNKNOWN)
		return kind;
	if (reader->authenticated)
		return SPF_RECEIVED_AUTHENTICATED;
	return reader->hidden_peer ? hidden_peer_kind(reader) :
		peer_kind(reader, *lmtp_r);
}

void spf_received_parse(pool_t pool, const unsigned char *value, size_t size,
			struct spf_received *received_r)
{
	struct received_reader reader = { .start = value, .protocol = "" };
	bool lmtp = FALSE;

	i_zero(received_r);
	if (size > SPF_MAX_FIELD || memchr(value, '\0', size) != NULL)
		return;
	rfc822_parser_init(&reader.parser, value, size, NULL);
	T_BEGIN {
		received_r->kind = read_field(&reader, &lmtp);
		received_r->lmtp = lmtp;
		if (received_r->kind == SPF_RECEIVED_CLIENT) {
			received_r->ip = reader.peer.ip;
			received_r->helo = p_strdup(pool,
				spf_received_helo(reader.peer.helo));
		}
	} T_END;
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
