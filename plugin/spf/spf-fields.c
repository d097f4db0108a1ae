/* Walks through the fields of a header block; what they mean know others. */

#include "lib.h"
#include <ctype.h>
#include "spf-fields.h"

void spf_fields_init(struct spf_fields *fields, const void *header, size_t size)
{
	fields->data = header;
	fields->end = fields->data + size;
}

/* Where the field at data ends, continuation lines included. */
static const unsigned char *
field_end(const unsigned char *data, const unsigned char *end)
{
	const unsigned char *lf;

	for (;;) {
		lf = memchr(data, '\n', end - data);
		if (lf == NULL || lf + 1 == end)
			return end;
		data = lf + 1;
		if (*data != ' ' && *data != '\t')
			return data;
	}
}

static bool is_empty_line(const unsigned char *data, const unsigned char *end)
{
	return data[0] == '\n' ||
		(data[0] == '\r' && end - data > 1 && data[1] == '\n');
}

static bool
field_split(const unsigned char *data, const unsigned char *end,
	    struct spf_field *field_r)
{
	const unsigned char *colon = memchr(data, ':', end - data);
	const unsigned char *name_end;

	if (colon == NULL)
		return FALSE;
	for (name_end = colon; name_end > data; name_end--) {
		if (!i_isspace(name_end[-1]))
			break;
	}
	if (end[-1] == '\n')
		end--;
	if (end > colon + 1 && end[-1] == '\r')
		end--;
	field_r->name = data;
	field_r->name_size = name_end - data;
	field_r->value = colon + 1;
	field_r->value_size = end - (colon + 1);
	return TRUE;
}

bool spf_fields_next(struct spf_fields *fields, struct spf_field *field_r)
{
	const unsigned char *start;

	while (fields->data < fields->end &&
	       !is_empty_line(fields->data, fields->end)) {
		start = fields->data;
		fields->data = field_end(start, fields->end);
		if (field_split(start, fields->data, field_r))
			return TRUE;
	}
	return FALSE;
}

bool spf_field_is(const struct spf_field *field, const char *name)
{
	const unsigned char *start = field->name, *end = start + field->name_size;
	const unsigned char *nul;

	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	nul = memchr(start, '\0', end - start);
	if (nul != NULL)
		end = nul;
	return (size_t)(end - start) == strlen(name) &&
		i_memcasecmp(start, name, end - start) == 0;
}
