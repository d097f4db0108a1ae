/* The deliver hook. Module names decide the order: lib95 is called before Sieve
   (lib90), so that Sieve sees our header and a quarantined report skips it. */

#include "lib.h"
#include "mail-deliver.h"
#include "verdict/tag.h"
#include "delivery.h"
#include "module-context.h"
#include "mail-storage-hooks.h"
#include "mail-user.h"

/* Dovecot calls a module's storage hooks for those users only that have it in their
   mail_plugins: so they are marked there. */

#define DELIVERY_USER_CONTEXT(obj) MODULE_CONTEXT(obj, delivery_user_module)

static MODULE_CONTEXT_DEFINE_INIT(delivery_user_module,
				  &mail_user_module_register);

static void delivery_user_created(struct mail_user *user)
{
	union mail_user_module_context *mark =
		p_new(user->pool, union mail_user_module_context, 1);

	MODULE_CONTEXT_SET_SELF(user, delivery_user_module, mark);
}

static struct mail_storage_hooks delivery_user_hooks = {
	.mail_user_created = delivery_user_created,
};

void delivery_user_init(struct module *module)
{
	mail_storage_hooks_add(module, &delivery_user_hooks);
}

void delivery_user_deinit(void)
{
	mail_storage_hooks_remove(&delivery_user_hooks);
}

bool delivery_user_has_plugin(struct mail_user *user)
{
	return DELIVERY_USER_CONTEXT(user) != NULL;
}

static deliver_mail_func_t *next_deliver_mail;

static int delivery_next(struct mail_deliver_context *ctx,
			 struct mail_storage **storage_r)
{
	return next_deliver_mail == NULL ? -1 :
		next_deliver_mail(ctx, storage_r);
}

/* LMTP has put the header into the mail already (delivery-lmtp.c). */
static int delivery_lmtp_hook(struct mail_deliver_context *ctx,
			      struct mail_storage **storage_r)
{
	struct delivery_report *report = delivery_lmtp_current_report();

	if (report == NULL)
		return delivery_next(ctx, storage_r);
	/* this mail has one recipient's header: no other may be given it */
	ctx->save_dest_mail = FALSE;
	if (delivery_report_act(report, ctx, storage_r))
		return 1;
	return delivery_next(ctx, storage_r);
}

/* A tag is a detail, and lmtp_save_to_detail_mailbox (or "dovecot-lda -m") would
   make a mailbox of it. The name may have a namespace's prefix. */
static void delivery_leave_tag_mailbox(struct mail_deliver_context *ctx)
{
	size_t size = strlen(ctx->rcpt_default_mailbox);

	if (size >= TAG_DETAIL_SIZE &&
	    tag_is_detail(ctx->rcpt_default_mailbox + size - TAG_DETAIL_SIZE))
		ctx->rcpt_default_mailbox = "INBOX";
}

static int delivery_hook(struct mail_deliver_context *ctx,
			 struct mail_storage **storage_r)
{
	delivery_leave_tag_mailbox(ctx);
	if (delivery_is_lmtp())
		return delivery_lmtp_hook(ctx, storage_r);
	return delivery_lda(ctx, storage_r, next_deliver_mail);
}

void delivery_init(void)
{
	next_deliver_mail = mail_deliver_hook_set(delivery_hook);
	delivery_lmtp_init();
}

void delivery_deinit(void)
{
	mail_deliver_hook_set(next_deliver_mail);
	delivery_lmtp_deinit();
}
