/* From a report and the sent log to the facts of the verdict table. Knows the
   log's interface and the report's structure; judges nothing. */

#include "lib.h"
#include "array.h"
#include "verdict/facts.h"
#include "verdict/tag.h"

/* Replay budget (DESIGN.md section 4): reports per original, class and
   recipient. A message that failed is reported once; the rest is slack for
   relays that report twice. */
#define FACTS_BUDGET_FAILED 3
#define FACTS_BUDGET_OTHER 30
/* Reports on recipients that the log doesn't know (a list's members, a
   forwarded copy) share one budget: the message's recipients and this. */
#define FACTS_BUDGET_UNKNOWN_RECIPIENTS 100
/* The same for an original that isn't in the log: a colleague sent it as this
   mailbox (site key), to nobody knows how many. */
#define FACTS_BUDGET_UNKNOWN_MESSAGE 1000

/* Own addresses that a serial is tried with: each costs an HMAC. The settings'
   are always tried, To: of a report as far as there is room. */
#define FACTS_MAX_RETURN_ADDRESSES 100
/* Tagged addresses that are looked at in one report. */
#define FACTS_MAX_TAGS 8

/* Message-IDs that Pigeonhole gives to what it sends itself. */
#define SIEVE_MESSAGE_ID_PREFIX "dovecot-sieve-"

struct facts_context {
	const struct report *report;
	struct sent_log *log;
	const struct facts_keyed *keyed;
	time_t now;
	unsigned int retention;
	struct facts *facts;
	/* addresses that the original may have been sent from, lower-case and
	   without detail */
	ARRAY_TYPE(const_string) return_addresses;
	unsigned int tag_count;
	/* final and original recipients of the report, without doubles */
	ARRAY_TYPE(const_string) recipients;
};

static void facts_log_failed(struct facts *facts, const char *error)
{
	facts->verdict.log_available = FALSE;
	facts->log_error = t_strdup(error);
}

static void add_address(ARRAY_TYPE(const_string) *addresses, const char *address)
{
	const char *known;

	if (address == NULL)
		return;
	array_foreach_elem(addresses, known) {
		if (strcmp(known, address) == 0)
			return;
	}
	array_push_back(addresses, &address);
}

static void gather_recipients(struct facts_context *ctx)
{
	const struct report_recipient *recipient;

	t_array_init(&ctx->recipients, 8);
	array_foreach(&ctx->report->recipients, recipient) {
		add_address(&ctx->recipients, recipient->original_recipient);
		add_address(&ctx->recipients, recipient->final_recipient);
	}
}

static enum verdict_evidence named_evidence(const struct report *report)
{
	if (array_count(&report->message_ids) > 0)
		return VERDICT_EVIDENCE_MESSAGE_ID;
	if (report->envelope_id != NULL)
		return VERDICT_EVIDENCE_ENVELOPE_ID;
	if (array_count(&report->references) > 0)
		return VERDICT_EVIDENCE_REFERENCE;
	return VERDICT_EVIDENCE_NONE;
}

static void
gather_from_report(struct facts_context *ctx, const struct own_addresses *own)
{
	const struct report *report = ctx->report;
	struct verdict_facts *verdict = &ctx->facts->verdict;
	const struct report_message_id *message_id;
	const char *address;

	verdict->class = report->class;
	verdict->truncated = report->truncated;
	verdict->named_evidence = named_evidence(report);
	array_foreach(&report->message_ids, message_id) {
		if (ctx->facts->original_message_id == NULL)
			ctx->facts->original_message_id = message_id->written;
		/* the returned part may stand behind what was read */
		if (message_id->whole &&
		    (message_id->returned || !report->truncated))
			verdict->whole_message_id = TRUE;
		if (strncmp(message_id->id, SIEVE_MESSAGE_ID_PREFIX,
			    strlen(SIEVE_MESSAGE_ID_PREFIX)) == 0)
			verdict->server_sent = TRUE;
	}
	array_foreach_elem(&report->redirected_from, address) {
		if (own_addresses_match(own, address))
			verdict->server_sent = TRUE;
	}
	array_foreach_elem(&report->to, address) {
		if (own_addresses_match(own, address))
			verdict->to_own_address = TRUE;
	}
}

/*
 * Keyed evidence
 */

static enum verdict_keyed keyed_from_status(enum serial_status status)
{
	static const enum verdict_keyed keyed[] = {
		[SERIAL_BAD_FORM] = VERDICT_KEYED_NONE,
		[SERIAL_UNKNOWN_KEY] = VERDICT_KEYED_UNKNOWN_KEY,
		[SERIAL_WRONG_MAC] = VERDICT_KEYED_BAD,
		[SERIAL_EXPIRED] = VERDICT_KEYED_EXPIRED,
		[SERIAL_VALID] = VERDICT_KEYED_VALID,
	};

	return keyed[status];
}

/* Returns 1 if the log has this serial, 0 if not or if it doesn't answer. */
static int find_serial(struct facts_context *ctx, const char *serial)
{
	const struct sent_log_identity identity = {
		.kind = SENT_LOG_IDENTITY_SERIAL, .value = serial
	};
	struct sent_log_entry entry;
	const char *error;
	int ret;

	if (!ctx->facts->verdict.log_available)
		return 0;
	ret = sent_log_find(ctx->log, &identity, NULL, 0, ctx->now, &entry,
			    &error);
	if (ret < 0)
		facts_log_failed(ctx->facts, error);
	return ret > 0 ? 1 : 0;
}

static enum serial_status
verify_serial(struct facts_context *ctx, const char *serial)
{
	struct serial_check check;
	unsigned int count;
	const char *const *addresses =
		array_get(&ctx->return_addresses, &count);

	serial_verify(ctx->keyed->keys, serial, addresses, count,
		      ctx->now - ctx->retention, &check);
	return check.status;
}

static enum verdict_keyed
check_serial(struct facts_context *ctx, const char *serial)
{
	if (find_serial(ctx, serial) > 0)
		return VERDICT_KEYED_VALID;
	return keyed_from_status(verify_serial(ctx, serial));
}

/* One candidate; the best one stays. */
static void gather_serial(struct facts_context *ctx, const char *text,
			  enum verdict_evidence evidence)
{
	struct verdict_facts *verdict = &ctx->facts->verdict;
	char serial[SERIAL_TEXT_SIZE];
	enum verdict_keyed keyed;

	if (!serial_normalise(text, serial))
		return;
	keyed = check_serial(ctx, serial);
	if (keyed <= verdict->keyed)
		return;
	verdict->keyed = keyed;
	verdict->keyed_evidence = evidence;
	if (keyed == VERDICT_KEYED_VALID) {
		ctx->facts->original.kind = SENT_LOG_IDENTITY_SERIAL;
		ctx->facts->original.value = t_strdup(serial);
	}
}

static void gather_tag(struct facts_context *ctx, const char *address)
{
	const char *serial = tag_get_serial(address, ctx->keyed->delimiters);

	if (serial == NULL || ctx->tag_count == FACTS_MAX_TAGS)
		return;
	ctx->tag_count++;
	gather_serial(ctx, serial, VERDICT_EVIDENCE_TAG);
}

/* A key that is unknown is no evidence, but says that a colleague, another host or
   a later version of us may have sent the original. */
static bool serial_is_unknown(struct facts_context *ctx, const char *text)
{
	enum serial_status status = verify_serial(ctx, text);

	return status == SERIAL_BAD_FORM || status == SERIAL_UNKNOWN_KEY;
}

static void gather_keyed(struct facts_context *ctx)
{
	const struct report *report = ctx->report;
	const char *const *recipient, *address;

	for (recipient = ctx->keyed->envelope_recipients;
	     *recipient != NULL; recipient++)
		gather_tag(ctx, *recipient);
	if (report->envelope_id != NULL) {
		gather_serial(ctx, report->envelope_id,
			      VERDICT_EVIDENCE_ENVELOPE_ID);
	}
	if (report->serial != NULL) {
		gather_serial(ctx, report->serial, VERDICT_EVIDENCE_SERIAL);
		ctx->facts->serial_of_unknown_key =
			serial_is_unknown(ctx, report->serial);
	}
	/* an MTA may have taken the detail off the envelope */
	array_foreach_elem(&report->to, address)
		gather_tag(ctx, address);
}

/* What the original may have been sent from: own addresses, and those that the
   envelope names. Of a whole domain of own addresses, the one in To: is tried. */
static void gather_return_addresses(struct facts_context *ctx,
				    const struct own_addresses *own)
{
	const char *const *list, *address;

	t_array_init(&ctx->return_addresses, 8);
	for (list = own_addresses_list(own, pool_datastack_create());
	     *list != NULL; list++)
		add_address(&ctx->return_addresses, *list);
	for (list = ctx->keyed->envelope_recipients; *list != NULL; list++) {
		add_address(&ctx->return_addresses,
			    own_addresses_without_detail(own, *list));
	}
	array_foreach_elem(&ctx->report->to, address) {
		if (array_count(&ctx->return_addresses) >=
		    FACTS_MAX_RETURN_ADDRESSES)
			break;
		if (own_addresses_match(own, address)) {
			add_address(&ctx->return_addresses,
				    own_addresses_without_detail(own, address));
		}
	}
}

/* Looks one identity up. An identity with a recipient in common, or nothing to
   compare, beats one that was sent to others. */
static int
gather_identity(struct facts_context *ctx, enum sent_log_identity_kind kind,
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
static int gather_identities(struct facts_context *ctx)
{
	const struct report *report = ctx->report;
	const struct report_message_id *message_id;
	const char *reference;
	int ret;

	array_foreach(&report->message_ids, message_id) {
		ret = gather_identity(ctx, SENT_LOG_IDENTITY_MESSAGE_ID,
				      message_id->id,
				      VERDICT_EVIDENCE_MESSAGE_ID);
		if (ret != 0)
			return ret;
	}
	if (report->envelope_id != NULL) {
		ret = gather_identity(ctx, SENT_LOG_IDENTITY_ENVELOPE_ID,
				      report->envelope_id,
				      VERDICT_EVIDENCE_ENVELOPE_ID);
		if (ret != 0)
			return ret;
	}
	array_foreach_elem(&report->references, reference) {
		ret = gather_identity(ctx, SENT_LOG_IDENTITY_MESSAGE_ID,
				      reference, VERDICT_EVIDENCE_REFERENCE);
		if (ret != 0)
			return ret;
	}
	return 0;
}

/* RFC 3464, 2.3.2: whom the reporter gave up on. */
static const char *counted_recipient(const struct report_recipient *recipient)
{
	if (recipient->final_recipient != NULL)
		return recipient->final_recipient;
	return recipient->original_recipient;
}

static void
get_counted_recipients(const struct report *report,
		       ARRAY_TYPE(const_string) *recipients_r)
{
	const struct report_recipient *recipient;
	const char *none = "";

	t_array_init(recipients_r, 4);
	array_foreach(&report->recipients, recipient)
		add_address(recipients_r, counted_recipient(recipient));
	if (array_count(recipients_r) == 0)
		array_push_back(recipients_r, &none);
}

static unsigned int
replay_budget(enum report_class class, const struct sent_log_report_count *count)
{
	if (count->recipient_count == 0)
		return FACTS_BUDGET_UNKNOWN_MESSAGE;
	if (!count->recipient_matches) {
		return count->recipient_count +
			FACTS_BUDGET_UNKNOWN_RECIPIENTS;
	}
	return class == REPORT_CLASS_DSN_FAILED ||
		class == REPORT_CLASS_BOUNCE ?
		FACTS_BUDGET_FAILED : FACTS_BUDGET_OTHER;
}

/* Used up only if it is so for every recipient named: an alias that fans out
   fails for each member. */
static void gather_budget(struct facts_context *ctx)
{
	ARRAY_TYPE(const_string) recipients;
	struct sent_log_report_count count;
	const char *recipient, *error;

	if (ctx->facts->original.value == NULL)
		return;
	get_counted_recipients(ctx->report, &recipients);
	array_foreach_elem(&recipients, recipient) {
		if (sent_log_get_report_count(
				ctx->log, &ctx->facts->original,
				report_class_name(ctx->report->class),
				recipient, &count, &error) < 0) {
			facts_log_failed(ctx->facts, error);
			return;
		}
		if (count.reports < replay_budget(ctx->report->class, &count))
			return;
	}
	ctx->facts->verdict.budget_used_up = TRUE;
}

/* Returns 1 if this mailbox wrote to one of the addresses. */
static int
find_recipient(struct facts_context *ctx,
	       const ARRAY_TYPE(const_string) *addresses)
{
	const char *address, *error;
	int ret;

	array_foreach_elem(addresses, address) {
		ret = sent_log_find_recipient(ctx->log, address, ctx->now,
					      &error);
		if (ret < 0)
			facts_log_failed(ctx->facts, error);
		if (ret != 0)
			return ret;
	}
	return 0;
}

static void gather_known_recipient(struct facts_context *ctx)
{
	int ret = find_recipient(ctx, &ctx->recipients);

	if (ret == 0)
		ret = find_recipient(ctx, &ctx->report->original_to);
	ctx->facts->verdict.recipient_known = ret > 0;
}

static void
gather_coverage(struct facts_context *ctx, const struct facts_policy *policy)
{
	struct facts *facts = ctx->facts;
	struct coverage_facts *coverage = &facts->verdict.coverage;
	const char *error;
	int ret;

	coverage->sources_listed = policy->listed_sources != 0;
	coverage->late_report = ctx->report->class == REPORT_CLASS_MDN;
	coverage->since = policy->since;
	coverage->now = ctx->now;
	coverage->report_age = policy->report_age;
	coverage->retention = policy->retention;
	coverage->original_date = ctx->report->original_date;
	coverage->arrival_date = ctx->report->arrival_date;

	if (sent_log_get_coverage(ctx->log, ctx->now, &facts->coverage,
				  &error) < 0) {
		facts_log_failed(facts, error);
		return;
	}
	/* a delivery would find another list than the one stored, and restart */
	coverage->log_start =
		facts->coverage.listed_sources == policy->listed_sources ?
		facts->coverage.start : ctx->now;
	facts->verdict.log_has_rows = facts->coverage.has_rows;

	if (policy->listed_sources == 0 ||
	    (policy->listed_sources & SENT_LOG_SOURCE_SENT) != 0)
		return;
	ret = sent_log_find_unlisted_copy(ctx->log, coverage_start(coverage),
					  ctx->now, &facts->unlisted_copy,
					  &error);
	if (ret < 0)
		facts_log_failed(facts, error);
	coverage->unlisted_copy = ret > 0;
}

void facts_gather(const struct report *report, struct sent_log *log,
		  const struct own_addresses *own,
		  const struct facts_keyed *keyed,
		  const struct facts_policy *policy, time_t now,
		  struct facts *facts_r)
{
	struct facts_context ctx = {
		.report = report, .log = log, .keyed = keyed, .now = now,
		.retention = policy->retention, .facts = facts_r
	};
	const char *error;

	i_zero(facts_r);
	gather_recipients(&ctx);
	gather_return_addresses(&ctx, own);
	gather_from_report(&ctx, own);

	facts_r->verdict.log_available = log != NULL;
	if (log != NULL && sent_log_open(log, now, &error) < 0)
		facts_log_failed(facts_r, error);
	/* verifies without a log, too */
	gather_keyed(&ctx);
	/* Each step asks a log that has answered so far. */
	if (facts_r->verdict.log_available)
		(void)gather_identities(&ctx);
	if (facts_r->verdict.log_available)
		gather_budget(&ctx);
	if (facts_r->verdict.log_available)
		gather_known_recipient(&ctx);
	if (facts_r->verdict.log_available)
		gather_coverage(&ctx, policy);
}

int facts_count_report(const struct facts *facts, const struct report *report,
		       struct sent_log *log, time_t now, const char **error_r)
{
	ARRAY_TYPE(const_string) recipients;
	const char *const *addresses;
	unsigned int count;

	if (facts->original.value == NULL)
		return 0;
	get_counted_recipients(report, &recipients);
	addresses = array_get(&recipients, &count);
	return sent_log_count_report(log, &facts->original,
				     report_class_name(report->class),
				     addresses, count, now, error_r);
}
