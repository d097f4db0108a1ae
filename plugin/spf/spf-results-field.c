/* Reads Authentication-Results (RFC 8601, 2.2): its authserv-id and its spf result.
   Other methods are read over. */

#include "lib.h"
#include <ctype.h>
#include "str.h"
#include "rfc822-parser.h"
#include "spf-received.h"
#include "spf-trusted-private.h"

struct results_reader {
	struct rfc822_parser_context parser;
	string_t *word, *value;
	/* of the method that is being read */
	enum spf_check_result result;
	const char *mailfrom, *helo;
};

static bool at_char(const struct results_reader *reader, unsigned char c)
{
	return reader->parser.data < reader->parser.end &&
		*reader->parser.data == c;
}

static bool results_at_end(const struct results_reader *reader)
{
	return reader->parser.data == reader->parser.end;
}

/* Skips the character at the parser, and white space and comments behind it. */
static bool skip_char(struct results_reader *reader)
{
	reader->parser.data++;
	return rfc822_skip_lwsp(&reader->parser) >= 0;
}

/* A keyword or a ptype.property, into reader->word. */
static bool read_token(struct results_reader *reader)
{
	str_truncate(reader->word, 0);
	return spf_token_parse(&reader->parser, reader->word) >= 0 &&
		str_len(reader->word) > 0;
}

static bool read_id(struct results_reader *reader, const char **id_r)
{
	struct rfc822_parser_context *parser = &reader->parser;

	if (rfc822_skip_lwsp(parser) <= 0)
		return FALSE;
	str_truncate(reader->word, 0);
	if (at_char(reader, '"')) {
		if (rfc822_parse_quoted_string(parser, reader->word) < 0)
			return FALSE;
	} else if (!read_token(reader)) {
		return FALSE;
	}
	*id_r = t_strdup(str_c(reader->word));
	/* the version */
	while (!results_at_end(reader) && i_isdigit(*parser->data))
		parser->data++;
	return rfc822_skip_lwsp(parser) >= 0 &&
		(results_at_end(reader) || at_char(reader, ';'));
}

/* method ["/" version] "=" result, or "none". *is_spf_r: it is one of SPF's. */
static bool read_method(struct results_reader *reader, bool *is_spf_r)
{
	*is_spf_r = FALSE;
	if (!read_token(reader))
		return FALSE;
	if (strcasecmp(str_c(reader->word), "none") == 0 &&
	    (results_at_end(reader) || at_char(reader, ';')))
		return TRUE;
	*is_spf_r = strcasecmp(str_c(reader->word), "spf") == 0;
	if (at_char(reader, '/') &&
	    (!skip_char(reader) || !read_token(reader)))
		return FALSE;
	if (!at_char(reader, '=') || !skip_char(reader) || !read_token(reader))
		return FALSE;
	if (*is_spf_r &&
	    spf_check_result_parse(str_c(reader->word), &reader->result) < 0)
		return FALSE;
	return TRUE;
}

/* ptype.property "=" value, or reason "=" value; any number of them */
static bool read_properties(struct results_reader *reader)
{
	const char **dest;

	reader->mailfrom = reader->helo = NULL;
	while (!results_at_end(reader) && !at_char(reader, ';')) {
		if (!read_token(reader) || !at_char(reader, '='))
			return FALSE;
		dest = NULL;
		if (strcasecmp(str_c(reader->word), "smtp.mailfrom") == 0)
			dest = &reader->mailfrom;
		else if (strcasecmp(str_c(reader->word), "smtp.helo") == 0)
			dest = &reader->helo;
		if (!skip_char(reader) ||
		    spf_value_parse(&reader->parser, reader->value) < 0)
			return FALSE;
		if (dest != NULL && *dest == NULL)
			*dest = t_strdup(spf_value_domain(str_c(reader->value)));
	}
	return TRUE;
}

/* Two results in one field: the one for MAIL FROM, else the first one. */
static void
keep_result(const struct results_reader *reader,
	    struct spf_field_result *field)
{
	if (field->has_result &&
	    (reader->mailfrom == NULL ||
	     (field->result.identity == SPF_IDENTITY_MAILFROM &&
	      field->result.domain != NULL)))
		return;
	field->has_result = TRUE;
	field->result.result = reader->result;
	field->result.identity =
		reader->mailfrom == NULL && reader->helo != NULL ?
		SPF_IDENTITY_HELO : SPF_IDENTITY_MAILFROM;
	field->result.domain = reader->mailfrom != NULL ?
		reader->mailfrom : reader->helo;
}

bool spf_results_field_parse(const unsigned char *value, size_t size,
			     struct spf_field_result *field_r)
{
	struct results_reader reader;
	bool is_spf;

	i_zero(field_r);
	i_zero(&reader);
	rfc822_parser_init(&reader.parser, value, size, NULL);
	reader.word = t_str_new(128);
	reader.value = t_str_new(128);
	if (!read_id(&reader, &field_r->host))
		return FALSE;
	while (at_char(&reader, ';')) {
		if (!skip_char(&reader))
			return FALSE;
		if (results_at_end(&reader))
			break;
		if (!read_method(&reader, &is_spf) || !read_properties(&reader))
			return FALSE;
		if (is_spf)
			keep_result(&reader, field_r);
	}
	return results_at_end(&reader);
}

int spf_token_parse(struct rfc822_parser_context *parser, string_t *token)
{
	size_t size;
	int ret;

	do {
		size = str_len(token);
		ret = rfc822_parse_mime_token(parser, token);
		if (ret <= 0 || str_len(token) == size)
			return ret;
	} while (*parser->data == '.' ||
		 str_c(token)[str_len(token) - 1] == '.');
	return ret;
}

int spf_value_parse(struct rfc822_parser_context *parser, string_t *value)
{
	const unsigned char *start = parser->data;
	bool quoted = FALSE;

	str_truncate(value, 0);
	while (parser->data < parser->end) {
		if (*parser->data == '"') {
			quoted = TRUE;
			if (rfc822_parse_quoted_string(parser, value) < 0)
				return -1;
			/* white space was skipped: a local part may go on */
			if (parser->data == parser->end || *parser->data != '@')
				break;
			continue;
		}
		start = parser->data;
		while (parser->data < parser->end && *parser->data > ' ' &&
		       strchr("();\"", *parser->data) == NULL)
			parser->data++;
		if (parser->data == start)
			break;
		str_append_data(value, start, parser->data - start);
	}
	if (str_len(value) == 0 && !quoted)
		return -1;
	return rfc822_skip_lwsp(parser);
}

const char *spf_value_domain(const char *value)
{
	const char *at = strrchr(value, '@');

	return spf_received_helo(at == NULL ? value : at + 1);
}
