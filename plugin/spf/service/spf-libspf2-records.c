/* The records that libspf2 evaluates: fetched, chosen, read (RFC 7208, 4.4 to 4.6), and written
   anew for libspf2. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf/spf-limits.h"
#include "spf-libspf2-private.h"

/* The SPF record among the TXT records (4.5). Returns NULL if there is not exactly
   one; *several_r tells why. */
static const struct spf_dns_text *
record_select(const struct spf_dns_answer *answer, bool *several_r)
{
	const struct spf_dns_text *text, *found = NULL;
	unsigned int i;

	*several_r = FALSE;
	for (i = 0; i < answer->count; i++) {
		text = &answer->texts[i];
		if (!spf_record_has_version(text->data, text->size))
			continue;
		if (found != NULL) {
			*several_r = TRUE;
			return NULL;
		}
		found = text;
	}
	return found;
}

/* Returns 1, 0 if the domain has no record, or -1 after the evaluation failed. */
static int
record_fetch(struct spf_evaluation *evaluation, const char *domain,
	     struct spf_record *record_r)
{
	const struct spf_dns_answer *answer;
	const struct spf_dns_text *text;
	const char *error;
	bool several;

	answer = spf_evaluation_lookup(evaluation, domain, SPF_DNS_TXT);
	if (answer->status == SPF_DNS_ERROR) {
		spf_evaluation_fail(evaluation, SPF_CHECK_TEMPERROR,
				    "%s TXT: %s", domain, answer->error);
		return -1;
	}
	text = record_select(answer, &several);
	if (text == NULL) {
		if (!several)
			return 0;
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "%s has several SPF records", domain);
		return -1;
	}
	spf_evaluation_trace(evaluation, "record of %s: %s", domain,
			     t_strndup(text->data, text->size));
	if (spf_record_parse(evaluation->pool, text->data, text->size,
			     record_r, &error) < 0) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "%s: %s", domain, error);
		return -1;
	}
	return 1;
}

/* Where the question of an include: or redirect= leads. *domain_r is NULL where it
   leads nowhere, because the domain-spec can't be expanded: an include doesn't match
   then (RFC 8616, 4). Returns 0, or -1 after the evaluation failed. */
static int
libspf2_next_domain(struct libspf2_check *check, const struct libspf2_question *question,
		 const char **domain_r)
{
	struct spf_evaluation *evaluation = check->evaluation;

	libspf2_reach(check, question);
	if (!spf_evaluation_count_term(evaluation))
		return -1;
	*domain_r = spf_evaluation_target(evaluation,
					  question->term->domain_spec,
					  question->record->domain);
	if (spf_evaluation_has_failed(evaluation))
		return -1;
	if (*domain_r == NULL ? question->term->type == SPF_TERM_REDIRECT :
	    !spf_dns_name_is_valid(*domain_r)) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "%s: not a domain", question->term->text);
		return -1;
	}
	return 0;
}

/* Fetches and reads the record of its domain. Returns 1, 0 if there is none, or -1
   after the evaluation failed. */
static int
libspf2_fetch_record(struct libspf2_check *check, const struct libspf2_question *question,
		  struct libspf2_record *record)
{
	int ret;

	if (record->domain == NULL) {
		/* without terms it is neutral */
		record->domain = question->record->domain;
		p_array_init(&record->record.terms, check->evaluation->pool, 1);
		return 1;
	}
	ret = record_fetch(check->evaluation, record->domain, &record->record);
	if (ret == 0 && question != NULL) {
		/* 5.2, 6.1 */
		spf_evaluation_fail(check->evaluation, SPF_CHECK_PERMERROR,
				    "%s: %s has no SPF record",
				    question->term->text, record->domain);
		return -1;
	}
	return ret;
}

const struct libspf2_record *
libspf2_next_record(struct libspf2_check *check, const struct libspf2_question *question)
{
	struct libspf2_record *record =
		p_new(check->evaluation->pool, struct libspf2_record, 1);
	int ret;

	if (question == NULL)
		record->domain = check->domain;
	else {
		if (libspf2_next_domain(check, question, &record->domain) < 0)
			return NULL;
		record->depth = question->record->depth +
			(question->term->type == SPF_TERM_INCLUDE ? 1 : 0);
	}
	ret = libspf2_fetch_record(check, question, record);
	if (ret == 0)
		check->none = TRUE;
	if (ret <= 0)
		return NULL;
	if (record->depth == 0) {
		check->record = record;
		check->term = NULL;
	}
	return record;
}

/* Writing */

static const char *qualifier_text(enum spf_check_result qualifier)
{
	switch (qualifier) {
	case SPF_CHECK_PASS:
		return "+";
	case SPF_CHECK_FAIL:
		return "-";
	case SPF_CHECK_SOFTFAIL:
		return "~";
	case SPF_CHECK_NEUTRAL:
		return "?";
	default:
		i_unreached();
	}
}

static unsigned int
term_bits(const struct libspf2_check *check, const struct spf_term *term)
{
	return IPADDR_IS_V4(&check->evaluation->client_ip) ?
		term->ip4_bits : term->ip6_bits;
}

/* all, ip4 and ip6: matches without a question */
static bool
term_matches_client(const struct libspf2_check *check, const struct spf_term *term)
{
	const struct ip_addr *client_ip = &check->evaluation->client_ip;

	if (term->type == SPF_TERM_ALL)
		return TRUE;
	return (term->type == SPF_TERM_IP4 || term->type == SPF_TERM_IP6) &&
		term->ip.family == client_ip->family &&
		net_is_in_network(client_ip, &term->ip, term_bits(check, term));
}

/* "exists:17.q -ip4:192.0.2.1" */
static void
record_write_last(struct libspf2_check *check, const struct libspf2_record *record,
		  const struct spf_term *term, string_t *text)
{
	const struct ip_addr *client_ip = &check->evaluation->client_ip;
	const char *question =
		libspf2_question_add(check, LIBSPF2_QUESTION_REACHED, record, term);

	str_printfa(text, " exists:%s %s", question,
		    qualifier_text(term->qualifier));
	if (term->type == SPF_TERM_ALL) {
		str_append(text, "all");
		return;
	}
	str_printfa(text, "%s:%s", term->type == SPF_TERM_IP4 ? "ip4" : "ip6",
		    net_ip2addr(client_ip));
}

/* " -a:17.q/24" */
static void
record_write_addresses(struct libspf2_check *check, const struct libspf2_record *record,
		       const struct spf_term *term, string_t *text)
{
	unsigned int bits = term_bits(check, term);
	bool ip4 = IPADDR_IS_V4(&check->evaluation->client_ip);
	const char *name =
		libspf2_question_add(check, LIBSPF2_QUESTION_TERM, record, term);

	str_printfa(text, " %s%s:%s", qualifier_text(term->qualifier),
		    term->type == SPF_TERM_A ? "a" : "mx", name);
	if (bits != 0)
		str_printfa(text, "%s%u", ip4 ? "/" : "//", bits);
	else
		libspf2_question_find(check, name)->any_address = TRUE;
}

/* A term that asks DNS. */
static void
record_write_term(struct libspf2_check *check, const struct libspf2_record *record,
		  const struct spf_term *term, string_t *text)
{
	const char *name;

	if (term->type == SPF_TERM_A || term->type == SPF_TERM_MX) {
		record_write_addresses(check, record, term, text);
		return;
	}
	name = libspf2_question_add(check, LIBSPF2_QUESTION_TERM, record, term);
	if (term->type == SPF_TERM_REDIRECT)
		str_printfa(text, " redirect=%s", name);
	else {
		str_printfa(text, " %s%s:%s", qualifier_text(term->qualifier),
			    term->type == SPF_TERM_INCLUDE ?
			    "include" : "exists", name);
	}
}

const char *libspf2_write_record(struct libspf2_check *check, const struct libspf2_record *record)
{
	string_t *text = t_str_new(256);
	const struct spf_term *term;
	unsigned int asking = 0;

	str_append(text, "v=spf1");
	array_foreach(&record->record.terms, term) {
		if (term_matches_client(check, term)) {
			record_write_last(check, record, term, text);
			return str_c(text);
		}
		if (term->type == SPF_TERM_IP4 || term->type == SPF_TERM_IP6)
			continue;
		record_write_term(check, record, term, text);
		/* this one is a permerror by now, if it is reached */
		if (++asking > SPF_MAX_TERMS)
			return str_c(text);
	}
	if (record->record.redirect != NULL)
		record_write_term(check, record, record->record.redirect, text);
	return str_c(text);
}
