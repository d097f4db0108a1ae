#ifndef SPF_EVALUATION_H
#define SPF_EVALUATION_H

/* What one check_host() knows and has used up: the message's identity, the limits
   of RFC 7208 section 4.6.4, and the first thing that went wrong. Inside
   plugin/spf/service/ only; the door is spf-check.h. */

#include "spf/spf.h"
#include "spf-dns.h"

struct spf_evaluation {
	pool_t pool;
	struct spf_dns *dns;
	const struct spf_check_request *request;

	/* the client's address, never IPv4-mapped */
	struct ip_addr client_ip;
	/* MAIL FROM, or what stands for it: local part, domain, both */
	const char *local_part, *sender_domain, *sender;
	/* for %{h}, "" if unknown */
	const char *helo;

	/* used up so far */
	unsigned int terms, void_terms;
	/* the first error, none: SPF_CHECK_NONE and NULL */
	enum spf_check_result failure;
	const char *problem;

	/* validated names of the client (5.5), once they were needed */
	ARRAY_TYPE(const_string) client_names;
	bool client_names_known:1;
	/* the client has no PTR record */
	bool client_names_void:1;
	/* the result is there: what is still asked is for the explanation, and
	   changes nothing (6.2) */
	bool decided:1;
};

void spf_evaluation_trace(struct spf_evaluation *evaluation,
			  const char *format, ...) ATTR_FORMAT(2, 3);

/* Ends the evaluation with temperror or permerror. Only the first one counts. */
void spf_evaluation_fail(struct spf_evaluation *evaluation,
			 enum spf_check_result failure,
			 const char *format, ...) ATTR_FORMAT(3, 4);
static inline bool
spf_evaluation_has_failed(const struct spf_evaluation *evaluation)
{
	return evaluation->failure != SPF_CHECK_NONE;
}

/* One more term that asks DNS. Returns FALSE, with a permerror, if it is one too
   many. */
bool spf_evaluation_count_term(struct spf_evaluation *evaluation);
/* A term found nothing: permerror if it is the third. */
void spf_evaluation_count_void(struct spf_evaluation *evaluation);

/* Asks DNS. A name that can't be asked for has no records: status found, count 0.
   If the evaluation's time is over, it has failed. */
const struct spf_dns_answer *
spf_evaluation_lookup(struct spf_evaluation *evaluation, const char *name,
		      enum spf_dns_type type);

/* For the addresses of the client's family. */
enum spf_dns_type
spf_evaluation_address_type(const struct spf_evaluation *evaluation);

#endif
