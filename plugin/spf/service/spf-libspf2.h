#ifndef SPF_LIBSPF2_H
#define SPF_LIBSPF2_H

/* libspf2, which decides between the terms of records. Inside
   plugin/spf/service/ only. */

#include "spf/spf-result.h"

struct spf_evaluation;

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
