/* Dovecot 2.4 */

#include "lib.h"

#if DOVECOT_VERSION_MINOR >= 4

#include "array.h"
#include "settings.h"
#include "settings-parser.h"
#include "dict-private.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mailbox-list.h"
#include "mail-storage-private.h"
#include "mail-storage-settings.h"
#include "master-service.h"
#include "master-service-settings.h"
#include "dovecot-compat.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
#pragma weak mailbox_list_get_mail_set
#pragma weak settings_get
#pragma weak master_service_get_service_settings

const char *compat_base_dir(void)
{
	return master_service_get_service_settings(master_service)->base_dir;
}

/* What mail_storage_settings say. Returns 0, or -1 after an error line. */
static int
get_storage_settings(struct mail_user *user,
		     const struct mail_storage_settings **set_r)
{
	const char *error;

	if (settings_get(user->event, &mail_storage_setting_parser_info, 0,
			 set_r, &error) < 0) {
		e_error(user->event, "backscatter: %s", error);
		return -1;
	}
	return 0;
}

const char *compat_recipient_delimiter(struct mail_user *user, pool_t pool)
{
	const struct mail_storage_settings *set;
	const char *delimiter;

	if (get_storage_settings(user, &set) < 0)
		return "+";
	delimiter = p_strdup(pool, set->recipient_delimiter);
	settings_free(set);
	return delimiter;
}

bool compat_mmap_disabled(struct mail_user *user)
{
	const struct mail_storage_settings *set;
	bool disabled;

	/* the rollback journal works everywhere */
	if (get_storage_settings(user, &set) < 0)
		return TRUE;
	disabled = set->mmap_disable;
	settings_free(set);
	return disabled;
}

bool compat_dict_can_iterate(const struct dict *dict)
{
	return dict->v.iterate_init != NULL;
}

static bool has_special_use(const struct mailbox_settings *set, const char *use)
{
	const char *special_use;

	if (!array_is_created(&set->special_use))
		return FALSE;
	array_foreach_elem(&set->special_use, special_use) {
		if (strcasecmp(special_use, use) == 0)
			return TRUE;
	}
	return FALSE;
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
	const struct mailbox_settings *set;
	const char *name;

	if (!array_is_created(&ns->set->parsed_mailboxes))
		return;
	array_foreach_elem(&ns->set->parsed_mailboxes, set) {
		if (!has_special_use(set, use))
			continue;
		name = namespace_mailbox_name(ns, set->name);
		array_push_back(names, &name);
	}
}

/* The storages of a namespace share these settings, and no getter of Dovecot's sees
   what is written into them but those of locks. */
unsigned int compat_namespace_set_lock_timeout(struct mail_namespace *ns,
					       unsigned int secs)
{
	struct mail_storage_settings *set =
		(struct mail_storage_settings *)
			mailbox_list_get_mail_set(ns->list);
	unsigned int old = set->mail_max_lock_timeout;

	set->mail_max_lock_timeout = secs;
	return old;
}

bool compat_mailbox_has_special_use(struct mailbox *box, const char *use)
{
	return box->set != NULL && has_special_use(box->set, use);
}

#endif
