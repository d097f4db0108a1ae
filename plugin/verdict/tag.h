#ifndef TAG_H
#define TAG_H

/* The tag: a serial as the detail of an address, user+b=SERIAL@example.org. It
   goes out in MAIL FROM (backscatter_tag) and comes back as the recipient of a
   report. Pure. */

#include "sent-log/serial.h"
#include "sent-log/serial-tag.h"

/* characters of a tag without the delimiter */
#define TAG_DETAIL_SIZE (sizeof(SERIAL_TAG_PREFIX) - 1 + SERIAL_TEXT_SIZE - 1)

/* The serial in the address's tag, as written, or NULL if it has none. delimiters:
   Dovecot's recipient_delimiter. Allocated from the data stack. */
const char *tag_get_serial(const char *address, const char *delimiters);

/* The detail (what follows the first delimiter) is a tag. */
bool tag_is_detail(const char *detail);

/* Returns the address with this serial as its tag, or NULL if it must stay as it is
   (serial_tag_fits()). Allocated from the data stack. */
const char *tag_add(const char *address, const char *serial,
		    const char *delimiters);

#endif
