/* check_host(): what is checked (RFC 7208, 4.1 to 4.3), and what its result says
   (exp=, 6.2). */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf-check.h"
#include "spf-evaluation.h"
#include "spf-term.h"
#include "spf-macro.h"
#include "spf/spf-limits.h"
#include "text/text.h"


/* What stands for MAIL FROM (2.4, 4.3): for the null sender postmaster@HELO, and
   "postmaster" for a missing local part. */
static void
check_set_sender(struct spf_evaluation *evaluation, enum spf_identity *identity_r)
{
	const char *mail_from = evaluation->request->mail_from;
	const char *domain, *at;

	*identity_r = SPF_IDENTITY_MAILFROM;
	if (mail_from == NULL || *mail_from == '\0') {
		mail_from = evaluation->helo;
		*identity_r = SPF_IDENTITY_HELO;
		at = NULL;
	} else {
		at = strrchr(mail_from, '@');
	}
	evaluation->local_part = "postmaster";
	if (at != NULL && at > mail_from) {
		evaluation->local_part =
			p_strdup_until(evaluation->pool, mail_from, at);
	}
	domain = at == NULL ? mail_from : at + 1;
	/* the root's dot is no part of the name */
	evaluation->sender_domain = domain[0] != '\0' &&
		domain[strlen(domain) - 1] == '.' ?
		p_strndup(evaluation->pool, domain, strlen(domain) - 1) :
		domain;
	evaluation->sender = p_strdup_printf(evaluation->pool, "%s@%s",
		evaluation->local_part, evaluation->sender_domain);
}

/* 4.3: a multi-label name. No literal, no address, no U-label. */
static const char *check_domain_problem(const char *domain)
{
	const char *dot = strrchr(domain, '.');

	if (*domain == '\0')
		return "no domain";
	if (dot == NULL)
		return "domain has only one label";
	if (!spf_dns_name_is_valid(domain) ||
	    strpbrk(domain, SPF_NO_DOMAIN_CHARACTERS) != NULL)
		return "not a domain name";
	if (dot[1 + strspn(dot + 1, "0123456789")] == '\0')
		return "an address, not a domain name";
	return NULL;
}

/* exp= (6.2), or NULL: whatever is wrong with it is as if it weren't there. */
static const char *
check_explanation(struct spf_evaluation *evaluation,
		  const struct spf_libspf2_reply *reply)
{
	const char *domain = reply->explanation_domain, *target, *text, *unused;
	const struct spf_dns_answer *answer;
	string_t *expanded = str_new(evaluation->pool, SPF_MAX_EXPLANATION + 1);
	size_t size;

	target = reply->explanation == NULL ? NULL :
		spf_macro_target(evaluation, reply->explanation, domain);
	if (target == NULL)
		return NULL;
	answer = spf_evaluation_lookup(evaluation, target, SPF_DNS_TXT);
	if (answer->status != SPF_DNS_FOUND || answer->count != 1)
		return NULL;
	text = answer->records[0].text;
	size = answer->records[0].size;
	if (size > SPF_MAX_RECORD ||
	    !spf_macro_is_valid(text, text + size, SPF_MACRO_IN_EXPLANATION,
				&unused) ||
	    !spf_macro_expand(evaluation, t_strndup(text, size), domain,
			      SPF_MACRO_IN_EXPLANATION, expanded) ||
	    str_len(expanded) == 0 ||
	    !text_is_printable(str_c(expanded), str_len(expanded)))
		return NULL;
	str_truncate(expanded, SPF_MAX_EXPLANATION);
	return str_c(expanded);
}

static void
check_evaluate(struct spf_evaluation *evaluation, struct spf_check_reply *reply)
{
	struct spf_libspf2_reply libspf2_reply;

	spf_libspf2_evaluate(evaluation, evaluation->sender_domain,
			     &libspf2_reply);
	if (spf_evaluation_has_failed(evaluation)) {
		reply->result = evaluation->failure;
		reply->problem = evaluation->problem;
		return;
	}
	reply->result = libspf2_reply.result;
	if (reply->result == SPF_CHECK_NONE) {
		reply->problem = "domain has no SPF record";
		return;
	}
	reply->mechanism = libspf2_reply.mechanism == NULL ? "default" :
		p_strdup(evaluation->pool,
			 text_printable(libspf2_reply.mechanism,
					SPF_MAX_PROBLEM, ""));
	evaluation->decided = TRUE;
	if (reply->result == SPF_CHECK_FAIL) {
		reply->explanation = check_explanation(evaluation,
						       &libspf2_reply);
	}
}

static const char *check_request_problem(const struct spf_check_request *request)
{
	if (request->client_ip.family == 0)
		return "client has no address";
	if (request->mail_from != NULL &&
	    strlen(request->mail_from) > SPF_MAX_IDENTITY)
		return "MAIL FROM is too long";
	return NULL;
}

static void
check_host(struct spf_evaluation *evaluation, struct spf_check_reply *reply)
{
	const struct spf_check_request *request = evaluation->request;

	check_set_sender(evaluation, &reply->identity);
	reply->domain = p_strdup(evaluation->pool,
		text_printable(t_str_lcase(evaluation->sender_domain),
			       SPF_MAX_NAME, SPF_NO_DOMAIN_CHARACTERS));
	reply->problem = check_request_problem(request);
	if (reply->problem == NULL)
		reply->problem = check_domain_problem(evaluation->sender_domain);
	if (reply->problem != NULL)
		return;
	spf_dns_begin(evaluation->dns, request->timeout_msecs);
	check_evaluate(evaluation, reply);
}

void spf_check_host(struct spf_dns *dns, const struct spf_check_request *request,
		    pool_t pool, struct spf_check_reply *reply_r)
{
	struct spf_evaluation evaluation = {
		.pool = pool,
		.dns = dns,
		.request = request,
		.client_ip = request->client_ip,
		.helo = ""
	};

	(void)net_ipv6_mapped_ipv4_convert(&request->client_ip,
					   &evaluation.client_ip);
	if (request->helo != NULL)
		evaluation.helo = p_strndup(pool, request->helo, SPF_MAX_IDENTITY);
	i_zero(reply_r);
	T_BEGIN {
		check_host(&evaluation, reply_r);
	} T_END;
	spf_evaluation_trace(&evaluation, "result: %s (%s)",
			     spf_check_result_name(reply_r->result),
			     reply_r->problem != NULL ?
			     reply_r->problem : reply_r->mechanism);
}
