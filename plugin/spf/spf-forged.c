/* Which fields of a header block claim to be ours. */

#include "lib.h"
#include <ctype.h>
#include "str.h"
#include "spf-fields.h"
#include "spf-forged.h"
#include "spf-trusted.h"
#include "spf-views.h"

#define RESULTS_FIELD "Authentication-Results"
#define SPF_FIELD "Received-SPF"

#define IS_SKIPPED(c) ((c) <= ' ' || (c) > '~')

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
	const char *text;

	if (names_host(value, size, host))
		return TRUE;
	text = without_fillers(value, size);
	return names_host((const unsigned char *)text, strlen(text), host) ||
		/* what we would believe ourselves */
		spf_trusted_may_be_host(value, size, host);
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

/* As the most generous reader would have it: white space, control characters and NULs
   in a name don't count. */
static bool
is_named_but_for_skipped(const struct spf_field *field, const char *name)
{
	const unsigned char *data = field->name, *end = data + field->name_size;

	for (; data < end; data++) {
		if (IS_SKIPPED(*data))
			continue;
		if (i_tolower(*data) != i_tolower(*name))
			return FALSE;
		name++;
	}
	return *name == '\0';
}

/* Others end it at a NUL. */
static bool is_named(const struct spf_field *field, const char *name)
{
	return is_named_but_for_skipped(field, name) || spf_field_is(field, name);
}

static bool
is_forged(const struct spf_field *field, const struct spf_own_names *own)
{
	if (own->authserv_id != NULL && is_named(field, RESULTS_FIELD)) {
		return spf_results_claim_id(field->value, field->value_size,
					    own->authserv_id);
	}
	if (own->received_spf_host != NULL && is_named(field, SPF_FIELD)) {
		return spf_received_spf_claims_host(field->value,
						    field->value_size,
						    own->received_spf_host);
	}
	return FALSE;
}

bool spf_forged_may_be(const void *name, size_t name_size)
{
	const struct spf_field field = { .name = name, .name_size = name_size };

	return is_named(&field, RESULTS_FIELD) || is_named(&field, SPF_FIELD);
}

bool spf_forged_is(const void *name, size_t name_size,
		   const void *value, size_t value_size,
		   const struct spf_own_names *own)
{
	const struct spf_field field = {
		.name = name, .name_size = name_size,
		.value = value, .value_size = value_size
	};

	return is_forged(&field, own);
}

bool spf_forged_find(const void *header, size_t size,
		     const struct spf_own_names *own)
{
	struct spf_fields fields;
	struct spf_field field;

	spf_fields_init(&fields, header, size);
	while (spf_fields_next(&fields, &field)) {
		if (is_forged(&field, own))
			return TRUE;
	}
	return FALSE;
}
