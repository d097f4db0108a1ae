/* The walk's questions, and what DNS says to them. */

#include "lib.h"
#include "array.h"
#include "spf/spf-limits.h"
#include "spf-walk.h"

const char *
walk_question_add(struct walk *walk, enum walk_question_type type,
		  const struct walk_record *record, const struct spf_term *term)
{
	struct walk_question *question =
		p_new(walk->evaluation->pool, struct walk_question, 1);

	question->type = type;
	question->record = record;
	question->term = term;
	array_push_back(&walk->questions, &question);
	return t_strdup_printf("%u"WALK_QUESTION_SUFFIX,
			       array_count(&walk->questions) - 1);
}

struct walk_question *walk_question_find(struct walk *walk, const char *name)
{
	const char *suffix;
	unsigned int idx;

	if (str_parse_uint(name, &idx, &suffix) < 0 ||
	    strcmp(suffix, WALK_QUESTION_SUFFIX) != 0 ||
	    idx >= array_count(&walk->questions))
		return NULL;
	return array_idx_elem(&walk->questions, idx);
}

void walk_reach(struct walk *walk, const struct walk_question *question)
{
	spf_evaluation_trace(walk->evaluation, "%s: %s", question->record->domain,
			     question->term->text);
	if (question->record->depth > 0)
		return;
	walk->record = question->record;
	walk->term = question->term;
}

/* Counts empty answers: it is the terms that are counted (4.6.4), so one for all
   of an mx. Returns FALSE after the evaluation failed. */
static bool
answer_check(struct walk *walk, struct walk_question *question,
	     const struct spf_dns_answer *answer)
{
	if (answer->status == SPF_DNS_ERROR) {
		spf_evaluation_fail(walk->evaluation, SPF_CHECK_TEMPERROR,
				    "%s: %s", question->term->text,
				    answer->error);
	}
	if (question->type == WALK_QUESTION_MX_NAME)
		question = question->mx;
	if (answer->status == SPF_DNS_VOID && !question->counted_void) {
		question->counted_void = TRUE;
		spf_evaluation_count_void(walk->evaluation);
	}
	return !spf_evaluation_has_failed(walk->evaluation);
}

static void
answer_addresses(struct walk *walk, struct walk_question *question,
		 const char *name, struct walk_answer *answer_r)
{
	const struct spf_dns_answer *answer;
	unsigned int i;

	answer = spf_evaluation_lookup_addresses(walk->evaluation, name);
	if (!answer_check(walk, question, answer))
		return;
	if (question->any_address && answer->count > 0) {
		array_push_back(&answer_r->addresses,
				&walk->evaluation->client_ip);
		return;
	}
	for (i = 0; i < answer->count; i++)
		array_push_back(&answer_r->addresses, &answer->addresses[i]);
}

/* A name becomes a question of its own. */
static void
answer_mx_name(struct walk *walk, struct walk_question *question, const char *name,
	       struct walk_answer *answer_r)
{
	const char *number =
		walk_question_add(walk, WALK_QUESTION_MX_NAME,
				  question->record, question->term);
	struct walk_question *mx_name = walk_question_find(walk, number);

	mx_name->name = name;
	mx_name->mx = question;
	mx_name->any_address = question->any_address;
	array_push_back(&answer_r->names, &number);
}

/* 5.4. More than 10 names are a permerror even if one of the first would match:
   which are the first is up to chance. */
static void
answer_mx(struct walk *walk, struct walk_question *question, const char *name,
	  struct walk_answer *answer_r)
{
	const struct spf_dns_answer *answer;
	unsigned int i;

	answer = spf_evaluation_lookup(walk->evaluation, name, SPF_DNS_MX);
	if (!answer_check(walk, question, answer))
		return;
	for (i = 0; i < answer->count; i++) {
		/* null MX (RFC 7505), or a name that nobody could have */
		if (answer->names[i][0] == '\0')
			continue;
		if (array_count(&answer_r->names) == SPF_MAX_MX_NAMES) {
			spf_evaluation_fail(walk->evaluation,
					    SPF_CHECK_PERMERROR,
					    "%s: more than %u MX records",
					    question->term->text,
					    SPF_MAX_MX_NAMES);
			return;
		}
		answer_mx_name(walk, question, answer->names[i], answer_r);
	}
}

static void
answer_exists(struct walk *walk, struct walk_question *question,
	      const char *name, struct walk_answer *answer_r)
{
	const struct spf_dns_answer *answer;

	answer = spf_evaluation_lookup(walk->evaluation, name, SPF_DNS_A);
	if (answer_check(walk, question, answer) && answer->count > 0)
		array_push_back(&answer_r->addresses, &answer->addresses[0]);
}

static void
answer_ptr(struct walk *walk, const char *name, struct walk_answer *answer_r)
{
	static const struct ip_addr yes = {
		.family = AF_INET, .u.ip4.s_addr = INADDR_ANY
	};

	if (spf_evaluation_ptr_matches(walk->evaluation, name) &&
	    !spf_evaluation_has_failed(walk->evaluation))
		array_push_back(&answer_r->addresses, &yes);
}

/* It is this term's turn. */
static void
answer_term(struct walk *walk, struct walk_question *question,
	    struct walk_answer *answer_r)
{
	struct spf_evaluation *evaluation = walk->evaluation;
	const char *name;

	walk_reach(walk, question);
	if (!spf_evaluation_count_term(evaluation))
		return;
	name = spf_evaluation_target(evaluation, question->term->domain_spec,
				     question->record->domain);
	if (name == NULL)
		return;
	switch (question->term->type) {
	case SPF_TERM_A:
		answer_addresses(walk, question, name, answer_r);
		break;
	case SPF_TERM_MX:
		answer_mx(walk, question, name, answer_r);
		break;
	case SPF_TERM_PTR:
		answer_ptr(walk, name, answer_r);
		break;
	case SPF_TERM_EXISTS:
		answer_exists(walk, question, name, answer_r);
		break;
	default:
		i_unreached();
	}
}

void walk_answer_question(struct walk *walk, struct walk_question *question,
			  struct walk_answer *answer_r)
{
	switch (question->type) {
	case WALK_QUESTION_TERM:
		answer_term(walk, question, answer_r);
		break;
	case WALK_QUESTION_REACHED:
		walk_reach(walk, question);
		break;
	case WALK_QUESTION_MX_NAME:
		answer_addresses(walk, question, question->name, answer_r);
		break;
	}
}
