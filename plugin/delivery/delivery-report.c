/* The delivery of one report to one recipient: judged, acted upon, logged. Which
   message and which recipient is for delivery-lmtp.c and delivery-lda.c to say;
   what the verdict is, for verdict/. */

#include "lib.h"
#include "array.h"
#include "smtp-address.h"
#include "mail-deliver.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "judging/judge.h"
#include "quarantine/quarantine-save.h"
#include "quarantine/rejudge.h"
#include "sent/catch-up.h"
#include "delivery.h"

#include <time.h>

struct delivery_report {
	pool_t pool;
	const struct report *report;
	struct backscatter_user *buser;
	struct judgement judgement;
	/* why the action is not the one that the verdict asked for */
	const char *failure;
	/* where it lies in the quarantine, if it does */
	struct sent_log_stored_report place;
	bool placed;
};

const struct report *
delivery_read_report(pool_t pool, struct istream *input, bool null_sender,
		     struct event *event)
{
	struct report *report = p_new(pool, struct report, 1);
	const char *error;
	int ret;

	ret = report_read(pool, input, null_sender ? REPORT_SENDER_NULL :
			  REPORT_SENDER_ADDRESS, report, &error);
	if (ret < 0) {
		e_error(event, "backscatter: Reading the message failed: %s - "
			"delivered unjudged", error);
	}
	return ret > 0 ? report : NULL;
}

bool delivery_sender_is_null(const struct smtp_address *mail_from)
{
	return smtp_address_isnull(mail_from) &&
		!smtp_address_is_broken(mail_from);
}

static const char *encode_address(const struct smtp_address *address)
{
	return address == NULL ? NULL : smtp_address_encode(address);
}

struct delivery_report *
delivery_report_begin(const struct report *report, struct mail_user *user,
		      const struct delivery_envelope *envelope,
		      struct event *event)
{
	struct judge_envelope judge_envelope = {
		.recipient = encode_address(envelope->recipient),
		.original_recipient =
			encode_address(envelope->original_recipient),
		.can_reject = envelope->can_reject,
	};
	struct delivery_report *delivery;
	const char *error;
	time_t now = time(NULL);
	pool_t pool = pool_alloconly_create("backscatter delivery", 1024);

	delivery = p_new(pool, struct delivery_report, 1);
	delivery->pool = pool;
	delivery->report = report;
	delivery->buser = backscatter_user_init(user, event);
	backscatter_user_make_home(delivery->buser);
	if (delivery->buser->log != NULL && delivery->buser->set->sources_valid &&
	    sent_log_set_listed_sources(delivery->buser->log, now, &error) < 0)
		backscatter_user_set_unavailable(delivery->buser, error);
	judge_report(delivery->buser, report, &judge_envelope, now,
		     &delivery->judgement);
	delivery->judgement.facts.log_error =
		p_strdup(pool, delivery->judgement.facts.log_error);
	return delivery;
}

const char *delivery_report_header(const struct delivery_report *delivery)
{
	return judgement_header(&delivery->judgement);
}

bool delivery_report_is_rejected(const struct delivery_report *delivery)
{
	return delivery->judgement.action == ACTION_REJECT;
}

static int
delivery_report_quarantine(struct delivery_report *delivery,
			   struct mail_deliver_context *ctx,
			   struct mail_storage **storage_r)
{
	const char *error, *name = delivery->buser->set->mailbox;
	int ret = quarantine_save(ctx, name, storage_r, &delivery->place, &error);

	if (ret >= 0) {
		delivery->placed = ret > 0;
		return 0;
	}
	delivery->failure = p_strdup_printf(delivery->pool,
		"quarantine in %s failed: %s - delivered as any mail", name, error);
	/* or the failed save's error would end the delivery with 451 */
	*storage_r = NULL;
	return -1;
}

bool delivery_report_act(struct delivery_report *delivery,
			 struct mail_deliver_context *ctx,
			 struct mail_storage **storage_r)
{
	*storage_r = NULL;
	switch (delivery->judgement.action) {
	case ACTION_QUARANTINE:
		return delivery_report_quarantine(delivery, ctx,
						  storage_r) == 0;
	case ACTION_DISCARD:
		return TRUE;
	case ACTION_ANNOTATE:
	case ACTION_REJECT:
	case ACTION_COUNT:
		break;
	}
	return FALSE;
}

/* The file is older than what left: perhaps a snapshot that was rolled back, with all
   that was sent since. */
static void delivery_report_restart_coverage(struct delivery_report *delivery)
{
	struct backscatter_user *buser = delivery->buser;
	time_t now = time(NULL);
	const char *error;

	if (sent_log_set_coverage(buser->log, now, SENT_LOG_COVERAGE_ROWS_LOST, now,
				  &error) < 0) {
		e_error(buser->event, "sent log %s: %s - coverage "
			"can't be restarted", buser->path, error);
		return;
	}
	e_warning(buser->event, "sent log %s: a serial that this log "
		  "issued came back and has no row, so rows were lost (a restored "
		  "snapshot?): coverage starts anew", buser->path);
}

/* What was done in the end. */
static const char *
delivery_report_action(const struct delivery_report *delivery, bool stored)
{
	if (!stored && delivery->judgement.action != ACTION_REJECT)
		return "none (delivery failed)";
	return action_name(delivery->failure != NULL ? ACTION_ANNOTATE :
			   delivery->judgement.action);
}

static void
delivery_report_log(const struct delivery_report *delivery, bool stored)
{
	const struct judgement *judgement = &delivery->judgement;
	const char *line = t_strdup_printf("%s action=%s",
		judgement_log_line(judgement, delivery->report),
		delivery_report_action(delivery, stored));

	if (delivery->failure != NULL)
		e_error(delivery->buser->event, "%s (%s)", line, delivery->failure);
	else if (judgement->result.reason == VERDICT_REASON_LOG_UNAVAILABLE &&
		 judgement->log_failed)
		e_error(delivery->buser->event, "%s", line);
	else
		e_info(delivery->buser->event, "%s", line);
}

/* A report in the quarantine may wait for a copy that was stored past the plugin. */
static void delivery_report_catch_up(struct delivery_report *delivery)
{
	struct backscatter_user *buser = delivery->buser;
	const char *error;

	/* done already, or it would have been */
	if (delivery->judgement.caught_up ||
	    delivery->judgement.not_caught_up != NULL)
		return;
	if (sent_log_has_remembered_reports(buser->log, &error) > 0)
		(void)catch_up(buser, time(NULL), &error);
}

void delivery_report_end(struct delivery_report **_delivery, bool stored)
{
	struct delivery_report *delivery = *_delivery;

	*_delivery = NULL;
	if (stored) {
		judgement_count(delivery->buser, &delivery->judgement,
				delivery->report, time(NULL));
	}
	delivery_report_log(delivery, stored);
	if (delivery->judgement.facts.rows_lost)
		delivery_report_restart_coverage(delivery);
	if (stored && delivery->judgement.facts.verdict.log_available) {
		if (delivery->placed && delivery->failure == NULL) {
			delivery->place.quarantined = TRUE;
			rejudge_remember(delivery->buser, delivery->report,
					 &delivery->judgement,
					 &delivery->place);
		}
		/* this one, if its original was logged meanwhile, and those
		   whose original was logged without a Dovecot process */
		delivery_report_catch_up(delivery);
		rejudge_due_reports(delivery->buser);
	}
	backscatter_user_deinit(&delivery->buser);
	pool_unref(&delivery->pool);
}
