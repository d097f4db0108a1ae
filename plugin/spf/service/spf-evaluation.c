/* The state of one evaluation: limits, questions to DNS, the first thing that went wrong. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf-evaluation.h"
#include "spf/spf-limits.h"
#include "text/text.h"

#include <stdarg.h>

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

		request->trace(text_printable(line, SPF_MAX_TRACE, ""),
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
		evaluation->problem = p_strdup(evaluation->pool,
			text_printable(t_strdup_vprintf(format, args),
				       SPF_MAX_PROBLEM, ""));
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
		str_append(text, i > 0 ? ", " : "");
		if (type == SPF_DNS_A || type == SPF_DNS_AAAA)
			str_append(text, net_ip2addr(&answer->records[i].ip));
		else
			str_printfa(text, "\"%s\"", answer->records[i].text);
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
