/* Which addresses can carry a serial. */

#include "serial-tag.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* RFC 5321, 4.5.3.1.1 */
#define LOCALPART_MAX 64

/* RFC 5322, 3.2.3: atoms and dots, which a tag can follow without quotes. */
#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" \
	"!#$%&'*+-/=?^_`{|}~."

/* Addresses that another scheme rewrote (BATV, SRS): their owner wants them back as they
   are. */
static bool is_rewritten(const char *address)
{
	static const char *const prefixes[] = {
		"prvs=", "btv1==", "srs0", "srs1",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncasecmp(address, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

bool serial_tag_fits(const char *address, const char *serial,
		     const char *delimiters)
{
	const char *at = strrchr(address, '@');
	size_t size;

	if (at == NULL || *delimiters == '\0' || is_rewritten(address))
		return false;
	size = (size_t)(at - address);
	return size > 0 && strspn(address, PLAIN) >= size &&
		strcspn(address, delimiters) >= size &&
		size + 1 + strlen(SERIAL_TAG_PREFIX) + strlen(serial) <=
		LOCALPART_MAX;
}
