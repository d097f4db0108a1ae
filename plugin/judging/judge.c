/* Brings the mailbox's log, the verdict table and the actions together, and words the
   result: the header's value and the log line. */

#include "lib.h"
#include "hostpid.h"
#include "str.h"
#include "str-sanitize.h"
#include "compat/dovecot-compat.h"
#include "report/report-scan.h"
#include "sent/catch-up.h"
#include "judge.h"

#define JUDGE_LOG_MESSAGE_ID_MAX 200

static void
judge_gather(struct backscatter_user *buser, const struct report *report,
	     const struct judge_envelope *envelope, time_t now,
	     struct facts *facts_r)
{
	const char *const host_names[] = { my_hostname, my_hostdomain(), NULL };
	struct facts_policy policy = {
		.coverage = backscatter_user_coverage_policy(buser),
		.host_names = host_names,
	};
	struct own_addresses *own =
		backscatter_user_own_addresses(buser, envelope->recipient,
					  pool_datastack_create());
	const char *const envelope_recipients[] = {
		envelope->recipient != NULL ? envelope->recipient :
			envelope->original_recipient,
		envelope->recipient != NULL ? envelope->original_recipient :
			NULL,
		NULL
	};
	struct serial_keys keys, mailbox_keys;
	const struct facts_keyed keyed = {
		.keys = &keys,
		.mailbox_keys = &mailbox_keys,
		.envelope_recipients = envelope_recipients,
		.delimiters = compat_recipient_delimiter(buser->user,
							 pool_datastack_create()),
	};

	keys.count = mailbox_keys.count = 0;
	if (facts_has_keyed(report, &keyed))
		backscatter_user_get_keys(buser, now, &keys, &mailbox_keys);
	facts_gather(report, buser->log, own, &keyed, &policy, now, facts_r);
	serial_keys_clear(&keys);
	serial_keys_clear(&mailbox_keys);
	if (buser->log == NULL)
		facts_r->log_error = buser->error;
	if (facts_r->log_error != NULL && buser->path != NULL) {
		facts_r->log_error = t_strdup_printf("sent log %s: %s",
			buser->path, facts_r->log_error);
	}
}

/* The log isn't what it has to be in order to convict. */
static void
judge_without_proof(enum catch_up_result caught_up, const char *error,
		    struct judgement *judgement)
{
	struct facts *facts = &judgement->facts;

	judgement->not_caught_up = error;
	if (caught_up == CATCH_UP_UNREADABLE)
		facts->verdict.coverage.unread_copies = TRUE;
	else
		facts->verdict.log_available = FALSE;
	verdict_decide(&facts->verdict, &judgement->result);
	if (judgement->result.verdict != VERDICT_BACKSCATTER)
		return;
	facts->verdict.log_available = FALSE;
	verdict_decide(&facts->verdict, &judgement->result);
}

/* Would the log still answer as it did when the facts were gathered? In doubt it would
   not. */
static bool judge_log_is_unchanged(struct backscatter_user *buser)
{
	const char *error;

	return buser->log != NULL &&
		sent_log_is_unchanged(buser->log, &error) > 0;
}

/* Only a log that has been brought up to date may convict. */
static void
judge_caught_up(struct backscatter_user *buser, const struct report *report,
		const struct judge_envelope *envelope, time_t now,
		struct judgement *judgement)
{
	const char *error;
	enum catch_up_result caught_up = catch_up(buser, now, &error);

	if (!judge_log_is_unchanged(buser)) {
		judge_gather(buser, report, envelope, now, &judgement->facts);
		verdict_decide(&judgement->facts.verdict, &judgement->result);
	}
	judgement->caught_up = caught_up == CATCH_UP_DONE;
	judgement->log_failed = caught_up == CATCH_UP_FAILED ||
		!judgement->facts.verdict.log_available;
	if (caught_up != CATCH_UP_DONE &&
	    judgement->result.verdict == VERDICT_BACKSCATTER)
		judge_without_proof(caught_up, error, judgement);
}

void judge_report(struct backscatter_user *buser, const struct report *report,
		  const struct judge_envelope *envelope, time_t now,
		  struct judgement *judgement_r)
{
	struct action_facts action_facts;

	i_zero(judgement_r);
	judge_gather(buser, report, envelope, now, &judgement_r->facts);
	judgement_r->log_failed = !judgement_r->facts.verdict.log_available;
	verdict_decide(&judgement_r->facts.verdict, &judgement_r->result);
	if (judgement_r->result.verdict == VERDICT_BACKSCATTER)
		judge_caught_up(buser, report, envelope, now, judgement_r);

	i_zero(&action_facts);
	action_facts.wanted = buser->set->action.of[report->class];
	action_facts.only_submission_listed =
		buser->set->sources == SENT_LOG_SOURCE_SUBMISSION;
	action_facts.can_reject = envelope->can_reject;
	judgement_r->action = action_decide(&judgement_r->facts.verdict,
					    &judgement_r->result,
					    &action_facts);
}

void judgement_count(struct backscatter_user *buser,
		     const struct judgement *judgement,
		     const struct report *report, time_t now)
{
	const char *error;

	/* only what a report on this original has earned: others may not use
	   up its budget */
	if (judgement->facts.verdict.log_available &&
	    judgement->result.verdict == VERDICT_GENUINE &&
	    facts_count_report(&judgement->facts, report, buser->log, now,
			       &error) < 0)
		e_error(buser->event, "Counting a report failed: %s", error);
}

const char *judgement_header(const struct judgement *judgement)
{
	const struct verdict_result *result = &judgement->result;
	string_t *value = t_str_new(128);

	str_printfa(value, REPORT_VERDICT_HEADER": %s; class=%s; reason=%s",
		    verdict_name(result->verdict),
		    report_class_name(judgement->facts.verdict.class),
		    verdict_reason_name(result->reason));
	if (result->evidence != VERDICT_EVIDENCE_NONE) {
		str_printfa(value, "; evidence=%s",
			    verdict_evidence_name(result->evidence));
	}
	str_append(value, "\r\n");
	return str_c(value);
}

static const char *log_message_id(const char *message_id)
{
	if (message_id == NULL)
		return "unspecified";
	return t_strdup_printf("<%s>",
		str_sanitize(message_id, JUDGE_LOG_MESSAGE_ID_MAX));
}

/* What an administrator should know beside verdict and reason. */
static const char *judgement_hint(const struct judgement *judgement)
{
	if (judgement->not_caught_up != NULL)
		return judgement->not_caught_up;
	switch (judgement->result.reason) {
	case VERDICT_REASON_LOG_UNAVAILABLE:
		return judgement->facts.log_error;
	case VERDICT_REASON_NOT_COVERED:
		return coverage_state_explanation(judgement->result.coverage);
	default:
		return NULL;
	}
}

const char *judgement_log_line(const struct judgement *judgement,
			       const struct report *report)
{
	const struct verdict_result *result = &judgement->result;
	const char *hint = judgement_hint(judgement);
	string_t *line = t_str_new(256);

	str_printfa(line, "msgid=%s: report class=%s verdict=%s reason=%s "
		    "evidence=%s original-msgid=%s",
		    log_message_id(report->message_id_written),
		    report_class_name(report->class),
		    verdict_name(result->verdict),
		    verdict_reason_name(result->reason),
		    verdict_evidence_name(result->evidence),
		    log_message_id(judgement->facts.original_message_id));
	if (hint != NULL)
		str_printfa(line, " (%s)", hint);
	return str_c(line);
}
