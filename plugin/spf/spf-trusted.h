#ifndef SPF_TRUSTED_H
#define SPF_TRUSTED_H

/* The result that our own MX wrote, which is believed. */

#include "spf-result.h"

struct spf_networks;

struct spf_trusted_result {
	enum spf_check_result result;
	/* mailfrom if the field names none */
	enum spf_identity identity;
	/* What was checked, without local part, NULL if the field doesn't say.
	   Printable ASCII without white space or quotes, at most 255 bytes; not
	   necessarily a domain name. */
	const char *domain;
};

/* Finds the SPF result that the MX of this authserv-id has written into the header
   block (backscatter_trusted_authserv): the topmost of its Authentication-Results
   fields that has one (RFC 8601), or a Received-SPF field (RFC 7208, 9.1) of that
   host above them. An MX that writes Authentication-Results doesn't speak through
   Received-SPF: below such a field, or beside it, they count for nothing. A field
   with a broken syntax counts as not there.

   The MX must remove what comes in under its name: forged fields look the same.
   Besides, no Received-SPF is believed that stands below the Received
   field behind the one that names the client (spf_origin_trusted_size()); where no field
   of a relay names a client, only the former helps. So an MX that hands on
   over SMTP has to be one of the relays, or it is the client.

   Returns TRUE if there is one; domain lives in pool, which must not be the data
   stack's. */
bool spf_trusted_result_find(const void *header, size_t header_size,
			     const char *authserv_id,
			     const struct spf_networks *relays, pool_t pool,
			     struct spf_trusted_result *result_r);

/* Inside the room: does this Received-SPF field name the host where we look for it, be
   its syntax broken or not? */
bool spf_trusted_may_be_host(const unsigned char *value, size_t size, const char *host);

#endif
