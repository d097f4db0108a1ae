/* Which of the results in a message count.

   Reads Authentication-Results (RFC 8601, 2.2), other methods of which are read over, and
   Received-SPF (RFC 7208, 9.1). Writers of the latter differ in where they put semicolons
   and comments; keys and values are the same for all. */

#include "lib.h"
#include <ctype.h>
#include "str.h"
#include "rfc822-parser.h"
#include "text/text.h"
#include "spf-limits.h"
#include "spf-origin.h"
#include "spf-received.h"
#include "spf-trusted.h"

/* What a field says; strings on the data stack. */
struct spf_field_result {
	/* authserv-id, or Received-SPF's receiver=, or else the host in its comment;
	   NULL: none */
	const char *host;
	/* the host in the comment, whatever receiver= says */
	const char *comment_host;
	struct spf_trusted_result result;
	bool has_result:1;
};

struct field_reader {
	struct rfc822_parser_context parser;
	string_t *word, *value;
	/* the values that count, NULL: not there */
	const char *mail_from, *helo, *identity, *receiver;
	/* nothing behind "=": some write that for the null sender */
	bool empty_values:1;
};

/* Keys of the one field and the other, and where their values go. */
static const struct field_key {
	const char *name;
	size_t offset;
} results_keys[] = {
	{ "smtp.mailfrom", offsetof(struct field_reader, mail_from) },
	{ "smtp.helo", offsetof(struct field_reader, helo) },
	{ NULL, 0 }
}, received_spf_keys[] = {
	{ "envelope-from", offsetof(struct field_reader, mail_from) },
	{ "helo", offsetof(struct field_reader, helo) },
	{ "identity", offsetof(struct field_reader, identity) },
	{ "receiver", offsetof(struct field_reader, receiver) },
	{ NULL, 0 }
};

static void
field_reader_init(struct field_reader *reader, const unsigned char *value, size_t size)
{
	i_zero(reader);
	rfc822_parser_init(&reader->parser, value, size, NULL);
	reader->word = t_str_new(128);
	reader->value = t_str_new(128);
}

static bool at_char(const struct field_reader *reader, unsigned char c)
{
	return reader->parser.data < reader->parser.end &&
		*reader->parser.data == c;
}

static bool at_end(const struct field_reader *reader)
{
	return reader->parser.data == reader->parser.end;
}

/* Skips the character at the parser, and white space and comments behind it. */
static bool skip_char(struct field_reader *reader)
{
	reader->parser.data++;
	return rfc822_skip_lwsp(&reader->parser) >= 0;
}

/* A token of RFC 8601, with white space and comments around its dots. Returns as
   rfc822_parse_mime_token() does. */
static int parse_token(struct rfc822_parser_context *parser, string_t *token)
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

/* Words, quoted strings and addresses, up to white space, comment or semicolon; skips
   what follows. Returns -1 if it is broken, or empty without being quoted. */
static int parse_value(struct rfc822_parser_context *parser, string_t *value)
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

/* A keyword, a key or a ptype.property, into reader->word. */
static bool read_token(struct field_reader *reader)
{
	str_truncate(reader->word, 0);
	return parse_token(&reader->parser, reader->word) >= 0 &&
		str_len(reader->word) > 0;
}

/* The domain of an address, or of a domain alone, if it may stand in struct
   spf_trusted_result, else NULL. */
static const char *value_domain(const char *value)
{
	const char *at = value == NULL ? NULL : strrchr(value, '@');

	return spf_received_helo(at == NULL ? value : at + 1);
}

/* key "=" value. Of each key that counts the first one is kept; of Authentication-Results
   the first that names a domain. */
static bool read_pair(struct field_reader *reader, const struct field_key *keys)
{
	const char **dest;

	if (!read_token(reader) || !at_char(reader, '=') || !skip_char(reader))
		return FALSE;
	str_truncate(reader->value, 0);
	if (!(reader->empty_values && (at_end(reader) || at_char(reader, ';'))) &&
	    parse_value(&reader->parser, reader->value) < 0)
		return FALSE;
	for (const struct field_key *key = keys; key->name != NULL; key++) {
		dest = PTR_OFFSET(reader, key->offset);
		if (strcasecmp(key->name, str_c(reader->word)) == 0 &&
		    (*dest == NULL ||
		     (keys == results_keys && value_domain(*dest) == NULL)))
			*dest = t_strdup(str_c(reader->value));
	}
	return TRUE;
}

/* Authentication-Results */

static bool read_id(struct field_reader *reader, const char **id_r)
{
	struct rfc822_parser_context *parser = &reader->parser;

	if (rfc822_skip_lwsp(parser) <= 0)
		return FALSE;
	if (!at_char(reader, '"')) {
		if (!read_token(reader))
			return FALSE;
	} else if (rfc822_parse_quoted_string(parser, reader->word) < 0) {
		return FALSE;
	}
	*id_r = t_strdup(str_c(reader->word));
	/* the version */
	while (!at_end(reader) && i_isdigit(*parser->data))
		parser->data++;
	return rfc822_skip_lwsp(parser) >= 0 &&
		(at_end(reader) || at_char(reader, ';'));
}

/* method ["/" version] "=" result, or "none". *is_spf_r: it is one of SPF's. */
static bool
read_method(struct field_reader *reader, bool *is_spf_r,
	    enum spf_check_result *result_r)
{
	*is_spf_r = FALSE;
	if (!read_token(reader))
		return FALSE;
	if (strcasecmp(str_c(reader->word), "none") == 0 &&
	    (at_end(reader) || at_char(reader, ';')))
		return TRUE;
	*is_spf_r = strcasecmp(str_c(reader->word), "spf") == 0;
	if (at_char(reader, '/') && (!skip_char(reader) || !read_token(reader)))
		return FALSE;
	if (!at_char(reader, '=') || !skip_char(reader) || !read_token(reader))
		return FALSE;
	return !*is_spf_r ||
		spf_check_result_parse(str_c(reader->word), result_r) == 0;
}

/* Two results in one field: the one for MAIL FROM, else the first one. */
static void
keep_result(const struct field_reader *reader, enum spf_check_result result,
	    struct spf_field_result *field)
{
	const char *mail_from = value_domain(reader->mail_from);
	const char *helo = value_domain(reader->helo);

	if (field->has_result &&
	    (mail_from == NULL ||
	     (field->result.identity == SPF_IDENTITY_MAILFROM &&
	      field->result.domain != NULL)))
		return;
	field->has_result = TRUE;
	field->result.result = result;
	field->result.identity = mail_from == NULL && helo != NULL ?
		SPF_IDENTITY_HELO : SPF_IDENTITY_MAILFROM;
	field->result.domain = mail_from != NULL ? mail_from : helo;
}

/* Both return FALSE if the syntax is broken; what was read before is in *field_r. */
static bool
results_parse(const unsigned char *value, size_t size, struct spf_field_result *field_r)
{
	struct field_reader reader;
	enum spf_check_result result;
	bool is_spf;

	i_zero(field_r);
	field_reader_init(&reader, value, size);
	if (!read_id(&reader, &field_r->host))
		return FALSE;
	while (at_char(&reader, ';')) {
		if (!skip_char(&reader))
			return FALSE;
		if (at_end(&reader))
			break;
		reader.mail_from = reader.helo = NULL;
		if (!read_method(&reader, &is_spf, &result))
			return FALSE;
		while (!at_end(&reader) && !at_char(&reader, ';')) {
			if (!read_pair(&reader, results_keys))
				return FALSE;
		}
		if (is_spf)
			keep_result(&reader, result, field_r);
	}
	return at_end(&reader);
}

/* Received-SPF */

/* "host: domain of ..." in the comment behind the result */
static bool read_comment_host(struct field_reader *reader, const char **host_r)
{
	string_t *comment = t_str_new(128);
	const char *colon;

	if (!at_char(reader, '('))
		return TRUE;
	reader->parser.last_comment = comment;
	if (rfc822_skip_comment(&reader->parser) < 0)
		return FALSE;
	reader->parser.last_comment = NULL;
	colon = strchr(str_c(comment), ':');
	if (colon != NULL)
		*host_r = t_strdup_until(str_c(comment), colon);
	return rfc822_skip_lwsp(&reader->parser) >= 0;
}

/* The result; a comment may follow, and no other does. */
static bool
read_result(struct field_reader *reader, struct spf_field_result *field)
{
	struct rfc822_parser_context *parser = &reader->parser;

	if (rfc822_skip_lwsp(parser) <= 0)
		return FALSE;
	/* rfc822_parse_mime_token() would skip the comment */
	for (; !at_end(reader) && i_isalpha(*parser->data); parser->data++)
		str_append_c(reader->word, *parser->data);
	if (spf_check_result_parse(str_c(reader->word), &field->result.result) < 0)
		return FALSE;
	while (!at_end(reader) && i_isspace(*parser->data))
		parser->data++;
	return read_comment_host(reader, &field->comment_host);
}

static void
set_identity(const struct field_reader *reader, struct spf_trusted_result *result)
{
	const char *mail_from = value_domain(reader->mail_from);

	if (reader->identity == NULL ||
	    spf_identity_parse(reader->identity, &result->identity) < 0) {
		result->identity = mail_from == NULL && reader->helo != NULL ?
			SPF_IDENTITY_HELO : SPF_IDENTITY_MAILFROM;
	}
	result->domain = result->identity == SPF_IDENTITY_HELO ?
		value_domain(reader->helo) : mail_from;
}

static bool
received_spf_parse(const unsigned char *value, size_t size,
		   struct spf_field_result *field_r)
{
	struct field_reader reader;
	bool whole = TRUE;

	i_zero(field_r);
	field_reader_init(&reader, value, size);
	reader.empty_values = TRUE;
	if (!read_result(&reader, field_r))
		return FALSE;
	while (whole && !at_end(&reader)) {
		whole = read_pair(&reader, received_spf_keys) &&
			(!at_char(&reader, ';') || skip_char(&reader));
	}
	field_r->host = reader.receiver != NULL ? reader.receiver :
		field_r->comment_host;
	set_identity(&reader, &field_r->result);
	field_r->has_result = whole;
	return whole;
}

/* Which count */

/* A host's name; NULL is nobody's. */
static bool host_is(const char *name, const char *host)
{
	return name != NULL && strcasecmp(name, host) == 0;
}

/* *spoken: the MX has spoken through Authentication-Results, here or above. */
static bool
trusted_field_read(const struct header_field *field, const char *authserv_id,
		   bool *spoken, struct spf_field_result *result)
{
	bool whole;

	if (field->value_size > SPF_MAX_FIELD ||
	    memchr(field->value, '\0', field->value_size) != NULL)
		return FALSE;
	if (header_field_is(field, "Authentication-Results")) {
		whole = results_parse(field->value, field->value_size, result);
		if (!host_is(result->host, authserv_id))
			return FALSE;
		*spoken = TRUE;
		return whole && result->has_result;
	}
	return !*spoken && header_field_is(field, "Received-SPF") &&
		received_spf_parse(field->value, field->value_size, result) &&
		host_is(result->host, authserv_id);
}

bool spf_trusted_result_find(const void *header, size_t header_size,
			     const char *authserv_id,
			     const struct spf_networks *relays, pool_t pool,
			     struct spf_trusted_result *result_r)
{
	struct header_fields fields = header_fields(header, header_size);
	struct header_field field;
	struct spf_field_result result;
	bool found = FALSE, spoken = FALSE;

	i_zero(result_r);
	while (!found && header_fields_next(&fields, &field)) T_BEGIN {
		found = trusted_field_read(&field, authserv_id, &spoken, &result);
		if (found) {
			*result_r = result.result;
			result_r->domain = p_strdup(pool, result.result.domain);
		}
	} T_END;
	/* Others than the relays may have written it: that is only known of Received-SPF,
	   which stands on top (RFC 7208, 9.1). A milter may append
	   Authentication-Results at the end of the header. */
	if (!found || (header_field_is(&field, "Received-SPF") &&
		       field.name - (const unsigned char *)header >=
		       (ptrdiff_t)spf_origin_trusted_size(header, header_size, relays))) {
		i_zero(result_r);
		return FALSE;
	}
	return TRUE;
}

bool spf_trusted_may_be_host(const unsigned char *value, size_t size, const char *host)
{
	struct spf_field_result result;

	(void)received_spf_parse(value, size, &result);
	return host_is(result.host, host) || host_is(result.comment_host, host);
}
