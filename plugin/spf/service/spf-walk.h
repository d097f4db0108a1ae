#ifndef SPF_WALK_H
#define SPF_WALK_H

/* What libspf2 is given to walk through, in place of what came from the net:
   records of our own making, in which each name is a number that stands for a
   question. spf-libspf2.c tells why. Inside plugin/spf/service/ only. */

#include "spf-evaluation.h"

/* A record, and how it got here. */
struct walk_record {
	const char *domain;
	struct spf_record record;
	/* under how many includes: redirect= stays on the level */
	unsigned int depth;
};

/* What the number in a name stands for. */
enum walk_question_type {
	/* one of a record's terms, asked by libspf2 when it is that term's turn */
	WALK_QUESTION_TERM,
	/* tells that the term behind was reached */
	WALK_QUESTION_REACHED,
	/* a name of an mx term */
	WALK_QUESTION_MX_NAME
};

struct walk_question {
	enum walk_question_type type;
	const struct walk_record *record;
	const struct spf_term *term;
	/* WALK_QUESTION_MX_NAME: the name, and the question that it comes from */
	const char *name;
	struct walk_question *mx;
	/* The term is /0 for this client: any address matches. */
	bool any_address:1;
	/* One of its answers was empty. */
	bool counted_void:1;
};

struct walk {
	struct spf_evaluation *evaluation;
	ARRAY(struct walk_question *) questions;

	/* the domain of the first record; no question leads to it */
	const char *domain;
	/* it has no record */
	bool none:1;

	/* on level 0: the record that is being evaluated, its last term that was
	   asked about or reached */
	const struct walk_record *record;
	const struct spf_term *term;
};

/* libspf2 gets this: names are questions again, or addresses. */
struct walk_answer {
	ARRAY_TYPE(const_string) names;
	ARRAY(struct ip_addr) addresses;
};

/* The last part of a question's name. Any would do, but libspf2 warns of names
   without a top-level domain. */
#define WALK_QUESTION_SUFFIX ".q"

/* Returns the new question's name ("17.q"), in the data stack. */
const char *
walk_question_add(struct walk *walk, enum walk_question_type type,
		  const struct walk_record *record, const struct spf_term *term);
/* NULL: no question's name */
struct walk_question *walk_question_find(struct walk *walk, const char *name);
/* Notes that libspf2 has come to the question's term. */
void walk_reach(struct walk *walk, const struct walk_question *question);

/* The record that libspf2 asks for: that of the first domain, or where a question
   (of include: or redirect=) leads. Returns NULL after the evaluation failed, or if
   the first domain has none. */
const struct walk_record *
walk_next_record(struct walk *walk, const struct walk_question *question);
/* The record as libspf2 gets it, in the data stack. */
const char *walk_write_record(struct walk *walk, const struct walk_record *record);

/* Answers a question. The answer means nothing if the evaluation has failed by
   then. */
void walk_answer_question(struct walk *walk, struct walk_question *question,
			  struct walk_answer *answer);

#endif
