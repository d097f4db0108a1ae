#ifndef SPF_LIBSPF2_PRIVATE_H
#define SPF_LIBSPF2_PRIVATE_H

/* What libspf2 is given to evaluate, in place of what came from the net:
   records of our own making, in which each name is a number that stands for a
   question. spf-libspf2.c tells why. Inside plugin/spf/service/ only. */

#include "spf-evaluation.h"

/* A record, and how it got here. */
struct libspf2_record {
	const char *domain;
	struct spf_record record;
	/* under how many includes: redirect= stays on the level */
	unsigned int depth;
};

/* What the number in a name stands for. */
enum libspf2_question_type {
	/* one of a record's terms, asked by libspf2 when it is that term's turn */
	LIBSPF2_QUESTION_TERM,
	/* tells that the term behind was reached */
	LIBSPF2_QUESTION_REACHED,
	/* a name of an mx term */
	LIBSPF2_QUESTION_MX_NAME
};

struct libspf2_question {
	enum libspf2_question_type type;
	const struct libspf2_record *record;
	const struct spf_term *term;
	/* LIBSPF2_QUESTION_MX_NAME: the name, and the question that it comes from */
	const char *name;
	struct libspf2_question *mx;
	/* The term is /0 for this client: any address matches. */
	bool any_address:1;
	/* One of its answers was empty. */
	bool counted_void:1;
};

struct libspf2_check {
	struct spf_evaluation *evaluation;
	ARRAY(struct libspf2_question *) questions;

	/* the domain of the first record; no question leads to it */
	const char *domain;
	/* it has no record */
	bool none:1;

	/* on level 0: the record that is being evaluated, its last term that was
	   asked about or reached */
	const struct libspf2_record *record;
	const struct spf_term *term;
};

/* libspf2 gets this: names are questions again, or addresses. */
struct libspf2_answer {
	ARRAY_TYPE(const_string) names;
	ARRAY(struct ip_addr) addresses;
};

/* The last part of a question's name. Any would do, but libspf2 warns of names
   without a top-level domain. */
#define LIBSPF2_QUESTION_SUFFIX ".q"

/* Returns the new question's name ("17.q"), in the data stack. */
const char *
libspf2_question_add(struct libspf2_check *check, enum libspf2_question_type type,
		  const struct libspf2_record *record, const struct spf_term *term);
/* NULL: no question's name */
struct libspf2_question *libspf2_question_find(struct libspf2_check *check, const char *name);
/* Notes that libspf2 has come to the question's term. */
void libspf2_reach(struct libspf2_check *check, const struct libspf2_question *question);

/* The record that libspf2 asks for: that of the first domain, or where a question
   (of include: or redirect=) leads. Returns NULL after the evaluation failed, or if
   the first domain has none. */
const struct libspf2_record *
libspf2_next_record(struct libspf2_check *check, const struct libspf2_question *question);
/* The record as libspf2 gets it, in the data stack. */
const char *libspf2_write_record(struct libspf2_check *check, const struct libspf2_record *record);

/* Answers a question. The answer means nothing if the evaluation has failed by
   then. */
void libspf2_answer_question(struct libspf2_check *check, struct libspf2_question *question,
			  struct libspf2_answer *answer);

#endif
