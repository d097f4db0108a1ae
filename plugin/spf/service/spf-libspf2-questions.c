/* What the names in the records that libspf2 gets stand for, and what DNS says to it. */

#include "lib.h"
#include "array.h"
#include "spf/spf-limits.h"
#include "spf-libspf2-private.h"

const char *
libspf2_question_add(struct libspf2_check *check, enum libspf2_question_type type,
		  const struct libspf2_record *record, const struct spf_term *term)
{
	struct libspf2_question *question =
		p_new(check->evaluation->pool, struct libspf2_question, 1);

	question->type = type;
	question->record = record;
	question->term = term;
	array_push_back(&check->questions, &question);
	return t_strdup_printf("%u"LIBSPF2_QUESTION_SUFFIX,
			       array_count(&check->questions) - 1);
}

struct libspf2_question *libspf2_question_find(struct libspf2_check *check, const char *name)
{
	const char *suffix;
	unsigned int idx;

	if (str_parse_uint(name, &idx, &suffix) < 0 ||
	    strcmp(suffix, LIBSPF2_QUESTION_SUFFIX) != 0 ||
	    idx >= array_count(&check->questions))
		return NULL;
	return array_idx_elem(&check->questions, idx);
}

void libspf2_reach(struct libspf2_check *check, const struct libspf2_question *question)
{
	spf_evaluation_trace(check->evaluation, "%s: %s", question->record->domain,
			     question->term->text);
	if (question->record->depth > 0)
		return;
	check->record = question->record;
	check->term = question->term;
}

/* Counts empty answers: it is the terms that are counted (4.6.4), so one for all
   of an mx. Returns FALSE after the evaluation failed. */
static bool
answer_check(struct libspf2_check *check, struct libspf2_question *question,
	     const struct spf_dns_answer *answer)
{
	if (answer->status == SPF_DNS_ERROR) {
		spf_evaluation_fail(check->evaluation, SPF_CHECK_TEMPERROR,
				    "%s: %s", question->term->text,
				    answer->error);
	}
	if (question->type == LIBSPF2_QUESTION_MX_NAME)
		question = question->mx;
	if (answer->status == SPF_DNS_VOID && !question->counted_void) {
		question->counted_void = TRUE;
		spf_evaluation_count_void(check->evaluation);
	}
	return !spf_evaluation_has_failed(check->evaluation);
}

static void
answer_addresses(struct libspf2_check *check, struct libspf2_question *question,
		 const char *name, struct libspf2_answer *answer_r)
{
	const struct spf_dns_answer *answer;
	unsigned int i;

	answer = spf_evaluation_lookup_addresses(check->evaluation, name);
	if (!answer_check(check, question, answer))
		return;
	if (question->any_address && answer->count > 0) {
		array_push_back(&answer_r->addresses,
				&check->evaluation->client_ip);
		return;
	}
	for (i = 0; i < answer->count; i++)
		array_push_back(&answer_r->addresses, &answer->addresses[i]);
}

/* A name becomes a question of its own. */
static void
answer_mx_name(struct libspf2_check *check, struct libspf2_question *question, const char *name,
	       struct libspf2_answer *answer_r)
{
	const char *number =
		libspf2_question_add(check, LIBSPF2_QUESTION_MX_NAME,
				  question->record, question->term);
	struct libspf2_question *mx_name = libspf2_question_find(check, number);

	mx_name->name = name;
	mx_name->mx = question;
	mx_name->any_address = question->any_address;
	array_push_back(&answer_r->names, &number);
}

/* 5.4. More than 10 names are a permerror even if one of the first would match:
   which are the first is up to chance. */
static void
answer_mx(struct libspf2_check *check, struct libspf2_question *question, const char *name,
	  struct libspf2_answer *answer_r)
{
	const struct spf_dns_answer *answer;
	unsigned int i;

	answer = spf_evaluation_lookup(check->evaluation, name, SPF_DNS_MX);
	if (!answer_check(check, question, answer))
		return;
	for (i = 0; i < answer->count; i++) {
		/* null MX (RFC 7505), or a name that nobody could have */
		if (answer->names[i][0] == '\0')
			continue;
		if (array_count(&answer_r->names) == SPF_MAX_MX_NAMES) {
			spf_evaluation_fail(check->evaluation,
					    SPF_CHECK_PERMERROR,
					    "%s: more than %u MX records",
					    question->term->text,
					    SPF_MAX_MX_NAMES);
			return;
		}
		answer_mx_name(check, question, answer->names[i], answer_r);
	}
}

static void
answer_exists(struct libspf2_check *check, struct libspf2_question *question,
	      const char *name, struct libspf2_answer *answer_r)
{
	const struct spf_dns_answer *answer;

	answer = spf_evaluation_lookup(check->evaluation, name, SPF_DNS_A);
	if (answer_check(check, question, answer) && answer->count > 0)
		array_push_back(&answer_r->addresses, &answer->addresses[0]);
}

static void
answer_ptr(struct libspf2_check *check, const char *name, struct libspf2_answer *answer_r)
{
	static const struct ip_addr yes = {
		.family = AF_INET, .u.ip4.s_addr = INADDR_ANY
	};

	if (spf_evaluation_ptr_matches(check->evaluation, name) &&
	    !spf_evaluation_has_failed(check->evaluation))
		array_push_back(&answer_r->addresses, &yes);
}

/* It is this term's turn. */
static void
answer_term(struct libspf2_check *check, struct libspf2_question *question,
	    struct libspf2_answer *answer_r)
{
	struct spf_evaluation *evaluation = check->evaluation;
	const char *name;

	libspf2_reach(check, question);
	if (!spf_evaluation_count_term(evaluation))
		return;
	name = spf_evaluation_target(evaluation, question->term->domain_spec,
				     question->record->domain);
	if (name == NULL)
		return;
	switch (question->term->type) {
	case SPF_TERM_A:
		answer_addresses(check, question, name, answer_r);
		break;
	case SPF_TERM_MX:
		answer_mx(check, question, name, answer_r);
		break;
	case SPF_TERM_PTR:
		answer_ptr(check, name, answer_r);
		break;
	case SPF_TERM_EXISTS:
		answer_exists(check, question, name, answer_r);
		break;
	default:
		i_unreached();
	}
}

void libspf2_answer_question(struct libspf2_check *check, struct libspf2_question *question,
			  struct libspf2_answer *answer_r)
{
	switch (question->type) {
	case LIBSPF2_QUESTION_TERM:
		answer_term(check, question, answer_r);
		break;
	case LIBSPF2_QUESTION_REACHED:
		libspf2_reach(check, question);
		break;
	case LIBSPF2_QUESTION_MX_NAME:
		answer_addresses(check, question, question->name, answer_r);
		break;
	}
}
