/* The validator: one SPF record against the grammar of RFC 7208, section 12. It
   reads the whole record before anything is evaluated, so that an error at its end
   is found even if its first term matches (4.6). */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf-macro.h"
#include "spf-record.h"
#include "spf/spf-limits.h"

#include <arpa/inet.h>
#include <ctype.h>

#define SPF_VERSION "v=spf1"

/* Behind a mechanism's name: which of these may, or must, follow. */
enum record_argument {
	RECORD_ARGUMENT_NONE,
	RECORD_ARGUMENT_OPTIONAL,
	RECORD_ARGUMENT_REQUIRED
};

static const struct mechanism {
	const char *name;
	enum spf_term_type type;
	/* ":" domain-spec, or ":" network */
	enum record_argument argument;
	/* dual-cidr-length */
	bool lengths;
} mechanisms[] = {
	{ "all",     SPF_TERM_ALL,     RECORD_ARGUMENT_NONE,     FALSE },
	{ "include", SPF_TERM_INCLUDE, RECORD_ARGUMENT_REQUIRED, FALSE },
	{ "a",       SPF_TERM_A,       RECORD_ARGUMENT_OPTIONAL, TRUE },
	{ "mx",      SPF_TERM_MX,      RECORD_ARGUMENT_OPTIONAL, TRUE },
	{ "ptr",     SPF_TERM_PTR,     RECORD_ARGUMENT_OPTIONAL, FALSE },
	{ "ip4",     SPF_TERM_IP4,     RECORD_ARGUMENT_REQUIRED, FALSE },
	{ "ip6",     SPF_TERM_IP6,     RECORD_ARGUMENT_REQUIRED, FALSE },
	{ "exists",  SPF_TERM_EXISTS,  RECORD_ARGUMENT_REQUIRED, FALSE },
};

static const struct {
	char letter;
	enum spf_check_result result;
} qualifiers[] = {
	{ '+', SPF_CHECK_PASS },
	{ '-', SPF_CHECK_FAIL },
	{ '~', SPF_CHECK_SOFTFAIL },
	{ '?', SPF_CHECK_NEUTRAL },
};

#define RECORD_IP4_BITS 32
#define RECORD_IP6_BITS 128

bool spf_record_has_version(const char *text, size_t size)
{
	const size_t version_size = strlen(SPF_VERSION);

	return size >= version_size &&
		strncasecmp(text, SPF_VERSION,
			    version_size) == 0 &&
		(size == version_size || text[version_size] == ' ');
}

/* toplabel = ( *alphanum ALPHA *alphanum ) /
	      ( 1*alphanum "-" *( alphanum / "-" ) alphanum ) */
static bool record_is_toplabel(const char *label, const char *end)
{
	const char *p;
	bool all_digits = TRUE;

	if (label >= end || *label == '-' || end[-1] == '-')
		return FALSE;
	for (p = label; p < end; p++) {
		if (!i_isalnum(*p) && *p != '-')
			return FALSE;
		if (!i_isdigit(*p))
			all_digits = FALSE;
	}
	return !all_digits;
}

/* domain-end = ( "." toplabel [ "." ] ) / macro-expand
   literal: what stands behind the last macro, NULL if a macro is the end. */
static bool record_is_domain_end(const char *literal, const char *end)
{
	const char *dot;

	if (literal == NULL)
		return TRUE;
	if (end > literal && end[-1] == '.')
		end--;
	dot = memrchr(literal, '.', end - literal);
	return dot != NULL && record_is_toplabel(dot + 1, end);
}

/* domain-spec = macro-string domain-end */
static bool
record_parse_domain_spec(pool_t pool, const char *text, const char *end,
			 const char **domain_spec_r)
{
	const char *literal;

	if (text == end ||
	    !spf_macro_is_valid(text, end, SPF_MACRO_IN_RECORD, &literal) ||
	    !record_is_domain_end(literal, end))
		return FALSE;
	*domain_spec_r = p_strdup_until(pool, text, end);
	return TRUE;
}

/* "/" ("0" / %x31-39 *DIGIT), not above max, at the end of the text, where it may be
   missing. Moves *end in front of it. */
static bool
record_parse_length(const char *text, const char **end, unsigned int max,
		    unsigned int *bits)
{
	const char *digits = *end, *p;
	unsigned int number = 0;

	while (digits > text && i_isdigit(digits[-1]))
		digits--;
	if (digits == text || digits == *end || digits[-1] != '/')
		return TRUE;
	for (p = digits; p < *end && number <= max; p++)
		number = number * 10 + (*p - '0');
	if (number > max || (*digits == '0' && *end - digits > 1))
		return FALSE;
	*end = digits - 1;
	*bits = number;
	return TRUE;
}

/* dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ], from the right
   end: a domain-spec may contain a slash, but can't end in one and digits. Moves
   *end in front of it. */
static bool
record_parse_lengths(const char *text, const char **end, struct spf_term *term)
{
	const char *slash = *end;

	while (slash > text && i_isdigit(slash[-1]))
		slash--;
	if (slash - text >= 2 && slash < *end && slash[-1] == '/' && slash[-2] == '/') {
		if (!record_parse_length(text, end, RECORD_IP6_BITS,
					 &term->ip6_bits))
			return FALSE;
		(*end)--;
	}
	return record_parse_length(text, end, RECORD_IP4_BITS, &term->ip4_bits);
}

/* ip4-network [ ip4-cidr-length ] / ip6-network [ ip6-cidr-length ] */
static bool
record_parse_network(const char *text, const char *end, struct spf_term *term)
{
	bool ip4 = term->type == SPF_TERM_IP4;

	if (!record_parse_length(text, &end, ip4 ? RECORD_IP4_BITS : RECORD_IP6_BITS,
				 ip4 ? &term->ip4_bits : &term->ip6_bits))
		return FALSE;
	term->ip.family = ip4 ? AF_INET : AF_INET6;
	/* inet_pton() reads exactly what the grammar allows, nothing shorter */
	return inet_pton(term->ip.family, t_strdup_until(text, end),
			 ip4 ? (void *)&term->ip.u.ip4 :
			 (void *)&term->ip.u.ip6) == 1;
}

/* What stands behind the mechanism's name. */
static bool
record_parse_argument(pool_t pool, const struct mechanism *mechanism,
		      const char *text, const char *end, struct spf_term *term)
{
	if (mechanism->lengths && !record_parse_lengths(text, &end, term))
		return FALSE;
	if (text == end)
		return mechanism->argument != RECORD_ARGUMENT_REQUIRED;
	if (*text != ':' || mechanism->argument == RECORD_ARGUMENT_NONE)
		return FALSE;
	if (term->type == SPF_TERM_IP4 || term->type == SPF_TERM_IP6)
		return record_parse_network(text + 1, end, term);
	return record_parse_domain_spec(pool, text + 1, end, &term->domain_spec);
}

/* directive = [ qualifier ] mechanism */
static bool
record_parse_directive(pool_t pool, const char *text, const char *end,
		       struct spf_record *record)
{
	struct spf_term *term = array_append_space(&record->terms);
	unsigned int i, qualifier = 0;
	size_t name_size;

	for (i = 0; i < N_ELEMENTS(qualifiers); i++) {
		if (qualifiers[i].letter == *text) {
			qualifier = i;
			text++;
			break;
		}
	}
	term->qualifier = qualifiers[qualifier].result;
	term->qualifier_letter = qualifiers[qualifier].letter;
	term->ip4_bits = RECORD_IP4_BITS;
	term->ip6_bits = RECORD_IP6_BITS;
	term->text = p_strdup_until(pool, text, end);
	name_size = strcspn(term->text, ":/");
	for (i = 0; i < N_ELEMENTS(mechanisms); i++) {
		if (strlen(mechanisms[i].name) != name_size ||
		    strncasecmp(mechanisms[i].name, text, name_size) != 0)
			continue;
		term->type = mechanisms[i].type;
		return record_parse_argument(pool, &mechanisms[i],
					     text + name_size, end, term);
	}
	return FALSE;
}

/* modifier = redirect / explanation / unknown-modifier; the first two only once */
static bool
record_parse_modifier(pool_t pool, const char *text, const char *value,
		      const char *end, struct spf_record *record)
{
	const char *name = t_strdup_until(text, value - 1), *literal;
	struct spf_term *term;

	if (strcasecmp(name, "redirect") == 0) {
		term = p_new(pool, struct spf_term, 1);
		term->type = SPF_TERM_REDIRECT;
		term->text = p_strdup_until(pool, text, end);
		if (record->redirect != NULL)
			return FALSE;
		record->redirect = term;
		return record_parse_domain_spec(pool, value, end,
						&term->domain_spec);
	}
	if (strcasecmp(name, "exp") == 0) {
		return record->explanation == NULL &&
			record_parse_domain_spec(pool, value, end,
						 &record->explanation);
	}
	return spf_macro_is_valid(value, end, SPF_MACRO_IN_RECORD, &literal);
}

/* name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ), then "=". Returns what is
   behind it, or NULL if the term is no modifier. */
static const char *record_find_modifier_value(const char *text, const char *end)
{
	if (!i_isalpha(*text))
		return NULL;
	while (text < end && (i_isalnum(*text) || *text == '-' ||
			      *text == '_' || *text == '.'))
		text++;
	return text < end && *text == '=' ? text + 1 : NULL;
}

static bool
record_parse_term(pool_t pool, const char *text, const char *end,
		  struct spf_record *record)
{
	const char *value = record_find_modifier_value(text, end);

	return value != NULL ?
		record_parse_modifier(pool, text, value, end, record) :
		record_parse_directive(pool, text, end, record);
}

int spf_record_parse(pool_t pool, const char *text, size_t size,
		     struct spf_record *record_r, const char **error_r)
{
	const char *term, *p;

	i_assert(spf_record_has_version(text, size));
	i_zero(record_r);
	p_array_init(&record_r->terms, pool, 16);
	if (size > SPF_MAX_RECORD || memchr(text, '\0', size) != NULL) {
		*error_r = "record is too long, or has a NUL";
		return -1;
	}
	p = t_strndup(text, size) + strlen(SPF_VERSION);
	for (;;) {
		/* nothing else stands between terms: no tab, no line break */
		while (*p == ' ')
			p++;
		if (*p == '\0')
			return 0;
		term = p;
		p += strcspn(p, " ");
		if (!record_parse_term(pool, term, p, record_r)) {
			*error_r = t_strdup_printf("%s: not a valid term",
						   t_strdup_until(term, p));
			return -1;
		}
	}
}
