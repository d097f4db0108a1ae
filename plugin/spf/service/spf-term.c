/* Whether a term matches, and where include: and redirect= lead. What decides between
   terms is libspf2's (spf-libspf2.c). */

#include "lib.h"
#include "array.h"
#include "spf-macro.h"
#include "spf-term.h"
#include "spf/spf-limits.h"

static const struct spf_dns_answer no_records = { .status = SPF_DNS_FOUND };

/* ptr (5.5) */
static bool
client_name_matches(struct spf_evaluation *evaluation, const char *target)
{
	const char *name = spf_macro_client_name(evaluation, target);

	if (evaluation->client_names_void)
		spf_evaluation_count_void(evaluation);
	return name != NULL && (strcasecmp(name, target) == 0 ||
				spf_macro_name_is_below(name, target));
}

/* A question of a term. Empty answers count once a term (4.6.4). No records after the
   evaluation failed. */
static const struct spf_dns_answer *
term_lookup(struct spf_evaluation *evaluation, const struct spf_term *term,
	    const char *name, enum spf_dns_type type, bool *void_counted)
{
	const struct spf_dns_answer *answer =
		spf_evaluation_lookup(evaluation, name, type);

	if (answer->status == SPF_DNS_ERROR) {
		spf_evaluation_fail(evaluation, SPF_CHECK_TEMPERROR, "%s: %s",
				    term->text, answer->error);
	}
	if (answer->status == SPF_DNS_VOID && !*void_counted) {
		*void_counted = TRUE;
		spf_evaluation_count_void(evaluation);
	}
	return spf_evaluation_has_failed(evaluation) ? &no_records : answer;
}

static bool
term_has_client(const struct spf_evaluation *evaluation,
		const struct spf_term *term, const struct ip_addr *ip)
{
	const struct ip_addr *client_ip = &evaluation->client_ip;

	return ip->family == client_ip->family &&
		net_is_in_network(client_ip, ip, IPADDR_IS_V4(client_ip) ?
				  term->ip4_bits : term->ip6_bits);
}

static bool
term_address_matches(struct spf_evaluation *evaluation, const struct spf_term *term,
		     const char *name, bool *void_counted)
{
	const struct spf_dns_answer *answer =
		term_lookup(evaluation, term, name, spf_evaluation_address_type(evaluation),
			    void_counted);
	unsigned int i;

	for (i = 0; i < answer->count; i++) {
		if (term_has_client(evaluation, term, &answer->records[i].ip))
			return TRUE;
	}
	return FALSE;
}

/* 5.4. More than 10 names are a permerror even if one of the first would match: which
   are the first is up to chance. An empty one is a null MX (RFC 7505), or a name that
   nobody could have. */
static bool
term_mx_matches(struct spf_evaluation *evaluation, const struct spf_term *term,
		const char *target, bool *void_counted)
{
	const struct spf_dns_answer *answer =
		term_lookup(evaluation, term, target, SPF_DNS_MX, void_counted);
	unsigned int i, names = 0;

	for (i = 0; i < answer->count; i++) {
		if (answer->records[i].text[0] != '\0')
			names++;
	}
	if (names > SPF_MAX_MX_NAMES) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "%s: more than %u MX records", term->text,
				    SPF_MAX_MX_NAMES);
	}
	for (i = 0; i < answer->count; i++) {
		if (spf_evaluation_has_failed(evaluation))
			break;
		if (answer->records[i].text[0] != '\0' &&
		    term_address_matches(evaluation, term, answer->records[i].text,
					 void_counted))
			return TRUE;
	}
	return FALSE;
}

bool spf_term_matches(struct spf_evaluation *evaluation,
				 const struct spf_term *term, const char *domain)
{
	bool void_counted = FALSE;
	const char *target;

	if (term->type == SPF_TERM_ALL)
		return TRUE;
	if (term->type == SPF_TERM_IP4 || term->type == SPF_TERM_IP6)
		return term_has_client(evaluation, term, &term->ip);
	if (!spf_evaluation_count_term(evaluation))
		return FALSE;
	target = spf_macro_target(evaluation, term->domain_spec, domain);
	if (target == NULL)
		return FALSE;
	switch (term->type) {
	case SPF_TERM_A:
		return term_address_matches(evaluation, term, target,
					    &void_counted);
	case SPF_TERM_MX:
		return term_mx_matches(evaluation, term, target, &void_counted);
	case SPF_TERM_PTR:
		return client_name_matches(evaluation, target);
	case SPF_TERM_EXISTS:
		return term_lookup(evaluation, term, target, SPF_DNS_A,
				   &void_counted)->count > 0;
	default:
		i_unreached();
	}
}

/* Records */

int spf_term_record(struct spf_evaluation *evaluation, const char *domain,
			  struct spf_record *record_r)
{
	const struct spf_dns_answer *answer;
	const struct spf_dns_record *text, *found = NULL;
	const char *error;
	unsigned int i;

	answer = spf_evaluation_lookup(evaluation, domain, SPF_DNS_TXT);
	if (answer->status == SPF_DNS_ERROR) {
		spf_evaluation_fail(evaluation, SPF_CHECK_TEMPERROR,
				    "%s TXT: %s", domain, answer->error);
		return -1;
	}
	for (i = 0; i < answer->count; i++) {
		text = &answer->records[i];
		if (!spf_record_has_version(text->text, text->size))
			continue;
		if (found != NULL) {
			spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
					    "%s has several SPF records", domain);
			return -1;
		}
		found = text;
	}
	if (found == NULL)
		return 0;
	if (spf_record_parse(evaluation->pool, found->text, found->size,
			     record_r, &error) < 0) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "%s: %s", domain, error);
		return -1;
	}
	return 1;
}

int spf_term_next_record(struct spf_evaluation *evaluation,
			       const struct spf_term *term, const char *domain,
			       const char **next_domain_r,
			       struct spf_record *record_r)
{
	const char *next = NULL;

	if (spf_evaluation_count_term(evaluation))
		next = spf_macro_target(evaluation, term->domain_spec, domain);
	if (spf_evaluation_has_failed(evaluation))
		return -1;
	if (next == NULL && term->type == SPF_TERM_INCLUDE) {
		/* can't be expanded: it doesn't match (RFC 8616, 4), as an include
		   of a record without terms */
		*next_domain_r = domain;
		p_array_init(&record_r->terms, evaluation->pool, 1);
		return 0;
	}
	if (next == NULL || !spf_dns_name_is_valid(next)) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "%s: not a domain", term->text);
		return -1;
	}
	*next_domain_r = next;
	if (spf_term_record(evaluation, next, record_r) == 0) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "%s: %s has no SPF record", term->text, next);
	}
	return spf_evaluation_has_failed(evaluation) ? -1 : 0;
}
