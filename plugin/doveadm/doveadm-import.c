/* doveadm backscatter import [--complete [--except MAILBOX ...]]: reads what is in the
   Sent mailboxes */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "mail-search-build.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm-backscatter.h"
#include "doveadm-import.h"
#include "doveadm-own-mail.h"
#include "doveadm-print.h"
#include "doveadm-sent-mailboxes.h"
#include "quarantine/rejudge.h"

/* rows per transaction: other writers wait no longer than for these */
#define IMPORT_BATCH 100
#define IMPORT_POOL_MAX (4 * 1024 * 1024)

void import_failed(struct import_context *import, const char *error)
{
	(void)doveadm_log_failed(import->ctx, import->user, error);
	import->failed = TRUE;
}

static void import_mail_failed(struct import_context *import, struct mail *mail,
			       const char *error)
{
	import_failed(import, t_strdup_printf("%s UID %u: %s",
		mailbox_get_vname(mail->box), mail->uid, error));
}

static void import_flush(struct import_context *import)
{
	const struct sent_copy *copy;
	const char *error;

	if (array_count(&import->batch) > 0) {
		array_foreach(&import->batch, copy) {
			if (!copy->has_message_id) {
				import->last_without_message_id =
					I_MAX(import->last_without_message_id,
					      copy->logged_at);
			}
		}
		if (sent_copy_log(import->buser, &import->batch, import->now,
				  &error) < 0)
			import_failed(import, error);
		else
			import->messages += array_count(&import->batch);
	}
	p_clear(import->batch_pool);
	p_array_init(&import->batch, import->batch_pool, IMPORT_BATCH);
}

void import_add(struct import_context *import, const struct sent_copy *copy)
{
	array_push_back(&import->batch, copy);
	if (array_count(&import->batch) >= IMPORT_BATCH)
		import_flush(import);
}

int import_read(struct import_context *import, pool_t pool, struct mail *mail,
		struct sent_copy *copy_r)
{
	const char *error;
	time_t received;
	int ret;

	ret = mail_get_received_date(mail, &received);
	if (ret < 0) {
		error = t_strdup(mailbox_get_last_internal_error(mail->box,
								 NULL));
	} else {
		ret = sent_copy_read(pool, mail, import->own, 0, copy_r,
				     &error);
	}
	/* another session has removed it */
	if (ret < 0 && mail->expunged)
		return 0;
	if (ret == 0 &&
	    !sent_copy_set_logged_at(copy_r, received, import->now)) {
		error = "has no date that can be read";
		ret = -1;
	}
	if (ret < 0) {
		import_mail_failed(import, mail, error);
		return -1;
	}
	return copy_r->logged_at >=
		import->now - (time_t)import->buser->set->retention ? 1 : 0;
}

static void import_mail(struct import_context *import, struct mail *mail,
			void *context ATTR_UNUSED)
{
	struct sent_copy copy;
	int ret;

	/* of those that aren't logged, too */
	if (pool_alloconly_get_total_used_size(import->batch_pool) >
	    IMPORT_POOL_MAX)
		import_flush(import);
	ret = import_read(import, import->batch_pool, mail, &copy);

	if (ret == 0)
		import->too_old++;
	/* somebody else's, in a mailbox that has more than Sent copies */
	if (ret > 0 && (copy.from_own_address ||
			!doveadm_mail_was_delivered(mail)))
		import_add(import, &copy);
}

static int import_mailbox_open(struct import_context *import,
			       struct mailbox *box)
{
	enum mail_error mail_error;
	const char *error;

	if (mailbox_open(box) == 0 && mailbox_sync(box, 0) == 0)
		return 0;
	error = mailbox_get_last_internal_error(box, &mail_error);
	if (mail_error != MAIL_ERROR_NOTFOUND) {
		import_failed(import, t_strdup_printf("Opening mailbox %s "
			"failed: %s", mailbox_get_vname(box), error));
	}
	return -1;
}

static struct mail_search_context *
import_search_begin(struct mailbox_transaction_context *trans)
{
	struct mailbox_header_lookup_ctx *headers =
		mailbox_header_lookup_init(mailbox_transaction_get_mailbox(trans),
					   doveadm_own_mail_headers);
	struct mail_search_args *args = mail_search_build_init();
	struct mail_search_context *search;

	mail_search_build_add_all(args);
	search = mailbox_search_init(trans, args, NULL,
				     MAIL_FETCH_RECEIVED_DATE | MAIL_FETCH_DATE |
				     MAIL_FETCH_FLAGS, headers);
	mail_search_args_unref(&args);
	mailbox_header_lookup_unref(&headers);
	return search;
}

int import_foreach_mail(struct import_context *import, struct mailbox *box,
			import_mail_t *callback, void *context)
{
	struct mailbox_transaction_context *trans;
	struct mail_search_context *search;
	struct mail *mail;

	if (import_mailbox_open(import, box) < 0)
		return -1;
	trans = mailbox_transaction_begin(box, 0, __func__);
	search = import_search_begin(trans);
	while (mailbox_search_next(search, &mail)) T_BEGIN {
		callback(import, mail, context);
	} T_END;
	if (mailbox_search_deinit(&search) < 0) {
		import_failed(import, t_strdup_printf("Reading mailbox %s "
			"failed: %s", mailbox_get_vname(box),
			mailbox_get_last_internal_error(box, NULL)));
	}
	(void)mailbox_transaction_commit(&trans);
	import_flush(import);
	return 0;
}

/* All of the opened mailbox is in the log: no delivery has to read it once more. */
static void import_mark_read(struct import_context *import, struct mailbox *box,
			     const struct mailbox_status *status)
{
	const struct sent_log_mailbox_mark mark = {
		.uid_validity = status->uidvalidity,
		.next_uid = status->uidnext,
	};
	const char *error;

	if (sent_copy_log_read(import->buser, &import->batch,
			       mailbox_get_vname(box), &mark, import->now,
			       &error) < 0)
		import_failed(import, error);
}

static void import_mailbox(struct mailbox *box, void *context)
{
	struct import_context *import = context;
	struct mailbox_status status;
	bool failed_before = import->failed;

	/* opened, an autocreated one would be there from then on */
	if (!doveadm_mailbox_exists(box))
		return;
	import->failed = FALSE;
	if (import_foreach_mail(import, box, import_mail, NULL) == 0) {
		import->mailboxes++;
		mailbox_get_open_status(box, STATUS_UIDVALIDITY | STATUS_UIDNEXT,
					&status);
		if (!import->failed)
			import_mark_read(import, box, &status);
	}
	import->failed = import->failed || failed_before;
}

/* Why the log can't be called complete; NULL = it can. */
static const char *import_missing(struct import_context *import)
{
	struct sent_log_coverage coverage;
	const char *error;

	if ((import->buser->set->sources & SENT_LOG_SOURCE_SENT) == 0) {
		/* The log's new start would reach back to copies that no listed
		   source has logged: another way out (docs/design.md, section 5, rule 5). */
		return "--complete needs 'sent' in backscatter_sources: copies "
			"alone say that messages leave past the sources listed "
			"there. They are logged as evidence all the same";
	}
	if (import->mailboxes == 0) {
		return "no Sent mailbox found: who reads by POP3 keeps none "
			"here. Of a mailbox that sends nothing, say so with "
			"'doveadm backscatter coverage --since DATE'";
	}
	if (str_len(import->unlisted) > 0) {
		return t_strdup_printf("sent messages that the log doesn't know "
			"lie in %s: list what holds Sent copies in "
			"backscatter_sent_mailboxes, and leave out what doesn't "
			"with --except MAILBOX", str_c(import->unlisted));
	}
	if (import->failed) {
		return "not everything could be read: see the errors, and try "
			"again";
	}
	if (sent_log_get_coverage(import->buser->log, import->now, &coverage,
				  &error) < 0) {
		import_failed(import, error);
		return "the log is unavailable";
	}
	if (!coverage.listed_source_logged) {
		return "no Sent copy within the retention: it sends nothing, "
			"or past the Sent mailbox. If nothing, say so with "
			"'doveadm backscatter coverage --since DATE'";
	}
	return NULL;
}

/* The administrator says that every message sent is in the Sent mailboxes: then
   the log is complete as far back as it keeps rows. Returns 0 or -1. */
static int import_complete(struct import_context *import)
{
	time_t start = import->now - (time_t)import->buser->set->retention;

	if (import->buser->set->sources == SENT_LOG_SOURCE_SENT)
		start = I_MAX(start, import->last_without_message_id);
	return doveadm_log_set_coverage(import->ctx, import->user, import->buser,
					start, SENT_LOG_COVERAGE_IMPORTED);
}

static const char *const *import_except(struct import_context *import)
{
	static const char *const none[] = { NULL };
	const char *const *except;

	return doveadm_cmd_param_array(import->ctx->cctx, "except", &except) ?
		except : none;
}

static bool import_wants_complete(struct import_context *import)
{
	bool complete;

	return doveadm_cmd_param_bool(import->ctx->cctx, "complete",
				      &complete) && complete;
}

static void import_print(const struct import_context *import,
			 const char *complete, const char *explanation)
{
	doveadm_print_num(import->mailboxes);
	doveadm_print_num(import->messages);
	doveadm_print_num(import->too_old);
	doveadm_print(complete);
	doveadm_print(explanation);
}

static void import_say_complete(struct import_context *import)
{
	const char *missing = import_missing(import);

	if (missing != NULL) {
		/* not TEMP: trying again won't help */
		doveadm_mail_failed_error(import->ctx, MAIL_ERROR_NOTPOSSIBLE);
		import->failed = TRUE;
		import_print(import, "no", missing);
		return;
	}
	if (import_complete(import) < 0) {
		import->failed = TRUE;
		import_print(import, "no", "see the error");
		return;
	}
	import_print(import, "yes", "the log is complete");
}

static void import_user(struct import_context *import)
{
	bool complete = import_wants_complete(import);

	import->own = backscatter_user_own_addresses(import->buser, NULL,
						pool_datastack_create());
	import->unlisted = t_str_new(128);
	import->batch_pool = pool_alloconly_create("backscatter import", 16384);
	p_array_init(&import->batch, import->batch_pool, IMPORT_BATCH);
	if (sent_copy_foreach_mailbox(import->user, import->buser->set,
				      import_mailbox, import) < 0 ||
	    (complete && import_search(import, import_except(import)) < 0))
		import_failed(import, "Listing mailboxes failed");
	pool_unref(&import->batch_pool);
	rejudge_due_reports(import->buser);

	if (complete)
		import_say_complete(import);
	else
		import_print(import, "", "");
}

static int
cmd_import_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct import_context import = {
		.ctx = ctx, .user = user, .now = time(NULL)
	};

	if (doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_CREATE,
			     &import.buser) < 0)
		import.failed = TRUE;
	else
		import_user(&import);
	backscatter_user_deinit(&import.buser);
	return import.failed ? -1 : 0;
}

static void
cmd_import_init(struct doveadm_mail_cmd_context *ctx COMPAT_DOVEADM_INIT_ARGS)
{
	const char *const *except;
	bool complete;

	if (doveadm_cmd_param_array(ctx->cctx, "except", &except) &&
	    !doveadm_cmd_param_bool(ctx->cctx, "complete", &complete))
		doveadm_mail_help_name("backscatter import");
	doveadm_print_header("mailboxes", "mailboxes",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header("logged", "logged",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header("older", "older than the retention",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header_simple("complete");
	doveadm_print_header("explanation", "explanation",
			     DOVEADM_PRINT_HEADER_FLAG_EXPAND);
}

static struct doveadm_mail_cmd_context *cmd_import_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx, "cx:");
	ctx->v.init = cmd_import_init;
	ctx->v.run = cmd_import_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_import = {
	.name = "backscatter import",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX
		"[--complete [--except <mailbox> ...]]",
	.mail_cmd = cmd_import_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('c', "complete", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('x', "except", CMD_PARAM_ARRAY, 0)
DOVEADM_CMD_PARAMS_END
};
