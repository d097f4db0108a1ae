#ifndef FACTS_PRIVATE_H
#define FACTS_PRIVATE_H

/* Inside facts_gather(): what its steps share. */

#include "array.h"
#include "facts.h"

struct facts_context {
	const struct report *report;
	struct sent_log *log;
	const struct own_addresses *own;
	const struct facts_keyed *keyed;
	const struct facts_policy *policy;
	time_t now;
	struct facts *facts;
	/* addresses that the original may have been sent from, lower-case and
	   without detail */
	ARRAY_TYPE(const_string) return_addresses;
	/* the same, of somebody else: what the returned header gives as From,
	   Sender and Return-Path */
	ARRAY_TYPE(const_string) other_addresses;
	unsigned int tag_count;
	/* day of issue of a serial of the mailbox's own key that verifies and has
	   no row; 0 = none */
	time_t lost_row_issued;
	/* final and original recipients of the report, without doubles */
	ARRAY_TYPE(const_string) recipients;
};

/* The log doesn't answer: what comes from it counts as not found. */
void facts_log_failed(struct facts *facts, const char *error);
/* Adds an address (NULL = nothing) that is not there yet. */
void facts_add_address(ARRAY_TYPE(const_string) *addresses, const char *address);

/* facts-original.c: what the returned original tells without the log */
void facts_gather_originals(struct facts_context *ctx);

/* facts-keyed.c: tag, envelope id and serial; without a log, too */
void facts_gather_keyed(struct facts_context *ctx);

#endif
