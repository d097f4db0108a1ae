#ifndef SPF_TRUSTED_PRIVATE_H
#define SPF_TRUSTED_PRIVATE_H

/* Inside the room: readers of the two fields that carry SPF results. */

#include "spf-trusted.h"

/* What a field says; strings on the data stack. */
struct spf_field_result {
	/* authserv-id, or the host in the comment of Received-SPF; NULL: none */
	const char *host;
	/* Received-SPF's receiver=, NULL: none */
	const char *receiver;
	struct spf_trusted_result result;
	bool has_result:1;
};

/* Both return FALSE if the syntax is broken; what was read before is in *field_r.
   spf-results-field.c, spf-received-spf-field.c */
bool spf_results_field_parse(const unsigned char *value, size_t size,
			     struct spf_field_result *field_r);
bool spf_received_spf_field_parse(const unsigned char *value, size_t size,
				  struct spf_field_result *field_r);

struct rfc822_parser_context;

/* Appends a token of RFC 8601, with white space and comments around its dots, and
   skips what follows. Returns as rfc822_parse_mime_token() does. */
int spf_token_parse(struct rfc822_parser_context *parser, string_t *token);
/* Reads a value behind "=" into *value, in place of what is there: words, quoted
   strings and addresses, up to white space, comment or semicolon, and skips what
   follows. Returns -1 if it is broken or empty without being quoted. */
int spf_value_parse(struct rfc822_parser_context *parser, string_t *value);
/* The domain of an address, or of a domain alone, if it may stand in struct
   spf_trusted_result, else NULL. Data stack. */
const char *spf_value_domain(const char *value);

#endif
