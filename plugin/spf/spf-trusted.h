#ifndef SPF_TRUSTED_H
#define SPF_TRUSTED_H

/* Results that others wrote: the one of our own MX that is believed, and the ones
   that claim to be ours. */

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

/* Returns TRUE if an Authentication-Results field has authserv_id anywhere: in its
   place, in a comment, a quoted reason, an encoded word, as a part of a longer id, or
   torn apart by what some readers skip (spf-views.h). A Sieve script that asks whether
   the field contains our id and a result doesn't care where. value: what follows the
   colon, as it came, with all its lines. */
bool spf_results_claim_id(const unsigned char *value, size_t size,
			  const char *authserv_id);
/* The same for Received-SPF: no two readers agree where the receiver's name is to
   be found, so it is a field that names the host anywhere as a word of its own, but in
   an address or as HELO's name: there other hosts write it who got mail from us. */
bool spf_received_spf_claims_host(const unsigned char *value, size_t size,
				  const char *host);

#endif
