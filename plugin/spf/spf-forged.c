/* Forged results: which fields of a header block they are. What a field claims is
   read by spf-trusted.h's readers. */

#include "lib.h"
#include <ctype.h>
#include "buffer.h"
#include "spf-fields.h"
#include "spf-forged.h"
#include "spf-trusted.h"

static bool
is_forged(const struct spf_field *field, const struct spf_own_names *own)
{
	if (spf_field_is(field, "Authentication-Results")) {
		return own->authserv_id != NULL &&
			spf_results_claim_id(field->value, field->value_size,
					     own->authserv_id);
	}
	if (own->received_spf_host == NULL ||
	    !spf_field_is(field, "Received-SPF"))
		return FALSE;
	return spf_received_spf_claims_host(field->value, field->value_size,
					    own->received_spf_host);
}

/* The line ends before the authserv-id does, or a comment may hide where that is. */
static bool is_open(const struct spf_field *field)
{
	const unsigned char *end = memchr(field->value, ';', field->value_size);

	return end == NULL ||
		memchr(field->value, '(', end - field->value) != NULL;
}

bool spf_forged_is(const void *name, size_t name_size,
		   const void *value, size_t value_size,
		   const struct spf_own_names *own)
{
	struct spf_field field = {
		.name = name, .name_size = name_size,
		.value = value, .value_size = value_size
	};

	while (field.name_size > 0 && i_isspace(field.name[field.name_size - 1]))
		field.name_size--;
	if (spf_field_is(&field, "Received-SPF"))
		return own->received_spf_host != NULL;
	if (is_forged(&field, own))
		return TRUE;
	return own->authserv_id != NULL && is_open(&field) &&
		spf_field_is(&field, "Authentication-Results");
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

void spf_forged_remove(buffer_t *dest, const void *header, size_t size,
		       const struct spf_own_names *own)
{
	const unsigned char *kept = header, *end = kept + size;
	struct spf_fields fields;
	struct spf_field field;

	spf_fields_init(&fields, header, size);
	while (spf_fields_next(&fields, &field)) {
		if (!is_forged(&field, own))
			continue;
		buffer_append(dest, kept, field.name - kept);
		/* behind the field's newline */
		kept = fields.data;
	}
	buffer_append(dest, kept, end - kept);
}
