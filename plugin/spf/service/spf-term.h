#ifndef SPF_TERM_H
#define SPF_TERM_H

/* Terms of a record: asked about one by one, and decided between. Inside
   plugin/spf/service/ only. */

#include "spf-evaluation.h"
#include "spf-record.h"

/* The SPF record of a valid domain (4.4 to 4.6). Returns 1, 0 if it has none, or -1
   after the evaluation failed. */
int spf_term_record(struct spf_evaluation *evaluation, const char *domain,
			  struct spf_record *record_r);
/* Where an include: or redirect= of this domain's record leads (5.2, 6.1). Returns 0, or
   -1 after the evaluation failed. */
int spf_term_next_record(struct spf_evaluation *evaluation,
			       const struct spf_term *term, const char *domain,
			       const char **next_domain_r,
			       struct spf_record *record_r);
/* Does another term of this domain's record match (5)? It counts as one that asks DNS, if
   it does. The answer means nothing if the evaluation has failed by then. */
bool spf_term_matches(struct spf_evaluation *evaluation,
				 const struct spf_term *term, const char *domain);

/* libspf2, which decides (spf-libspf2.c). */

struct spf_libspf2_reply {
	/* none, neutral, pass, fail or softfail; void if the evaluation has
	   failed */
	enum spf_check_result result;
	/* the directive of the domain's own record that matched, NULL: none did */
	const char *mechanism;
	/* exp= of the record that decided, and that record's domain; NULL: none
	   (exp= of included records doesn't count, 6.2) */
	const char *explanation;
	const char *explanation_domain;
};

/* Evaluates the record of the domain, which must be valid, and of those that it
   includes or redirects to. */
void spf_libspf2_evaluate(struct spf_evaluation *evaluation, const char *domain,
			  struct spf_libspf2_reply *reply_r);

#endif
