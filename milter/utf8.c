/* UTF-8, as Dovecot's JSON parser wants it. */

#include "utf8.h"

#include <stddef.h>

/* Returns the bytes of the character that text begins with, or 0 if it is none (RFC 3629). */
static size_t utf8_size(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, second_first, second_last, size;
	} forms[] = {
		{ 0x01, 0x7f, 0, 0, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if (*text < forms[i].first || *text > forms[i].last)
			continue;
		if (forms[i].size > 1 && (text[1] < forms[i].second_first ||
					  text[1] > forms[i].second_last))
			return 0;
		for (size_t j = 2; j < forms[i].size; j++) {
			if (text[j] < 0x80 || text[j] > 0xbf)
				return 0;
		}
		return forms[i].size;
	}
	return 0;
}

bool text_is_utf8(const char *text)
{
	size_t size;

	for (; *text != '\0'; text += size) {
		size = utf8_size((const unsigned char *)text);
		if (size == 0)
			return false;
	}
	return true;
}
