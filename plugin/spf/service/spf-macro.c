/* Macro strings: reading and expanding. libspf2's own expansion is not used: it knows
   neither "," nor "/" as delimiters, reads "|" as one, escapes other characters than RFC
   3986 asks for, and has had memory errors (CVE-2021-20314, CVE-2021-33912). */

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

/* One piece of a macro string: literal text, or a macro. */
struct spf_macro {
	/* also what %% %_ %- stand for */
	const char *literal;
	size_t literal_size;

	/* lower-case; '\0': no macro */
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

/* transformers = *DIGIT [ "r" ]; *delimiter. Returns what is behind them, NULL where the
   grammar is broken. */
static const char *
macro_read_transformers(const char *p, const char *end, struct spf_macro *macro)
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

/* Behind "%{". Returns what is behind "}", NULL where the grammar is broken. */
static const char *
macro_read(const char *p, const char *end, enum spf_macro_place place,
	   struct spf_macro *macro)
{
	char letter = p < end ? i_tolower(*p) : '\0';

	if (letter == '\0' || strchr(MACRO_LETTERS, letter) == NULL ||
	    (place != SPF_MACRO_IN_EXPLANATION &&
	     strchr(MACRO_LETTERS_IN_EXPLANATION, letter) != NULL))
		return NULL;
	macro->letter = letter;
	macro->escape = *p != letter;
	p = macro_read_transformers(p + 1, end, macro);
	return p == NULL || p == end || *p != '}' ? NULL : p + 1;
}

/* At "%", with one character behind it. Returns as macro_read(). */
static const char *
macro_read_percent(const char *p, const char *end, enum spf_macro_place place,
		   struct spf_macro *macro)
{
	switch (p[1]) {
	case '{':
		return macro_read(p + 2, end, place, macro);
	case '%':
		macro->literal = "%";
		break;
	case '_':
		macro->literal = " ";
		break;
	case '-':
		macro->literal = "%20";
		break;
	default:
		return NULL;
	}
	macro->literal_size = strlen(macro->literal);
	return p + 2;
}

/* Reads the next piece at *text, which ends at end, and moves *text behind it.
   Returns 1, 0 at the end, or -1 where the grammar is broken. */
static int
macro_next(const char **text, const char *end, enum spf_macro_place place,
	   struct spf_macro *macro_r)
{
	const char *p = *text;

	i_zero(macro_r);
	if (p == end)
		return 0;
	if (*p == '%')
		p = end - p < 2 ? NULL : macro_read_percent(p, end, place, macro_r);
	else {
		while (p < end && ((*p > 0x20 && *p < 0x7f && *p != '%') ||
				   (*p == ' ' && place == SPF_MACRO_IN_EXPLANATION)))
			p++;
		macro_r->literal = *text;
		macro_r->literal_size = p - *text;
	}
	if (p == NULL || p == *text)
		return -1;
	*text = p;
	return 1;
}

bool spf_macro_is_valid(const char *text, const char *end, enum spf_macro_place place,
			const char **literal_r)
{
	struct spf_macro macro;
	int ret;

	do {
		*literal_r = text < end && *text == '%' ? NULL : text;
		ret = macro_next(&text, end, place, &macro);
	} while (ret > 0 && text < end);
	return ret >= 0;
}

/* The client's names */

static bool
client_name_is_valid(struct spf_evaluation *evaluation, const char *name)
{
	const struct spf_dns_answer *answer;
	unsigned int i;

	answer = spf_evaluation_lookup(evaluation, name,
				       spf_evaluation_address_type(evaluation));
	if (answer->status != SPF_DNS_FOUND)
		return FALSE;
	for (i = 0; i < answer->count; i++) {
		if (net_ip_compare(&answer->records[i].ip,
				   &evaluation->client_ip))
			return TRUE;
	}
	return FALSE;
}

/* 5.5: an error with PTR means no names, one with a name's address skips it;
   of more than 10 names the rest is ignored. */
static void client_names_find(struct spf_evaluation *evaluation)
{
	const struct spf_dns_answer *answer;
	unsigned int i;
	const char *name;

	evaluation->client_names_known = TRUE;
	p_array_init(&evaluation->client_names, evaluation->pool, 4);
	answer = spf_evaluation_lookup(evaluation,
		spf_macro_target(evaluation, "%{ir}.%{v}.arpa", ""), SPF_DNS_PTR);
	evaluation->client_names_void = answer->status == SPF_DNS_VOID;
	if (answer->status != SPF_DNS_FOUND)
		return;
	for (i = 0; i < answer->count && i < SPF_MAX_PTR_NAMES; i++) {
		name = answer->records[i].text;
		if (client_name_is_valid(evaluation, name))
			array_push_back(&evaluation->client_names, &name);
	}
}

bool spf_macro_name_is_below(const char *name, const char *domain)
{
	size_t name_size = strlen(name), domain_size = strlen(domain);

	return name_size > domain_size &&
		name[name_size - domain_size - 1] == '.' &&
		strcasecmp(name + name_size - domain_size, domain) == 0;
}

const char *
spf_macro_client_name(struct spf_evaluation *evaluation, const char *domain)
{
	const char *name, *below = NULL, *any = NULL;

	if (!evaluation->client_names_known)
		client_names_find(evaluation);
	array_foreach_elem(&evaluation->client_names, name) {
		if (strcasecmp(name, domain) == 0)
			return name;
		if (below == NULL && spf_macro_name_is_below(name, domain))
			below = name;
		if (any == NULL)
			any = name;
	}
	return below != NULL ? below : any;
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
	name = spf_macro_client_name(evaluation, domain);
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
			str_append_data(dest, macro.literal, macro.literal_size);
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
