/* Storage hooks that are there for the length of one report's delivery. */

#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mail-storage-hooks.h"
#include "delivery-stored.h"

#define DELIVERY_STORED_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, delivery_stored_module)

static MODULE_CONTEXT_DEFINE_INIT(delivery_stored_module,
				  &mail_storage_module_register);

static struct {
	/* NULL = no report is being delivered */
	struct mail_user *user;
	bool saved;
	struct sent_log_stored_report place;
} watched;

static void
delivery_stored_note(struct mailbox *box,
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
delivery_stored_transaction_begin(struct mailbox *box,
				  enum mailbox_transaction_flags flags,
				  const char *reason)
{
	union mailbox_module_context *mctx = DELIVERY_STORED_CONTEXT(box);

	/* a delivery doesn't ask for the UID, and Maildir gives none then */
	return mctx->super.transaction_begin(box,
		flags | MAILBOX_TRANSACTION_FLAG_ASSIGN_UIDS, reason);
}

static int
delivery_stored_transaction_commit(struct mailbox_transaction_context *trans,
				   struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox *box = trans->box;
	union mailbox_module_context *mctx = DELIVERY_STORED_CONTEXT(box);

	if (mctx->super.transaction_commit(trans, changes_r) < 0)
		return -1;
	delivery_stored_note(box, changes_r);
	return 0;
}

static void delivery_stored_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *mctx;

	if (watched.user == NULL || watched.user != box->storage->user)
		return;

	mctx = p_new(box->pool, union mailbox_module_context, 1);
	mctx->super = *v;
	box->vlast = &mctx->super;
	v->transaction_begin = delivery_stored_transaction_begin;
	v->transaction_commit = delivery_stored_transaction_commit;
	MODULE_CONTEXT_SET_SELF(box, delivery_stored_module, mctx);
}

void delivery_stored_begin(struct mail_user *user)
{
	i_zero(&watched);
	watched.user = user;
}

bool delivery_stored_end(struct sent_log_stored_report *place_r)
{
	watched.user = NULL;
	*place_r = watched.place;
	return watched.saved;
}

static struct mail_storage_hooks delivery_stored_hooks = {
	.mailbox_allocated = delivery_stored_mailbox_allocated,
};

void delivery_stored_init(struct module *module)
{
	mail_storage_hooks_add(module, &delivery_stored_hooks);
}

void delivery_stored_deinit(void)
{
	mail_storage_hooks_remove(&delivery_stored_hooks);
}
