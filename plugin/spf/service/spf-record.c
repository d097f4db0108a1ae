/* The validator: one SPF record against the grammar of RFC 7208, section 12. It
   reads the whole record before anything is evaluated, so that an error at its end
   is found even if its first term matches (4.6). */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf/spf-limits.h"
#include "spf-macro.h"
#include "spf-record.h"

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

bool spf_record_has_version(const unsigned char *text, size_t size)
{
	const size_t version_size = strlen(SPF_VERSION);

	return size >= version_size &&
		strncasecmp((const char *)text, SPF_VERSION,
			    version_size) == 0 &&
		(size == version_size || text[version_size] == ' ');
}

const char *spf_printable(pool_t pool, const char *text, size_t max)
{
	char *printable = p_strndup(pool, text, max), *p;

	for (p = printable; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
	}
	return printable;
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

static int
record_check_macros(const char *text, const char *end, const char **literal_r,
		    const char **error_r)
{
	struct spf_macro macro;
	int ret;

	*literal_r = text;
	while ((ret = spf_macro_next(&text, end, SPF_MACRO_IN_RECORD, &macro,
				     error_r)) > 0)
		*literal_r = *macro.text == '%' ? NULL : macro.text;
	return ret;
}

/* domain-spec = macro-string domain-end */
static int
record_parse_domain_spec(pool_t pool, const char *text, const char *end,
			 const char **domain_spec_r, const char **error_r)
{
	const char *literal;

	if (text == end) {
		*error_r = "domain is missing";
		return -1;
	}
	if (record_check_macros(text, end, &literal, error_r) < 0)
		return -1;
	if (!record_is_domain_end(literal, end)) {
		*error_r = "domain doesn't end in a top-level domain";
		return -1;
	}
	*domain_spec_r = p_strdup_until(pool, text, end);
	return 0;
}

/* The slash in front of the digits at the end, NULL if there is none. */
static const char *record_find_length(const char *text, const char *end)
{
	const char *digits = end;

	while (digits > text && i_isdigit(digits[-1]))
		digits--;
	return digits > text && digits < end && digits[-1] == '/' ?
		digits - 1 : NULL;
}

/* "/" ("0" / %x31-39 *DIGIT), not above max */
static int
record_parse_length(const char *slash, const char *end, unsigned int max,
		    unsigned int *bits_r, const char **error_r)
{
	const char *p = slash + 1;
	unsigned int bits = 0;
	bool leading_zero = *p == '0' && end - p > 1;

	for (; p < end && bits <= max; p++)
		bits = bits * 10 + (*p - '0');
	if (bits > max || leading_zero) {
		*error_r = "prefix length is wrong";
		return -1;
	}
	*bits_r = bits;
	return 0;
}

/* dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ], from the right
   end: a domain-spec may contain a slash, but can't end in one and digits. Moves
   *end in front of it. */
static int
record_parse_lengths(const char *text, const char **end, struct spf_term *term,
		     const char **error_r)
{
	const char *slash = record_find_length(text, *end);

	if (slash != NULL && slash > text && slash[-1] == '/') {
		if (record_parse_length(slash, *end, RECORD_IP6_BITS,
					&term->ip6_bits, error_r) < 0)
			return -1;
		*end = slash - 1;
		slash = record_find_length(text, *end);
	}
	if (slash == NULL)
		return 0;
	if (record_parse_length(slash, *end, RECORD_IP4_BITS, &term->ip4_bits,
				error_r) < 0)
		return -1;
	*end = slash;
	return 0;
}

/* ip4-network [ ip4-cidr-length ] / ip6-network [ ip6-cidr-length ] */
static int
record_parse_network(const char *text, const char *end, struct spf_term *term,
		     const char **error_r)
{
	bool ip4 = term->type == SPF_TERM_IP4;
	const char *slash = record_find_length(text, end);
	void *address = ip4 ? (void *)&term->ip.u.ip4 : (void *)&term->ip.u.ip6;

	if (slash != NULL) {
		if (record_parse_length(slash, end,
					ip4 ? RECORD_IP4_BITS : RECORD_IP6_BITS,
					ip4 ? &term->ip4_bits : &term->ip6_bits,
					error_r) < 0)
			return -1;
		end = slash;
	}
	/* inet_pton() reads exactly what the grammar allows, nothing shorter */
	term->ip.family = ip4 ? AF_INET : AF_INET6;
	if (inet_pton(term->ip.family, t_strdup_until(text, end), address) != 1) {
		*error_r = "not an address";
		return -1;
	}
	return 0;
}

/* What stands behind the mechanism's name. */
static int
record_parse_argument(pool_t pool, const struct mechanism *mechanism,
		      const char *text, const char *end, struct spf_term *term,
		      const char **error_r)
{
	if (mechanism->lengths &&
	    record_parse_lengths(text, &end, term, error_r) < 0)
		return -1;
	if (text == end) {
		if (mechanism->argument != RECORD_ARGUMENT_REQUIRED)
			return 0;
		*error_r = "argument is missing";
		return -1;
	}
	if (*text != ':' || mechanism->argument == RECORD_ARGUMENT_NONE) {
		*error_r = "unexpected text behind the name";
		return -1;
	}
	if (term->type == SPF_TERM_IP4 || term->type == SPF_TERM_IP6)
		return record_parse_network(text + 1, end, term, error_r);
	return record_parse_domain_spec(pool, text + 1, end, &term->domain_spec,
					error_r);
}

static const struct mechanism *mechanism_find(const char *name, size_t size)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(mechanisms); i++) {
		if (strlen(mechanisms[i].name) == size &&
		    strncasecmp(mechanisms[i].name, name, size) == 0)
			return &mechanisms[i];
	}
	return NULL;
}

/* directive = [ qualifier ] mechanism */
static int
record_parse_directive(pool_t pool, const char *text, const char *end,
		       struct spf_record *record, const char **error_r)
{
	const struct mechanism *mechanism;
	struct spf_term *term;
	size_t name_size;
	unsigned int i;

	term = array_append_space(&record->terms);
	term->qualifier = SPF_CHECK_PASS;
	term->ip4_bits = RECORD_IP4_BITS;
	term->ip6_bits = RECORD_IP6_BITS;
	for (i = 0; i < N_ELEMENTS(qualifiers); i++) {
		if (qualifiers[i].letter == *text) {
			term->qualifier = qualifiers[i].result;
			text++;
			break;
		}
	}
	term->text = p_strdup_until(pool, text, end);
	name_size = strcspn(term->text, ":/");
	mechanism = mechanism_find(text, name_size);
	if (mechanism == NULL) {
		*error_r = "unknown mechanism";
		return -1;
	}
	term->type = mechanism->type;
	return record_parse_argument(pool, mechanism, text + name_size, end,
				     term, error_r);
}

static int
record_parse_redirect(pool_t pool, const char *value, const char *text,
		      const char *end, struct spf_record *record,
		      const char **error_r)
{
	struct spf_term *term;

	if (record->redirect != NULL) {
		*error_r = "redirect= twice";
		return -1;
	}
	term = p_new(pool, struct spf_term, 1);
	term->type = SPF_TERM_REDIRECT;
	term->text = p_strdup_until(pool, text, end);
	record->redirect = term;
	return record_parse_domain_spec(pool, value, end, &term->domain_spec,
					error_r);
}

static int
record_parse_explanation(pool_t pool, const char *value, const char *end,
			 struct spf_record *record, const char **error_r)
{
	if (record->explanation != NULL) {
		*error_r = "exp= twice";
		return -1;
	}
	return record_parse_domain_spec(pool, value, end, &record->explanation,
					error_r);
}

/* modifier = redirect / explanation / unknown-modifier */
static int
record_parse_modifier(pool_t pool, const char *text, const char *value,
		      const char *end, struct spf_record *record,
		      const char **error_r)
{
	const char *name, *literal;

	name = t_strdup_until(text, value - 1);
	if (strcasecmp(name, "redirect") == 0) {
		return record_parse_redirect(pool, value, text, end, record,
					     error_r);
	}
	if (strcasecmp(name, "exp") == 0) {
		return record_parse_explanation(pool, value, end, record,
						error_r);
	}
	return record_check_macros(value, end, &literal, error_r);
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

static int
record_parse_term(pool_t pool, const char *text, const char *end,
		  struct spf_record *record, const char **error_r)
{
	const char *value, *error;
	int ret;

	value = record_find_modifier_value(text, end);
	ret = value != NULL ?
		record_parse_modifier(pool, text, value, end, record, &error) :
		record_parse_directive(pool, text, end, record, &error);
	if (ret < 0) {
		*error_r = t_strdup_printf("%s: %s", t_strdup_until(text, end),
					   error);
	}
	return ret;
}

/* Between terms there are spaces and nothing else (no tab, no line break), and
   what isn't ASCII can't be in any term. */
static int record_check_characters(const char *text, size_t size,
				   const char **error_r)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if ((unsigned char)text[i] < 0x20 ||
		    (unsigned char)text[i] > 0x7e) {
			*error_r = t_strdup_printf(
				"character 0x%02x is not allowed",
				(unsigned char)text[i]);
			return -1;
		}
	}
	return 0;
}

int spf_record_parse(pool_t pool, const unsigned char *text, size_t size,
		     struct spf_record *record_r, const char **error_r)
{
	const char *term, *p;

	i_assert(spf_record_has_version(text, size));
	i_zero(record_r);
	p_array_init(&record_r->terms, pool, 16);
	if (size > SPF_MAX_RECORD) {
		*error_r = t_strdup_printf("longer than %u bytes",
					   SPF_MAX_RECORD);
		return -1;
	}
	if (record_check_characters((const char *)text, size, error_r) < 0)
		return -1;
	p = t_strndup(text, size) + strlen(SPF_VERSION);
	for (;;) {
		while (*p == ' ')
			p++;
		if (*p == '\0')
			return 0;
		term = p;
		p += strcspn(p, " ");
		if (record_parse_term(pool, term, p, record_r, error_r) < 0)
			return -1;
	}
}

bool spf_explanation_is_valid(const unsigned char *text, size_t size)
{
	const char *p = (const char *)text, *end = p + size, *error;
	struct spf_macro macro;
	int ret;

	while ((ret = spf_macro_next(&p, end, SPF_MACRO_IN_EXPLANATION, &macro,
				     &error)) > 0)
		;
	return ret == 0;
}
