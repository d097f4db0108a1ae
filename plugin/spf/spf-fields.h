#ifndef SPF_FIELDS_H
#define SPF_FIELDS_H

/* Inside the room: the fields of a header block that lies in memory. Every
   delivery goes through here, so nothing is copied (message_header_parser
   copies every value). */

struct spf_fields {
	const unsigned char *data, *end;
};

/* Points into the block. */
struct spf_field {
	/* where the field begins; without white space before the colon */
	const unsigned char *name;
	size_t name_size;
	/* as it came, folding included, without the newline at its end */
	const unsigned char *value;
	size_t value_size;
};

void spf_fields_init(struct spf_fields *fields, const void *header,
		     size_t size);
/* Returns FALSE at the end of the block: an empty line, or no more bytes.
   Lines that are no field are skipped. */
bool spf_fields_next(struct spf_fields *fields, struct spf_field *field_r);

/* Asks as others who read the header would: white space before the first field's
   name is no part of it, and to Sieve a name ends at a NUL. */
bool spf_field_is(const struct spf_field *field, const char *name);

#endif
