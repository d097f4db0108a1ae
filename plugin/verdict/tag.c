/* Tags in addresses. Whether the serial in one is ours is for others to say. */

#include "lib.h"
#include "tag.h"

#include <ctype.h>

/* RFC 5321, 4.5.3.1.1 */
#define LOCALPART_MAX 64

/* Addresses that another scheme rewrote (BATV, SRS): their owner wants them back
   as they are. */
static const char *const rewritten_prefixes[] = {
	"prvs=", "btv1==", "srs0", "srs1",
};

bool tag_is_detail(const char *detail)
{
	char serial[SERIAL_TEXT_SIZE];

	return strncasecmp(detail, TAG_PREFIX, strlen(TAG_PREFIX)) == 0 &&
		serial_normalise(detail + strlen(TAG_PREFIX), serial);
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
	return t_strdup_until(detail + strlen(TAG_PREFIX), at);
}

static bool is_rewritten(const char *address)
{
	for (unsigned int i = 0; i < N_ELEMENTS(rewritten_prefixes); i++) {
		if (strncasecmp(address, rewritten_prefixes[i],
				strlen(rewritten_prefixes[i])) == 0)
			return TRUE;
	}
	return FALSE;
}

/* RFC 5322, 3.2.3: atoms and dots, which a tag can follow without quotes. */
static bool is_plain_localpart(const char *localpart, size_t size)
{
	static const char *const atext_specials = "!#$%&'*+-/=?^_`{|}~.";

	for (size_t i = 0; i < size; i++) {
		if (!i_isalnum(localpart[i]) &&
		    strchr(atext_specials, localpart[i]) == NULL)
			return FALSE;
	}
	return size > 0;
}

const char *tag_add(const char *address, const char *serial,
		    const char *delimiters)
{
	const char *at = strrchr(address, '@');
	size_t localpart_size;

	if (at == NULL || *delimiters == '\0' || is_rewritten(address))
		return NULL;
	localpart_size = at - address;
	if (!is_plain_localpart(address, localpart_size) ||
	    strcspn(address, delimiters) < localpart_size ||
	    localpart_size + 1 + strlen(TAG_PREFIX) + strlen(serial) >
	    LOCALPART_MAX)
		return NULL;
	return t_strdup_printf("%s%c"TAG_PREFIX"%s%s",
		t_strdup_until(address, at), *delimiters, serial, at);
}
