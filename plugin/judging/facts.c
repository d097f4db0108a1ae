/* From a report and the sent log to the facts of the verdict table. Knows the
   log's interface and the report's structure; judges nothing. */

#include "lib.h"
#include "facts-private.h"

void facts_log_failed(struct facts *facts, const char *error)
{
	facts->verdict.log_available = FALSE;
	facts->log_error = t_strdup(error);
}

void facts_add_address(ARRAY_TYPE(const_string) *addresses, const char *address)
{
	if (address != NULL &&
	    array_lsearch(addresses, &address, i_strcmp_p) == NULL)
		array_push_back(addresses, &address);
}

static void facts_gather_recipients(struct facts_context *ctx)
{
	const struct report_recipient *recipient;

	t_array_init(&ctx->recipients, 8);
	array_foreach(&ctx->report->recipients, recipient) {
		facts_add_address(&ctx->recipients, recipient->original_recipient);
		facts_add_address(&ctx->recipients, recipient->final_recipient);
	}
}

static enum verdict_evidence facts_named_evidence(const struct report *report)
{
	if (array_count(&report->message_ids) > 0)
		return VERDICT_EVIDENCE_MESSAGE_ID;
	if (report->envelope_id != NULL)
		return VERDICT_EVIDENCE_ENVELOPE_ID;
	if (array_count(&report->references) > 0)
		return VERDICT_EVIDENCE_REFERENCE;
	return VERDICT_EVIDENCE_NONE;
}

static void facts_gather_from_report(struct facts_context *ctx)
{
	const struct report *report = ctx->report;
	struct verdict_facts *verdict = &ctx->facts->verdict;
	const struct report_message_id *message_id;
	const char *address;

	verdict->class = report->class;
	verdict->null_sender = report->null_sender;
	verdict->named_evidence = facts_named_evidence(report);
	if (array_count(&report->message_ids) > 0) {
		message_id = array_front(&report->message_ids);
		ctx->facts->original_message_id = message_id->written;
	}
	array_foreach_elem(&report->to, address) {
		if (own_addresses_match(ctx->own, address))
			verdict->to_own_address = TRUE;
	}
}

/* Looks one identity up. An identity with a recipient in common, or nothing to
   compare, beats one that was sent to others. */
static int
facts_gather_identity(struct facts_context *ctx, enum sent_log_identity_kind kind,
		const char *value, enum verdict_evidence evidence)
{
	struct verdict_facts *verdict = &ctx->facts->verdict;
	const struct sent_log_identity identity = {
		.kind = kind, .value = value
	};
	struct sent_log_entry entry;
	const char *const *recipients, *error;
	unsigned int count;
	bool compared, shared;
	int ret;

	recipients = array_get(&ctx->recipients, &count);
	ret = sent_log_find(ctx->log, &identity, recipients, count, ctx->now,
			    &entry, &error);
	if (ret < 0) {
		facts_log_failed(ctx->facts, error);
		return -1;
	}
	if (ret == 0)
		return 0;

	compared = count > 0 && entry.recipient_count > 0;
	shared = entry.recipient_matches || entry.domain_matches;
	if (verdict->logged_evidence != VERDICT_EVIDENCE_NONE &&
	    compared && !shared)
		return 0;
	if (evidence == VERDICT_EVIDENCE_REFERENCE)
		ctx->facts->original_message_id = value;
	verdict->logged_evidence = evidence;
	verdict->recipients_compared = compared;
	verdict->recipient_shared = shared;
	/* keyed evidence beats everything */
	if (verdict->keyed != VERDICT_KEYED_VALID)
		ctx->facts->original = identity;
	return !compared || shared ? 1 : 0;
}

/* Returns 1 as soon as an identity holds, 0 if none does, -1 if the log is
   unavailable. */
static int facts_gather_identities(struct facts_context *ctx)
{
	const struct report *report = ctx->report;
	const struct report_message_id *message_id;
	const char *reference;
	int ret;

	array_foreach(&report->message_ids, message_id) {
		ret = facts_gather_identity(ctx, SENT_LOG_IDENTITY_MESSAGE_ID,
				      message_id->id,
				      VERDICT_EVIDENCE_MESSAGE_ID);
		if (ret != 0)
			return ret;
	}
	if (report->envelope_id != NULL) {
		ret = facts_gather_identity(ctx, SENT_LOG_IDENTITY_ENVELOPE_ID,
				      report->envelope_id,
				      VERDICT_EVIDENCE_ENVELOPE_ID);
		if (ret != 0)
			return ret;
	}
	array_foreach_elem(&report->references, reference) {
		ret = facts_gather_identity(ctx, SENT_LOG_IDENTITY_MESSAGE_ID,
				      reference, VERDICT_EVIDENCE_REFERENCE);
		if (ret != 0)
			return ret;
	}
	return 0;
}

/* Returns 1 if this mailbox wrote to one of the addresses. Own ones don't count: who
   once wrote a note to himself would acquit every forgery that was sent to him. */
static int
facts_find_recipient(struct facts_context *ctx,
	       const ARRAY_TYPE(const_string) *addresses)
{
	const char *address, *error;
	int ret;

	array_foreach_elem(addresses, address) {
		if (own_addresses_match(ctx->own, address))
			continue;
		ret = sent_log_find_recipient(ctx->log, address, ctx->now,
					      &error);
		if (ret < 0)
			facts_log_failed(ctx->facts, error);
		if (ret != 0)
			return ret;
	}
	return 0;
}

static void facts_gather_known_recipient(struct facts_context *ctx)
{
	int ret = facts_find_recipient(ctx, &ctx->recipients);

	if (ret == 0)
		ret = facts_find_recipient(ctx, &ctx->report->original_to);
	ctx->facts->verdict.recipient_known = ret > 0;
}

/* The replay budget (docs/design.md): how many reports on one original are called
   genuine. */

/* Reports on recipients that the log doesn't know (a list's members, a
   forwarded copy) share one budget: the message's recipients and this. */
#define FACTS_BUDGET_UNKNOWN_RECIPIENTS 100
/* The same for an original that isn't in the log: a colleague sent it as this
   mailbox (site key), to nobody knows how many. */
#define FACTS_BUDGET_UNKNOWN_MESSAGE 1000

/* RFC 3464, 2.3.2: whom the reporter gave up on. */
static const char *facts_counted_recipient(const struct report_recipient *recipient)
{
	if (recipient->final_recipient != NULL)
		return recipient->final_recipient;
	return recipient->original_recipient;
}

static void
facts_get_counted_recipients(const struct report *report,
		       ARRAY_TYPE(const_string) *recipients_r)
{
	const struct report_recipient *recipient;
	const char *none = "";

	t_array_init(recipients_r, 4);
	array_foreach(&report->recipients, recipient)
		facts_add_address(recipients_r, facts_counted_recipient(recipient));
	if (array_count(recipients_r) == 0)
		array_push_back(recipients_r, &none);
}

static unsigned int
facts_replay_budget(enum report_class class, const struct sent_log_report_count *count)
{
	if (count->recipient_count == 0)
		return FACTS_BUDGET_UNKNOWN_MESSAGE;
	if (!count->recipient_matches) {
		return count->times_sent * (count->recipient_count +
					    FACTS_BUDGET_UNKNOWN_RECIPIENTS);
	}
	return count->times_sent * report_class_info(class)->budget;
}

/* Used up only if it is so for every recipient named: an alias that fans out
   fails for each member. */
static void facts_gather_budget(struct facts_context *ctx)
{
	ARRAY_TYPE(const_string) recipients;
	struct sent_log_report_count count;
	const char *recipient, *error;

	if (ctx->facts->original.value == NULL)
		return;
	facts_get_counted_recipients(ctx->report, &recipients);
	array_foreach_elem(&recipients, recipient) {
		int ret = sent_log_get_report_count(
				ctx->log, &ctx->facts->original,
				report_class_name(ctx->report->class),
				recipient, &count, &error);

		if (ret < 0)
			facts_log_failed(ctx->facts, error);
		if (ret <= 0 || count.reports <
				facts_replay_budget(ctx->report->class, &count))
			return;
	}
	ctx->facts->verdict.budget_used_up = TRUE;
}

static void facts_gather_coverage(struct facts_context *ctx)
{
	struct facts *facts = ctx->facts;
	struct coverage_facts *coverage = &facts->verdict.coverage;
	struct coverage_view view;
	const char *error;

	if (coverage_view_read(ctx->log, &ctx->policy->coverage, ctx->now, &view,
			       &error) < 0)
		facts_log_failed(facts, error);
	*coverage = view.facts;
	coverage->late_report = report_class_info(ctx->report->class)->late;
	coverage->original_date = ctx->report->original_date;
	coverage->arrival_date = ctx->report->arrival_date;
	facts->coverage = view.log;
	facts->unlisted_copy = view.unlisted_copy;
}

/* Returns TRUE if the log answers, from one moment. */
static bool facts_log_begin(struct facts_context *ctx)
{
	const char *error;

	if (ctx->log == NULL)
		return FALSE;
	if (sent_log_open(ctx->log, ctx->now, &error) >= 0 &&
	    sent_log_read_begin(ctx->log, &error) >= 0)
		return TRUE;
	facts_log_failed(ctx->facts, error);
	return FALSE;
}

void facts_gather(const struct report *report, struct sent_log *log,
		  const struct own_addresses *own,
		  const struct facts_keyed *keyed,
		  const struct facts_policy *policy, time_t now,
		  struct facts *facts_r)
{
	struct facts_context ctx = {
		.report = report, .log = log, .own = own, .keyed = keyed,
		.policy = policy, .now = now, .facts = facts_r
	};
	bool held = FALSE;

	i_zero(facts_r);
	facts_gather_recipients(&ctx);
	facts_gather_from_report(&ctx);
	facts_gather_originals(&ctx);

	facts_r->verdict.log_available = facts_log_begin(&ctx);
	/* verifies without a log, too */
	facts_gather_keyed(&ctx);
	/* Each step asks a log that has answered so far. */
	if (facts_r->verdict.log_available)
		held = facts_gather_identities(&ctx) > 0;
	if (facts_r->verdict.log_available)
		facts_gather_budget(&ctx);
	/* the table doesn't ask for it where evidence holds */
	if (facts_r->verdict.log_available && !held &&
	    facts_r->verdict.keyed != VERDICT_KEYED_VALID)
		facts_gather_known_recipient(&ctx);
	if (facts_r->verdict.log_available)
		facts_gather_coverage(&ctx);
	if (log != NULL)
		sent_log_read_end(log);
	/* What was issued before coverage starts is known to be missing, perhaps;
	   the day of issue may be the day of that start. */
	facts_r->rows_lost = facts_r->verdict.log_available &&
		ctx.lost_row_issued > facts_r->coverage.start;
}

int facts_count_report(const struct facts *facts, const struct report *report,
		       struct sent_log *log, time_t now, const char **error_r)
{
	ARRAY_TYPE(const_string) recipients;
	const char *const *addresses;
	unsigned int count;

	if (facts->original.value == NULL)
		return 0;
	facts_get_counted_recipients(report, &recipients);
	addresses = array_get(&recipients, &count);
	return sent_log_count_report(log, &facts->original,
				     report_class_name(report->class),
				     addresses, count, now, error_r);
}
