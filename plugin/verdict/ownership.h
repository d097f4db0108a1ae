#ifndef OWNERSHIP_H
#define OWNERSHIP_H

/* Who may send as what (docs/design.md, section 2): what the administrator has given to
   a user, roles such as postmaster@ among them. Says nothing of reports, for which
   own_addresses_match() is stricter. */

#include "own-addresses.h"

/* RFC 5321, 4.5.3.1.3: 256 octets with the angle brackets. */
#define OWNERSHIP_ADDRESS_MAX_LEN 254
/* What ownership_describe() returns has at most so many entries and octets. */
#define OWNERSHIP_DESCRIPTION_MAX_COUNT 5
#define OWNERSHIP_DESCRIPTION_MAX_LEN 200

/* The sources that give a right to send. */
#define OWNERSHIP_SOURCES (OWN_ADDRESS_LOGIN | OWN_ADDRESS_SETTING)

/* FALSE for what nobody can own: without local part or domain, with control
   characters, longer than an address can be. address may be any string. */
bool ownership_is_address(const char *address);

/* The entry by which a user may send as address (with any detail); NULL if none
   says so. address may be any string. */
const struct own_address *
ownership_find(const struct own_addresses *own, const char *address);

/* "login", "backscatter_addresses" */
const char *ownership_source_name(enum own_address_source source);

/* "alice@example.org, @example.net, ...": what a refused user is told, in printable
   ASCII, bounded as said above. other: what else is allowed (short), named last;
   NULL = nothing. "none" if nothing is allowed. On the data stack. */
const char *
ownership_describe(const struct own_addresses *own, const char *other);

#endif
