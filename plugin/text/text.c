/* Fields, and what may be shown. */

#include "lib.h"
#include <ctype.h>
#include "str.h"
#include "text.h"

bool header_is_empty_line(const unsigned char *data, const unsigned char *end)
{
	return data[0] == '\n' ||
		(data[0] == '\r' && end - data > 1 && data[1] == '\n');
}

const unsigned char *
header_field_end(const unsigned char **line, const unsigned char *end, bool at_eof)
{
	const unsigned char *lf;

	for (;;) {
		lf = memchr(*line, '\n', end - *line);
		if (lf == NULL || lf + 1 == end)
			return at_eof ? end : NULL;
		*line = lf + 1;
		if (lf[1] != ' ' && lf[1] != '\t')
			return lf + 1;
	}
}

bool header_field_split(const unsigned char *data, const unsigned char *end,
			struct header_field *field_r)
{
	const unsigned char *colon = memchr(data, ':', end - data);

	if (colon == NULL)
		return FALSE;
	if (end[-1] == '\n')
		end--;
	if (end > colon + 1 && end[-1] == '\r')
		end--;
	field_r->name = data;
	field_r->name_size = colon - data;
	field_r->value = colon + 1;
	field_r->value_size = end - (colon + 1);
	return TRUE;
}

bool header_fields_next(struct header_fields *fields, struct header_field *field_r)
{
	const unsigned char *start, *line;

	while (fields->data < fields->end &&
	       !header_is_empty_line(fields->data, fields->end)) {
		start = line = fields->data;
		fields->data = header_field_end(&line, fields->end, TRUE);
		if (header_field_split(start, fields->data, field_r))
			return TRUE;
	}
	return FALSE;
}

const unsigned char *
header_field_name(const struct header_field *field, size_t *size_r)
{
	const unsigned char *name = field->name, *end = name + field->name_size;
	const unsigned char *nul;

	/* RFC 5322, 4.5.8 */
	while (end > name && i_isspace(end[-1]))
		end--;
	while (name < end && (*name == ' ' || *name == '\t'))
		name++;
	nul = memchr(name, '\0', end - name);
	*size_r = (nul == NULL ? end : nul) - name;
	return name;
}

bool header_field_is(const struct header_field *field, const char *name)
{
	size_t size;
	const unsigned char *start = header_field_name(field, &size);

	return size == strlen(name) && i_memcasecmp(start, name, size) == 0;
}

const char *text_printable(const char *text, size_t max, const char *unwanted)
{
	string_t *printable = t_str_new(128);
	unsigned char last = 0;

	for (; *text != '\0' && max > 0; last = *text++, max--) {
		unsigned char c = *text;

		if (c >= ' ' && c < 0x7f && strchr(unwanted, c) == NULL)
			str_append_c(printable, c);
		else if (c < 0x80 || c >= 0xc0 || last < 0x80) {
			/* not for what else there is of a character in UTF-8 */
			str_append_c(printable, '?');
		}
	}
	return str_c(printable);
}

bool text_is_printable(const char *text, size_t max)
{
	const char *p;

	for (p = text; *p >= ' ' && *p <= '~'; p++) ;
	return *p == '\0' && (size_t)(p - text) <= max;
}
