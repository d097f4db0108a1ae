/* Into the quarantine, and where it lies there: lib-lda doesn't tell, so the storage is
   watched while it saves. At any other time nothing is hooked: to know the UID, Maildir
   has to wait for its uidlist lock, which is not for mail that goes to INBOX. */

#include "lib.h"
#include "array.h"
#include "mail-deliver.h"
#include "mail-storage-private.h"
#include "mail-storage-hooks.h"
#include "quarantine-save.h"

#define QUARANTINE_SAVE_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, quarantine_save_module)

static MODULE_CONTEXT_DEFINE_INIT(quarantine_save_module,
				  &mail_storage_module_register);

static struct {
	/* NULL = no report is being delivered */
	struct mail_user *user;
	bool saved;
	struct sent_log_stored_report place;
} watched;

static void
quarantine_save_note(struct mailbox *box,
		     const struct mail_transaction_commit_changes *changes)
{
	struct mailbox_metadata metadata;
	const struct seq_range *uids;

	if (watched.user != box->storage->user ||
	    !array_is_created(&changes->saved_uids) ||
	    array_count(&changes->saved_uids) == 0)
		return;
	if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0) {
		e_error(box->event, "backscatter: The mailbox has no GUID: %s - "
			"the report won't be judged again",
			mailbox_get_last_internal_error(box, NULL));
		return;
	}
	i_zero(&watched.place);
	memcpy(watched.place.mailbox_guid, metadata.guid,
	       sizeof(watched.place.mailbox_guid));
	watched.place.uid_validity = changes->uid_validity;
	uids = array_front(&changes->saved_uids);
	watched.place.uid = uids->seq1;
	watched.saved = TRUE;
}

static struct mailbox_transaction_context *
quarantine_save_transaction_begin(struct mailbox *box,
				  enum mailbox_transaction_flags flags,
				  const char *reason)
{
	union mailbox_module_context *mctx = QUARANTINE_SAVE_CONTEXT(box);

	/* a delivery doesn't ask for the UID, and Maildir gives none then */
	return mctx->super.transaction_begin(box,
		flags | MAILBOX_TRANSACTION_FLAG_ASSIGN_UIDS, reason);
}

static int
quarantine_save_transaction_commit(struct mailbox_transaction_context *trans,
				   struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox *box = trans->box;
	union mailbox_module_context *mctx = QUARANTINE_SAVE_CONTEXT(box);

	if (mctx->super.transaction_commit(trans, changes_r) < 0)
		return -1;
	quarantine_save_note(box, changes_r);
	return 0;
}

static void quarantine_save_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *mctx;

	if (watched.user == NULL || watched.user != box->storage->user)
		return;

	mctx = p_new(box->pool, union mailbox_module_context, 1);
	mctx->super = *v;
	box->vlast = &mctx->super;
	v->transaction_begin = quarantine_save_transaction_begin;
	v->transaction_commit = quarantine_save_transaction_commit;
	MODULE_CONTEXT_SET_SELF(box, quarantine_save_module, mctx);
}

/* Opens the mailbox, or creates and subscribes it. */
static int quarantine_mailbox_open(struct mailbox *box)
{
	enum mail_error error;

	if (mailbox_open(box) == 0)
		return 0;
	(void)mailbox_get_last_error(box, &error);
	if (error != MAIL_ERROR_NOTFOUND)
		return -1;
	/* another delivery may be creating it at this moment */
	if (mailbox_create(box, NULL, FALSE) < 0) {
		(void)mailbox_get_last_error(box, &error);
		if (error != MAIL_ERROR_EXISTS)
			return -1;
	}
	if (mailbox_set_subscribed(box, TRUE) < 0)
		return -1;
	return mailbox_open(box);
}

/* lda_mailbox_autocreate is off by default, and says nothing about ours. */
static int
quarantine_mailbox_create(struct mail_user *user, const char *name,
			  const char **error_r)
{
	struct mailbox *box = mailbox_alloc_for_user(user, name,
						     MAILBOX_FLAG_POST_SESSION);
	int ret = quarantine_mailbox_open(box);

	if (ret < 0)
		*error_r = t_strdup(mailbox_get_last_internal_error(box, NULL));
	mailbox_free(&box);
	return ret;
}

int quarantine_save(struct mail_deliver_context *ctx, const char *name,
		    struct mail_storage **storage_r,
		    struct sent_log_stored_report *place_r, const char **error_r)
{
	int ret;

	*storage_r = NULL;
	if (quarantine_mailbox_create(ctx->rcpt_user, name, error_r) < 0)
		return -1;
	i_zero(&watched);
	watched.user = ctx->rcpt_user;
	ret = mail_deliver_save(ctx, name, 0, NULL, storage_r);
	watched.user = NULL;
	*place_r = watched.place;
	if (ret == 0)
		return watched.saved ? 1 : 0;
	*error_r = *storage_r == NULL ? "mailbox can't be opened" :
		mail_storage_get_last_internal_error(*storage_r, NULL);
	return -1;
}

static struct mail_storage_hooks quarantine_save_hooks = {
	.mailbox_allocated = quarantine_save_mailbox_allocated,
};

void quarantine_save_init(struct module *module)
{
	mail_storage_hooks_add(module, &quarantine_save_hooks);
}

void quarantine_save_deinit(void)
{
	mail_storage_hooks_remove(&quarantine_save_hooks);
}
