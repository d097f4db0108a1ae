/* Macro strings: reading and expanding. What each letter stands for is in
   spf-evaluation.c. libspf2's own expansion is not used: it knows neither "," nor
   "/" as delimiters, reads "|" as one, escapes other characters than RFC 3986
   asks for, and has had memory errors (CVE-2021-20314, CVE-2021-33912). */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf/spf-limits.h"
#include "spf-macro.h"

#include <ctype.h>

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

static int
macro_error(const char *text, const char *end, const char *what,
	    const char **error_r)
{
	*error_r = t_strdup_printf("%s: %s", what,
				   t_strdup_until(text, end));
	return -1;
}

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
static int
macro_next_expand(const char *end, enum spf_macro_place place,
		  struct spf_macro *macro, const char **error_r)
{
	const char *p = macro->text + 1;
	char letter;

	if (p < end && macro_next_escape(*p, macro))
		return 1;
	if (end - p < 2 || *p != '{')
		return macro_error(macro->text, end, "% without macro", error_r);
	letter = i_tolower(p[1]);
	if (letter == '\0' || strchr(MACRO_LETTERS, letter) == NULL)
		return macro_error(macro->text, end, "unknown macro", error_r);
	if (place != SPF_MACRO_IN_EXPLANATION &&
	    strchr(MACRO_LETTERS_IN_EXPLANATION, letter) != NULL) {
		return macro_error(macro->text, end,
				   "macro only for explanations", error_r);
	}
	macro->letter = letter;
	macro->escape = p[1] != letter;
	p = macro_next_transformers(p + 2, end, macro);
	if (p == NULL || p >= end || *p != '}')
		return macro_error(macro->text, end, "broken macro", error_r);
	macro->end = p + 1;
	return 1;
}

static bool macro_is_literal(unsigned char c, enum spf_macro_place place)
{
	return (c > 0x20 && c < 0x7f && c != '%') ||
		(c == ' ' && place == SPF_MACRO_IN_EXPLANATION);
}

int spf_macro_next(const char **text, const char *end, enum spf_macro_place place,
		   struct spf_macro *macro_r, const char **error_r)
{
	const char *p = *text;

	i_zero(macro_r);
	if (p >= end)
		return 0;
	macro_r->text = p;
	if (*p == '%') {
		if (macro_next_expand(end, place, macro_r, error_r) < 0)
			return -1;
		*text = macro_r->end;
		return 1;
	}
	while (p < end && macro_is_literal(*p, place))
		p++;
	if (p == *text) {
		*error_r = t_strdup_printf("character 0x%02x is not allowed",
					   (unsigned char)*p);
		return -1;
	}
	macro_r->value = *text;
	macro_r->value_size = p - *text;
	macro_r->end = p;
	*text = p;
	return 1;
}

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
		      spf_macro_value_t *macro_value, const char *text,
		      const char *domain, enum spf_macro_place place,
		      string_t *dest)
{
	const char *value, *error, *end = text + strlen(text);
	struct spf_macro macro;

	while (spf_macro_next(&text, end, place, &macro, &error) > 0) {
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
