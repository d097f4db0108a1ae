#ifndef TEXT_H
#define TEXT_H

/* Text from the net, as it lies in memory: the fields of a header block, and what of a
   text may be shown. Knows nothing of what they mean. Every delivery goes through the
   fields, so nothing of them is copied (message_header_parser copies every value). */

/* Points into the block. */
struct header_field {
	/* from where the field begins up to the colon; see header_field_name() */
	const unsigned char *name;
	size_t name_size;
	/* as it came, folding included, without the newline at its end */
	const unsigned char *value;
	size_t value_size;
};

/* What is left of a header block. */
struct header_fields {
	const unsigned char *data, *end;
};

static inline struct header_fields header_fields(const void *block, size_t size)
{
	return (struct header_fields){
		.data = block, .end = (const unsigned char *)block + size
	};
}

/* Returns FALSE at the end of the block: an empty line, or no more bytes. Lines that are
   no field are skipped. */
bool header_fields_next(struct header_fields *fields, struct header_field *field_r);

/* For who has only a part of a block: */

/* Returns where the field ends, continuation lines included, or NULL if its end isn't in
   [*line, end) yet. *line: a line of the field, and where the search goes on, so that
   no byte is searched twice; at_eof: there is nothing behind end. */
const unsigned char *
header_field_end(const unsigned char **line, const unsigned char *end, bool at_eof);
bool header_is_empty_line(const unsigned char *data, const unsigned char *end);
/* [data, end): one field. Returns FALSE if it has no colon. */
bool header_field_split(const unsigned char *data, const unsigned char *end,
			struct header_field *field_r);

/* The name as others who read the header take it: white space before the colon and before
   the first field's name is no part of it, and to Sieve, whose names are C strings, it
   ends at a NUL. */
const unsigned char *
header_field_name(const struct header_field *field, size_t *size_r);
bool header_field_is(const struct header_field *field, const char *name);

/* At most max bytes of text, for a header, a reply or a log line: a '?' stands for each
   character that is no printable ASCII, or is one of unwanted. Data stack. */
const char *text_printable(const char *text, size_t max, const char *unwanted);
/* It is so already: at most max bytes, and nothing but printable ASCII. */
bool text_is_printable(const char *text, size_t max);

#endif
