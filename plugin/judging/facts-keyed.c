/* Keyed evidence: tag, envelope id and serial of a report, looked up in the log and
   verified. */

#include "lib.h"
#include "facts-private.h"
#include "verdict/tag.h"

/* Own addresses that a serial is tried with: each costs an HMAC. The settings'
   are always tried, To: of a report as far as there is room. */
#define FACTS_MAX_RETURN_ADDRESSES 100
/* Addresses of the returned header that a serial is tried with. */
#define FACTS_MAX_OTHER_ADDRESSES 20
/* Tagged addresses that are looked at in one report. */
#define FACTS_MAX_TAGS 8

/* Returns 1 if the log has this serial, 0 if not, -1 if it doesn't answer. */
static int find_serial(struct facts_context *ctx, const char *serial)
{
	const struct sent_log_identity identity = {
		.kind = SENT_LOG_IDENTITY_SERIAL, .value = serial
	};
	struct sent_log_entry entry;
	const char *error;
	int ret;

	if (!ctx->facts->verdict.log_available)
		return -1;
	ret = sent_log_find(ctx->log, &identity, NULL, 0, ctx->now, &entry,
			    &error);
	if (ret < 0)
		facts_log_failed(ctx->facts, error);
	return ret;
}

static enum serial_status
verify_serial(struct facts_context *ctx,
	      const ARRAY_TYPE(const_string) *addresses, const char *serial,
	      struct serial_check *check_r)
{
	unsigned int count;
	const char *const *list = array_get(addresses, &count);

	serial_verify(ctx->keyed->keys, serial, list, count,
		      ctx->now - (time_t)ctx->policy->coverage.retention, check_r);
	return check_r->status;
}

/* A serial of the mailbox's own key was logged before it left. One that verifies and
   isn't there says that the file is older than the serial (a snapshot that was rolled
   back). */
static void
note_lost_row(struct facts_context *ctx, const struct serial_check *check)
{
	const struct serial_keys *keys = ctx->keyed->mailbox_keys;
	size_t i;

	for (i = 0; i < keys->count; i++) {
		if (keys->keys[i].id == check->key_id)
			ctx->lost_row_issued = check->issued;
	}
}

static enum verdict_keyed
check_serial(struct facts_context *ctx, const char *serial)
{
	struct serial_check check;
	int logged = find_serial(ctx, serial);

	if (logged > 0)
		return VERDICT_KEYED_VALID;
	switch (verify_serial(ctx, &ctx->return_addresses, serial, &check)) {
	case SERIAL_VALID:
		if (logged == 0)
			note_lost_row(ctx, &check);
		return VERDICT_KEYED_VALID;
	case SERIAL_EXPIRED:
		return VERDICT_KEYED_EXPIRED;
	case SERIAL_WRONG_MAC:
		/* a colleague sent it, or the user as an address that he no
		   longer has */
		if (array_count(&ctx->other_addresses) == 0 ||
		    verify_serial(ctx, &ctx->other_addresses, serial,
				  &check) == SERIAL_WRONG_MAC)
			return VERDICT_KEYED_BAD;
		break;
	case SERIAL_BAD_FORM:
	case SERIAL_UNKNOWN_KEY:
		break;
	}
	return VERDICT_KEYED_UNKNOWN_KEY;
}

/* One candidate; the best one stays. */
static void gather_serial(struct facts_context *ctx, const char *text,
			  enum verdict_evidence evidence)
{
	struct verdict_facts *verdict = &ctx->facts->verdict;
	char serial[SERIAL_TEXT_SIZE];
	enum verdict_keyed keyed;

	if (!serial_is_well_formed(text))
		return;
	/* a later version of us: nothing that could be looked up */
	keyed = !serial_normalise(text, serial) ? VERDICT_KEYED_UNKNOWN_KEY :
		check_serial(ctx, serial);
	if (keyed == VERDICT_KEYED_UNKNOWN_KEY)
		verdict->unknown_key = TRUE;
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

/* What the original may have been sent from: own addresses, and those that the
   envelope names. Of a whole domain of own addresses, the one in To: is tried. */
static void gather_return_addresses(struct facts_context *ctx)
{
	const struct own_addresses *own = ctx->own;
	const char *const *list, *address;

	t_array_init(&ctx->return_addresses, 8);
	for (list = own_addresses_list(own, pool_datastack_create());
	     *list != NULL; list++)
		facts_add_address(&ctx->return_addresses, *list);
	for (list = ctx->keyed->envelope_recipients; *list != NULL; list++) {
		facts_add_address(&ctx->return_addresses,
			    own_addresses_without_detail(own, *list));
	}
	array_foreach_elem(&ctx->report->to, address) {
		if (array_count(&ctx->return_addresses) >=
		    FACTS_MAX_RETURN_ADDRESSES)
			break;
		if (own_addresses_match(own, address)) {
			facts_add_address(&ctx->return_addresses,
				    own_addresses_without_detail(own, address));
		}
	}
}

static void
add_other_addresses(struct facts_context *ctx,
		    const ARRAY_TYPE(const_string) *addresses)
{
	const char *address;

	array_foreach_elem(addresses, address) {
		if (array_count(&ctx->other_addresses) >=
		    FACTS_MAX_OTHER_ADDRESSES)
			return;
		facts_add_address(&ctx->other_addresses,
			own_addresses_without_detail(ctx->own, address));
	}
}

/* Whose serial it may be, if it is not this mailbox's. */
static void gather_other_addresses(struct facts_context *ctx)
{
	const struct report_original *original;

	t_array_init(&ctx->other_addresses, 8);
	array_foreach(&ctx->report->originals, original) {
		add_other_addresses(ctx, &original->from);
		add_other_addresses(ctx, &original->return_paths);
	}
	add_other_addresses(ctx, &ctx->report->original_senders);
}

static bool is_tagged(const char *address, const struct facts_keyed *keyed)
{
	const char *serial = tag_get_serial(address, keyed->delimiters);

	return serial != NULL && serial_is_well_formed(serial);
}

bool facts_has_keyed(const struct report *report,
		     const struct facts_keyed *keyed)
{
	const char *const *recipient, *address, *serial;

	for (recipient = keyed->envelope_recipients; *recipient != NULL; recipient++) {
		if (is_tagged(*recipient, keyed))
			return TRUE;
	}
	array_foreach_elem(&report->to, address) {
		if (is_tagged(address, keyed))
			return TRUE;
	}
	array_foreach_elem(&report->serials, serial) {
		if (serial_is_well_formed(serial))
			return TRUE;
	}
	return report->envelope_id != NULL &&
		serial_is_well_formed(report->envelope_id);
}

void facts_gather_keyed(struct facts_context *ctx)
{
	const struct report *report = ctx->report;
	const char *const *recipient, *address, *serial;

	gather_return_addresses(ctx);
	gather_other_addresses(ctx);
	for (recipient = ctx->keyed->envelope_recipients;
	     *recipient != NULL; recipient++)
		gather_tag(ctx, *recipient);
	if (report->envelope_id != NULL) {
		gather_serial(ctx, report->envelope_id,
			      VERDICT_EVIDENCE_ENVELOPE_ID);
	}
	array_foreach_elem(&report->serials, serial)
		gather_serial(ctx, serial, VERDICT_EVIDENCE_SERIAL);
	/* an MTA may have taken the detail off the envelope */
	array_foreach_elem(&report->to, address)
		gather_tag(ctx, address);
}
