#ifndef SERIAL_TAG_H
#define SERIAL_TAG_H

#include <stdbool.h>

/* A serial as the detail of an address, user+b=SERIAL@example.org (backscatter_tag): which
   addresses can carry one. Knows libc only, for the milter issues them, too. */

/* The detail begins with this, after the recipient_delimiter. */
#define SERIAL_TAG_PREFIX "b="

/* delimiters: Dovecot's recipient_delimiter. Returns false if the address must stay as it
   is: null, with a detail or another scheme's mark already, not a plain local part, or longer
   with a tag than RFC 5321, 4.5.3.1.1 allows (64 octets). */
bool serial_tag_fits(const char *address, const char *serial,
		     const char *delimiters);

#endif
