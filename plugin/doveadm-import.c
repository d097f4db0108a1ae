/* doveadm backscatter import [--complete]: reads what is in the Sent mailboxes */

#include "lib.h"
#include "array.h"
#include "mail-search-build.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "doveadm-backscatter.h"
#include "doveadm-print.h"
#include "doveadm-log.h"
#include "rejudge.h"
#include "sent-copy.h"

#include <time.h>

/* rows per transaction: other writers wait no longer than for these */
#define IMPORT_BATCH 100

struct import_context {
	struct doveadm_mail_cmd_context *ctx;
	struct mail_user *user;
	struct mailbox_log *log;
	struct own_addresses *own;
	time_t now;

	/* those that aren't logged yet */
	pool_t batch_pool;
	ARRAY_TYPE(sent_copy) batch;

	unsigned int mailboxes, messages, too_old;
	/* newest copy that no report could be matched with */
	time_t last_without_message_id;
	bool failed;
};

static void import_failed(struct import_context *import, const char *error)
{
	(void)doveadm_log_failed(import->ctx, import->user, error);
	import->failed = TRUE;
}

static void import_flush(struct import_context *import)
{
	const struct sent_copy *copy;
	const char *error;

	if (array_count(&import->batch) == 0)
		return;
	array_foreach(&import->batch, copy) {
		if (!copy->has_message_id) {
			import->last_without_message_id =
				I_MAX(import->last_without_message_id,
				      copy->logged_at);
		}
	}
	if (sent_copy_log(import->log, &import->batch, import->now, &error) < 0)
		import_failed(import, error);
	else
		import->messages += array_count(&import->batch);
	p_clear(import->batch_pool);
	p_array_init(&import->batch, import->batch_pool, IMPORT_BATCH);
}

static void import_mail(struct import_context *import, struct mail *mail)
{
	struct sent_copy copy;
	const char *error;
	time_t received;

	if (mail_get_received_date(mail, &received) < 0) {
		import_failed(import, t_strdup(
			mailbox_get_last_internal_error(mail->box, NULL)));
		return;
	}
	if (received < import->now - (time_t)import->log->set->retention) {
		import->too_old++;
		return;
	}
	if (sent_copy_read(import->batch_pool, mail, import->own,
			   I_MIN(received, import->now), &copy, &error) < 0) {
		import_failed(import, error);
		return;
	}
	array_push_back(&import->batch, &copy);
	if (array_count(&import->batch) >= IMPORT_BATCH)
		import_flush(import);
}

static int import_mailbox_open(struct import_context *import,
			       struct mailbox *box)
{
	enum mail_error mail_error;
	const char *error;

	if (mailbox_open(box) == 0 && mailbox_sync(box, 0) == 0)
		return 0;
	error = mailbox_get_last_internal_error(box, &mail_error);
	/* an autocreated mailbox that nobody has used yet */
	if (mail_error != MAIL_ERROR_NOTFOUND) {
		import_failed(import, t_strdup_printf("Opening mailbox %s "
			"failed: %s", mailbox_get_vname(box), error));
	}
	return -1;
}

static void import_mailbox(struct mailbox *box, void *context)
{
	struct import_context *import = context;
	struct mailbox_transaction_context *trans;
	struct mail_search_context *search;
	struct mail_search_args *args;
	struct mail *mail;

	if (import_mailbox_open(import, box) < 0)
		return;
	import->mailboxes++;
	trans = mailbox_transaction_begin(box, 0, __func__);
	args = mail_search_build_init();
	mail_search_build_add_all(args);
	search = mailbox_search_init(trans, args, NULL,
				     MAIL_FETCH_RECEIVED_DATE | MAIL_FETCH_DATE,
				     NULL);
	mail_search_args_unref(&args);
	while (mailbox_search_next(search, &mail)) T_BEGIN {
		import_mail(import, mail);
	} T_END;
	if (mailbox_search_deinit(&search) < 0) {
		import_failed(import, t_strdup_printf("Reading mailbox %s "
			"failed: %s", mailbox_get_vname(box),
			mailbox_get_last_internal_error(box, NULL)));
	}
	(void)mailbox_transaction_commit(&trans);
	import_flush(import);
}

/* The administrator says that every message sent is in the Sent mailboxes: then
   the log is complete as far back as it keeps rows. */
static void import_complete(struct import_context *import)
{
	time_t start = import->now - (time_t)import->log->set->retention;

	if (import->failed)
		return;
	if (import->log->set->sources != 0 &&
	    (import->log->set->sources & SENT_LOG_SOURCE_SENT) == 0) {
		/* The log's new start would reach back to copies that no listed
		   source has logged: another way out (DESIGN.md 5.5). */
		import_failed(import, "--complete needs 'sent' in "
			"backscatter_sources: copies alone say that messages "
			"leave past the sources listed there. The copies are "
			"logged as evidence all the same");
		return;
	}
	if (import->log->set->sources == SENT_LOG_SOURCE_SENT)
		start = I_MAX(start, import->last_without_message_id);
	if (doveadm_log_set_coverage(import->ctx, import->user, import->log,
				     start, SENT_LOG_COVERAGE_IMPORTED) < 0)
		import->failed = TRUE;
}

static void import_user(struct import_context *import)
{
	bool complete;

	import->own = mailbox_log_own_addresses(import->log, NULL,
						pool_datastack_create());
	import->batch_pool = pool_alloconly_create("backscatter import", 16384);
	p_array_init(&import->batch, import->batch_pool, IMPORT_BATCH);
	if (sent_copy_foreach_mailbox(import->user, import->log->set,
				      import_mailbox, import) < 0)
		import_failed(import, "Listing mailboxes failed");
	pool_unref(&import->batch_pool);
	rejudge_due_reports(import->log);

	if (doveadm_cmd_param_bool(import->ctx->cctx, "complete", &complete) &&
	    complete)
		import_complete(import);
	doveadm_print_num(import->mailboxes);
	doveadm_print_num(import->messages);
	doveadm_print_num(import->too_old);
}

static int
cmd_import_run(struct doveadm_mail_cmd_context *ctx, struct mail_user *user)
{
	struct import_context import = {
		.ctx = ctx, .user = user, .now = time(NULL)
	};

	if (doveadm_log_open(ctx, user, DOVEADM_LOG_OPEN_CREATE,
			     &import.log) < 0)
		import.failed = TRUE;
	else
		import_user(&import);
	mailbox_log_deinit(&import.log);
	return import.failed ? -1 : 0;
}

static void
cmd_import_init(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED
		COMPAT_DOVEADM_INIT_ARGS)
{
	doveadm_print_header("mailboxes", "mailboxes",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header("logged", "logged",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
	doveadm_print_header("older", "older than the retention",
			     DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY);
}

static struct doveadm_mail_cmd_context *cmd_import_alloc(void)
{
	struct doveadm_mail_cmd_context *ctx =
		doveadm_mail_cmd_alloc(struct doveadm_mail_cmd_context);

	COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx, "c");
	ctx->v.init = cmd_import_init;
	ctx->v.run = cmd_import_run;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return ctx;
}

struct doveadm_cmd_ver2 doveadm_cmd_backscatter_import = {
	.name = "backscatter import",
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX"[--complete]",
	.mail_cmd = cmd_import_alloc,
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('c', "complete", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAMS_END
};
