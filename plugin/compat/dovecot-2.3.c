/* Dovecot 2.3 */

#include "lib.h"

#if DOVECOT_VERSION_MINOR == 3

#include "array.h"
#include "dict-private.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-storage-settings.h"
#include "master-service.h"
#include "master-service-settings.h"
#include "dovecot-compat.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
#pragma weak mail_user_set_get_storage_set
#pragma weak master_service_settings_get

const char *compat_base_dir(void)
{
	return master_service_settings_get(master_service)->base_dir;
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
