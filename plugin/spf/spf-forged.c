/* Which fields of a header block claim to be ours.

   Different readers make different things of one value. Sieve sees it unfolded and with
   its encoded words decoded (RFC 2047), wherever they stand; others skip quotes,
   comments, white space or NULs, or join what was split. Who looks for a name in a value
   that somebody hostile wrote has to look into all of these views. Each one is a copy,
   made only where the value has what it is about: of most values there is one view, the
   value itself. */

#include "lib.h"
#include <ctype.h>
#include "charset-utf8.h"
#include "str.h"
#include "message-header-decode.h"
#include "unichar.h"
#include "text/text.h"
#include "spf-forged.h"
#include "spf-trusted.h"

#define RESULTS_FIELD "Authentication-Results"
#define SPF_FIELD "Received-SPF"

#define IS_SKIPPED(c) ((c) <= ' ' || (c) > '~')

typedef bool
view_test_t(const unsigned char *text, size_t size, const char *name);

/* Views */

/* nobody writes comments within comments deeper than that */
#define COMMENT_DEPTH_MAX 100

/* U+3002, a dot of host names as some keyboards write it (RFC 3490, 3.1). The others
   are made into it, or into ".", where characters are taken apart. */
static const unsigned char ideographic_dot[] = { 0xe3, 0x80, 0x82 };

static bool
contains(const unsigned char *text, size_t size, const char *name)
{
	const unsigned char *end = text + size;
	size_t name_size = strlen(name);
	unsigned char first = i_tolower(*name);

	for (; (size_t)(end - text) >= name_size; text++) {
		if (i_tolower(*text) == first &&
		    i_memcasecmp(text, name, name_size) == 0)
			return TRUE;
	}
	return FALSE;
}

/* What is left of a text without all that readers skip. */
struct squeezer {
	const char *name;
	/* never longer than what it is left of */
	unsigned char *text;
	size_t size;
	/* where in text the comments begin that aren't closed yet */
	size_t comments[COMMENT_DEPTH_MAX];
	unsigned int depth;
};

/* Takes the innermost comment out. Returns TRUE if the name is in it. */
static bool comment_ends(struct squeezer *squeezer)
{
	size_t start = squeezer->comments[--squeezer->depth];
	bool found = contains(squeezer->text + start, squeezer->size - start,
			      squeezer->name);

	squeezer->size = start;
	return found;
}

/* Returns TRUE if the answer is known already. */
static bool squeeze_char(struct squeezer *squeezer, unsigned char c)
{
	if (c == ')' && squeezer->depth > 0)
		return comment_ends(squeezer);
	if (c == '(') {
		if (squeezer->depth == COMMENT_DEPTH_MAX)
			return TRUE;
		squeezer->comments[squeezer->depth++] = squeezer->size;
	}
	if (c > ' ' && c <= '~' && c != '"')
		squeezer->text[squeezer->size++] = c;
	return FALSE;
}

static bool squeeze(struct squeezer *squeezer, const unsigned char *text,
		    const unsigned char *end)
{
	for (; text < end; text++) {
		if (*text == '\\') {
			/* quotes the next one: no comment begins or ends there */
			if (++text < end && *text > ' ' && *text <= '~' &&
			    strchr("\"\\", *text) == NULL)
				squeezer->text[squeezer->size++] = *text;
		} else if (*text == ideographic_dot[0] &&
			   end - text >= (ptrdiff_t)sizeof(ideographic_dot) &&
			   memcmp(text, ideographic_dot,
				  sizeof(ideographic_dot)) == 0) {
			squeezer->text[squeezer->size++] = '.';
			text += sizeof(ideographic_dot) - 1;
		} else if (squeeze_char(squeezer, *text)) {
			return TRUE;
		}
	}
	return contains(squeezer->text, squeezer->size, squeezer->name);
}

/* A test: the text contains the name, in whatever case, also as a part of a longer
   word. Quotes, backslashes, white space, control and non-ASCII characters in between
   don't count, and comments may. name: printable ASCII without any of ()"\ */
static bool view_contains(const unsigned char *text, size_t size, const char *name)
{
	struct squeezer squeezer = {
		.name = name, .text = t_malloc_no0(size + 1)
	};

	return squeeze(&squeezer, text, text + size);
}

static bool test_str(view_test_t *test, const string_t *text, const char *name)
{
	return test(str_data(text), str_len(text), name);
}

static int hex_digit(unsigned char c)
{
	if (i_isdigit(c))
		return c - '0';
	c = i_tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %2E as in a URL, =2E as in an encoded word that isn't closed */
static bool
octets_view(view_test_t *test, const unsigned char *text, size_t size,
	    const char *name)
{
	const unsigned char *end = text + size;
	string_t *octets = t_str_new(size + 1);

	for (; text < end; text++) {
		if ((*text == '%' || *text == '=') && end - text > 2 &&
		    hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
			str_append_c(octets, hex_digit(text[1]) * 16 +
				     hex_digit(text[2]));
			text += 2;
		} else {
			str_append_c(octets, *text);
		}
	}
	return test_str(test, octets, name);
}

/* normalizer: NULL = as it is */
static bool
utf8_view(view_test_t *test, const unsigned char *text, size_t size,
	  const char *name, normalizer_func_t *normalizer)
{
	string_t *decoded = t_str_new(size + 1);

	message_header_decode_utf8(text, size, decoded, normalizer);
	return test_str(test, decoded, name);
}

/* Neighbouring encoded words, whose octets belong together: a character may be split
   between them. */
struct octet_joiner {
	string_t *text;
	bool unknown_charset:1;
};

/* Of another character set than UTF-8 nothing is decoded: to load the table of one may
   take half a millisecond, and a header has room for fifty thousand of them. */
static bool
joiner_add(const unsigned char *data, size_t size, const char *charset,
	   void *context)
{
	struct octet_joiner *joiner = context;

	if (charset != NULL && !charset_is_utf8(charset))
		joiner->unknown_charset = TRUE;
	else
		str_append_data(joiner->text, data, size);
	return !joiner->unknown_charset;
}

static bool
joined_octets_view(view_test_t *test, const unsigned char *text, size_t size,
		   const char *name)
{
	struct octet_joiner joiner = { .text = t_str_new(size + 1) };

	message_header_decode(text, size, joiner_add, &joiner);
	return joiner.unknown_charset || test_str(test, joiner.text, name);
}

/* "?= =?charset?b?", between two encoded words. Returns where it ends, or text. */
static const unsigned char *
seam_end(const unsigned char *text, const unsigned char *end)
{
	const unsigned char *p = text + 2;

	if (end - text < 2 || text[0] != '?' || text[1] != '=')
		return text;
	while (p < end && i_isspace(*p))
		p++;
	if (end - p < 2 || p[0] != '=' || p[1] != '?')
		return text;
	p = memchr(p + 2, '?', end - p - 2);
	return p == NULL || end - p < 3 || p[2] != '?' ? text : p + 3;
}

/* Neighbouring encoded words as a single one: base64 may be split anywhere. */
static bool
joined_words_view(view_test_t *test, const unsigned char *text, size_t size,
		  const char *name)
{
	const unsigned char *behind, *end = text + size;
	string_t *joined = t_str_new(size + 1);

	while (text < end) {
		behind = seam_end(text, end);
		if (behind == text)
			str_append_c(joined, *text++);
		else
			text = behind;
	}
	return joined_octets_view(test, str_data(joined), str_len(joined), name);
}

static bool has_non_ascii(const unsigned char *text, size_t size)
{
	for (; size > 0; text++, size--) {
		if ((*text & 0x80) != 0)
			return TRUE;
	}
	return FALSE;
}

static bool
any_view(const unsigned char *text, size_t size, view_test_t *test,
	 const char *name)
{
	bool encoded = memmem(text, size, "=?", 2) != NULL;

	if (test(text, size, name))
		return TRUE;
	/* first, since it finds the character sets that aren't to be loaded */
	if (encoded && joined_octets_view(test, text, size, name))
		return TRUE;
	if ((encoded || memchr(text, '%', size) != NULL) &&
	    octets_view(test, text, size, name))
		return TRUE;
	/* full-width letters and the like look as ours do */
	if ((encoded || has_non_ascii(text, size)) &&
	    utf8_view(test, text, size, name, uni_utf8_to_decomposed_titlecase))
		return TRUE;
	return encoded && (utf8_view(test, text, size, name, NULL) ||
			   joined_words_view(test, text, size, name));
}

static bool
any_view_without_nuls(const unsigned char *value, size_t size,
		      view_test_t *test, const char *name)
{
	string_t *text = t_str_new(size + 1);

	for (; size > 0; value++, size--) {
		if (*value != '\0')
			str_append_c(text, *value);
	}
	return any_view(str_data(text), str_len(text), test, name);
}

/* Returns TRUE if the test does so for any view of the value, or if an encoded word
   is in another character set than UTF-8: who knows that one reads what he likes, and
   in these fields nobody honest writes it. Takes a time proportional to the size. */
static bool views_any(const unsigned char *value, size_t size,
		   view_test_t *test, const char *name)
{
	bool ret;

	T_BEGIN {
		ret = any_view(value, size, test, name) ||
			(memchr(value, '\0', size) != NULL &&
			 any_view_without_nuls(value, size, test, name));
	} T_END;
	return ret;
}

/* Claims */

static bool is_host_char(unsigned char c)
{
	return i_isalnum(c) || c == '-' || c == '_' || c == '.';
}

/* Behind the host's name: nothing of it, or the root's dot. */
static bool
name_ends(const unsigned char *data, const unsigned char *end)
{
	if (data < end && *data == '.')
		data++;
	return data == end || !is_host_char(*data);
}

/* An address, or HELO's name. */
static bool
is_of_client(const unsigned char *start, const unsigned char *name)
{
	static const char helo[] = "helo=";
	size_t size = sizeof(helo) - 1;

	if (name > start && name[-1] == '@')
		return TRUE;
	if (name > start && name[-1] == '"')
		name--;
	if ((size_t)(name - start) < size)
		return FALSE;
	name -= size;
	return i_memcasecmp(name, helo, size) == 0 &&
		(name == start || !is_host_char(name[-1]));
}

/* The text names the host, as a word of its own. */
static bool names_host(const unsigned char *text, size_t size, const char *host)
{
	const unsigned char *data = text, *end = text + size;
	size_t host_size = strlen(host);

	while ((size_t)(end - data) >= host_size) {
		if (i_memcasecmp(data, host, host_size) == 0 &&
		    name_ends(data + host_size, end) &&
		    !is_of_client(text, data))
			return TRUE;
		/* to the next word */
		while (data < end && is_host_char(*data))
			data++;
		while (data < end && !is_host_char(*data))
			data++;
	}
	return FALSE;
}

/* Backslashes may stand in front of any character, and a fold within a name. */
static const char *without_fillers(const unsigned char *value, size_t size)
{
	const unsigned char *end = value + size;
	string_t *text = t_str_new(size + 1);

	for (; value < end; value++) {
		if (*value == '\n' && end - value > 1 && i_isspace(value[1]))
			value++;
		else if (strchr("\r\n\\", *value) == NULL)
			str_append_c(text, *value);
	}
	return str_c(text);
}

static bool
received_spf_claims(const unsigned char *value, size_t size, const char *host)
{
	const char *text;

	if (names_host(value, size, host))
		return TRUE;
	text = without_fillers(value, size);
	return names_host((const unsigned char *)text, strlen(text), host) ||
		/* what we would believe ourselves */
		spf_trusted_may_be_host(value, size, host);
}

bool spf_results_claim_id(const unsigned char *value, size_t size,
			  const char *authserv_id)
{
	return views_any(value, size, view_contains, authserv_id);
}

bool spf_received_spf_claims_host(const unsigned char *value, size_t size,
				  const char *host)
{
	return views_any(value, size, received_spf_claims, host);
}

/* As the most generous reader would have it: white space, control characters and NULs
   in a name don't count. */
static bool
is_named_but_for_skipped(const struct header_field *field, const char *name)
{
	const unsigned char *data = field->name, *end = data + field->name_size;

	for (; data < end; data++) {
		if (IS_SKIPPED(*data))
			continue;
		if (i_tolower(*data) != i_tolower(*name))
			return FALSE;
		name++;
	}
	return *name == '\0';
}

/* Others end it at a NUL. */
static bool is_named(const struct header_field *field, const char *name)
{
	return is_named_but_for_skipped(field, name) || header_field_is(field, name);
}

static bool
is_forged(const struct header_field *field, const struct spf_own_names *own)
{
	if (own->authserv_id != NULL && is_named(field, RESULTS_FIELD)) {
		return spf_results_claim_id(field->value, field->value_size,
					    own->authserv_id);
	}
	if (own->received_spf_host != NULL && is_named(field, SPF_FIELD)) {
		return spf_received_spf_claims_host(field->value,
						    field->value_size,
						    own->received_spf_host);
	}
	return FALSE;
}

bool spf_forged_may_be(const void *name, size_t name_size)
{
	const struct header_field field = { .name = name, .name_size = name_size };

	return is_named(&field, RESULTS_FIELD) || is_named(&field, SPF_FIELD);
}

bool spf_forged_is(const void *name, size_t name_size,
		   const void *value, size_t value_size,
		   const struct spf_own_names *own)
{
	const struct header_field field = {
		.name = name, .name_size = name_size,
		.value = value, .value_size = value_size
	};

	return is_forged(&field, own);
}

bool spf_forged_find(const void *header, size_t size,
		     const struct spf_own_names *own)
{
	struct header_fields fields = header_fields(header, size);
	struct header_field field;

	while (header_fields_next(&fields, &field)) {
		if (is_forged(&field, own))
			return TRUE;
	}
	return FALSE;
}
