/* Keeps libspf2 away from what comes from the net. No other file includes its headers.

   libspf2 1.2.10 goes through records, descends into include: and redirect=, and combines
   the results. What it may not do is read what comes from the net: it misreads valid and
   invalid records (docs/spf.md), forgets whatever is behind the first 511 bytes of a
   compiled record, counts terms modulo 256, and gives loopback clients a pass. So for each
   record it gets one that is written here, of the same terms in the same order, in which

   - each term that could match is exists:, include: or redirect= of a number, "17.q". It
     stands for the question whether that term matches, which is answered
     (spf_term_matches()) only when libspf2 really asks it: what is behind the
     term that decides costs no question to DNS;
   - ip4 and ip6 that don't match the client are left out, and the first ip4, ip6 or
     all that does is the last term: what is behind can't be reached (with at most
     11 terms that ask DNS, that keeps the record below libspf2's bounds);
   - redirect= is the last term, and of modifiers nothing else is left. exp= is
     read by spf-check.c.

   An error is noted in the evaluation, and libspf2 told that DNS has failed: that
   ends its evaluation at once, at any depth. What it makes of it doesn't matter. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf-term.h"
#include "spf/spf-limits.h"

#include <spf2/spf.h>

/* what libspf2 counts itself must never be reached */
#define LIBSPF2_NO_LIMIT 10000
/* The last part of a question's name. Any would do, but libspf2 warns of names
   without a top-level domain. */
#define LIBSPF2_QUESTION_SUFFIX ".q"

/* A record, and how it got here. */
struct libspf2_record {
	const char *domain;
	struct spf_record record;
	/* under how many includes: redirect= stays on the level */
	unsigned int depth;
};

/* What the number in a name stands for. */
struct libspf2_question {
	const struct libspf2_record *record;
	const struct spf_term *term;
};

struct libspf2_check {
	struct spf_evaluation *evaluation;
	ARRAY(struct libspf2_question) questions;
	/* on level 0: the record that is being evaluated, and its last term that
	   libspf2 has come to */
	const struct libspf2_record *record;
	const struct spf_term *term;
};

static void libspf2_need(bool ok)
{
	if (!ok)
		i_fatal_status(FATAL_OUTOFMEM, "libspf2: out of memory");
}

/* Writing */

static bool
term_asks_dns(const struct spf_term *term)
{
	return term->type != SPF_TERM_ALL && term->type != SPF_TERM_IP4 &&
		term->type != SPF_TERM_IP6;
}

/* " -exists:17.q" */
static void
libspf2_write_term(struct libspf2_check *check, const struct libspf2_record *record,
		   const struct spf_term *term, string_t *text)
{
	const struct libspf2_question question = { .record = record, .term = term };

	str_append_c(text, ' ');
	if (term->type == SPF_TERM_REDIRECT)
		str_append(text, "redirect=");
	else {
		str_append_c(text, term->qualifier_letter);
		str_append(text, term->type == SPF_TERM_INCLUDE ?
			   "include:" : "exists:");
	}
	str_printfa(text, "%u"LIBSPF2_QUESTION_SUFFIX,
		    array_count(&check->questions));
	array_push_back(&check->questions, &question);
}

/* The record as libspf2 gets it, in the data stack. */
static const char *
libspf2_write_record(struct libspf2_check *check, const struct libspf2_record *record)
{
	string_t *text = t_str_new(256);
	const struct spf_term *term;
	unsigned int asking = 0;

	str_append(text, "v=spf1");
	array_foreach(&record->record.terms, term) {
		if (!term_asks_dns(term) &&
		    !spf_term_matches(check->evaluation, term,
						 record->domain))
			continue;
		libspf2_write_term(check, record, term, text);
		/* the last one is a permerror by now, if it is reached */
		if (!term_asks_dns(term) || ++asking > SPF_MAX_TERMS)
			return str_c(text);
	}
	if (record->record.redirect != NULL)
		libspf2_write_term(check, record, record->record.redirect, text);
	return str_c(text);
}

/* Questions */

static const struct libspf2_question *
libspf2_question_find(const struct libspf2_check *check, const char *name)
{
	const char *suffix;
	unsigned int idx;

	if (str_parse_uint(name, &idx, &suffix) < 0 ||
	    strcmp(suffix, LIBSPF2_QUESTION_SUFFIX) != 0)
		i_panic("libspf2 asks for %s", name);
	return array_idx(&check->questions, idx);
}

/* libspf2 has come to the question's term. */
static void
libspf2_reach(struct libspf2_check *check, const struct libspf2_question *question)
{
	spf_evaluation_trace(check->evaluation, "%s: %s", question->record->domain,
			     question->term->text);
	if (question->record->depth == 0) {
		check->record = question->record;
		check->term = question->term;
	}
}

/* Where an include: or redirect= leads (5.2, 6.1). Returns NULL after the evaluation
   failed. */
static const struct libspf2_record *
libspf2_next_record(struct libspf2_check *check, const struct libspf2_question *question)
{
	struct spf_evaluation *evaluation = check->evaluation;
	const struct spf_term *term = question->term;
	struct libspf2_record *record =
		p_new(evaluation->pool, struct libspf2_record, 1);
	bool include = term->type == SPF_TERM_INCLUDE;
	int ret;

	record->depth = question->record->depth + (include ? 1 : 0);
	ret = spf_term_next_record(evaluation, term, question->record->domain,
					 &record->domain, &record->record);
	if (ret < 0)
		return NULL;
	if (record->depth == 0) {
		check->record = record;
		check->term = NULL;
	}
	return record;
}

static SPF_errcode_t
libspf2_compile(struct libspf2_check *check, const struct libspf2_record *record,
		SPF_server_t *server, SPF_response_t *response, SPF_record_t **record_r)
{
	SPF_errcode_t ret;

	T_BEGIN {
		ret = SPF_record_compile(server, response, record_r,
					 libspf2_write_record(check, record));
	} T_END;
	if (ret != SPF_E_SUCCESS && *record_r != NULL) {
		SPF_record_free(*record_r);
		*record_r = NULL;
	}
	return ret;
}

/* The hook for records: include: and redirect= come here. */
static SPF_errcode_t
libspf2_get_record(SPF_server_t *server, SPF_request_t *request,
		   SPF_response_t *response, SPF_record_t **record_r)
{
	struct libspf2_check *check = server->resolver->hook;
	const struct libspf2_question question =
		*libspf2_question_find(check, request->cur_dom);
	const struct libspf2_record *record;

	*record_r = NULL;
	libspf2_reach(check, &question);
	record = libspf2_next_record(check, &question);
	return record == NULL ? SPF_E_DNS_ERROR :
		libspf2_compile(check, record, server, response, record_r);
}

/* The hook for exists: any address is a yes. */
static SPF_dns_rr_t *
libspf2_lookup(SPF_dns_server_t *layer, const char *name, ns_type type,
	       int should_cache ATTR_UNUSED)
{
	struct libspf2_check *check = layer->hook;
	const struct libspf2_question question = *libspf2_question_find(check, name);
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(layer, name, type, 0, NETDB_SUCCESS);
	bool matches = FALSE;

	libspf2_need(rr != NULL &&
		     SPF_dns_rr_buf_realloc(rr, 0, sizeof(SPF_dns_rr_data_t)) ==
		     SPF_E_SUCCESS);
	if (!spf_evaluation_has_failed(check->evaluation)) {
		libspf2_reach(check, &question);
		matches = spf_term_matches(check->evaluation,
			question.term, question.record->domain);
	}
	rr->num_rr = matches ? 1 : 0;
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
	libspf2_need(server != NULL);
	SPF_server_set_max_dns_mech(server, LIBSPF2_NO_LIMIT);
	return server;
}

/* Nothing of the message, and another client: its strings are only for macros and texts
   that nobody asks libspf2 for, and no address is compared. */
static SPF_request_t *libspf2_request_new(SPF_server_t *server)
{
	const struct in_addr nobody = { .s_addr = INADDR_ANY };
	SPF_request_t *request = SPF_request_new(server);

	libspf2_need(request != NULL &&
		     SPF_request_set_helo_dom(request, "helo"LIBSPF2_QUESTION_SUFFIX) ==
		     SPF_E_SUCCESS);
	(void)SPF_request_set_ipv4(request, nobody);
	request->cur_dom = request->env_from_dp;
	return request;
}

/* Of any other it is SPF_CHECK_NONE. */
static const enum spf_check_result libspf2_results[SPF_RESULT_PERMERROR + 1] = {
	[SPF_RESULT_PASS] = SPF_CHECK_PASS,
	[SPF_RESULT_FAIL] = SPF_CHECK_FAIL,
	[SPF_RESULT_SOFTFAIL] = SPF_CHECK_SOFTFAIL,
	[SPF_RESULT_NEUTRAL] = SPF_CHECK_NEUTRAL,
};

/* What libspf2 says has to agree with the term that it said it of. That it doesn't must
   not happen (the fuzz target looks for it), and is never a pass. */
static void
libspf2_finish(struct libspf2_check *check, SPF_response_t *response,
	       struct spf_libspf2_reply *reply_r)
{
	bool matched = SPF_response_reason(response) == SPF_REASON_MECH;
	enum spf_check_result result =
		libspf2_results[SPF_response_result(response)];

	if (spf_evaluation_has_failed(check->evaluation))
		return;
	spf_evaluation_trace(check->evaluation, "libspf2: %s",
			     spf_check_result_name(result));
	if (matched ? check->term == NULL || check->term->qualifier != result :
	    result != SPF_CHECK_NEUTRAL) {
		spf_evaluation_fail(check->evaluation, SPF_CHECK_PERMERROR,
				    "libspf2 disagrees");
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
libspf2_run(struct libspf2_check *check, SPF_server_t *server,
	    struct spf_libspf2_reply *reply_r)
{
	SPF_request_t *request = libspf2_request_new(server);
	SPF_response_t *response = SPF_response_new(request);
	SPF_record_t *record = NULL;

	libspf2_need(response != NULL);
	if (libspf2_compile(check, check->record, server, response,
			    &record) == SPF_E_SUCCESS) {
		response->spf_record_exp = record;
		(void)SPF_record_interpret(record, request, response, 0);
		SPF_record_free(record);
	}
	libspf2_finish(check, response, reply_r);
	SPF_response_free(response);
	SPF_request_free(request);
}

void spf_libspf2_evaluate(struct spf_evaluation *evaluation, const char *domain,
			  struct spf_libspf2_reply *reply_r)
{
	struct libspf2_record record = { .domain = domain };
	struct libspf2_check check = { .evaluation = evaluation, .record = &record };
	SPF_dns_server_t layer = {
		.lookup = libspf2_lookup,
		.get_spf = libspf2_get_record,
		.name = "backscatter",
		.hook = &check
	};
	SPF_server_t *server;

	i_zero(reply_r);
	reply_r->result = SPF_CHECK_NONE;
	if (spf_term_record(evaluation, domain, &record.record) <= 0)
		return;
	p_array_init(&check.questions, evaluation->pool, 32);
	server = libspf2_server_new(&layer);
	libspf2_run(&check, server, reply_r);
	SPF_server_free(server);
}
