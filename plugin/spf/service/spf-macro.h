#ifndef SPF_MACRO_H
#define SPF_MACRO_H

/* Macro strings (RFC 7208, section 7): checked for the validator, expanded for the
   evaluation. */

struct spf_evaluation;

/* Where a macro string stands decides what may be in it. */
enum spf_macro_place {
	/* domain-spec or unknown modifier: no space, no %{c} %{r} %{t} */
	SPF_MACRO_IN_RECORD,
	/* explain-string */
	SPF_MACRO_IN_EXPLANATION
};

/* The text, up to end, is right by the grammar. *literal_r: what stands behind the last
   macro, NULL if a macro is the end. */
bool spf_macro_is_valid(const char *text, const char *end, enum spf_macro_place place,
			const char **literal_r);

/* Expands a macro string that is valid. domain is the one of the record where it stands
   (%{d}). Appends to dest, which must not lie in the data stack; of a result longer
   than SPF_MAX_EXPANSION the left end (of a name) or the right end (of an
   explanation) may be missing. Returns FALSE if it can't be expanded: a local part
   that is not ASCII matches nothing (RFC 8616, section 4). */
bool spf_macro_expand(struct spf_evaluation *evaluation,
		      const char *text, const char *domain,
		      enum spf_macro_place place, string_t *dest);

/* Target name of a domain-spec (4.8), macros expanded, cut to fit (7.3), without
   final dot; NULL domain-spec: the current domain itself. May not be valid. Returns
   NULL if it can't be expanded: then the term doesn't match. */
const char *
spf_macro_target(struct spf_evaluation *evaluation, const char *domain_spec,
		 const char *domain);

/* Of the client's validated names (5.5) the one that says most (7.3): the domain itself,
   else one below it, else any; NULL: there is none. */
const char *
spf_macro_client_name(struct spf_evaluation *evaluation, const char *domain);
bool spf_macro_name_is_below(const char *name, const char *domain);

#endif
