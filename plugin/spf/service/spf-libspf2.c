/* Keeps libspf2 away from what comes from the net. No other file includes its headers.

   libspf2 1.2.10 goes through records, descends into include: and redirect=, asks
   for addresses, compares them, and combines the results. What it may not do is
   read what comes from the net: it misreads valid and invalid records (docs/design.md,
   section 11), forgets whatever is behind the first 511 bytes of a compiled record,
   counts terms modulo 256, and gives loopback clients a pass. So for each record
   it gets one that is written here, of the same terms in the same order, in which

   - each name is a number, "17.q": it stands for a question (spf-libspf2-private.h) that is
     put to DNS, its macros expanded, only when libspf2 really asks it (%{p} costs
     questions of its own);
   - ip4 and ip6 that don't match the client are left out, and the first ip4, ip6 or
     all that does is the last term: what is behind can't be reached (with at most
     11 terms that ask DNS, that keeps the record below libspf2's bounds). In front
     of it stands a question to which the answer is no; it tells that the last term
     was reached;
   - prefix lengths are those of the client's family. /0, which libspf2 refuses, is
     left out, and the answer to the question is the client's own address, if there
     is any address;
   - ptr is exists, with our own answer: libspf2 makes a temperror of what has to be
     skipped (5.5), and a permerror of an eleventh name;
   - redirect= is the last term, and of modifiers nothing else is left. exp= is
     read by spf-check.c.

   An error is noted in the evaluation, and libspf2 told that DNS has failed: that
   ends its evaluation at once, at any depth. What it makes of it doesn't matter. */

#include "lib.h"
#include "array.h"
#include "spf-evaluation.h"
#include "spf-libspf2.h"
#include "spf-libspf2-private.h"

#include <spf2/spf.h>

/* what libspf2 counts itself must never be reached */
#define LIBSPF2_NO_LIMIT 10000

static void libspf2_need(SPF_errcode_t ret)
{
	if (ret != SPF_E_SUCCESS)
		i_fatal_status(FATAL_OUTOFMEM, "libspf2: out of memory");
}

/* The hook for records: include: and redirect= come here, and libspf2_run(). */
static SPF_errcode_t
libspf2_get_record(SPF_server_t *server, SPF_request_t *request,
		   SPF_response_t *response, SPF_record_t **record_r)
{
	struct libspf2_check *check = server->resolver->hook;
	const struct libspf2_record *record;
	SPF_errcode_t ret = SPF_E_DNS_ERROR;

	*record_r = NULL;
	T_BEGIN {
		record = libspf2_next_record(check,
			libspf2_question_find(check, request->cur_dom));
		if (record != NULL) {
			ret = SPF_record_compile(server, response, record_r,
				libspf2_write_record(check, record));
		}
	} T_END;
	if (ret != SPF_E_SUCCESS && *record_r != NULL) {
		SPF_record_free(*record_r);
		*record_r = NULL;
	}
	return ret;
}

static void
rr_add_name(SPF_dns_rr_t *rr, const char *name)
{
	libspf2_need(SPF_dns_rr_buf_realloc(rr, rr->num_rr, strlen(name) + 1));
	strcpy(rr->rr[rr->num_rr]->mx, name);
	rr->num_rr++;
}

static void
rr_add_address(SPF_dns_rr_t *rr, const struct ip_addr *ip)
{
	libspf2_need(SPF_dns_rr_buf_realloc(rr, rr->num_rr,
					    sizeof(SPF_dns_rr_data_t)));
	if (IPADDR_IS_V4(ip))
		rr->rr[rr->num_rr]->a = ip->u.ip4;
	else
		rr->rr[rr->num_rr]->aaaa = ip->u.ip6;
	rr->num_rr++;
}

static SPF_dns_rr_t *
libspf2_answer(SPF_dns_server_t *layer, const char *domain, ns_type type,
	       const struct libspf2_answer *answer)
{
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(layer, domain, type, 0,
					       NETDB_SUCCESS);
	const struct ip_addr *ip;
	const char *name;

	if (rr == NULL)
		libspf2_need(SPF_E_NO_MEMORY);
	array_foreach_elem(&answer->names, name)
		rr_add_name(rr, name);
	array_foreach(&answer->addresses, ip)
		rr_add_address(rr, ip);
	return rr;
}

/* The hook for everything else. */
static SPF_dns_rr_t *
libspf2_lookup(SPF_dns_server_t *layer, const char *domain, ns_type type,
	       int should_cache ATTR_UNUSED)
{
	struct libspf2_check *check = layer->hook;
	struct libspf2_question *question = libspf2_question_find(check, domain);
	struct libspf2_answer answer;
	SPF_dns_rr_t *rr;

	i_assert(question != NULL);
	T_BEGIN {
		t_array_init(&answer.names, 16);
		t_array_init(&answer.addresses, 16);
		if (!spf_evaluation_has_failed(check->evaluation))
			libspf2_answer_question(check, question, &answer);
		rr = libspf2_answer(layer, domain, type, &answer);
	} T_END;
	if (spf_evaluation_has_failed(check->evaluation))
		rr->herrno = TRY_AGAIN;
	return rr;
}

/* One evaluation */

static void libspf2_be_quiet(const char *file ATTR_UNUSED, int line ATTR_UNUSED,
			     const char *text ATTR_UNUSED)
{
}

/* Its default is abort() as well. */
static void ATTR_NORETURN
libspf2_error(const char *file, int line, const char *text)
{
	i_panic("libspf2: %s:%d: %s", file, line, text);
}

static SPF_server_t *libspf2_server_new(SPF_dns_server_t *layer)
{
	SPF_server_t *server;

	SPF_error_handler = libspf2_error;
	SPF_warning_handler = libspf2_be_quiet;
	SPF_info_handler = libspf2_be_quiet;
	SPF_debug_handler = libspf2_be_quiet;
	server = SPF_server_new_dns(layer, 0);
	if (server == NULL)
		libspf2_need(SPF_E_NO_MEMORY);
	SPF_server_set_max_dns_mech(server, LIBSPF2_NO_LIMIT);
	SPF_server_set_max_dns_mx(server, LIBSPF2_NO_LIMIT);
	return server;
}

/* Nothing of the message but the client's address: its strings are only for
   macros and texts that nobody asks libspf2 for. */
static SPF_request_t *
libspf2_request_new(SPF_server_t *server, const struct ip_addr *client_ip)
{
	SPF_request_t *request = SPF_request_new(server);

	if (request == NULL)
		libspf2_need(SPF_E_NO_MEMORY);
	libspf2_need(SPF_request_set_helo_dom(request, "helo"LIBSPF2_QUESTION_SUFFIX));
	if (IPADDR_IS_V4(client_ip))
		(void)SPF_request_set_ipv4(request, client_ip->u.ip4);
	else
		(void)SPF_request_set_ipv6(request, client_ip->u.ip6);
	request->cur_dom = request->env_from_dp;
	return request;
}

static enum spf_check_result libspf2_result(const SPF_result_t result)
{
	switch (result) {
	case SPF_RESULT_PASS:
		return SPF_CHECK_PASS;
	case SPF_RESULT_FAIL:
		return SPF_CHECK_FAIL;
	case SPF_RESULT_SOFTFAIL:
		return SPF_CHECK_SOFTFAIL;
	case SPF_RESULT_NEUTRAL:
		return SPF_CHECK_NEUTRAL;
	default:
		return SPF_CHECK_PERMERROR;
	}
}

/* Must not happen (the fuzz target looks for it). It is never a pass. */
static void libspf2_disagree(struct libspf2_check *check, SPF_errcode_t error)
{
	if (!spf_evaluation_has_failed(check->evaluation)) {
		spf_evaluation_trace(check->evaluation, "libspf2: %s",
				     SPF_strerror(error));
	}
	spf_evaluation_fail(check->evaluation, SPF_CHECK_PERMERROR,
			    "libspf2 disagrees");
}

/* What libspf2 says has to agree with the term that it said it of. */
static void
libspf2_finish(struct libspf2_check *check, SPF_response_t *response,
	    struct spf_libspf2_reply *reply_r)
{
	bool matched = SPF_response_reason(response) == SPF_REASON_MECH;
	enum spf_check_result result =
		libspf2_result(SPF_response_result(response));

	if (spf_evaluation_has_failed(check->evaluation))
		return;
	if (matched ? check->term == NULL || check->term->qualifier != result :
	    result != SPF_CHECK_NEUTRAL) {
		libspf2_disagree(check, SPF_response_errcode(response));
		return;
	}
	reply_r->result = result;
	if (matched)
		reply_r->mechanism = check->term->text;
	reply_r->explanation = check->record->record.explanation;
	reply_r->explanation_domain = check->record->domain;
}

/* Not SPF_request_query_mailfrom(): there loopback always passes. */
static void
libspf2_run(struct libspf2_check *check, SPF_request_t *request,
	 struct spf_libspf2_reply *reply_r)
{
	SPF_response_t *response = SPF_response_new(request);
	SPF_record_t *record;
	SPF_errcode_t ret;

	if (response == NULL)
		libspf2_need(SPF_E_NO_MEMORY);
	ret = libspf2_get_record(request->spf_server, request, response, &record);
	if (ret == SPF_E_SUCCESS) {
		response->spf_record_exp = record;
		(void)SPF_record_interpret(record, request, response, 0);
		libspf2_finish(check, response, reply_r);
		SPF_record_free(record);
	} else if (!check->none) {
		libspf2_disagree(check, ret);
	}
	SPF_response_free(response);
}

void spf_libspf2_evaluate(struct spf_evaluation *evaluation, const char *domain,
			  struct spf_libspf2_reply *reply_r)
{
	struct libspf2_check check = { .evaluation = evaluation, .domain = domain };
	SPF_dns_server_t layer = {
		.lookup = libspf2_lookup,
		.get_spf = libspf2_get_record,
		.name = "backscatter",
		.hook = &check
	};
	SPF_server_t *server = libspf2_server_new(&layer);
	SPF_request_t *request =
		libspf2_request_new(server, &evaluation->client_ip);

	i_zero(reply_r);
	p_array_init(&check.questions, evaluation->pool, 32);
	libspf2_run(&check, request, reply_r);
	SPF_request_free(request);
	SPF_server_free(server);
}
