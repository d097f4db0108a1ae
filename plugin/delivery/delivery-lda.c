/* dovecot-lda: scan, verdict, header and delivery inside the deliver hook. */

#include "lib.h"
#include "istream.h"
#include "smtp-address.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "delivery.h"
#include "headers/delivery-mail.h"

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

/* The deliver hook's work with the changed mail as the source. report: NULL =
   an ordinary message. */
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
		   struct istream *input, const struct report *report)
{
	const struct delivery_envelope envelope = {
		.recipient = lda_final_recipient(ctx),
		.original_recipient = ctx->rcpt_params.orcpt.addr,
	};
	struct delivery_report *delivery =
		delivery_report_begin(report, ctx->rcpt_user, &envelope,
				      ctx->event);
	int ret = lda_deliver_stream(ctx, storage_r, next, input, delivery);

	delivery_report_end(&delivery, ret > 0);
	return ret;
}

/* changed: input is not what ctx->src_mail has. */
static int
lda_deliver_scanned(struct mail_deliver_context *ctx,
		    struct mail_storage **storage_r, deliver_mail_func_t *next,
		    struct istream *input, bool marked, bool changed,
		    bool null_sender)
{
	const struct report *report = NULL;
	pool_t pool = NULL;
	int ret;

	if (marked) {
		pool = pool_alloconly_create("backscatter report", 4096);
		report = delivery_read_report(pool, input, null_sender,
					      ctx->event);
	}
	i_stream_seek(input, 0);
	if (report != NULL) {
		ret = lda_deliver_report(ctx, storage_r, next, input, report);
	} else if (changed) {
		ret = lda_deliver_stream(ctx, storage_r, next, input, NULL);
	} else {
		ret = next == NULL ? -1 : next(ctx, storage_r);
	}
	pool_unref(&pool);
	return ret;
}

/* What Postfix' pipe(8) gives -f for a null sender, unless "null_sender=" says
   otherwise. */
static bool lda_is_mailer_daemon(const struct smtp_address *mail_from)
{
	return (mail_from->domain == NULL || *mail_from->domain == '\0') &&
		mail_from->localpart != NULL &&
		strcasecmp(mail_from->localpart, "MAILER-DAEMON") == 0;
}

/* Without -f and a From_ line lda has no sender: not a null one. */
static bool lda_has_null_sender(const struct mail_deliver_context *ctx)
{
	return ctx->mail_from != NULL &&
		(delivery_sender_is_null(ctx->mail_from) ||
		 lda_is_mailer_daemon(ctx->mail_from));
}

/* What SPF says of the message, "" = nothing. */
static const char *
lda_spf_header(const struct mail_deliver_context *ctx,
	       const struct spf_settings *set, struct istream *input,
	       const struct report_scan *scan)
{
	struct delivery_spf_message message;
	size_t available;

	i_zero(&message);
	message.header = i_stream_get_data(input, &available);
	/* of a header that is too long, what was seen of it */
	message.header_size = scan->complete ? scan->header_size : available;
	/* without -f and a From_ line lda has none */
	if (lda_has_null_sender(ctx))
		message.mail_from = "";
	else if (ctx->mail_from != NULL &&
		 !smtp_address_is_broken(ctx->mail_from))
		message.mail_from = smtp_address_encode(ctx->mail_from);
	return delivery_spf_header(set, &message, ctx->event);
}

/* The message without what is forged, and with what SPF says of it. Returns input
   itself if that is nothing. */
static struct istream *
lda_stream(const struct mail_deliver_context *ctx, struct istream *input,
	   const struct report_scan *scan)
{
	pool_t pool = pool_alloconly_create("backscatter spf settings", 1024);
	const struct spf_settings *set = delivery_spf_settings(
		ctx->src_mail->box->storage->user, pool, ctx->event);
	struct istream *clean_input, *result;
	struct spf_own_names own;
	const char *header;
	uoff_t size = 0;

	header = lda_spf_header(ctx, set, input, scan);
	delivery_spf_own_names(set, &own);
	clean_input = delivery_stream_without_forged(input, scan, &own, &size);
	result = delivery_stream_with_header(clean_input, header, &size);
	i_stream_unref(&clean_input);
	pool_unref(&pool);
	return result;
}

int delivery_lda(struct mail_deliver_context *ctx,
		 struct mail_storage **storage_r, deliver_mail_func_t *next)
{
	bool null_sender = lda_has_null_sender(ctx);
	struct report_scan scan;
	struct istream *input, *stream;
	int ret;

	if (mail_get_stream(ctx->src_mail, NULL, NULL, &input) < 0)
		return next == NULL ? -1 : next(ctx, storage_r);
	i_stream_seek(input, 0);
	report_scan_header(input, null_sender, &scan);
	T_BEGIN {
		stream = lda_stream(ctx, input, &scan);
		ret = lda_deliver_scanned(ctx, storage_r, next, stream,
					  scan.marked, stream != input,
					  null_sender);
		i_stream_unref(&stream);
	} T_END;
	return ret;
}
