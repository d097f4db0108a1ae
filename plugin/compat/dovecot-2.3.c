/* Dovecot 2.3 */

#include "lib.h"

#if DOVECOT_VERSION_MINOR == 3

#include "array.h"
#include "dict-private.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-storage-settings.h"
#include "dovecot-compat.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
#pragma weak mail_user_plugin_getenv
#pragma weak mail_user_set_get_storage_set
#pragma weak dict_init

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

const struct spf_settings *
compat_spf_settings_get(struct mail_user *user, pool_t pool)
{
	return spf_settings_parse(pool, get_plugin_setting, user);
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

int compat_sender_dict_init(struct mail_user *user, struct dict **dict_r,
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

/* 2.3.19's fs dict begins anew when it has come to its end, without end; in an empty
   folder until the stack is used up. */
bool compat_dict_can_iterate(const struct dict *dict)
{
	return dict->v.iterate_init != NULL && strcmp(dict->name, "fs") != 0;
}

static bool has_special_use(const struct mailbox_settings *set, const char *use)
{
	return set->special_use != NULL &&
		str_array_icase_find(t_strsplit_spaces(set->special_use, " "),
				     use);
}

static const char *
namespace_mailbox_name(const struct mail_namespace *ns, const char *name)
{
	/* INBOX has no prefix, whatever the namespace */
	return strcasecmp(name, "INBOX") == 0 ? "INBOX" :
		t_strconcat(ns->prefix, name, NULL);
}

void compat_namespace_special_use(struct mail_namespace *ns, const char *use,
				  ARRAY_TYPE(const_string) *names)
{
	struct mailbox_settings *set;
	const char *name;

	if (!array_is_created(&ns->set->mailboxes))
		return;
	array_foreach_elem(&ns->set->mailboxes, set) {
		if (!has_special_use(set, use))
			continue;
		name = namespace_mailbox_name(ns, set->name);
		array_push_back(names, &name);
	}
}

unsigned int compat_namespace_set_lock_timeout(struct mail_namespace *ns,
					       unsigned int secs)
{
	struct mail_storage_settings *set =
		(struct mail_storage_settings *)ns->mail_set;
	unsigned int old = set->mail_max_lock_timeout;

	set->mail_max_lock_timeout = secs;
	return old;
}

bool compat_mailbox_has_special_use(struct mailbox *box, const char *use)
{
	return box->set != NULL && has_special_use(box->set, use);
}

#endif
