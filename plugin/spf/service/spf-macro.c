/* Macro strings: reading and expanding. libspf2's own expansion is not used: it knows neither "," nor
   "/" as delimiters, reads "|" as one, escapes other characters than RFC 3986
   asks for, and has had memory errors (CVE-2021-20314, CVE-2021-33912). */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf-evaluation.h"
#include "spf-macro.h"
#include "spf/spf-limits.h"

#include <ctype.h>
#include <time.h>

#define MACRO_LETTERS "slodiphcrtv"
#define MACRO_LETTERS_IN_EXPLANATION "crt"
#define MACRO_DELIMITERS ".-+,/_="
/* more labels than a name can have */
#define MACRO_MAX_PARTS 1000

static const struct {
	char letter;
	const char *value;
} macro_escapes[] = {
	{ '%', "%" },
	{ '_', " " },
	{ '-', "%20" },
};

/* One piece of a macro string: literal text, or a macro. */
struct spf_macro {
	/* As it stands there. For literal text and %% %_ %-, value is what it
	   stands for. */
	const char *text, *end;
	const char *value;
	size_t value_size;

	/* lower-case; '\0': no macro letter */
	char letter;
	/* an upper-case letter: what comes out is URL-escaped */
	bool escape:1;
	bool reverse:1;
	/* right-hand parts to keep, 0: all */
	unsigned int parts;
	/* as written, "." if there are none */
	const char *delimiters;
	size_t delimiters_size;
};

/* %% %_ %- */
static bool macro_next_escape(char letter, struct spf_macro *macro)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(macro_escapes); i++) {
		if (macro_escapes[i].letter != letter)
			continue;
		macro->value = macro_escapes[i].value;
		macro->value_size = strlen(macro->value);
		macro->end = macro->text + 2;
		return TRUE;
	}
	return FALSE;
}

/* transformers = *DIGIT [ "r" ]; *delimiter. Returns what is behind them. */
static const char *
macro_next_transformers(const char *p, const char *end, struct spf_macro *macro)
{
	const char *digits = p;

	for (; p < end && i_isdigit(*p); p++) {
		macro->parts = I_MIN(macro->parts * 10 + (*p - '0'),
				     MACRO_MAX_PARTS);
	}
	if (p > digits && macro->parts == 0)
		return NULL;
	if (p < end && (*p == 'r' || *p == 'R')) {
		macro->reverse = TRUE;
		p++;
	}
	macro->delimiters = p;
	while (p < end && *p != '\0' && strchr(MACRO_DELIMITERS, *p) != NULL)
		p++;
	macro->delimiters_size = p - macro->delimiters;
	if (macro->delimiters_size == 0) {
		macro->delimiters = ".";
		macro->delimiters_size = 1;
	}
	return p;
}

/* macro-expand, at its "%" */
static bool
macro_next_expand(const char *end, enum spf_macro_place place, struct spf_macro *macro)
{
	const char *p = macro->text + 1;
	char letter;

	if (p < end && macro_next_escape(*p, macro))
		return TRUE;
	if (end - p < 2 || *p != '{')
		return FALSE;
	letter = i_tolower(p[1]);
	if (letter == '\0' || strchr(MACRO_LETTERS, letter) == NULL ||
	    (place != SPF_MACRO_IN_EXPLANATION &&
	     strchr(MACRO_LETTERS_IN_EXPLANATION, letter) != NULL))
		return FALSE;
	macro->letter = letter;
	macro->escape = p[1] != letter;
	p = macro_next_transformers(p + 2, end, macro);
	if (p == NULL || p >= end || *p != '}')
		return FALSE;
	macro->end = p + 1;
	return TRUE;
}

static bool macro_is_literal(unsigned char c, enum spf_macro_place place)
{
	return (c > 0x20 && c < 0x7f && c != '%') ||
		(c == ' ' && place == SPF_MACRO_IN_EXPLANATION);
}

/* Reads the next piece at *text, which ends at end, and moves *text behind it.
   Returns 1, 0 at the end, or -1 where the grammar is broken. */
static int
macro_next(const char **text, const char *end, enum spf_macro_place place,
	   struct spf_macro *macro_r)
{
	const char *p = *text;

	i_zero(macro_r);
	if (p >= end)
		return 0;
	macro_r->text = p;
	if (*p == '%') {
		if (!macro_next_expand(end, place, macro_r))
			return -1;
	} else {
		while (p < end && macro_is_literal(*p, place))
			p++;
		macro_r->value = *text;
		macro_r->value_size = p - *text;
		macro_r->end = p;
	}
	if (macro_r->end == *text)
		return -1;
	*text = macro_r->end;
	return 1;
}

bool spf_macro_is_valid(const char *text, const char *end, enum spf_macro_place place,
			const char **literal_r)
{
	struct spf_macro macro;
	int ret;

	*literal_r = text;
	while ((ret = macro_next(&text, end, place, &macro)) > 0)
		*literal_r = *macro.text == '%' ? NULL : macro.text;
	return ret == 0;
}

/* What the letters stand for */

/* %{p}. Its question counts as a term's would (4.6.4). */
static const char *
client_name_macro(struct spf_evaluation *evaluation, const char *domain)
{
	bool known = evaluation->client_names_known;
	const char *name;

	if (!known && !spf_evaluation_count_term(evaluation))
		return NULL;
	name = spf_evaluation_client_name(evaluation, domain);
	if (!known && evaluation->client_names_void)
		spf_evaluation_count_void(evaluation);
	return name != NULL ? name : "unknown";
}

/* %{i}: IPv6 in nibbles with dots */
static const char *client_ip_dotted(const struct ip_addr *ip)
{
	string_t *dotted = t_str_new(64);
	unsigned int i;

	if (IPADDR_IS_V4(ip))
		return net_ip2addr(ip);
	for (i = 0; i < sizeof(ip->u.ip6.s6_addr); i++) {
		str_printfa(dotted, "%s%X.%X", i == 0 ? "" : ".",
			    ip->u.ip6.s6_addr[i] >> 4,
			    ip->u.ip6.s6_addr[i] & 0xf);
	}
	return str_c(dotted);
}

static bool is_ascii(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text >= 0x80)
			return FALSE;
	}
	return TRUE;
}

/* NULL: can't be expanded */
static const char *
macro_value(struct spf_evaluation *evaluation, char letter, const char *domain)
{
	const struct spf_check_request *request = evaluation->request;
	const struct ip_addr *ip = &evaluation->client_ip;

	switch (letter) {
	case 's':
		return is_ascii(evaluation->local_part) ?
			evaluation->sender : NULL;
	case 'l':
		return is_ascii(evaluation->local_part) ?
			evaluation->local_part : NULL;
	case 'o':
		return evaluation->sender_domain;
	case 'd':
		return domain;
	case 'i':
		return client_ip_dotted(ip);
	case 'p':
		return client_name_macro(evaluation, domain);
	case 'v':
		return IPADDR_IS_V4(ip) ? "in-addr" : "ip6";
	case 'h':
		return evaluation->helo;
	case 'c':
		return net_ip2addr(ip);
	case 'r':
		return request->receiver != NULL ?
			request->receiver : "unknown";
	case 't':
		return t_strdup_printf("%"PRIdTIME_T, time(NULL));
	default:
		i_unreached();
	}
}

/* Expanding */

/* unreserved of RFC 3986 */
static bool macro_is_unreserved(unsigned char c)
{
	return c < 0x80 && (i_isalnum(c) || strchr("-._~", c) != NULL) &&
		c != '\0';
}

static void
macro_append(string_t *dest, const char *value, size_t size, bool escape)
{
	size_t i;

	if (!escape) {
		str_append_data(dest, value, size);
		return;
	}
	for (i = 0; i < size; i++) {
		if (macro_is_unreserved(value[i]))
			str_append_c(dest, value[i]);
		else
			str_printfa(dest, "%%%02X", (unsigned char)value[i]);
	}
}

/* Splits the value at the delimiters: after this the parts are C strings. */
static void
macro_split(const struct spf_macro *macro, char *value,
	    ARRAY_TYPE(const_string) *parts)
{
	const char *part = value;

	for (; *value != '\0'; value++) {
		if (memchr(macro->delimiters, *value,
			   macro->delimiters_size) == NULL)
			continue;
		*value = '\0';
		array_push_back(parts, &part);
		part = value + 1;
	}
	array_push_back(parts, &part);
}

static void
macro_append_transformed(string_t *dest, const struct spf_macro *macro,
			 const char *value)
{
	ARRAY_TYPE(const_string) split;
	const char *const *parts;
	unsigned int i, count, first;

	t_array_init(&split, 16);
	macro_split(macro, t_strdup_noconst(value), &split);
	parts = array_get(&split, &count);
	first = macro->parts == 0 || macro->parts > count ?
		0 : count - macro->parts;
	for (i = first; i < count; i++) {
		const char *part = parts[macro->reverse ? count - 1 - i : i];

		if (i > first)
			str_append_c(dest, '.');
		macro_append(dest, part, strlen(part), macro->escape);
	}
}

/* Keeps what is expanded so far within bounds. */
static void macro_trim(string_t *dest, enum spf_macro_place place)
{
	if (str_len(dest) <= SPF_MAX_EXPANSION)
		return;
	if (place == SPF_MACRO_IN_EXPLANATION)
		str_truncate(dest, SPF_MAX_EXPANSION);
	else {
		str_delete(dest, 0, str_len(dest) - SPF_MAX_NAME * 2);
	}
}

bool spf_macro_expand(struct spf_evaluation *evaluation,
		      const char *text, const char *domain,
		      enum spf_macro_place place, string_t *dest)
{
	const char *value, *end = text + strlen(text);
	struct spf_macro macro;

	while (macro_next(&text, end, place, &macro) > 0) {
		if (macro.letter == '\0') {
			str_append_data(dest, macro.value, macro.value_size);
		} else T_BEGIN {
			value = macro_value(evaluation, macro.letter, domain);
			if (value != NULL)
				macro_append_transformed(dest, &macro, value);
			else
				end = NULL;
		} T_END;
		if (end == NULL)
			return FALSE;
		macro_trim(dest, place);
	}
	return TRUE;
}

/* Cuts a name that is too long, label by label from the left. */
static const char *target_cut(const char *target)
{
	const char *dot;

	while (strlen(target) > SPF_MAX_NAME) {
		dot = strchr(target, '.');
		if (dot == NULL)
			break;
		target = dot + 1;
	}
	return target;
}

const char *
spf_macro_target(struct spf_evaluation *evaluation, const char *domain_spec,
		 const char *domain)
{
	string_t *name;
	size_t size;

	if (domain_spec == NULL)
		return domain;
	name = str_new(evaluation->pool, SPF_MAX_NAME + 1);
	if (!spf_macro_expand(evaluation, domain_spec,
			      domain, SPF_MACRO_IN_RECORD, name))
		return NULL;
	size = str_len(name);
	if (size > 0 && str_c(name)[size - 1] == '.')
		str_truncate(name, size - 1);
	return target_cut(str_c(name));
}
