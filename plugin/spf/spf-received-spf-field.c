/* Reads Received-SPF (RFC 7208, 9.1). Writers differ in where they put semicolons
   and comments; keys and values are the same for all. */

#include "lib.h"
#include <ctype.h>
#include "str.h"
#include "rfc822-parser.h"
#include "spf-trusted-private.h"

struct received_spf {
	const char *receiver, *identity, *helo, *envelope_from;
	/* the pair that is being read */
	string_t *key, *value;
};

static const struct {
	const char *key;
	size_t offset;
} received_spf_keys[] = {
	{ "receiver", offsetof(struct received_spf, receiver) },
	{ "identity", offsetof(struct received_spf, identity) },
	{ "helo", offsetof(struct received_spf, helo) },
	{ "envelope-from", offsetof(struct received_spf, envelope_from) },
};

static void keep_pair(struct received_spf *spf)
{
	const char **dest;

	for (unsigned int i = 0; i < N_ELEMENTS(received_spf_keys); i++) {
		if (strcasecmp(received_spf_keys[i].key, str_c(spf->key)) != 0)
			continue;
		dest = PTR_OFFSET(spf, received_spf_keys[i].offset);
		if (*dest == NULL)
			*dest = t_strdup(str_c(spf->value));
	}
}

/* key "=" value, and a semicolon unless the writer leaves them out */
static bool
read_pair(struct rfc822_parser_context *parser, struct received_spf *spf)
{
	str_truncate(spf->key, 0);
	if (rfc822_parse_mime_token(parser, spf->key) <= 0 ||
	    str_len(spf->key) == 0 || *parser->data != '=')
		return FALSE;
	parser->data++;
	if (rfc822_skip_lwsp(parser) < 0)
		return FALSE;
	/* nothing behind "=": some write that for the null sender */
	if (parser->data == parser->end || *parser->data == ';')
		str_truncate(spf->value, 0);
	else if (spf_value_parse(parser, spf->value) < 0)
		return FALSE;
	keep_pair(spf);
	if (parser->data < parser->end && *parser->data == ';') {
		parser->data++;
		return rfc822_skip_lwsp(parser) >= 0;
	}
	return TRUE;
}

/* "host: domain of ..." in the comment behind the result */
static bool
read_comment_host(struct rfc822_parser_context *parser, const char **host_r)
{
	string_t *comment;
	const char *colon;

	if (parser->data == parser->end || *parser->data != '(')
		return TRUE;
	comment = t_str_new(128);
	parser->last_comment = comment;
	if (rfc822_skip_comment(parser) < 0)
		return FALSE;
	parser->last_comment = NULL;
	colon = strchr(str_c(comment), ':');
	if (colon != NULL)
		*host_r = t_strdup_until(str_c(comment), colon);
	return rfc822_skip_lwsp(parser) >= 0;
}

static void
set_identity(const struct received_spf *spf, struct spf_trusted_result *result)
{
	const char *domain = spf->envelope_from == NULL ? NULL :
		spf_value_domain(spf->envelope_from);

	if (spf->identity == NULL ||
	    spf_identity_parse(spf->identity, &result->identity) < 0) {
		result->identity = domain == NULL && spf->helo != NULL ?
			SPF_IDENTITY_HELO : SPF_IDENTITY_MAILFROM;
	}
	if (result->identity == SPF_IDENTITY_HELO)
		domain = spf->helo == NULL ? NULL : spf_value_domain(spf->helo);
	result->domain = domain;
}

/* The result; a comment may follow, and no other does. */
static bool
read_result(struct rfc822_parser_context *parser,
	    struct spf_field_result *field)
{
	string_t *word = t_str_new(16);

	if (rfc822_skip_lwsp(parser) <= 0)
		return FALSE;
	/* rfc822_parse_mime_token() would skip the comment */
	for (; parser->data < parser->end; parser->data++) {
		if (!i_isalpha(*parser->data))
			break;
		str_append_c(word, *parser->data);
	}
	if (spf_check_result_parse(str_c(word), &field->result.result) < 0)
		return FALSE;
	for (; parser->data < parser->end; parser->data++) {
		if (!i_isspace(*parser->data))
			break;
	}
	return read_comment_host(parser, &field->host);
}

bool spf_received_spf_field_parse(const unsigned char *value, size_t size,
				  struct spf_field_result *field_r)
{
	struct rfc822_parser_context parser;
	struct received_spf spf;
	bool whole = TRUE;

	i_zero(field_r);
	i_zero(&spf);
	spf.key = t_str_new(32);
	spf.value = t_str_new(128);
	rfc822_parser_init(&parser, value, size, NULL);
	if (!read_result(&parser, field_r))
		return FALSE;
	while (whole && parser.data < parser.end)
		whole = read_pair(&parser, &spf);
	field_r->receiver = spf.receiver;
	if (!whole)
		return FALSE;
	set_identity(&spf, &field_r->result);
	field_r->has_result = TRUE;
	return TRUE;
}
