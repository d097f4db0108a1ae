/* Encoded words (RFC 2047) of a report's header. */

#include "lib.h"
#include "charset-utf8.h"
#include "str.h"
#include "unichar.h"
#include "message-header-decode.h"
#include "report-decode.h"

static bool
decode_word(const unsigned char *data, size_t size, const char *charset,
	    void *context)
{
	string_t *decoded = context;

	if (charset == NULL || charset_is_utf8(charset)) {
		str_append_data(decoded, data, size);
		return TRUE;
	}
	for (; size > 0; data++, size--) {
		if (*data != '\0')
			uni_ucs4_to_utf8_c(*data, decoded);
	}
	return TRUE;
}

const char *report_words_decode(const char *value)
{
	string_t *decoded = t_str_new(128);

	message_header_decode((const unsigned char *)value, strlen(value),
			      decode_word, decoded);
	return str_c(decoded);
}
