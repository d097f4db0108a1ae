#ifndef SPF_ORIGIN_H
#define SPF_ORIGIN_H

/* Who handed the message to our own MX: the client that SPF is about. Nothing is
   believed but what a trusted relay wrote. */

#include "net.h"

struct spf_networks;

enum spf_origin_kind {
	/* nothing trustworthy says who: the result is none, for this reason */
	SPF_ORIGIN_UNKNOWN,
	/* a client from outside: SPF is to be checked */
	SPF_ORIGIN_CLIENT,
	/* submitted on a trusted relay, or by somebody who proved who he is: no
	   check */
	SPF_ORIGIN_LOCAL,
	/* a client that may send without login: no check, and nothing that it wrote
	   counts */
	SPF_ORIGIN_NETWORK,
	/* with POP3, IMAP or HTTP: whose MX it came through, nobody knows: no
	   check */
	SPF_ORIGIN_FETCHED
};

struct spf_origin_source {
	/* The message's header block, as it arrived. */
	const void *header;
	size_t header_size;
	/* What LMTP's XCLIENT said; no family: there was none. */
	struct ip_addr xclient_ip;
	const char *xclient_helo;
	/* Our hosts that a message passes on its way here (MX, content filter,
	   relay): their Received fields are believed. */
	const struct spf_networks *relays;
	/* Clients that may send without login. Who is in both is a relay. */
	const struct spf_networks *networks;
};

struct spf_origin {
	enum spf_origin_kind kind;
	/* Only for SPF_ORIGIN_CLIENT. IPv4-mapped ones are IPv4. */
	struct ip_addr client_ip;
	/* Likewise; NULL if unknown. Printable ASCII without white space or
	   quotes, at most 255 bytes; not necessarily a domain name. */
	const char *helo;
	/* Why it is this kind: our own words, never the message's. */
	const char *reason;
};

/* An XCLIENT address that is no relay's is the client. Otherwise the Received fields
   are followed from the top: the first one whose client is no relay was still written
   by one, and names the client. What stands below, the client wrote himself.

   Never fails: what isn't understood makes the origin unknown. helo lives in
   pool, which must not be the data stack's. */
void spf_origin_find(const struct spf_origin_source *source, pool_t pool,
		     struct spf_origin *origin_r);

/* How many bytes of the header block may be the word of our relays: what stands
   above the Received field that follows the client's own (an MX may insert its
   fields below the one that it writes itself). All of it where the fields lead to
   no client: then who wrote what is not known, a content filter may have handed
   the message in again, or another site's MX has written what was fetched. */
size_t spf_origin_trusted_size(const void *header, size_t size,
			       const struct spf_networks *relays);

#endif
