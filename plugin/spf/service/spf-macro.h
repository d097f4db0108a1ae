#ifndef SPF_MACRO_H
#define SPF_MACRO_H

/* Macro strings (RFC 7208, section 7): read for the validator, expanded for the
   evaluation. */

struct spf_evaluation;

/* Where a macro string stands decides what may be in it. */
enum spf_macro_place {
	/* domain-spec or unknown modifier: no space, no %{c} %{r} %{t} */
	SPF_MACRO_IN_RECORD,
	/* explain-string */
	SPF_MACRO_IN_EXPLANATION
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

/* Reads the next piece at *text, which ends at end, and moves *text behind it.
   Returns 1, 0 at the end, or -1 and an error where the grammar is broken. */
int spf_macro_next(const char **text, const char *end, enum spf_macro_place place,
		   struct spf_macro *macro_r, const char **error_r);

/* What a macro letter stands for in a record of this domain; NULL: can't be
   expanded. */
typedef const char *
spf_macro_value_t(struct spf_evaluation *evaluation, char letter,
		  const char *domain);

/* Expands a macro string that spf_macro_next() reads without error. domain is the
   one of the record where it stands (%{d}). Appends to dest, which must not
   lie in the data stack; of a result longer
   than SPF_MAX_EXPANSION the left end (of a name) or the right end (of an
   explanation) may be missing. Returns FALSE if it can't be expanded: a local part
   that is not ASCII matches nothing (RFC 8616, section 4). */
bool spf_macro_expand(struct spf_evaluation *evaluation,
		      spf_macro_value_t *macro_value, const char *text,
		      const char *domain, enum spf_macro_place place,
		      string_t *dest);

#endif
