/* Which of the results in a message count, and which claim to be ours. */

#include "lib.h"
#include <ctype.h>
#include "str.h"
#include "spf-fields.h"
#include "spf-limits.h"
#include "spf-origin.h"
#include "spf-trusted-private.h"
#include "spf-views.h"

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

/* Others than the relays may have written it. */
static bool
is_behind(const struct spf_field *field, const unsigned char *header,
	  size_t size, const struct spf_networks *relays)
{
	return (size_t)(field->name - header) >=
		spf_origin_trusted_size(header, size, relays);
}

bool spf_trusted_result_find(const void *header, size_t header_size,
			     const char *authserv_id,
			     const struct spf_networks *relays, pool_t pool,
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
	/* Only for Received-SPF, which stands on top (RFC 7208, 9.1): a milter may
	   append Authentication-Results at the end of the header. */
	if (!found || (spf_field_is(&field, "Received-SPF") &&
		       is_behind(&field, header, header_size, relays))) {
		i_zero(result_r);
		return FALSE;
	}
	return TRUE;
}

static bool is_host_char(unsigned char c)
{
	return i_isalnum(c) || c == '-' || c == '_' || c == '.';
}

/* Behind the host's name: nothing of it, or the root's dot. */
static bool
name_ends(const unsigned char *data, const unsigned char *end)
{
	if (data < end && *data == '.')
		data++;
	return data == end || !is_host_char(*data);
}

/* An address, or HELO's name. */
static bool
is_of_client(const unsigned char *start, const unsigned char *name)
{
	static const char helo[] = "helo=";
	size_t size = sizeof(helo) - 1;

	if (name > start && name[-1] == '@')
		return TRUE;
	if (name > start && name[-1] == '"')
		name--;
	if ((size_t)(name - start) < size)
		return FALSE;
	name -= size;
	return i_memcasecmp(name, helo, size) == 0 &&
		(name == start || !is_host_char(name[-1]));
}

/* The text names the host, as a word of its own. */
static bool names_host(const unsigned char *text, size_t size, const char *host)
{
	const unsigned char *data = text, *end = text + size;
	size_t host_size = strlen(host);

	while ((size_t)(end - data) >= host_size) {
		if (i_memcasecmp(data, host, host_size) == 0 &&
		    name_ends(data + host_size, end) &&
		    !is_of_client(text, data))
			return TRUE;
		/* to the next word */
		while (data < end && is_host_char(*data))
			data++;
		while (data < end && !is_host_char(*data))
			data++;
	}
	return FALSE;
}

/* Backslashes may stand in front of any character, and a fold within a name. */
static const char *without_fillers(const unsigned char *value, size_t size)
{
	const unsigned char *end = value + size;
	string_t *text = t_str_new(size + 1);

	for (; value < end; value++) {
		if (*value == '\n' && end - value > 1 && i_isspace(value[1]))
			value++;
		else if (strchr("\r\n\\", *value) == NULL)
			str_append_c(text, *value);
	}
	return str_c(text);
}

static bool
received_spf_claims(const unsigned char *value, size_t size, const char *host)
{
	struct spf_field_result result;
	const char *text;

	if (names_host(value, size, host))
		return TRUE;
	text = without_fillers(value, size);
	if (names_host((const unsigned char *)text, strlen(text), host))
		return TRUE;
	/* what we would believe ourselves */
	(void)spf_received_spf_field_parse(value, size, &result);
	return host_is(result.host, host) || host_is(result.receiver, host);
}

bool spf_results_claim_id(const unsigned char *value, size_t size,
			  const char *authserv_id)
{
	return spf_views_any(value, size, spf_view_contains, authserv_id);
}

bool spf_received_spf_claims_host(const unsigned char *value, size_t size,
				  const char *host)
{
	return spf_views_any(value, size, received_spf_claims, host);
}
