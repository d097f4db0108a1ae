/* What the returned original tells without the log: whose it claims to be, and
   whether software sent it, or it was received here. Any original may acquit;
   what convicts is asked of the only one. */

#include "lib.h"
#include "facts-private.h"

static bool
addresses_have_own(const struct facts_context *ctx,
		   const ARRAY_TYPE(const_string) *addresses)
{
	const char *address;

	array_foreach_elem(addresses, address) {
		if (own_addresses_match(ctx->own, address))
			return TRUE;
	}
	return FALSE;
}

static bool
report_is_addressed_to(const struct facts_context *ctx, const char *address)
{
	const char *to, *without_detail =
		own_addresses_without_detail(ctx->own, address);

	array_foreach_elem(&ctx->report->to, to) {
		if (strcmp(own_addresses_without_detail(ctx->own, to),
			   without_detail) == 0)
			return TRUE;
	}
	return FALSE;
}

/* An own address that is written out, or, where a whole domain or a pattern makes it
   own, the one that the report came to: others of that domain may be somebody
   else's. */
static bool
addresses_claim_own(const struct facts_context *ctx,
		    const ARRAY_TYPE(const_string) *addresses)
{
	const char *address;

	array_foreach_elem(addresses, address) {
		if (!own_addresses_match(ctx->own, address))
			continue;
		if (own_addresses_match_written_out(ctx->own, address) ||
		    report_is_addressed_to(ctx, address))
			return TRUE;
	}
	return FALSE;
}

static bool
original_claims_own(const struct facts_context *ctx,
		    const struct report_original *original)
{
	return addresses_claim_own(ctx, &original->from) ||
		addresses_claim_own(ctx, &original->return_paths);
}

static bool
is_our_host(const struct facts_context *ctx, const char *host)
{
	/* every host calls itself so */
	if (strncasecmp(host, "localhost", 9) == 0)
		return FALSE;
	return str_array_icase_find(ctx->policy->host_names, host) ||
		null_strcasecmp(host, ctx->report->received_by) == 0;
}

static bool
hop_is_ours(const struct facts_context *ctx, const struct report_hop *hop)
{
	return hop->by != NULL && is_our_host(ctx, hop->by);
}

static bool
original_left_by_us(const struct facts_context *ctx,
		    const struct report_original *original)
{
	const struct report_hop *hop;

	array_foreach(&original->hops, hop) {
		if (hop->submitted && hop_is_ours(ctx, hop))
			return TRUE;
	}
	return FALSE;
}

/* One of our hosts took it in for an own address (whoever wrote it: a scanner, a contact
   form) or, if it is somebody else's, for any address of our domains (an alias list
   whose owner's address is the envelope's sender). */
static bool
hop_came_in(const struct facts_context *ctx, const struct report_hop *hop,
	    bool from_others)
{
	if (hop->for_address == NULL || !hop_is_ours(ctx, hop))
		return FALSE;
	return own_addresses_match(ctx->own, hop->for_address) ||
		(from_others &&
		 own_addresses_have_domain_of(ctx->own, hop->for_address));
}

/* Received here, and perhaps passed on. */
static bool
original_came_in(const struct facts_context *ctx,
		 const struct report_original *original)
{
	bool from_others = !addresses_have_own(ctx, &original->from);
	const struct report_hop *hop;

	if (from_others && addresses_have_own(ctx, &original->recipients))
		return TRUE;
	array_foreach(&original->hops, hop) {
		if (from_others && hop->for_address != NULL &&
		    own_addresses_match(ctx->own, hop->for_address))
			return TRUE;
		if (hop_came_in(ctx, hop, from_others))
			return TRUE;
	}
	return FALSE;
}

/* What keeps from condemning, whichever original says it. */
static void
gather_original(struct facts_context *ctx,
		const struct report_original *original)
{
	struct verdict_facts *verdict = &ctx->facts->verdict;

	if (original->automatic ||
	    addresses_have_own(ctx, &original->resent_from))
		verdict->automatic = TRUE;
	if (original_left_by_us(ctx, original))
		verdict->our_host = TRUE;
	if (original_came_in(ctx, original))
		verdict->incoming = TRUE;
	/* a mail system that returns what claims to come from here: whoever
	   speaks for it */
	if (verdict->shape == REPORT_SHAPE_WORDED && ctx->report->null_sender &&
	    original->in_part && original_claims_own(ctx, original))
		verdict->shape = REPORT_SHAPE_DAEMON;
}

void facts_gather_originals(struct facts_context *ctx)
{
	const struct report *report = ctx->report;
	struct verdict_facts *verdict = &ctx->facts->verdict;
	const struct report_original *original;

	verdict->shape = report->shape;
	verdict->original_count = array_count(&report->originals);
	array_foreach(&report->originals, original)
		gather_original(ctx, original);

	if (verdict->original_count != 1)
		return;
	original = array_front(&report->originals);
	verdict->claims_own_address = original_claims_own(ctx, original) ||
		addresses_claim_own(ctx, &report->original_senders);
	/* another original may stand in what was not read */
	verdict->message_id_proves = original->message_id_proves &&
		!report->body_truncated &&
		(original->in_part || !report->truncated);
	verdict->original_in_part = original->in_part;
}
