/* Storage hooks on Sent mailboxes: copies are collected as they are saved and
   logged just before their transaction is committed. A row too many harms nothing,
   a missing one loses a bounce: so the row comes first. */

#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mail-storage-hooks.h"
#include "mail-user.h"
#include "quarantine/rejudge.h"
#include "sent/sent-copy.h"
#include "save-header.h"
#include "saved-copy.h"

#include <time.h>

#define SAVED_COPY_USER_CONTEXT(obj) \
	MODULE_CONTEXT(obj, saved_copy_user_module)
#define SAVED_COPY_MAILBOX_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, saved_copy_storage_module)
#define SAVED_COPY_TRANSACTION_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, saved_copy_storage_module)

/* UIDs that one mailbox gave to copies that are in the log. */
struct saved_copy_saved {
	/* NULL = none */
	char *mailbox;
	uint32_t uid_validity, first_uid, last_uid;
	/* by which the last of them is found there; its value: see mailbox */
	enum sent_log_identity_kind last_kind;
	char *last_value;
};

struct saved_copy_user {
	union mail_user_module_context module_ctx;
	struct backscatter_user *buser;
	struct own_addresses *own;
	struct rejudge_timer rejudge;
	struct saved_copy_saved saved;
};

struct saved_copy_transaction {
	union mailbox_transaction_module_context module_ctx;
	pool_t pool;
	ARRAY_TYPE(sent_copy) copies;
	/* of the copy that is being saved */
	struct save_header header;
	/* the headers of a saved copy couldn't be read */
	const char *error;
};

static MODULE_CONTEXT_DEFINE_INIT(saved_copy_user_module,
				  &mail_user_module_register);
static MODULE_CONTEXT_DEFINE_INIT(saved_copy_storage_module,
				  &mail_storage_module_register);

/* The services through which a user's own clients save. */
static const char *const sending_services[] = {
	"imap", "doveadm", "dsync", NULL
};

static void
saved_copy_collect(struct mailbox_transaction_context *trans, struct mail *mail)
{
	struct saved_copy_transaction *strans =
		SAVED_COPY_TRANSACTION_CONTEXT(trans);
	struct saved_copy_user *suser =
		SAVED_COPY_USER_CONTEXT(trans->box->storage->user);
	struct sent_copy copy;
	const char *error;

	if (sent_copy_read(strans->pool, mail, suser->own, time(NULL), &copy,
			   &error) < 0) {
		strans->error = p_strdup(strans->pool, error);
		return;
	}
	array_push_back(&strans->copies, &copy);
}

/* So much of it has come that it can be logged. Returns TRUE if it is. */
static bool saved_copy_collect_header(struct mailbox_transaction_context *trans)
{
	struct saved_copy_transaction *strans =
		SAVED_COPY_TRANSACTION_CONTEXT(trans);
	struct saved_copy_user *suser =
		SAVED_COPY_USER_CONTEXT(trans->box->storage->user);
	const struct save_header *header = &strans->header;
	struct sent_copy copy;
	const char *error;
	int ret;

	if (header->stream == NULL || header->state != SAVE_HEADER_COMPLETE)
		return FALSE;
	T_BEGIN {
		ret = sent_copy_read_block(strans->pool, header->block->data,
					   header->block->used, suser->own,
					   time(NULL), &copy, &error);
	} T_END;
	if (ret == 0)
		array_push_back(&strans->copies, &copy);
	return ret == 0;
}

/* Over quota, a full disk, cut off: the message may have left all the same.
   is_fault: it is no wish of the client's. */
static void saved_copy_not_saved(struct mail_save_context *ctx, bool is_fault)
{
	struct saved_copy_transaction *strans =
		SAVED_COPY_TRANSACTION_CONTEXT(ctx->transaction);

	/* see saved_copy_copy() */
	if (ctx->copying_via_save)
		return;
	if (!saved_copy_collect_header(ctx->transaction) && is_fault)
		strans->error = "the copy could not be stored";
	save_header_end(&strans->header);
}

static int
saved_copy_save_begin(struct mail_save_context *ctx, struct istream *input)
{
	union mailbox_module_context *mctx =
		SAVED_COPY_MAILBOX_CONTEXT(ctx->transaction->box);
	struct saved_copy_transaction *strans =
		SAVED_COPY_TRANSACTION_CONTEXT(ctx->transaction);

	if (!ctx->copying_via_save)
		input = save_header_begin(&strans->header, input);
	if (mctx->super.save_begin(ctx, input) < 0) {
		saved_copy_not_saved(ctx, TRUE);
		return -1;
	}
	return 0;
}

/* Where the size is known, the quota plugin refuses before anything is read, and
   before it calls us: only its error tells. */
static void saved_copy_save_cancel(struct mail_save_context *ctx)
{
	struct mailbox *box = ctx->transaction->box;
	union mailbox_module_context *mctx = SAVED_COPY_MAILBOX_CONTEXT(box);
	enum mail_error error;

	(void)mailbox_get_last_error(box, &error);
	saved_copy_not_saved(ctx, error == MAIL_ERROR_NOQUOTA);
	mctx->super.save_cancel(ctx);
}

static int saved_copy_save_finish(struct mail_save_context *ctx)
{
	union mailbox_module_context *mctx =
		SAVED_COPY_MAILBOX_CONTEXT(ctx->transaction->box);
	struct saved_copy_transaction *strans =
		SAVED_COPY_TRANSACTION_CONTEXT(ctx->transaction);
	/* a copy that is made by saving is collected by saved_copy_copy() */
	struct mail *mail = ctx->copying_via_save ? NULL : ctx->dest_mail;

	if (mctx->super.save_finish(ctx) < 0) {
		saved_copy_not_saved(ctx, TRUE);
		return -1;
	}
	save_header_end(&strans->header);
	if (mail != NULL) T_BEGIN {
		saved_copy_collect(ctx->transaction, mail);
	} T_END;
	return 0;
}

static int saved_copy_copy(struct mail_save_context *ctx, struct mail *mail)
{
	union mailbox_module_context *mctx =
		SAVED_COPY_MAILBOX_CONTEXT(ctx->transaction->box);

	int ret = mctx->super.copy(ctx, mail);

	/* stored or not, it is a copy of what was sent */
	T_BEGIN {
		saved_copy_collect(ctx->transaction, mail);
	} T_END;
	return ret;
}

static struct mailbox_transaction_context *
saved_copy_transaction_begin(struct mailbox *box,
			    enum mailbox_transaction_flags flags,
			    const char *reason)
{
	union mailbox_module_context *mctx = SAVED_COPY_MAILBOX_CONTEXT(box);
	struct mailbox_transaction_context *trans =
		mctx->super.transaction_begin(box, flags, reason);
	pool_t pool = pool_alloconly_create("backscatter sent copies", 512);
	struct saved_copy_transaction *strans =
		p_new(pool, struct saved_copy_transaction, 1);

	strans->pool = pool;
	p_array_init(&strans->copies, pool, 1);
	MODULE_CONTEXT_SET(trans, saved_copy_storage_module, strans);
	return trans;
}

/* Written when the session ends, or a save doesn't follow on it: a write for each
   would be one more that the client waits for. Who misses it reads a copy once
   more. */
static void saved_copy_write_saved(struct saved_copy_user *suser)
{
	struct saved_copy_saved *saved = &suser->saved;
	const struct sent_log_identity last = {
		.kind = saved->last_kind, .value = saved->last_value
	};
	const char *error;

	if (saved->mailbox == NULL)
		return;
	if (suser->buser->log != NULL &&
	    sent_log_raise_mark(suser->buser->log, saved->mailbox,
				saved->uid_validity, saved->first_uid,
				saved->last_uid, &last, &error) < 0) {
		e_debug(suser->buser->event, "sent log %s: %s - "
			"what was saved to %s is read once more",
			suser->buser->path, error, saved->mailbox);
	}
	i_free(saved->mailbox);
	i_free(saved->last_value);
}

static void saved_copy_set_last(struct saved_copy_saved *saved,
			       const struct sent_log_identity *last)
{
	i_free(saved->last_value);
	saved->last_value = i_strdup(last->value);
	saved->last_kind = last->kind;
}

static void
saved_copy_saved(struct saved_copy_user *suser, struct mailbox *box,
		const struct mail_transaction_commit_changes *changes,
		const struct sent_log_identity *last)
{
	struct saved_copy_saved *saved = &suser->saved;
	const char *mailbox = mailbox_get_vname(box);
	const struct seq_range *uids;

	/* doveadm doesn't ask for UIDs */
	if (!array_is_created(&changes->saved_uids) ||
	    array_count(&changes->saved_uids) != 1)
		return;
	uids = array_front(&changes->saved_uids);
	if (null_strcmp(saved->mailbox, mailbox) == 0 &&
	    saved->uid_validity == changes->uid_validity &&
	    saved->last_uid + 1 == uids->seq1) {
		saved->last_uid = uids->seq2;
		saved_copy_set_last(saved, last);
		return;
	}
	saved_copy_write_saved(suser);
	saved->mailbox = i_strdup(mailbox);
	saved->uid_validity = changes->uid_validity;
	saved->first_uid = uids->seq1;
	saved->last_uid = uids->seq2;
	saved_copy_set_last(saved, last);
}

/* Returns TRUE if all that the transaction saves is in the log. */
static bool
saved_copy_log(struct saved_copy_user *suser, struct saved_copy_transaction *strans)
{
	const char *error = strans->error;

	if (array_count(&strans->copies) > 0) {
		const char *log_error;

		backscatter_user_begin(suser->buser);
		if (sent_copy_log(suser->buser, &strans->copies, time(NULL),
				  &log_error) < 0)
			error = log_error;
		else
			rejudge_timer_start(&suser->rejudge);
	}
	if (error != NULL)
		backscatter_user_not_logged(suser->buser, "Sent copy", error);
	return error == NULL;
}

/* Stored or not, the messages have left: a rollback logs them as a commit does.
   Returns an identity of the last one if all are in the log, else NULL. */
static const struct sent_log_identity *
saved_copy_transaction_end(struct mailbox_transaction_context *trans)
{
	struct saved_copy_transaction *strans =
		SAVED_COPY_TRANSACTION_CONTEXT(trans);
	struct saved_copy_user *suser =
		SAVED_COPY_USER_CONTEXT(trans->box->storage->user);
	struct sent_log_identity *last = NULL;
	bool all_logged;

	T_BEGIN {
		all_logged = saved_copy_log(suser, strans);
	} T_END;
	if (all_logged && array_count(&strans->copies) > 0) {
		const struct sent_copy *copy = array_back(&strans->copies);

		last = t_new(struct sent_log_identity, 1);
		*last = *array_front(&copy->identities);
		last->value = t_strdup(last->value);
	}
	save_header_deinit(&strans->header);
	pool_unref(&strans->pool);
	return last;
}

static int
saved_copy_transaction_commit(struct mailbox_transaction_context *trans,
			     struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox *box = trans->box;
	union mailbox_module_context *mctx = SAVED_COPY_MAILBOX_CONTEXT(box);
	struct saved_copy_user *suser =
		SAVED_COPY_USER_CONTEXT(box->storage->user);
	const struct sent_log_identity *last = saved_copy_transaction_end(trans);

	if (mctx->super.transaction_commit(trans, changes_r) < 0)
		return -1;
	if (last != NULL)
		saved_copy_saved(suser, box, changes_r, last);
	return 0;
}

static void
saved_copy_transaction_rollback(struct mailbox_transaction_context *trans)
{
	union mailbox_module_context *mctx =
		SAVED_COPY_MAILBOX_CONTEXT(trans->box);

	(void)saved_copy_transaction_end(trans);
	mctx->super.transaction_rollback(trans);
}

static void saved_copy_mailbox_allocated(struct mailbox *box)
{
	struct saved_copy_user *suser =
		SAVED_COPY_USER_CONTEXT(box->storage->user);
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *mctx;

	if (suser == NULL || !sent_copy_is_sent_mailbox(box, suser->buser->set))
		return;

	mctx = p_new(box->pool, union mailbox_module_context, 1);
	mctx->super = *v;
	box->vlast = &mctx->super;
	v->save_begin = saved_copy_save_begin;
	v->save_cancel = saved_copy_save_cancel;
	v->save_finish = saved_copy_save_finish;
	v->copy = saved_copy_copy;
	v->transaction_begin = saved_copy_transaction_begin;
	v->transaction_commit = saved_copy_transaction_commit;
	v->transaction_rollback = saved_copy_transaction_rollback;
	MODULE_CONTEXT_SET_SELF(box, saved_copy_storage_module, mctx);
}

static void saved_copy_user_deinit_pre(struct mail_user *user)
{
	struct saved_copy_user *suser = SAVED_COPY_USER_CONTEXT(user);

	saved_copy_write_saved(suser);
	rejudge_timer_end(&suser->rejudge);
	suser->module_ctx.super.deinit_pre(user);
}

static void saved_copy_user_deinit(struct mail_user *user)
{
	struct saved_copy_user *suser = SAVED_COPY_USER_CONTEXT(user);

	backscatter_user_deinit(&suser->buser);
	suser->module_ctx.super.deinit(user);
}

static void saved_copy_user_created(struct mail_user *user)
{
	struct mail_user_vfuncs *v = user->vlast;
	struct saved_copy_user *suser;

	if (user->autocreated || user->service == NULL ||
	    !str_array_find(sending_services, user->service))
		return;

	suser = p_new(user->pool, struct saved_copy_user, 1);
	suser->module_ctx.super = *v;
	user->vlast = &suser->module_ctx.super;
	v->deinit_pre = saved_copy_user_deinit_pre;
	v->deinit = saved_copy_user_deinit;
	suser->buser = backscatter_user_init(user, user->event);
	suser->rejudge.buser = suser->buser;
	suser->own = backscatter_user_own_addresses(suser->buser, NULL, user->pool);
	MODULE_CONTEXT_SET(user, saved_copy_user_module, suser);
}

static struct mail_storage_hooks saved_copy_hooks = {
	.mail_user_created = saved_copy_user_created,
	.mailbox_allocated = saved_copy_mailbox_allocated,
};

void saved_copy_init(struct module *module)
{
	mail_storage_hooks_add(module, &saved_copy_hooks);
}

void saved_copy_deinit(void)
{
	mail_storage_hooks_remove(&saved_copy_hooks);
}
