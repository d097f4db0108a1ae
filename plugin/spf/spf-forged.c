/* Forged results: which fields of a header block they are. What a field claims is
   read by spf-trusted.h's readers. */

#include "lib.h"
#include <ctype.h>
#include "spf-fields.h"
#include "spf-forged.h"
#include "spf-trusted.h"

#define RESULTS_FIELD "Authentication-Results"
#define SPF_FIELD "Received-SPF"

#define IS_SKIPPED(c) ((c) <= ' ' || (c) > '~')

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
