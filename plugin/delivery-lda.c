/* dovecot-lda: scan, verdict, header and delivery inside the deliver hook. */

#include "lib.h"
#include "istream.h"
#include "smtp-address.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "delivery-lda.h"
#include "delivery-mail.h"
#include "delivery-report.h"

/* The address of -r. Without -r, rcpt_to is the one of -a or a guess made from
   the user name; both may name what was forwarded here. */
static const struct smtp_address *
lda_final_recipient(const struct mail_deliver_context *ctx)
{
	if (smtp_address_equals(ctx->rcpt_to, ctx->rcpt_params.orcpt.addr))
		return NULL;
	return ctx->rcpt_to;
}

/* To be tried again later: a redirect that failed for the moment must not end in
   INBOX instead. */
static bool lda_is_tempfailed(const struct mail_deliver_context *ctx,
			      struct mail_storage *storage)
{
	enum mail_error error;

	if (ctx->tempfail_error != NULL)
		return TRUE;
	if (storage == NULL)
		return FALSE;
	(void)mail_storage_get_last_error(storage, &error);
	return error == MAIL_ERROR_TEMP;
}

/* The default save and the fallback to INBOX, as lib-lda does them after the
   hook: it would do them with the mail that has no header. */
static int
lda_deliver_with_fallback(struct mail_deliver_context *ctx,
			  struct mail_storage **storage_r,
			  deliver_mail_func_t *next)
{
	if (next != NULL && next(ctx, storage_r) > 0)
		return 1;
	if (ctx->saved_mail)
		return 1;
	if (lda_is_tempfailed(ctx, *storage_r))
		return -1;
	if (!ctx->tried_default_save) {
		if (mail_deliver_save(ctx, ctx->rcpt_default_mailbox, 0, NULL,
				      storage_r) == 0)
			return 1;
		if (lda_is_tempfailed(ctx, *storage_r))
			return -1;
	}
	if (strcasecmp(ctx->rcpt_default_mailbox, "INBOX") != 0 &&
	    mail_deliver_save(ctx, "INBOX", 0, NULL, storage_r) == 0)
		return 1;
	return -1;
}

/* The deliver hook's work with the changed mail as the source. report: NULL if
   only forged headers were taken out. */
static int
lda_deliver_changed(struct mail_deliver_context *ctx,
		    struct mail_storage **storage_r, deliver_mail_func_t *next,
		    struct delivery_report *report)
{
	if (report != NULL && delivery_report_act(report, ctx, storage_r))
		return 1;
	return lda_deliver_with_fallback(ctx, storage_r, next);
}

/* Delivers input with this header ("" = none) in front. */
static int
lda_deliver_stream(struct mail_deliver_context *ctx,
		   struct mail_storage **storage_r, deliver_mail_func_t *next,
		   struct istream *input, struct delivery_report *report)
{
	const char *header = report == NULL ? "" :
		delivery_report_header(report);
	struct mail *source = ctx->src_mail;
	struct delivery_mail mail;
	const char *error;
	int ret;

	if (delivery_mail_open(&mail, source->box->storage->user, input, header,
			       smtp_address_encode(ctx->mail_from),
			       &error) < 0) {
		e_error(ctx->event, "backscatter: Changing the header failed: "
			"%s - delivered unchanged", error);
		return next == NULL ? -1 : next(ctx, storage_r);
	}
	ctx->src_mail = mail.mail;
	ret = lda_deliver_changed(ctx, storage_r, next, report);
	ctx->src_mail = source;
	delivery_mail_close(&mail);
	return ret;
}

static int
lda_deliver_report(struct mail_deliver_context *ctx,
		   struct mail_storage **storage_r, deliver_mail_func_t *next,
		   struct istream *input, const struct report *report,
		   bool null_sender)
{
	const struct delivery_envelope envelope = {
		.recipient = lda_final_recipient(ctx),
		.null_sender = null_sender,
	};
	struct delivery_report *delivery =
		delivery_report_begin(report, ctx->rcpt_user, &envelope,
				      ctx->event);
	int ret = lda_deliver_stream(ctx, storage_r, next, input, delivery);

	delivery_report_end(&delivery, ret > 0);
	return ret;
}

static int
lda_deliver_scanned(struct mail_deliver_context *ctx,
		    struct mail_storage **storage_r, deliver_mail_func_t *next,
		    struct istream *input, const struct report_scan *scan,
		    bool null_sender)
{
	const struct report *report = NULL;
	pool_t pool = NULL;
	int ret;

	if (scan->marked) {
		pool = pool_alloconly_create("backscatter report", 4096);
		report = delivery_read_report(pool, input, null_sender,
					      ctx->event);
	}
	i_stream_seek(input, 0);
	if (report != NULL) {
		ret = lda_deliver_report(ctx, storage_r, next, input, report,
					 null_sender);
	} else if (scan->forged) {
		ret = lda_deliver_stream(ctx, storage_r, next, input, NULL);
	} else {
		ret = next == NULL ? -1 : next(ctx, storage_r);
	}
	pool_unref(&pool);
	return ret;
}

int delivery_lda(struct mail_deliver_context *ctx,
		 struct mail_storage **storage_r, deliver_mail_func_t *next)
{
	/* without -f and a From_ line lda has no sender: not a null one */
	bool null_sender = ctx->mail_from != NULL &&
		delivery_sender_is_null(ctx->mail_from);
	struct report_scan scan;
	struct istream *input, *clean_input;
	uoff_t size = 0;
	int ret;

	if (mail_get_stream(ctx->src_mail, NULL, NULL, &input) < 0)
		return next == NULL ? -1 : next(ctx, storage_r);
	i_stream_seek(input, 0);
	report_scan_header(input, null_sender, &scan);
	if (!scan.marked && !scan.forged)
		return next == NULL ? -1 : next(ctx, storage_r);

	clean_input = delivery_stream_without_forged(input, &scan, &size);
	T_BEGIN {
		ret = lda_deliver_scanned(ctx, storage_r, next, clean_input,
					  &scan, null_sender);
	} T_END;
	i_stream_unref(&clean_input);
	return ret;
}
