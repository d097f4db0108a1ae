/* Tags in addresses. Whether the serial in one is ours is for others to say. */

#include "lib.h"
#include "tag.h"

bool tag_is_detail(const char *detail)
{
	char serial[SERIAL_TEXT_SIZE];

	return strncasecmp(detail, SERIAL_TAG_PREFIX, strlen(SERIAL_TAG_PREFIX)) == 0 &&
		serial_normalise(detail + strlen(SERIAL_TAG_PREFIX), serial);
}

const char *tag_get_serial(const char *address, const char *delimiters)
{
	const char *at = strrchr(address, '@');
	const char *detail;

	if (at == NULL)
		return NULL;
	/* The last detail: "user+lists+b=..." is user+lists, tagged. */
	for (detail = at; detail > address; detail--) {
		if (strchr(delimiters, detail[-1]) != NULL)
			break;
	}
	if (detail <= address + 1 || !tag_is_detail(t_strdup_until(detail, at)))
		return NULL;
	return t_strdup_until(detail + strlen(SERIAL_TAG_PREFIX), at);
}

const char *tag_add(const char *address, const char *serial,
		    const char *delimiters)
{
	const char *at = strrchr(address, '@');

	if (!serial_tag_fits(address, serial, delimiters))
		return NULL;
	return t_strdup_printf("%s%c"SERIAL_TAG_PREFIX"%s%s",
		t_strdup_until(address, at), *delimiters, serial, at);
}
