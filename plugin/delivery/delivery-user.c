/* Dovecot calls a module's storage hooks for those users only that have it in their
   mail_plugins: so they are marked there. */

#include "lib.h"
#include "module-context.h"
#include "mail-storage-hooks.h"
#include "mail-user.h"
#include "delivery-user.h"

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
