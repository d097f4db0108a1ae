/* Dovecot 2.3 */

#include "lib.h"

#if DOVECOT_VERSION_MINOR == 3

#include "mail-user.h"
#include "mail-storage-private.h"
#include "mail-storage-settings.h"
#include "compat/dovecot-compat.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
#pragma weak mail_user_plugin_getenv
#pragma weak mail_user_set_get_storage_set

static const char *get_plugin_setting(const char *name, void *context)
{
	struct mail_user *user = context;

	return mail_user_plugin_getenv(user, name);
}

const struct backscatter_settings *
compat_settings_get(struct mail_user *user, pool_t pool)
{
	return backscatter_settings_parse(pool, get_plugin_setting, user);
}

const char *compat_recipient_delimiter(struct mail_user *user,
				       pool_t pool ATTR_UNUSED)
{
	return mail_user_set_get_storage_set(user)->recipient_delimiter;
}

bool compat_mmap_disabled(struct mail_user *user)
{
	return mail_user_set_get_storage_set(user)->mmap_disable;
}

bool compat_mailbox_has_special_use(struct mailbox *box, const char *use)
{
	return box->set != NULL && box->set->special_use != NULL &&
		str_array_icase_find(t_strsplit_spaces(box->set->special_use,
						       " "), use);
}

#endif
