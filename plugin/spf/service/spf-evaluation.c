/* The state of one evaluation: limits, questions to DNS, the client's names. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf-evaluation.h"
#include "spf/spf-limits.h"

#include <stdarg.h>

const char *spf_printable(pool_t pool, const char *text, size_t max)
{
	char *printable = p_strndup(pool, text, max), *p;

	for (p = printable; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
	}
	return printable;
}

void spf_evaluation_trace(struct spf_evaluation *evaluation,
			  const char *format, ...)
{
	const struct spf_check_request *request = evaluation->request;
	va_list args;

	if (request->trace == NULL)
		return;
	va_start(args, format);
	T_BEGIN {
		const char *line = t_strdup_vprintf(format, args);

		request->trace(spf_printable(pool_datastack_create(), line,
					     SPF_MAX_TRACE),
			       request->trace_context);
	} T_END;
	va_end(args);
}

void spf_evaluation_fail(struct spf_evaluation *evaluation,
			 enum spf_check_result failure,
			 const char *format, ...)
{
	va_list args;

	if (spf_evaluation_has_failed(evaluation) || evaluation->decided)
		return;
	va_start(args, format);
	T_BEGIN {
		evaluation->problem =
			spf_printable(evaluation->pool,
				      t_strdup_vprintf(format, args),
				      SPF_MAX_PROBLEM);
	} T_END;
	va_end(args);
	evaluation->failure = failure;
	spf_evaluation_trace(evaluation, "%s: %s",
			     spf_check_result_name(failure),
			     evaluation->problem);
}

bool spf_evaluation_count_term(struct spf_evaluation *evaluation)
{
	if (evaluation->decided)
		return TRUE;
	if (++evaluation->terms > SPF_MAX_TERMS) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "more than %u terms that ask DNS",
				    SPF_MAX_TERMS);
		return FALSE;
	}
	return TRUE;
}

void spf_evaluation_count_void(struct spf_evaluation *evaluation)
{
	if (++evaluation->void_terms > SPF_MAX_VOID_TERMS) {
		spf_evaluation_fail(evaluation, SPF_CHECK_PERMERROR,
				    "more than %u terms that find nothing in DNS",
				    SPF_MAX_VOID_TERMS);
	}
}

/* Questions and answers */

static const char *
answer_text(const struct spf_dns_answer *answer, enum spf_dns_type type)
{
	string_t *text = t_str_new(128);
	unsigned int i;

	if (answer->status == SPF_DNS_ERROR)
		return answer->error;
	if (answer->count == 0)
		return "nothing";
	for (i = 0; i < answer->count && str_len(text) < SPF_MAX_TRACE; i++) {
		if (i > 0)
			str_append(text, ", ");
		if (type == SPF_DNS_A || type == SPF_DNS_AAAA)
			str_append(text, net_ip2addr(&answer->records[i].ip));
		else if (type == SPF_DNS_TXT) {
			str_printfa(text, "\"%s\"", answer->records[i].text);
		} else {
			str_append(text, answer->records[i].text[0] == '\0' ? "." :
				   answer->records[i].text);
		}
	}
	return str_c(text);
}

const struct spf_dns_answer *
spf_evaluation_lookup(struct spf_evaluation *evaluation, const char *name,
		      enum spf_dns_type type)
{
	static const struct spf_dns_answer no_records = {
		.status = SPF_DNS_FOUND
	};
	const struct spf_dns_answer *answer;

	if (!spf_dns_name_is_valid(name)) {
		spf_evaluation_trace(evaluation, "  dns: not a name: %s", name);
		return &no_records;
	}
	answer = spf_dns_lookup(evaluation->dns, name, type);
	if (evaluation->request->trace != NULL) T_BEGIN {
		spf_evaluation_trace(evaluation, "  dns: %s %s: %s", name,
				     spf_dns_type_name(type),
				     answer_text(answer, type));
	} T_END;
	/* even where an error of DNS would be skipped (5.5) */
	if (answer->status == SPF_DNS_ERROR &&
	    (answer->late || spf_dns_is_late(evaluation->dns))) {
		spf_evaluation_fail(evaluation, SPF_CHECK_TEMPERROR,
				    "no answer from DNS in time: %s %s", name,
				    spf_dns_type_name(type));
	}
	return answer;
}

enum spf_dns_type
spf_evaluation_address_type(const struct spf_evaluation *evaluation)
{
	return IPADDR_IS_V4(&evaluation->client_ip) ? SPF_DNS_A : SPF_DNS_AAAA;
}

/* The client's names */

/* "1.2.0.192.in-addr.arpa", or nibbles and "ip6.arpa" */
static const char *client_reverse_name(const struct ip_addr *ip)
{
	const unsigned char *bytes = IPADDR_IS_V4(ip) ?
		(const void *)&ip->u.ip4 : (const void *)&ip->u.ip6;
	string_t *name = t_str_new(80);
	unsigned int i;

	if (IPADDR_IS_V4(ip)) {
		return t_strdup_printf("%u.%u.%u.%u.in-addr.arpa", bytes[3],
				       bytes[2], bytes[1], bytes[0]);
	}
	for (i = sizeof(ip->u.ip6); i > 0; i--) {
		str_printfa(name, "%x.%x.", bytes[i - 1] & 0xf,
			    bytes[i - 1] >> 4);
	}
	str_append(name, "ip6.arpa");
	return str_c(name);
}

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
		client_reverse_name(&evaluation->client_ip), SPF_DNS_PTR);
	evaluation->client_names_void = answer->status == SPF_DNS_VOID;
	if (answer->status != SPF_DNS_FOUND)
		return;
	for (i = 0; i < answer->count && i < SPF_MAX_PTR_NAMES; i++) {
		name = answer->records[i].text;
		if (client_name_is_valid(evaluation, name))
			array_push_back(&evaluation->client_names, &name);
	}
}

bool spf_evaluation_name_is_below(const char *name, const char *domain)
{
	size_t name_size = strlen(name), domain_size = strlen(domain);

	return name_size > domain_size &&
		name[name_size - domain_size - 1] == '.' &&
		strcasecmp(name + name_size - domain_size, domain) == 0;
}

const char *
spf_evaluation_client_name(struct spf_evaluation *evaluation, const char *domain)
{
	const char *name, *below = NULL, *any = NULL;

	if (!evaluation->client_names_known)
		client_names_find(evaluation);
	array_foreach_elem(&evaluation->client_names, name) {
		if (strcasecmp(name, domain) == 0)
			return name;
		if (below == NULL && spf_evaluation_name_is_below(name, domain))
			below = name;
		if (any == NULL)
			any = name;
	}
	return below != NULL ? below : any;
}
