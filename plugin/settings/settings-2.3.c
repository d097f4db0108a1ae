/* Where the settings come from in Dovecot 2.3: plugin {}, and what the userdb says. */

#include "lib.h"

#if DOVECOT_VERSION_MINOR == 3

#include "dict.h"
#include "mail-user.h"
#include "mail-storage-settings.h"
#include "backscatter-settings.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
#pragma weak mail_user_plugin_getenv
#pragma weak dict_init

static const char *get_plugin_setting(const char *name, void *context)
{
	struct mail_user *user = context;

	return mail_user_plugin_getenv(user, name);
}

const struct backscatter_settings *
backscatter_settings_get(struct mail_user *user, pool_t pool)
{
	return backscatter_settings_parse(pool, get_plugin_setting, user);
}

const struct spf_settings *
spf_settings_get(struct mail_user *user, pool_t pool)
{
	return spf_settings_parse(pool, get_plugin_setting, user);
}

int backscatter_sender_dict_init(struct mail_user *user, struct dict **dict_r,
			    const char **error_r)
{
	const char *uri = mail_user_plugin_getenv(user,
						  "backscatter_sender_dict");
	const struct dict_settings set = {
		.base_dir = user->set->base_dir,
		.event_parent = user->event,
	};

	if (uri == NULL || *uri == '\0')
		return 0;
	return dict_init(uri, &set, dict_r, error_r) < 0 ? -1 : 1;
}

#endif
