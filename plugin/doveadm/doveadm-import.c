/* doveadm backscatter import [--complete [--except MAILBOX ...]]: reads what is in the
   Sent mailboxes */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "mail-search-build.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm-import.h"
#include "quarantine/rejudge.h"

/* rows per transaction: other writers wait no longer than for these */
#define IMPORT_BATCH 100
#define IMPORT_POOL_MAX (4 * 1024 * 1024)

void import_failed(struct import *import, const char *error)
{
	(void)doveadm_run_failed(import->run, error);
	import->failed = TRUE;
}

static void import_mail_failed(struct import *import, struct mail *mail,
			       const char *error)
{
	import_failed(import, t_strdup_printf("%s UID %u: %s",
		mailbox_get_vname(mail->box), mail->uid, error));
}

static void import_flush(struct import *import)
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
		if (sent_copy_log(import->run->buser, &import->batch, import->run->now,
				  &error) < 0)
			import_failed(import, error);
		else
			import->messages += array_count(&import->batch);
	}
	p_clear(import->batch_pool);
	p_array_init(&import->batch, import->batch_pool, IMPORT_BATCH);
}

void import_add(struct import *import, const struct sent_copy *copy)
{
	array_push_back(&import->batch, copy);
	if (array_count(&import->batch) >= IMPORT_BATCH)
		import_flush(import);
}

int import_read(struct import *import, pool_t pool, struct mail *mail,
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
	    !sent_copy_set_logged_at(copy_r, received, import->run->now)) {
		error = "has no date that can be read";
		ret = -1;
	}
	if (ret < 0) {
		import_mail_failed(import, mail, error);
		return -1;
	}
	return copy_r->logged_at >=
		import->run->now - (time_t)import->run->buser->set->retention ? 1 : 0;
}

static void import_mail(struct import *import, struct mail *mail,
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
			!import_was_delivered(mail)))
		import_add(import, &copy);
}

static int import_mailbox_open(struct import *import,
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
					   import_headers);
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

int import_foreach_mail(struct import *import, struct mailbox *box,
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
static void import_mark_read(struct import *import, struct mailbox *box,
			     const struct mailbox_status *status)
{
	const struct sent_log_mailbox_mark mark = {
		.uid_validity = status->uidvalidity,
		.next_uid = status->uidnext,
	};
	const char *error;

	if (sent_copy_log_read(import->run->buser, &import->batch,
			       mailbox_get_vname(box), &mark, import->run->now,
			       &error) < 0)
		import_failed(import, error);
}

static void import_mailbox(struct mailbox *box, void *context)
{
	struct import *import = context;
	struct mailbox_status status;
	bool failed_before = import->failed;

	/* opened, an autocreated one would be there from then on */
	if (!import_mailbox_exists(box))
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

/* What was found ends what the log counted as, so far. Returns a sentence's end. */
static const char *import_contradict(struct import *import)
{
	const struct sent_log_coverage *coverage = &import->coverage;
	const char *error;

	if (!import->contradicted)
		return "";
	if (sent_log_set_coverage(import->run->buser->log, import->run->now,
				  SENT_LOG_COVERAGE_INCOMPLETE, import->run->now,
				  &error) < 0) {
		import_failed(import, error);
		return "";
	}
	return t_strdup_printf("; the log counted as complete since %s%s: "
		"coverage starts anew", coverage->word == 0 ? "" :
		"your word of ", doveadm_show_time(coverage->word == 0 ||
			coverage->word_given == 0 ? coverage->start :
			coverage->word_given));
}

/* start: what the log would be complete since. Returns why it can't be called that; NULL =
   it can. */
static const char *import_missing(struct import *import, time_t start)
{
	const char *objection, *error;

	if (str_len(import->unlisted) > 0) {
		return t_strdup_printf("%smessages of this user lie in %s: list "
			"it in backscatter_sent_mailboxes, or leave it out with "
			"--except MAILBOX if it holds nothing that he sent%s",
			import->mailboxes == 0 ? "no Sent mailbox found, but " :
			"", str_c(import->unlisted), import_contradict(import));
	}
	if (import->failed) {
		return "not everything could be read: see the errors, and try "
			"again";
	}
	if (doveadm_coverage_get_objection(import->run->buser, start, import->run->now,
					   &objection, &error) < 0) {
		import_failed(import, error);
		return "the log is unavailable";
	}
	if (objection == NULL && import->mailboxes == 0) {
		return "no Sent mailbox found, where 'sent' is listed in "
			"backscatter_sources";
	}
	return objection;
}

static void import_print(const struct import *import,
			 const char *complete, const char *explanation)
{
	doveadm_print_num(import->mailboxes);
	doveadm_print_num(import->messages);
	doveadm_print_num(import->too_old);
	doveadm_print(complete);
	doveadm_print(explanation);
}

/* Since when the log is complete, if every message sent is in the Sent mailboxes: as far
   back as it keeps rows. */
static time_t import_complete_since(const struct import *import)
{
	time_t start = import->run->now - (time_t)import->run->buser->set->retention;

	return import->run->buser->set->sources != SENT_LOG_SOURCE_SENT ? start :
		I_MAX(start, import->last_without_message_id);
}

static void import_say_complete(struct import *import)
{
	time_t start = import_complete_since(import);
	const char *missing = import_missing(import, start);

	if (missing != NULL) {
		import->failed = TRUE;
		(void)doveadm_run_not_possible(import->run);
		import_print(import, "no", missing);
	} else if (doveadm_log_set_coverage(import->run, start,
					    SENT_LOG_COVERAGE_IMPORTED) < 0) {
		import->failed = TRUE;
		import_print(import, "no", "see the error");
	} else {
		import_print(import, "yes", t_strdup_printf(
			"the log is complete since %s", doveadm_show_time(start)));
	}
}

/* complete: it is asked for */
static void import_user(struct import *import, bool complete)
{
	static const char *const none[] = { NULL };
	const struct backscatter_settings *set = import->run->buser->set;
	/* The log's new start would reach back to copies that no listed source has
	   logged: another way out (docs/design.md, section 5, rule 5). */
	bool asked = (set->sources & SENT_LOG_SOURCE_SENT) != 0 ||
		!set->sources_valid;
	const char *const *except;

	if (!doveadm_cmd_param_array(import->run->cctx, "except", &except))
		except = none;
	if (sent_copy_foreach_mailbox(import->run->buser->user, set,
				      import_mailbox, import) < 0 ||
	    (complete && asked && import_search(import, except) < 0))
		import_failed(import, "Listing mailboxes failed");
	rejudge_due_reports(import->run->buser);

	if (!complete)
		import_print(import, "", "");
	else if (!asked) {
		import_print(import, "-", "not asked: backscatter_sources of "
			     "this user has no 'sent'");
	} else {
		import_say_complete(import);
	}
}

static int import_run(struct doveadm_run *run)
{
	struct import import = { .run = run };
	bool complete;

	if (doveadm_log_open(run, DOVEADM_LOG_CREATE) < 0)
		return -1;
	import.own = backscatter_user_own_addresses(run->buser, NULL,
						    pool_datastack_create());
	import.unlisted = t_str_new(128);
	import.batch_pool = pool_alloconly_create("backscatter import", 16384);
	p_array_init(&import.batch, import.batch_pool, IMPORT_BATCH);
	import_user(&import, doveadm_cmd_param_bool(run->cctx, "complete",
						    &complete) && complete);
	pool_unref(&import.batch_pool);
	return import.failed ? -1 : 0;
}

static int import_check(struct doveadm_mail_cmd_context *ctx)
{
	const char *const *except;
	bool complete;

	return doveadm_cmd_param_array(ctx->cctx, "except", &except) &&
		!doveadm_cmd_param_bool(ctx->cctx, "complete", &complete) ?
		doveadm_wrong_usage(ctx) : 0;
}

static const struct doveadm_column import_columns[] = {
	{ .name = "mailboxes", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "logged", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "older", .title = "older than the retention",
	  .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "complete" },
	{ .name = "explanation", .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = NULL }
};

static const struct doveadm_user_command import_command = {
	.columns = import_columns,
	.check = import_check,
	.run = import_run,
};

DOVEADM_USER_COMMAND(import, "import", "[--complete [--except <mailbox> ...]]",
DOVEADM_CMD_PARAM('c', "complete", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('x', "except", CMD_PARAM_ARRAY, 0)
);
