/* Addresses and Message-IDs as reports write them. */

#include "lib.h"
#include "hex-dec.h"
#include "unichar.h"
#include "message-address.h"
#include "message-id.h"
#include "rfc822-parser.h"
#include "report-private.h"

/*
 * Addresses
 */

const char *
report_address_normalize(pool_t pool, const void *data, size_t size)
{
	const unsigned char *address = data;
	size_t i;

	if (size == 0 || size > REPORT_MAX_ADDRESS_SIZE)
		return NULL;
	for (i = 0; i < size; i++) {
		if (address[i] < ' ' || address[i] == 0x7f)
			return NULL;
	}
	return str_lcase(p_strndup(pool, address, size));
}

bool report_strings_have(const ARRAY_TYPE(const_string) *strings,
			 const char *string)
{
	return array_lsearch(strings, &string, i_strcmp_p) != NULL;
}

void report_address_add(pool_t pool, const void *data, size_t size,
			ARRAY_TYPE(const_string) *dest, unsigned int max)
{
	const char *address;

	if (array_count(dest) >= max)
		return;
	address = report_address_normalize(pool, data, size);
	if (address != NULL && !report_strings_have(dest, address))
		array_push_back(dest, &address);
}

static const char *address_string(const struct message_address *addr)
{
	if (addr->mailbox == NULL || *addr->mailbox == '\0' ||
	    addr->domain == NULL || *addr->domain == '\0')
		return NULL;
	return t_strconcat(addr->mailbox, "@", addr->domain, NULL);
}

void report_addresses_read(pool_t pool, const char *value,
			   ARRAY_TYPE(const_string) *dest)
{
	struct message_address *addr;
	const char *address;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), REPORT_MAX_ADDRESSES, 0);
	for (; addr != NULL; addr = addr->next) {
		address = address_string(addr);
		if (address != NULL) {
			report_address_add(pool, address, strlen(address),
					   dest, REPORT_MAX_ADDRESSES);
		}
	}
}

/* RFC 6533, 3: "\x{HEX}" stands for a character in utf-8-addr-xtext. Returns
   the number of bytes read, 0 if it is something else. */
static size_t address_decode_embedded(const char *str, string_t *dest)
{
	const char *end;
	unichar_t chr;

	if (strncmp(str, "\\x{", 3) != 0 || (end = strchr(str, '}')) == NULL ||
	    end - str > 9 ||
	    str_to_uint32_hex(t_strdup_until(str + 3, end), &chr) < 0 ||
	    !uni_is_valid_ucs4(chr) || chr < ' ')
		return 0;
	uni_ucs4_to_utf8_c(chr, dest);
	return end + 1 - str;
}

static const char *address_decode_utf8(const char *address)
{
	string_t *decoded;
	size_t size;

	if (strstr(address, "\\x{") == NULL)
		return address;
	decoded = t_str_new(strlen(address));
	while (*address != '\0') {
		size = address_decode_embedded(address, decoded);
		if (size == 0) {
			str_append_c(decoded, *address);
			size = 1;
		}
		address += size;
	}
	return str_c(decoded);
}

/* What follows the address type, if there is one. Some write it twice. */
static const char *address_skip_type(const char *value, bool *is_utf8_r)
{
	const char *at = strchr(value, '@');
	const char *type_end;

	*is_utf8_r = FALSE;
	while ((type_end = strchr(value, ';')) != NULL &&
	       (at == NULL || type_end < at)) {
		*is_utf8_r = type_end - value >= 5 &&
			i_memcasecmp(value, "utf-8", 5) == 0;
		value = type_end + 1;
		while (i_isspace(*value))
			value++;
	}
	return value;
}

const char *report_typed_address(pool_t pool, const char *value)
{
	struct message_address *addr;
	const char *address = NULL;
	bool is_utf8;

	value = address_skip_type(value, &is_utf8);
	if (is_utf8)
		value = address_decode_utf8(value);
	if (*value == '\0')
		return NULL;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), 1, 0);
	if (addr != NULL && !addr->invalid_syntax)
		address = address_string(addr);
	if (address == NULL) {
		/* as it is: it only has to be compared */
		if (*value == '<')
			value++;
		address = t_strcut(t_strcut(value, ' '), '>');
	}
	return report_address_normalize(pool, address, strlen(address));
}

bool report_address_has_role(const char *address, enum report_role role)
{
	static const struct {
		const char *localpart;
		unsigned int roles;
	} roles[] = {
		{ "abuse", REPORT_ROLE_SITE | REPORT_ROLE_DOMAIN },
		{ "hostmaster", REPORT_ROLE_SITE },
		{ "mailer-daemon", REPORT_ROLE_SITE | REPORT_ROLE_DOMAIN },
		{ "postmaster", REPORT_ROLE_SITE | REPORT_ROLE_DOMAIN },
		{ "root", REPORT_ROLE_DOMAIN },
	};
	size_t size = strcspn(address, "@");

	for (unsigned int i = 0; i < N_ELEMENTS(roles); i++) {
		if ((roles[i].roles & role) != 0 &&
		    strlen(roles[i].localpart) == size &&
		    strncasecmp(address, roles[i].localpart, size) == 0)
			return TRUE;
	}
	return FALSE;
}

/*
 * Message-IDs as they come back: folded, without brackets, cut off
 */

/* The Message-IDs in a value, one after the other. */
struct message_ids {
	const char *pos;
	/* without brackets: it is one, if any */
	bool bare;
	/* the value was not seen to its end */
	bool is_cut;
	/* the last one was not cut off */
	bool whole;
};

/* left@right, and neither side has lost something: reporters shorten with
   dots, which no dot-atom has in a row (RFC 5322, 3.2.3). */
static bool message_id_is_whole(const char *id)
{
	const char *at = strrchr(id, '@');

	return at != NULL && at != id && at[1] != '\0' &&
		at[strlen(at) - 1] != '.' && strstr(id, "..") == NULL &&
		strpbrk(id, "<>") == NULL;
}

/* RFC 5322, 3.2.2 and 3.2.3: comments and white space. NULL = a comment that
   doesn't end. */
static const char *message_id_skip_cfws(const char *p)
{
	unsigned int depth = 0;

	for (; *p != '\0'; p++) {
		if (*p == '(')
			depth++;
		else if (depth > 0 && *p == ')')
			depth--;
		else if (depth > 0 && *p == '\\' && p[1] != '\0')
			p++;
		else if (depth == 0 && *p != ' ' && *p != '\t')
			break;
	}
	return depth == 0 ? p : NULL;
}

/* dot-atom-text. Returns where it ends, NULL if there is none. */
static const char *message_id_skip_dot_atom(const char *p)
{
	for (;;) {
		if (!IS_ATEXT(*p) || (unsigned char)*p >= 0x80)
			return NULL;
		while (IS_ATEXT(*p) && (unsigned char)*p < 0x80)
			p++;
		if (*p != '.')
			return p;
		p++;
	}
}

/* no-fold-literal */
static const char *message_id_skip_literal(const char *p)
{
	for (p++; *p > ' ' && *p < 0x7f && strchr("[]\\", *p) == NULL; p++) ;
	return *p == ']' ? p + 1 : NULL;
}

bool report_message_id_is_grammar(const char *value)
{
	const char *p = message_id_skip_cfws(value);

	if (p == NULL || *p != '<')
		return FALSE;
	p = message_id_skip_dot_atom(p + 1);
	if (p == NULL || *p != '@')
		return FALSE;
	p++;
	p = *p == '[' ? message_id_skip_literal(p) : message_id_skip_dot_atom(p);
	if (p == NULL || *p != '>')
		return FALSE;
	p = message_id_skip_cfws(p + 1);
	return p != NULL && *p == '\0';
}

static bool message_id_is_printable(const char *id)
{
	if (*id == '\0')
		return FALSE;
	for (; *id != '\0'; id++) {
		if ((unsigned char)*id <= ' ' || *id == 0x7f)
			return FALSE;
	}
	return TRUE;
}

static const char *message_id_first_word(const char *value)
{
	value += strspn(value, " \t\r\n");
	return t_strdup_until(value, value + strcspn(value, " \t\r\n"));
}

/* Lets lib-mail unquote what lies between one pair of brackets. Done pair by
   pair, because message_id_get_next() starts again behind every broken one. */
static const char *
message_id_unquote(const char *start, const char *end)
{
	const char *bracketed = t_strdup_until(start, end + 1);
	const char *id = message_id_get_next(&bracketed);

	if (id == NULL) {
		/* no "@": old systems had such ones */
		id = t_strdup_until(start + 1, end);
	}
	return message_id_is_printable(id) ? id : NULL;
}

static void
message_ids_init(struct message_ids *ids_r, const char *value, bool is_cut)
{
	i_zero(ids_r);
	ids_r->pos = value;
	ids_r->bare = strchr(value, '<') == NULL;
	ids_r->is_cut = is_cut;
}

/* One that nobody closed. */
static const char *message_ids_last(struct message_ids *ids, const char *start)
{
	const char *id = message_id_first_word(start);

	if (ids->bare)
		id = t_strcut(id, '>');
	/* without the closing bracket nobody knows what followed */
	ids->whole = ids->bare && !ids->is_cut && message_id_is_whole(id);
	ids->pos = "";
	return message_id_is_printable(id) &&
		strlen(id) <= REPORT_MAX_MESSAGE_ID_SIZE ? id : NULL;
}

/* Returns the next one in the case that it came in, NULL at the end. */
static const char *message_ids_next(struct message_ids *ids)
{
	const char *start, *next, *end, *id;

	if (ids->bare)
		return message_ids_last(ids, ids->pos);
	while ((start = strchr(ids->pos, '<')) != NULL) {
		end = strchr(start, '>');
		if (end == NULL)
			return message_ids_last(ids, start + 1);
		ids->pos = end + 1;
		/* "<a <b@c>": the last one is closed */
		while ((next = memchr(start + 1, '<', end - start - 1)) != NULL)
			start = next;
		if (end - start > REPORT_MAX_MESSAGE_ID_SIZE)
			continue;
		id = message_id_unquote(start, end);
		if (id != NULL) {
			ids->whole = message_id_is_whole(id);
			return id;
		}
	}
	return NULL;
}

/* A text that is full of IDs must not push out the one of the returned part. */
static bool
message_ids_are_full(const struct report_reader *reader, enum report_rank rank)
{
	const struct report_ranked_id *ranked;
	unsigned int count = 0;

	array_foreach(&reader->ids, ranked) {
		if (ranked->rank == rank)
			count++;
	}
	return count >= REPORT_MAX_MESSAGE_IDS;
}

static void
message_id_add(struct report_reader *reader, const char *written, bool whole,
	       enum report_rank rank)
{
	struct report_ranked_id *ranked;

	if (rank == REPORT_RANK_TEXT && strchr(written, '@') == NULL) {
		/* just a word */
		return;
	}
	if (message_ids_are_full(reader, rank)) {
		report_body_truncated(reader->report);
		return;
	}
	ranked = array_append_space(&reader->ids);
	ranked->id.written = p_strdup(reader->pool, written);
	ranked->id.id = str_lcase(p_strdup(reader->pool, written));
	ranked->id.whole = whole;
	ranked->id.returned = rank >= REPORT_RANK_FIELD;
	ranked->rank = rank;
}

void report_message_ids_read(struct report_reader *reader, const char *value,
			     enum report_rank rank)
{
	struct message_ids ids;
	const char *id;

	message_ids_init(&ids, value, reader->field_is_cut);
	while ((id = message_ids_next(&ids)) != NULL)
		message_id_add(reader, id, ids.whole, rank);
}

static void references_push(struct report_reader *reader, const char *id)
{
	struct report *report = reader->report;

	if (report_strings_have(&report->references, id))
		return;
	if (array_count(&report->references) >= REPORT_MAX_REFERENCES) {
		report->truncated = TRUE;
		return;
	}
	array_push_back(&report->references, &id);
}

void report_references_read(struct report_reader *reader, const char *value,
			    bool nearest_last)
{
	ARRAY_TYPE(const_string) found;
	struct message_ids ids;
	const char *const *idp, *id;
	unsigned int i, count;

	t_array_init(&found, 16);
	message_ids_init(&ids, value, reader->field_is_cut);
	while ((id = message_ids_next(&ids)) != NULL) {
		/* not "Your message of Monday" */
		if (strchr(id, '@') == NULL)
			continue;
		id = str_lcase(p_strdup(reader->pool, id));
		array_push_back(&found, &id);
	}
	idp = array_get(&found, &count);
	for (i = 0; i < count; i++)
		references_push(reader, idp[nearest_last ? count - 1 - i : i]);
}

const char *report_message_id_first_written(pool_t pool, const char *value)
{
	struct message_ids ids;

	message_ids_init(&ids, value, FALSE);
	return p_strdup(pool, message_ids_next(&ids));
}

const char *report_message_id_first(pool_t pool, const char *value)
{
	const char *first = report_message_id_first_written(pool, value);

	return first == NULL ? NULL : str_lcase(p_strdup(pool, first));
}

static bool
message_ids_have(const struct report *report, const char *id)
{
	const struct report_message_id *have;

	array_foreach(&report->message_ids, have) {
		if (strcmp(have->id, id) == 0)
			return TRUE;
	}
	return FALSE;
}

/* The report's own Message-ID in a text is most likely the report's own; in the
   returned part it is the original's, which a reporter kept. */
static bool
message_id_is_own(const struct report_reader *reader,
		  const struct report_ranked_id *ranked)
{
	return ranked->rank <= REPORT_RANK_TEXT_BLOCK &&
		reader->report->message_id != NULL &&
		strcmp(ranked->id.id, reader->report->message_id) == 0;
}

static void
message_id_copy(struct report *report, const struct report_message_id *id)
{
	if (message_ids_have(report, id->id))
		return;
	if (array_count(&report->message_ids) >= REPORT_MAX_MESSAGE_IDS) {
		report_body_truncated(report);
		return;
	}
	array_push_back(&report->message_ids, id);
}

void report_message_ids_finish(struct report_reader *reader)
{
	const struct report_ranked_id *ranked, *own = NULL;
	int rank;

	for (rank = REPORT_RANK_PART; rank >= REPORT_RANK_TEXT; rank--) {
		array_foreach(&reader->ids, ranked) {
			if ((int)ranked->rank != rank)
				continue;
			if (message_id_is_own(reader, ranked))
				own = ranked;
			else
				message_id_copy(reader->report, &ranked->id);
		}
	}
	if (own != NULL)
		message_id_copy(reader->report, &own->id);
}
