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
#include "dovecot-compat.h"
#include "settings/setting-info.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
#pragma weak mailbox_list_get_mail_set
#pragma weak settings_get
#pragma weak settings_event_add_filter_name
#pragma weak settings_instance_new
#pragma weak settings_instance_free
#pragma weak settings_root_find
#pragma weak dict_init_auto

static const char *get_nothing(const char *name ATTR_UNUSED,
			       void *context ATTR_UNUSED)
{
	return NULL;
}

/* Checked by ourselves: a wrong value of one setting must not take the others
   away. Returns 0, or -1 after an error line. */
static int
get_typed_settings(struct event *event,
		   struct backscatter_typed_settings **typed_r)
{
	const char *error;

	if (settings_get(event, &backscatter_setting_parser_info,
			 SETTINGS_GET_FLAG_NO_CHECK, typed_r, &error) < 0) {
		e_error(event, "backscatter: %s - defaults are used",
			error);
		return -1;
	}
	return 0;
}

const struct backscatter_settings *
compat_settings_get(struct mail_user *user, pool_t pool)
{
	struct backscatter_typed_settings *typed;
	const struct backscatter_settings *set;

	if (get_typed_settings(user->event, &typed) < 0)
		return backscatter_settings_parse(pool, get_nothing, NULL);
	set = backscatter_settings_parse(pool, backscatter_typed_setting_get,
					 typed);
	settings_free(typed);
	return set;
}

const struct spf_settings *
compat_event_spf_settings_get(struct event *event, pool_t pool)
{
	struct backscatter_typed_settings *typed;
	const struct spf_settings *set;

	if (get_typed_settings(event, &typed) < 0)
		return spf_settings_parse(pool, get_nothing, NULL);
	set = spf_settings_parse(pool, backscatter_typed_setting_get, typed);
	settings_free(typed);
	return set;
}

/* lda's raw user stands below the user himself: what the userdb says of him is an
   instance of the settings, which another one hides. */
const struct spf_settings *
compat_spf_settings_get(struct mail_user *user, pool_t pool)
{
	struct settings_instance *instance =
		settings_instance_new(settings_root_find(user->event));
	struct event *event = event_create(user->event);
	const struct spf_settings *set;

	event_set_ptr(event, SETTINGS_EVENT_INSTANCE, instance);
	set = compat_event_spf_settings_get(event, pool);
	event_unref(&event);
	settings_instance_free(&instance);
	return set;
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

int compat_sender_dict_init(struct mail_user *user, struct dict **dict_r,
			    const char **error_r)
{
	struct event *event = event_create(user->event);
	int ret;

	settings_event_add_filter_name(event, SENDER_DICT_SECTION);
	ret = dict_init_auto(event, dict_r, error_r);
	event_unref(&event);
	return ret;
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
