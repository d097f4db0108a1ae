/* Reads the address fields of an outgoing message. lib-mail says what stands in them;
   the rest makes sure that it stands there as everybody sees it. */

#include "lib.h"
#include "array.h"
#include "charset-utf8.h"
#include "hex-binary.h"
#include "randgen.h"
#include "str.h"
#include "unichar.h"
#include "message-address.h"
#include "message-header-decode.h"
#include "rfc822-parser.h"
#include "outgoing-senders.h"

/* What no address has without quotes: readers take it for the end of one. */
#define ADDRESS_ENDS " \t\r\n<>,;:()[]"

/* lib-mail reads a field as far as it can and doesn't say where it stopped: of
   "<a@example.org> <b@example.net>" it shows the first address only. So an address
   of our own goes behind the field: if it isn't read, something before it wasn't.
   Nobody can know it beforehand, or he would write it himself and his real sender
   behind it. */
#define END_DOMAIN "backscatter.invalid"

static const char *new_end_localpart(void)
{
	unsigned char random[16];

	random_fill(random, sizeof(random));
	return binary_to_hex(random, sizeof(random));
}

static bool
is_end(const struct message_address *address, const char *end_localpart)
{
	return address->next == NULL && !address->invalid_syntax &&
		address->mailbox != NULL && address->domain != NULL &&
		strcmp(address->mailbox, end_localpart) == 0 &&
		strcmp(address->domain, END_DOMAIN) == 0;
}

/* lib-mail shows the begin and the end of a group as addresses without domain. */
static bool is_group_mark(const struct message_address *address)
{
	return address->domain == NULL && !address->invalid_syntax;
}

static const struct message_address *
senders_parse_addresses(const unsigned char *value, size_t size,
		const char *end_localpart)
{
	string_t *field = t_str_new(size + 64);

	str_append_data(field, value, size);
	str_printfa(field, ", %s@"END_DOMAIN, end_localpart);
	return message_address_parse(pool_datastack_create(), str_data(field),
				     str_len(field), OUTGOING_MAX_ADDRESSES + 1,
				     0);
}

/* Without quotes, or with letters that look like these, it is another address. */
static bool senders_is_plain_localpart(const char *localpart)
{
	string_t *text = t_str_new(64);

	if (uni_utf8_to_decomposed_titlecase(localpart, strlen(localpart),
					     text) < 0)
		return FALSE;
	for (const char *p = str_c(text); *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || strchr("@<>\"\\\x7f", *p) != NULL)
			return FALSE;
	}
	return TRUE;
}

/* Returns NULL, or what is wrong with it. */
static const char *address_problem(const struct message_address *address)
{
	if (address->mailbox == NULL || *address->mailbox == '\0' ||
	    address->domain == NULL || *address->domain == '\0')
		return "no address where one has to be";
	if (address->invalid_syntax)
		return "not a list of addresses";
	if (address->route != NULL)
		return "a route in front of an address";
	if (!uni_utf8_str_is_valid(address->mailbox) ||
	    !uni_utf8_str_is_valid(address->domain))
		return "an address that isn't UTF-8";
	if (!senders_is_plain_localpart(address->mailbox))
		return "an address with special characters";
	if (strstr(address->mailbox, "=?") != NULL ||
	    strstr(address->domain, "=?") != NULL)
		return "an encoded word in an address";
	return NULL;
}

/* What stands outside of quotes and comments; a "Q" and a blank in their place. Returns
   FALSE if one of them isn't closed. */
static bool
skeleton_of(const unsigned char *value, size_t size, string_t *skeleton)
{
	struct rfc822_parser_context parser;
	string_t *quoted = t_str_new(64);
	int ret = 1;

	rfc822_parser_init(&parser, value, size, NULL);
	while (parser.data < parser.end && ret >= 0) {
		if (*parser.data == '(') {
			ret = rfc822_skip_comment(&parser);
			str_append_c(skeleton, ' ');
		} else if (*parser.data == '"') {
			ret = rfc822_parse_quoted_string(&parser, quoted);
			str_append_c(skeleton, 'Q');
			/* it has skipped white space and comments */
			if (parser.data[-1] != '"')
				str_append_c(skeleton, ' ');
		} else {
			str_append_c(skeleton, *parser.data++);
		}
	}
	return ret >= 0;
}

static bool is_dot_atom(const char *localpart)
{
	for (; *localpart != '\0'; localpart++) {
		if (!IS_ATEXT(*localpart) && *localpart != '.')
			return FALSE;
	}
	return TRUE;
}

/* Returns where the skeleton goes on behind the text; NULL: it isn't there as a word of
   its own. */
static const char *skip_word(const char *skeleton, const char *text)
{
	const char *start = skeleton, *found;

	while ((found = strstr(start, text)) != NULL) {
		start = found + strlen(text);
		if ((found == skeleton || strchr(" \t<,:", found[-1]) != NULL) &&
		    strchr(" \t>,;", *start) != NULL)
			return start;
	}
	return NULL;
}

/* Likewise for an address, with a local part as it is or in quotes. */
static const char *
skip_address(const char *skeleton, const struct message_address *address)
{
	const char *plain = NULL;

	if (is_dot_atom(address->mailbox)) {
		plain = skip_word(skeleton, t_strconcat(address->mailbox, "@",
							address->domain, NULL));
	}
	return plain != NULL ? plain :
		skip_word(skeleton, t_strconcat("Q@", address->domain, NULL));
}

static unsigned int count_ats(const char *text)
{
	unsigned int count = 0;

	while ((text = strchr(text, '@')) != NULL) {
		count++;
		text++;
	}
	return count;
}

/* What lib-mail has read is seen by everybody: each address in one piece, and no other
   @ outside of quotes and comments. */
static const char *
whole_problem(const unsigned char *value, size_t size,
	      const struct message_address *address, const char *end_localpart)
{
	string_t *skeleton = t_str_new(size + 1);
	const char *rest;
	unsigned int count = 0;

	if (!skeleton_of(value, size, skeleton))
		return "quotes or a comment without end";
	rest = str_c(skeleton);
	for (; !is_end(address, end_localpart); address = address->next) {
		if (is_group_mark(address))
			continue;
		rest = skip_address(rest, address);
		if (rest == NULL)
			return "an address that is not in one piece";
		count++;
	}
	return count_ats(str_c(skeleton)) == count ? NULL :
		"an @ beside the addresses";
}

/* Returns NULL, or why lib-mail's answer doesn't do. */
static const char *
list_problem(const struct message_address *address, const char *end_localpart)
{
	const char *problem;
	unsigned int count = 0, all = 0;

	for (; address != NULL && !is_end(address, end_localpart);
	     address = address->next) {
		all++;
		if (is_group_mark(address))
			continue;
		problem = address_problem(address);
		if (problem != NULL)
			return problem;
		count++;
	}
	if (address == NULL) {
		return all >= OUTGOING_MAX_ADDRESSES ? "too many addresses" :
			"not a list of addresses";
	}
	return count == 0 ? "no address" : NULL;
}

static void
add_sender(pool_t pool, const char *field, const char *address,
	   ARRAY_TYPE(outgoing_sender) *senders)
{
	struct outgoing_sender *sender = array_append_space(senders);

	sender->field = field;
	sender->address = p_strdup(pool, address);
}

static const char *
read_list(pool_t pool, const char *field, const unsigned char *value,
	  size_t size, ARRAY_TYPE(outgoing_sender) *senders)
{
	const char *problem, *end_localpart = new_end_localpart();
	const struct message_address *address =
		senders_parse_addresses(value, size, end_localpart);

	problem = list_problem(address, end_localpart);
	if (problem == NULL) {
		problem = whole_problem(value, size, address, end_localpart);
	}
	if (problem != NULL)
		return problem;
	for (; !is_end(address, end_localpart); address = address->next) {
		if (is_group_mark(address))
			continue;
		add_sender(pool, field, t_strconcat(address->mailbox, "@",
						    address->domain, NULL),
			   senders);
	}
	return NULL;
}

/* me@example.org <me@example.org>
   Some clients write it, though RFC 5322 wants quotes around the name. It can't be taken
   for somebody else. Returns the address, or NULL if the field isn't just that. */
static const char *address_twice(const unsigned char *value, size_t size)
{
	const char *const *words =
		t_strsplit_spaces(t_strndup(value, size), " \t");
	size_t name_size;

	if (str_array_length(words) != 2)
		return NULL;
	name_size = strlen(words[0]);
	if (strpbrk(words[0], ADDRESS_ENDS"\"\\") != NULL ||
	    strlen(words[1]) != name_size + 2 || words[1][0] != '<' ||
	    words[1][name_size + 1] != '>' ||
	    strncasecmp(words[0], words[1] + 1, name_size) != 0)
		return NULL;
	return words[0];
}

/* iconv loads a table when the character set changes, which may take half a
   millisecond: nobody's name needs as many. */
#define MAX_CHARSET_CHANGES 8

/* A field with its encoded words decoded. */
struct decoded_field {
	string_t *text;
	/* the last one that needed a table, or NULL */
	const char *charset;
	unsigned int charset_changes;
	/* an encoded word has one: what some see ends there */
	bool control_char:1;
};

/* Returns FALSE if there were too many. */
static bool
note_charset(struct decoded_field *decoded, const char *charset)
{
	if (charset_is_utf8(charset) ||
	    null_strcasecmp(charset, decoded->charset) == 0)
		return TRUE;
	decoded->charset = t_strdup(charset);
	return ++decoded->charset_changes <= MAX_CHARSET_CHANGES;
}

static void
senders_decode_word(struct decoded_field *decoded, const unsigned char *data, size_t size,
	    const char *charset)
{
	struct charset_translation *translation;
	size_t start = str_len(decoded->text);

	if (charset_to_utf8_begin(charset, NULL, &translation) < 0) {
		/* most have the letters of ASCII in them */
		str_append_data(decoded->text, data, size);
	} else {
		(void)charset_to_utf8(translation, data, &size, decoded->text);
		charset_to_utf8_end(&translation);
	}
	for (; start < str_len(decoded->text); start++) {
		unsigned char c = str_data(decoded->text)[start];

		/* a tab is a blank to everybody */
		if (c < ' ' && c != '\t')
			decoded->control_char = TRUE;
	}
}

static bool
decode_part(const unsigned char *data, size_t size, const char *charset,
	    void *context)
{
	struct decoded_field *decoded = context;

	if (charset == NULL) {
		str_append_data(decoded->text, data, size);
		return TRUE;
	}
	if (!note_charset(decoded, charset))
		return FALSE;
	senders_decode_word(decoded, data, size, charset);
	return TRUE;
}

static bool looks_like_address(const char *word)
{
	const char *at = strchr(word, '@');

	return at != NULL && at > word && at[1] != '\0';
}

/* The words of a text that somebody may take for an address, whether quoted or not.
   Returns FALSE if there are too many. */
static bool
find_address_words(const unsigned char *text, size_t size,
		   ARRAY_TYPE(const_string) *found)
{
	string_t *unquoted = t_str_new(size + 1);
	const char *const *words;

	for (; size > 0; text++, size--) {
		if (*text != '"' && *text != '\\' && *text != '\0')
			str_append_c(unquoted, *text);
	}
	words = t_strsplit_spaces(str_c(unquoted), ADDRESS_ENDS);
	for (; *words != NULL; words++) {
		if (!looks_like_address(*words))
			continue;
		if (array_count(found) >= OUTGOING_MAX_ADDRESSES)
			return FALSE;
		array_push_back(found, words);
	}
	return TRUE;
}

static bool has_word(const ARRAY_TYPE(const_string) *words, const char *word)
{
	const char *const *other;

	array_foreach(words, other) {
		if (strcasecmp(*other, word) == 0)
			return TRUE;
	}
	return FALSE;
}

/* Encoded words show what mail clients take for an address, some even for the sender's:
   those have to be his own, too. What stands there without them is just a name. Returns
   NULL, or why it can't be read. */
static const char *
read_encoded_words(pool_t pool, const char *field, const unsigned char *value,
		   size_t size, ARRAY_TYPE(outgoing_sender) *senders)
{
	struct decoded_field decoded = { .text = t_str_new(size + 1) };
	ARRAY_TYPE(const_string) plain, shown;
	const char *const *word;

	message_header_decode(value, size, decode_part, &decoded);
	if (decoded.charset_changes > MAX_CHARSET_CHANGES)
		return "too many character sets";
	if (decoded.control_char)
		return "a control character in an encoded word";
	t_array_init(&plain, 4);
	t_array_init(&shown, 4);
	if (!find_address_words(value, size, &plain) ||
	    !find_address_words(str_data(decoded.text), str_len(decoded.text),
				&shown))
		return "too many addresses";
	array_foreach(&shown, word) {
		if (!has_word(&plain, *word))
			add_sender(pool, field, *word, senders);
	}
	return NULL;
}

const char *
outgoing_senders_read(pool_t pool, const char *field,
		      const unsigned char *value, size_t size,
		      ARRAY_TYPE(outgoing_sender) *senders)
{
	unsigned int before = array_count(senders);
	const char *address, *problem;

	for (size_t i = 0; i < size; i++) {
		if (value[i] == '\0' || value[i] == '\r')
			return "a NUL, or a CR without LF";
	}
	address = address_twice(value, size);
	if (address != NULL) {
		return read_list(pool, field, (const unsigned char *)address,
				 strlen(address), senders);
	}
	problem = read_list(pool, field, value, size, senders);
	if (problem != NULL || memmem(value, size, "=?", 2) == NULL)
		return problem;
	problem = read_encoded_words(pool, field, value, size, senders);
	if (problem != NULL)
		array_delete(senders, before, array_count(senders) - before);
	return problem;
}
