/* Splits a Received field into words and comments, and finds the part that says
   from whom the message came and the part that says by whom and how it was taken.

   A hostile HELO name stands in the first part. Some MTAs let anything into it, a
   whole forged "by ... with ..." too. Those fold before their own "by", and no
   name can hold a line break: so a line that begins with "by" is the only one
   that counts, and a second "by" makes the field say nothing. */

#include "lib.h"
#include "str.h"
#include "rfc822-parser.h"
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

	/* the "by" that was found */
	const unsigned char *by;
	struct received_parts *parts;
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

static bool received_at_end(const struct received_reader *reader)
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
			reader->parts->authenticated = TRUE;
		read_next(reader);
	}
}

/* "from name (comment)", up to "by". */
static void received_read_from(struct received_reader *reader)
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
		received_peer_parse(name, comment, more, &reader->parts->peer);
	while (!received_at_end(reader) && !at_word(reader, "by"))
		read_next(reader);
}

/* Sendmail: (from user@host) */
static void read_nameless_from(struct received_reader *reader)
{
	const char *text = reader->text + strlen("from ");

	read_next(reader);
	read_session_comments(reader);
	if (at_word(reader, "by"))
		received_peer_parse_nameless(text, &reader->parts->peer);
}

/* Up to where protocol or comments of ours can stand no more: what follows has
   addresses in it. */
static bool at_session_end(const struct received_reader *reader)
{
	return received_at_end(reader) || reader->token == RECEIVED_TOKEN_SEMICOLON ||
		at_word(reader, "id") || at_word(reader, "for");
}

static void read_session_token(struct received_reader *reader)
{
	struct received_session *session = &reader->parts->session;

	if (reader->token == RECEIVED_TOKEN_COMMENT) {
		if (session->comment == NULL) {
			session->comment = reader->text;
			read_next(reader);
			session->comment_ends_line = reader->folded;
			return;
		}
	} else if ((at_word(reader, "with") || at_word(reader, "via")) &&
		   *session->protocol == '\0') {
		read_next(reader);
		if (reader->token == RECEIVED_TOKEN_WORD)
			session->protocol = reader->text;
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
			reader->parts->session.by_exim = TRUE;
		read_session_token(reader);
	}
	while (!received_at_end(reader)) {
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

static enum received_start read_start(struct received_reader *reader)
{
	read_next(reader);
	if (at_word(reader, "by"))
		return RECEIVED_START_BY;
	if (at_word(reader, "from")) {
		received_read_from(reader);
		return RECEIVED_START_FROM;
	}
	if (reader->token != RECEIVED_TOKEN_COMMENT)
		return RECEIVED_START_OTHER;
	if (strncmp(reader->text, "from ", 5) == 0) {
		read_nameless_from(reader);
		return RECEIVED_START_FROM;
	}
	reader->parts->comment = reader->text;
	return RECEIVED_START_COMMENT;
}

bool received_parts_parse(const unsigned char *value, size_t size,
			  struct received_parts *parts_r)
{
	struct received_reader reader;

	i_zero(parts_r);
	parts_r->session.protocol = "";
	i_zero(&reader);
	rfc822_parser_init(&reader.parser, value, size, NULL);
	reader.start = value;
	reader.parts = parts_r;

	parts_r->start = read_start(&reader);
	if (parts_r->start == RECEIVED_START_OTHER)
		return FALSE;
	if (parts_r->start == RECEIVED_START_COMMENT)
		return TRUE;
	return at_word(&reader, "by") && read_by(&reader) &&
		!has_other_by_line(&reader);
}
