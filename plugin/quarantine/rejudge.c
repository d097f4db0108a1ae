/* Reports that are judged again: remembered when they are filed, judged when their
   original was logged. Where mail lies and how it moves is for quarantine.c. */

#include "lib.h"
#include "file-lock.h"
#include "quarantine.h"
#include "rejudge.h"
#include "array.h"
#include "ioloop.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "user/backscatter-user.h"

#include <time.h>

/* Remembering */

/* What identifies an original, at most; the best evidence stands first. */
#define REJUDGE_MAX_IDENTITIES 16

ARRAY_DEFINE_TYPE(sent_log_identity, struct sent_log_identity);

static void
rejudge_add_identity(ARRAY_TYPE(sent_log_identity) *identities,
	     enum sent_log_identity_kind kind, const char *value)
{
	struct sent_log_identity *identity;

	if (value == NULL ||
	    array_count(identities) >= REJUDGE_MAX_IDENTITIES)
		return;
	identity = array_append_space(identities);
	identity->kind = kind;
	identity->value = value;
}

/* text: the serial header, or an envelope id, which may be a serial. */
static void
rejudge_add_serial(ARRAY_TYPE(sent_log_identity) *identities, const char *text)
{
	char serial[SERIAL_TEXT_SIZE];

	if (text != NULL && serial_normalise(text, serial)) {
		rejudge_add_identity(identities, SENT_LOG_IDENTITY_SERIAL,
			     t_strdup(serial));
	}
}

/* All that facts.c looks for in the log. */
static void
rejudge_get_identities(const struct report *report,
	       ARRAY_TYPE(sent_log_identity) *identities_r)
{
	const struct report_message_id *message_id;
	const char *reference, *serial;

	t_array_init(identities_r, REJUDGE_MAX_IDENTITIES);
	array_foreach_elem(&report->serials, serial)
		rejudge_add_serial(identities_r, serial);
	rejudge_add_serial(identities_r, report->envelope_id);
	rejudge_add_identity(identities_r, SENT_LOG_IDENTITY_ENVELOPE_ID,
		     report->envelope_id);
	array_foreach(&report->message_ids, message_id) {
		rejudge_add_identity(identities_r, SENT_LOG_IDENTITY_MESSAGE_ID,
			     message_id->id);
	}
	array_foreach_elem(&report->references, reference) {
		rejudge_add_identity(identities_r, SENT_LOG_IDENTITY_MESSAGE_ID,
			     reference);
	}
}

void rejudge_remember(struct backscatter_user *buser, const struct report *report,
		      const struct judgement *judgement,
		      const struct sent_log_stored_report *place)
{
	ARRAY_TYPE(sent_log_identity) identities;
	const struct sent_log_identity *first;
	const char *error;
	unsigned int count;

	if (judgement->result.verdict == VERDICT_GENUINE ||
	    judgement->facts.original.value != NULL)
		return;
	rejudge_get_identities(report, &identities);
	first = array_get(&identities, &count);
	if (count == 0)
		return;
	if (sent_log_remember_report(buser->log, place, first, count,
				     report_class_info(report->class)->late ?
				     buser->set->retention : buser->set->report_age,
				     time(NULL), &error) < 0) {
		e_error(buser->event, "sent log %s: %s - the report "
			"won't be judged again", buser->path, error);
	}
}

/* Judging again */

/* A call's work: the rest is still due the next time. */
#define REJUDGE_MAX_REPORTS 100
/* INBOX over quota, most likely: so will the next ones be. */
#define REJUDGE_MAX_FAILURES 10
/* Longer than another process takes for all its reports. */
#define REJUDGE_LOCK_SECS 10
#define REJUDGE_SUFFIX ".rejudge"

struct rejudge_context {
	struct backscatter_user *buser;
	/* A process was interrupted while it moved reports: one of them may be in
	   INBOX already. */
	bool interrupted;
	/* opened when the first report needs it: 1, 0 = there is none */
	int opened;
	struct quarantine quarantine;
};

static int
rejudge_forget(struct rejudge_context *ctx,
	       const struct sent_log_stored_report *place, const char **error_r)
{
	const char *error;

	if (sent_log_forget_report(ctx->buser->log, place->id, &error) >= 0)
		return 0;
	*error_r = t_strdup_printf("sent log %s: %s", ctx->buser->path, error);
	return -1;
}

/* The envelope is gone. LMTP has written Return-Path; lda writes none, and then it
   was the null sender that made a report of this message. */
static int
rejudge_read(struct istream *input, pool_t pool, struct report *report_r,
	     const char **error_r)
{
	int ret;

	ret = report_read(pool, input, REPORT_SENDER_UNKNOWN, report_r, error_r);
	if (ret == 0) {
		ret = report_read(pool, input, REPORT_SENDER_NULL, report_r,
				  error_r);
	}
	if (ret > 0)
		return 0;
	if (ret == 0)
		*error_r = "it doesn't read as a report any more";
	return -1;
}

static void
rejudge_log(struct rejudge_context *ctx, const struct report *report,
	    const struct judgement *judgement, const char *action)
{
	e_info(ctx->buser->event, "%s action=%s",
	       judgement_log_line(judgement, report), action);
}

/* Puts the report that was found into INBOX, once. */
static int
rejudge_copy(struct rejudge_context *ctx, const struct judgement *judgement,
	     const char **error_r)
{
	int ret = !ctx->interrupted ? 0 :
		quarantine_is_in_inbox(&ctx->quarantine, error_r);

	if (ret != 0)
		return ret < 0 ? -1 : 0;
	return quarantine_copy_to_inbox(&ctx->quarantine,
					judgement_header(judgement), error_r);
}

/* The report is in INBOX. Either of these keeps it from being moved once more:
   what is expunged isn't found, what is forgotten isn't looked for. If this process
   ends before both, the lock file stays and tells the next one. */
static void
rejudge_moved(struct rejudge_context *ctx,
	      const struct sent_log_stored_report *place)
{
	const char *error;

	if (quarantine_expunge(&ctx->quarantine, &error) < 0) {
		e_error(ctx->buser->event, "A report was copied to "
			"INBOX, but expunging UID %u failed: %s", place->uid,
			error);
	}
	if (rejudge_forget(ctx, place, &error) < 0)
		e_error(ctx->buser->event, "%s", error);
}

/* Judges the report that was found, and moves it if it is no backscatter. */
static int
rejudge_found(struct rejudge_context *ctx, const struct report *report,
	      const struct sent_log_stored_report *place, const char **error_r)
{
	/* The recipient isn't known any more: to whom a report was addressed makes
	   no difference as soon as its original is in the log. */
	const struct judge_envelope envelope = { .recipient = NULL };
	struct judgement judgement;

	judge_report(ctx->buser, report, &envelope, time(NULL), &judgement);
	if (!judgement.facts.verdict.log_available) {
		*error_r = judgement.not_caught_up != NULL ?
			judgement.not_caught_up : judgement.facts.log_error;
		return -1;
	}
	if (judgement.result.verdict == VERDICT_BACKSCATTER) {
		if (rejudge_forget(ctx, place, error_r) < 0)
			return -1;
		rejudge_log(ctx, report, &judgement, "left-in-quarantine");
		return 0;
	}
	if (rejudge_copy(ctx, &judgement, error_r) < 0)
		return -1;
	rejudge_moved(ctx, place);
	judgement_count(ctx->buser, &judgement, report, time(NULL));
	rejudge_log(ctx, report, &judgement, "moved-to-inbox");
	return 0;
}

static int
rejudge_quarantined(struct rejudge_context *ctx,
		    const struct sent_log_stored_report *place,
		    const char **error_r)
{
	struct istream *input;
	struct report report;
	pool_t pool;
	int ret;

	if (ctx->opened < 0) {
		ctx->opened = quarantine_open(&ctx->quarantine, ctx->buser->user,
					      ctx->buser->set->mailbox, error_r);
	}
	ret = ctx->opened <= 0 ? ctx->opened :
		quarantine_find(&ctx->quarantine, place, &input, error_r);
	if (ret < 0)
		return -1;
	if (ret == 0) {
		/* by the user, or the mailbox is another one by now */
		e_info(ctx->buser->event, "The original of the "
		       "report with UID %u in mailbox %s was logged, but the "
		       "report isn't there any more", place->uid,
		       ctx->buser->set->mailbox);
		return rejudge_forget(ctx, place, error_r);
	}

	pool = pool_alloconly_create("backscatter rejudge", 4096);
	ret = rejudge_read(input, pool, &report, error_r);
	if (ret == 0)
		ret = rejudge_found(ctx, &report, place, error_r);
	pool_unref(&pool);
	return ret;
}

/* Returns 0, or -1 after an error was logged. */
static int
rejudge_report(struct rejudge_context *ctx,
	       const struct sent_log_stored_report *place)
{
	const char *error;
	int ret;

	if (place->quarantined)
		ret = rejudge_quarantined(ctx, place, &error);
	else
		ret = rejudge_forget(ctx, place, &error);
	if (ret < 0) {
		e_error(ctx->buser->event, "Judging the report with "
			"UID %u in mailbox %s again failed: %s - it stays there, "
			"and is tried again with the next message sent", place->uid,
			ctx->buser->set->mailbox, error);
	}
	return ret;
}

/* Returns 1 and the reports, 0 if there are none, -1 after an error was logged. */
static int
rejudge_list(struct backscatter_user *buser, struct sent_log_stored_report *places_r,
	     size_t max, size_t *count_r)
{
	const char *error;
	int ret = sent_log_list_due_reports(buser->log, places_r, max, count_r,
					    &error);

	if (ret < 0) {
		e_error(buser->event, "sent log %s: %s - reports "
			"that are due aren't judged again", buser->path, error);
	}
	return ret;
}

/* Returns TRUE if nothing was left undone. */
static bool rejudge_locked(struct backscatter_user *buser, bool interrupted)
{
	struct rejudge_context ctx = {
		.buser = buser, .interrupted = interrupted, .opened = -1
	};
	struct sent_log_stored_report places[REJUDGE_MAX_REPORTS];
	unsigned int failures = 0;
	size_t count;

	if (rejudge_list(buser, places, N_ELEMENTS(places), &count) < 0)
		return FALSE;
	for (size_t i = 0; i < count && failures < REJUDGE_MAX_FAILURES; i++)
	T_BEGIN {
		if (rejudge_report(&ctx, &places[i]) < 0)
			failures++;
	} T_END;
	if (ctx.opened > 0)
		quarantine_close(&ctx.quarantine);
	return failures == 0 && count < N_ELEMENTS(places);
}

/* One process at a time, or two would move the same report. The log can't be asked
   who is first: it has to forget a report after the move, not before, or a process
   that ends between the two leaves it in the quarantine for good. */
static void rejudge_with_lock(struct backscatter_user *buser)
{
	struct file_lock *lock;
	const char *error;
	bool created;

	if (backscatter_user_lock(buser, REJUDGE_SUFFIX, REJUDGE_LOCK_SECS, &lock,
				  &created, &error) < 0) {
		e_error(buser->event, "%s - reports that are due aren't judged "
			"again", error);
		return;
	}
	if (!rejudge_locked(buser, !created) && !created)
		file_lock_set_unlink_on_free(lock, FALSE);
	file_lock_free(&lock);
}

void rejudge_due_reports(struct backscatter_user *buser)
{
	struct sent_log_stored_report place;
	size_t count;

	if (buser->log == NULL || rejudge_list(buser, &place, 1, &count) <= 0)
		return;
	T_BEGIN {
		rejudge_with_lock(buser);
	} T_END;
}

/* In a process that goes on */

/* Until a command has ended, that is: short, but not tried all the time. */
#define REJUDGE_TIMER_MSECS 20

/* An open transaction may hold locks: to wait for them in the same process would be
   to wait in vain. */
static bool user_has_transactions(struct mail_user *user)
{
	const struct mail_storage *storage;
	const struct mailbox *box;

	for (storage = user->storages; storage != NULL; storage = storage->next) {
		for (box = storage->mailboxes; box != NULL; box = box->next) {
			if (mailbox_transaction_get_count(box) > 0)
				return TRUE;
		}
	}
	return FALSE;
}

static void rejudge_timer_tick(struct rejudge_timer *timer)
{
	if (user_has_transactions(timer->buser->user))
		return;
	timeout_remove(&timer->timeout);
	backscatter_user_begin(timer->buser);
	rejudge_due_reports(timer->buser);
}

/* Not at once: the transaction that logs isn't finished, plugins would take what is
   saved for the client's doing, and the client waits. */
void rejudge_timer_start(struct rejudge_timer *timer)
{
	if (timer->timeout != NULL)
		return;
	timer->timeout = timeout_add_short_to(io_loop_get_root(),
		REJUDGE_TIMER_MSECS, rejudge_timer_tick, timer);
}

void rejudge_timer_end(struct rejudge_timer *timer)
{
	if (timer->timeout == NULL)
		return;
	timeout_remove(&timer->timeout);
	rejudge_due_reports(timer->buser);
}
