/* The verdict table (docs/design.md, section 4). One struct a row, in order; the first
   one whose predicate holds decides. What the facts are made from is none of
   this file's business. */

#include "lib.h"
#include "strfuncs.h"
#include "verdict.h"

struct verdict_row {
	const char *situation;
	enum verdict verdict;
	enum verdict_reason reason;
	bool (*matches)(const struct verdict_facts *facts);
	/* what it saw; NULL = one of the two sentences below */
	const char *(*saw)(const struct verdict_facts *facts);
	/* the evidence that decided, or that was looked for in vain; NULL = the
	   Message-ID, envelope id or reference */
	enum verdict_evidence (*evidence)(const struct verdict_facts *facts);
	/* where the reason depends on more than the row; else NULL */
	enum verdict_reason (*reason_from)(const struct verdict_facts *facts);
	const char *saw_match, *saw_none;
};

static const char *const verdict_names[] = {
	[VERDICT_UNKNOWN] = "unknown",
	[VERDICT_GENUINE] = "genuine",
	[VERDICT_BACKSCATTER] = "backscatter",
};

static const char *const evidence_names[] = {
	[VERDICT_EVIDENCE_NONE] = "none",
	[VERDICT_EVIDENCE_TAG] = "tag",
	[VERDICT_EVIDENCE_ENVELOPE_ID] = "envid",
	[VERDICT_EVIDENCE_SERIAL] = "serial",
	[VERDICT_EVIDENCE_MESSAGE_ID] = "message-id",
	[VERDICT_EVIDENCE_REFERENCE] = "reference",
	[VERDICT_EVIDENCE_RECIPIENT] = "recipient",
};

static const char *const reason_names[] = {
	[VERDICT_REASON_REPLAYED] = "replayed",
	[VERDICT_REASON_TAG] = "tag",
	[VERDICT_REASON_ENVELOPE_ID] = "envid",
	[VERDICT_REASON_SERIAL] = "serial",
	[VERDICT_REASON_LOG_UNAVAILABLE] = "log-unavailable",
	[VERDICT_REASON_EXPIRED] = "expired",
	[VERDICT_REASON_OTHER_RECIPIENT] = "other-recipient",
	[VERDICT_REASON_MESSAGE_ID] = "message-id",
	[VERDICT_REASON_REFERENCE] = "reference",
	[VERDICT_REASON_NO_MATCH] = "no-match",
	[VERDICT_REASON_OTHER_ADDRESS] = "other-address",
	[VERDICT_REASON_AUTOMATIC] = "automatic",
	[VERDICT_REASON_OUR_HOST] = "our-host",
	[VERDICT_REASON_INCOMING] = "incoming",
	[VERDICT_REASON_RECIPIENT_KNOWN] = "recipient-known",
	[VERDICT_REASON_UNKNOWN_KEY] = "unknown-key",
	[VERDICT_REASON_NOT_COVERED] = "not-covered",
	[VERDICT_REASON_UNCERTAIN] = "uncertain",
	[VERDICT_REASON_BAD_SERIAL] = "bad-serial",
	[VERDICT_REASON_OTHER_SENDER] = "other-sender",
	[VERDICT_REASON_NOT_SENT] = "not-sent",
	[VERDICT_REASON_NO_IDENTITY] = "no-identity",
};

const char *verdict_name(enum verdict verdict)
{
	return verdict_names[verdict];
}

const char *verdict_reason_name(enum verdict_reason reason)
{
	return reason_names[reason];
}

const char *verdict_evidence_name(enum verdict_evidence evidence)
{
	return evidence_names[evidence];
}

/*
 * What the rows ask
 */

static bool keyed_holds(const struct verdict_facts *facts)
{
	return facts->keyed == VERDICT_KEYED_VALID;
}

static bool logged_holds(const struct verdict_facts *facts)
{
	return facts->log_available &&
		facts->logged_evidence != VERDICT_EVIDENCE_NONE;
}

static bool is_replayed(const struct verdict_facts *facts)
{
	/* the budget is in the log */
	return (keyed_holds(facts) || logged_holds(facts)) &&
		facts->log_available && facts->budget_used_up;
}

static bool is_log_unavailable(const struct verdict_facts *facts)
{
	return !facts->log_available;
}

static bool is_keyed_expired(const struct verdict_facts *facts)
{
	return facts->keyed == VERDICT_KEYED_EXPIRED && !logged_holds(facts);
}

static bool is_other_recipient(const struct verdict_facts *facts)
{
	return logged_holds(facts) && facts->recipients_compared &&
		!facts->recipient_shared;
}

static bool is_never_condemned(const struct verdict_facts *facts)
{
	return report_class_info(facts->class)->never_convicted;
}

static bool is_other_address(const struct verdict_facts *facts)
{
	return !facts->to_own_address;
}

static bool is_sent_by_software(const struct verdict_facts *facts)
{
	return facts->automatic || facts->our_host;
}

static bool is_incoming(const struct verdict_facts *facts)
{
	return facts->incoming;
}

static bool is_recipient_known(const struct verdict_facts *facts)
{
	return facts->recipient_known;
}

static bool is_of_unknown_key(const struct verdict_facts *facts)
{
	return facts->unknown_key;
}

static bool is_not_covered(const struct verdict_facts *facts)
{
	return coverage_decide(&facts->coverage) != COVERAGE_COVERED;
}

static bool is_uncertain(const struct verdict_facts *facts)
{
	return facts->shape == REPORT_SHAPE_WORDED;
}

static bool is_keyed_bad(const struct verdict_facts *facts)
{
	return facts->keyed == VERDICT_KEYED_BAD;
}

static bool is_other_sender(const struct verdict_facts *facts)
{
	return facts->original_count == 1 && !facts->claims_own_address;
}

static bool is_proof(const struct verdict_facts *facts)
{
	return facts->original_count == 1 && facts->message_id_proves;
}

static bool is_anything(const struct verdict_facts *facts ATTR_UNUSED)
{
	return TRUE;
}

/*
 * What the rows saw
 */

static const char *saw_keyed(const struct verdict_facts *facts)
{
	static const char *const keyed_states[] = {
		[VERDICT_KEYED_NONE] = "no tag, envid or serial of ours",
		[VERDICT_KEYED_UNKNOWN_KEY] = "is of a key unknown here",
		[VERDICT_KEYED_BAD] = "does not verify",
		[VERDICT_KEYED_EXPIRED] = "is older than the retention",
		[VERDICT_KEYED_VALID] = "is valid",
	};

	if (facts->keyed == VERDICT_KEYED_NONE)
		return keyed_states[facts->keyed];
	return t_strdup_printf("%s %s",
		verdict_evidence_name(facts->keyed_evidence),
		keyed_states[facts->keyed]);
}

static const char *saw_logged(const struct verdict_facts *facts)
{
	if (logged_holds(facts)) {
		return t_strdup_printf("%s is in the log",
			verdict_evidence_name(facts->logged_evidence));
	}
	if (facts->named_evidence == VERDICT_EVIDENCE_NONE)
		return "no message-id, envid or reference";
	return t_strdup_printf("%s is not in the log",
		verdict_evidence_name(facts->named_evidence));
}

static const char *saw_budget(const struct verdict_facts *facts)
{
	if (!keyed_holds(facts) && !logged_holds(facts))
		return "no evidence that could be replayed";
	return facts->budget_used_up ? "reported on too often by now" :
		"not reported on too often";
}

static const char *saw_recipients(const struct verdict_facts *facts)
{
	if (!logged_holds(facts))
		return saw_logged(facts);
	if (!facts->recipients_compared)
		return "report or log name no recipient";
	return facts->recipient_shared ?
		"report and log share a recipient or a domain" :
		"report and log share neither recipient nor domain";
}

static const char *saw_class(const struct verdict_facts *facts)
{
	return t_strdup_printf("class is %s", report_class_name(facts->class));
}

static const char *saw_sent_by_software(const struct verdict_facts *facts)
{
	if (facts->automatic)
		return "software sent the original";
	return facts->our_host ? "the original left through this site's own MTA" :
		"no sign of software or of this site's MTA in the original";
}

static const char *saw_coverage(const struct verdict_facts *facts)
{
	enum coverage_state state = coverage_decide(&facts->coverage);

	return t_strdup_printf("%s: %s", coverage_state_name(state),
			       coverage_state_explanation(state));
}

static const char *saw_shape(const struct verdict_facts *facts)
{
	static const char *const shapes[] = {
		[REPORT_SHAPE_WORDED] = "only words make it a report",
		[REPORT_SHAPE_DAEMON] = "a mailer daemon's, with a null sender",
		[REPORT_SHAPE_STRUCTURED] = "has the fields of a report",
	};

	return shapes[facts->shape];
}

static const char *saw_originals(const struct verdict_facts *facts)
{
	if (facts->original_count != 1) {
		return t_strdup_printf("%u originals are returned",
				       facts->original_count);
	}
	return facts->claims_own_address ?
		"the original claims to come from this mailbox" :
		"the original claims to come from somebody else";
}

static const char *saw_message_id(const struct verdict_facts *facts)
{
	if (facts->original_count != 1)
		return saw_originals(facts);
	return facts->message_id_proves ?
		"the original has one whole Message-ID" :
		"the original has no whole Message-ID, or several";
}

/*
 * Evidence and reasons that depend on more than the row
 */

static enum verdict_evidence evidence_keyed(const struct verdict_facts *facts)
{
	return facts->keyed_evidence;
}

static enum verdict_evidence evidence_logged(const struct verdict_facts *facts)
{
	return logged_holds(facts) ? facts->logged_evidence :
		facts->named_evidence;
}

static enum verdict_evidence evidence_held(const struct verdict_facts *facts)
{
	return keyed_holds(facts) ? facts->keyed_evidence :
		evidence_logged(facts);
}

static enum verdict_evidence
evidence_recipient(const struct verdict_facts *facts ATTR_UNUSED)
{
	return VERDICT_EVIDENCE_RECIPIENT;
}

static enum verdict_reason reason_held(const struct verdict_facts *facts)
{
	switch (evidence_held(facts)) {
	case VERDICT_EVIDENCE_TAG:
		return VERDICT_REASON_TAG;
	case VERDICT_EVIDENCE_ENVELOPE_ID:
		return VERDICT_REASON_ENVELOPE_ID;
	case VERDICT_EVIDENCE_SERIAL:
		return VERDICT_REASON_SERIAL;
	case VERDICT_EVIDENCE_MESSAGE_ID:
		return VERDICT_REASON_MESSAGE_ID;
	case VERDICT_EVIDENCE_REFERENCE:
		return VERDICT_REASON_REFERENCE;
	case VERDICT_EVIDENCE_NONE:
	case VERDICT_EVIDENCE_RECIPIENT:
		break;
	}
	i_unreached();
}

static enum verdict_reason reason_software(const struct verdict_facts *facts)
{
	return facts->automatic ? VERDICT_REASON_AUTOMATIC :
		VERDICT_REASON_OUR_HOST;
}

static const struct verdict_row verdict_rows[VERDICT_ROW_COUNT] = {
	{ "evidence holds, but was reported on too often",
	  VERDICT_UNKNOWN, VERDICT_REASON_REPLAYED,
	  is_replayed, .saw = saw_budget, .evidence = evidence_held },
	{ "tag, envid or serial is ours",
	  VERDICT_GENUINE, VERDICT_REASON_SERIAL,
	  keyed_holds, .saw = saw_keyed, .evidence = evidence_keyed,
	  .reason_from = reason_held },
	{ "the log is unavailable",
	  VERDICT_UNKNOWN, VERDICT_REASON_LOG_UNAVAILABLE,
	  is_log_unavailable,
	  .saw_match = "the log is unavailable",
	  .saw_none = "the log answered" },
	{ "keyed evidence is older than the retention",
	  VERDICT_UNKNOWN, VERDICT_REASON_EXPIRED,
	  is_keyed_expired, .saw = saw_keyed, .evidence = evidence_keyed },
	{ "logged, but sent to other recipients",
	  VERDICT_UNKNOWN, VERDICT_REASON_OTHER_RECIPIENT,
	  is_other_recipient, .saw = saw_recipients },
	{ "logged",
	  VERDICT_GENUINE, VERDICT_REASON_MESSAGE_ID,
	  logged_holds, .saw = saw_logged, .reason_from = reason_held },
	{ "class is auto-reply or arf",
	  VERDICT_UNKNOWN, VERDICT_REASON_NO_MATCH,
	  is_never_condemned, .saw = saw_class },
	{ "not addressed to an own address",
	  VERDICT_UNKNOWN, VERDICT_REASON_OTHER_ADDRESS,
	  is_other_address,
	  .saw_match = "To: has no own address",
	  .saw_none = "To: has an own address" },
	{ "software, or our own MTA, sent the original",
	  VERDICT_UNKNOWN, VERDICT_REASON_AUTOMATIC,
	  is_sent_by_software, .saw = saw_sent_by_software,
	  .reason_from = reason_software },
	{ "the original was received here",
	  VERDICT_UNKNOWN, VERDICT_REASON_INCOMING,
	  is_incoming,
	  .saw_match = "the original was sent to an own address",
	  .saw_none = "the original was sent to no own address, or from one" },
	{ "this mailbox wrote to the recipient",
	  VERDICT_UNKNOWN, VERDICT_REASON_RECIPIENT_KNOWN,
	  is_recipient_known, .evidence = evidence_recipient,
	  .saw_match = "this mailbox wrote to one of the addresses",
	  .saw_none = "this mailbox wrote to none of the addresses" },
	{ "a serial of a key that is unknown here",
	  VERDICT_UNKNOWN, VERDICT_REASON_UNKNOWN_KEY,
	  is_of_unknown_key, .evidence = evidence_keyed,
	  .saw_match = "a serial of a key unknown here, or of a colleague",
	  .saw_none = "no serial of an unknown key" },
	{ "not covered",
	  VERDICT_UNKNOWN, VERDICT_REASON_NOT_COVERED,
	  is_not_covered, .saw = saw_coverage },
	{ "only words make it a report",
	  VERDICT_UNKNOWN, VERDICT_REASON_UNCERTAIN,
	  is_uncertain, .saw = saw_shape },
	{ "keyed evidence does not verify",
	  VERDICT_BACKSCATTER, VERDICT_REASON_BAD_SERIAL,
	  is_keyed_bad, .saw = saw_keyed, .evidence = evidence_keyed },
	{ "the original claims to come from somebody else",
	  VERDICT_UNKNOWN, VERDICT_REASON_OTHER_SENDER,
	  is_other_sender, .saw = saw_originals },
	{ "one original with a whole Message-ID that was not sent",
	  VERDICT_BACKSCATTER, VERDICT_REASON_NOT_SENT,
	  is_proof, .saw = saw_message_id },
	{ "otherwise",
	  VERDICT_UNKNOWN, VERDICT_REASON_NO_IDENTITY,
	  is_anything,
	  .saw_match = "nothing decided before" },
};

void verdict_decide(const struct verdict_facts *facts,
		    struct verdict_result *result_r)
{
	const struct verdict_row *row = verdict_rows;

	while (!row->matches(facts))
		row++;

	i_zero(result_r);
	result_r->row = row - verdict_rows + 1;
	result_r->verdict = row->verdict;
	result_r->evidence = row->evidence != NULL ? row->evidence(facts) :
		evidence_logged(facts);
	result_r->reason = row->reason_from != NULL ? row->reason_from(facts) :
		row->reason;
	if (row->matches == is_not_covered)
		result_r->coverage = coverage_decide(&facts->coverage);
}

const char *verdict_row_situation(unsigned int row)
{
	i_assert(row > 0 && row <= VERDICT_ROW_COUNT);
	return verdict_rows[row - 1].situation;
}

bool verdict_row_matches(unsigned int row, const struct verdict_facts *facts,
			 const char **saw_r)
{
	const struct verdict_row *asked;
	bool matches;

	i_assert(row > 0 && row <= VERDICT_ROW_COUNT);
	asked = &verdict_rows[row - 1];
	matches = asked->matches(facts);
	if (asked->saw != NULL)
		*saw_r = asked->saw(facts);
	else
		*saw_r = matches ? asked->saw_match : asked->saw_none;
	return matches;
}
