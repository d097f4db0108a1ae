/* Where the settings come from in Dovecot 2.4: typed settings (setting-info.c). */

#include "lib.h"

#if DOVECOT_VERSION_MINOR >= 4

#include "settings.h"
#include "settings-parser.h"
#include "dict.h"
#include "mail-user.h"
#include "backscatter-settings.h"
#include "spf-settings.h"
#include "setting-info.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
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
backscatter_settings_get(struct mail_user *user, pool_t pool)
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
spf_settings_get_for_event(struct event *event, pool_t pool)
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
spf_settings_get(struct mail_user *user, pool_t pool)
{
	struct settings_instance *instance =
		settings_instance_new(settings_root_find(user->event));
	struct event *event = event_create(user->event);
	const struct spf_settings *set;

	event_set_ptr(event, SETTINGS_EVENT_INSTANCE, instance);
	set = spf_settings_get_for_event(event, pool);
	event_unref(&event);
	settings_instance_free(&instance);
	return set;
}

int backscatter_sender_dict_init(struct mail_user *user, struct dict **dict_r,
			    const char **error_r)
{
	struct event *event = event_create(user->event);
	int ret;

	settings_event_add_filter_name(event, SENDER_DICT_SECTION);
	ret = dict_init_auto(event, dict_r, error_r);
	event_unref(&event);
	return ret;
}

#endif
