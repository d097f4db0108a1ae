/* Which of the results in a message count, and which claim to be ours. */

#include "lib.h"
#include "str.h"
#include "message-header-decode.h"
#include "rfc822-parser.h"
#include "spf-fields.h"
#include "spf-header-limits.h"
#include "spf-trusted-private.h"

/* What stands above in the header block. */
struct trusted_state {
	const char *authserv_id;
	/* the MX has spoken through Authentication-Results */
	bool results_seen:1;
};

/* A host's name; NULL is nobody's. */
static bool host_is(const char *name, const char *host)
{
	return name != NULL && strcasecmp(name, host) == 0;
}

static bool
trusted_results_read(struct trusted_state *state, const struct spf_field *field,
		     struct spf_field_result *result)
{
	bool whole = spf_results_field_parse(field->value, field->value_size,
					     result);

	if (!host_is(result->host, state->authserv_id))
		return FALSE;
	state->results_seen = TRUE;
	return whole && result->has_result;
}

static bool
trusted_received_spf_read(const struct trusted_state *state,
			  const struct spf_field *field,
			  struct spf_field_result *result)
{
	return !state->results_seen &&
		spf_received_spf_field_parse(field->value, field->value_size,
					     result) &&
		host_is(result->receiver != NULL ? result->receiver :
			result->host, state->authserv_id);
}

static bool
trusted_field_read(struct trusted_state *state, const struct spf_field *field,
		   struct spf_field_result *result)
{
	if (field->value_size > SPF_MAX_FIELD ||
	    memchr(field->value, '\0', field->value_size) != NULL)
		return FALSE;
	if (spf_field_is(field, "Authentication-Results"))
		return trusted_results_read(state, field, result);
	if (spf_field_is(field, "Received-SPF"))
		return trusted_received_spf_read(state, field, result);
	return FALSE;
}

bool spf_trusted_result_find(const void *header, size_t header_size,
			     const char *authserv_id, pool_t pool,
			     struct spf_trusted_result *result_r)
{
	struct trusted_state state = { .authserv_id = authserv_id };
	struct spf_fields fields;
	struct spf_field field;
	struct spf_field_result result;
	bool found = FALSE;

	i_zero(result_r);
	spf_fields_init(&fields, header, header_size);
	while (!found && spf_fields_next(&fields, &field)) T_BEGIN {
		found = trusted_field_read(&state, &field, &result);
		if (found) {
			*result_r = result.result;
			result_r->domain = p_strdup(pool, result.result.domain);
		}
	} T_END;
	return found;
}

/* Appends the content of a quoted string, ended or not. */
static void
claimed_quoted(struct rfc822_parser_context *parser, string_t *id)
{
	for (parser->data++; parser->data < parser->end; parser->data++) {
		if (*parser->data == '"' || *parser->data == ';')
			return;
		if (*parser->data == '\\' && parser->data + 1 < parser->end)
			parser->data++;
		if (*parser->data > ' ')
			str_append_c(id, *parser->data);
	}
}

/* The authserv-id as the most generous reader would see it. */
static const char *claimed_id(const unsigned char *value, size_t size)
{
	struct rfc822_parser_context parser;
	string_t *id = t_str_new(128);

	rfc822_parser_init(&parser, value, size, NULL);
	if (rfc822_skip_lwsp(&parser) <= 0)
		return "";
	if (*parser.data == '"')
		claimed_quoted(&parser, id);
	else
		(void)spf_token_parse(&parser, id);
	/* the root's dot names the same host */
	while (str_len(id) > 0 && str_c(id)[str_len(id) - 1] == '.')
		str_truncate(id, str_len(id) - 1);
	return str_c(id);
}

typedef bool
claim_test_t(const unsigned char *value, size_t size, const char *name);

static bool
results_claim(const unsigned char *value, size_t size, const char *authserv_id)
{
	return host_is(claimed_id(value, size), authserv_id);
}

static bool
received_spf_claims(const unsigned char *value, size_t size, const char *host)
{
	struct spf_field_result result;

	(void)spf_received_spf_field_parse(value, size, &result);
	return host_is(result.host, host) || host_is(result.receiver, host);
}

/* Sieve and mail clients decode encoded words anywhere. */
static bool
decoded_claims(claim_test_t *test, const unsigned char *value, size_t size,
	       const char *name)
{
	string_t *decoded;

	if (memmem(value, size, "=?", 2) == NULL)
		return FALSE;
	decoded = t_str_new(256);
	message_header_decode_utf8(value, size, decoded, NULL);
	return test(str_data(decoded), str_len(decoded), name);
}

static bool
claims(claim_test_t *test, const unsigned char *value, size_t size,
       const char *name)
{
	bool ret;

	T_BEGIN {
		ret = test(value, size, name) ||
			decoded_claims(test, value, size, name);
	} T_END;
	return ret;
}

bool spf_results_claim_id(const unsigned char *value, size_t size,
			  const char *authserv_id)
{
	return claims(results_claim, value, size, authserv_id);
}

bool spf_received_spf_claims_host(const unsigned char *value, size_t size,
				  const char *host)
{
	return claims(received_spf_claims, value, size, host);
}
