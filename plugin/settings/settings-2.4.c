/* Where the settings come from in Dovecot 2.4: typed settings. All of them are
   strings for Dovecot; the check at configuration time is the parser that is used at
   run time, so that both say the same about a wrong value.

   Also all of settings/libbackscatter_settings.so, which tells doveconf our settings:
   nothing in here may need libdovecot-storage. */

#include "lib.h"

#if DOVECOT_VERSION_MINOR >= 4

#include "settings.h"
#include "settings-parser.h"
#include "dict.h"
#include "mail-user.h"
#include "compat/plugin-export.h"
#include "backscatter-settings-private.h"

/* Weak, so that the other version can load the module far enough to see that it isn't
   its own, and says so, instead of naming a symbol. */
#pragma weak settings_get
#pragma weak settings_event_add_filter_name
#pragma weak settings_instance_new
#pragma weak settings_instance_free
#pragma weak settings_root_find
#pragma weak dict_init_auto

/* The section that the dict of senders is written in. */
#define SENDER_DICT_SECTION "backscatter_sender_dict"

struct backscatter_typed_settings {
	pool_t pool;
#define USER_SETTING(type, name, default_value, parser) \
	const char *backscatter_##name;
#define MESSAGE_SETTING USER_SETTING
#include "settings-table.h"
};

static const struct setting_define typed_setting_defines[] = {
#define USER_SETTING(type, name, default_value, parser) \
	SETTING_DEFINE_STRUCT_STR("backscatter_"#name, backscatter_##name, \
				  struct backscatter_typed_settings),
#define MESSAGE_SETTING USER_SETTING
#include "settings-table.h"
	{ .type = SET_FILTER_NAME, .key = SENDER_DICT_SECTION,
	  .required_setting = "dict" },
	SETTING_DEFINE_LIST_END
};

static const struct backscatter_typed_settings typed_default_settings = {
#define USER_SETTING(type, name, default_value, parser) \
	.backscatter_##name = default_value,
#define MESSAGE_SETTING USER_SETTING
#include "settings-table.h"
};

/* context: NULL = no settings, but defaults */
static const char *get_typed(const char *name, void *context)
{
	const struct setting_define *define = typed_setting_defines;

	if (context == NULL)
		return NULL;
	for (; define->key != NULL; define++) {
		if (strcmp(define->key, name) == 0)
			return *(const char **)PTR_OFFSET(context, define->offset);
	}
	return NULL;
}

/* doveconf checks before %{variables} are expanded: a value that has one is not known
   yet, and can't be checked. */
static const char *get_known(const char *name, void *context)
{
	const char *value = get_typed(name, context);

	return value == set_value_unknown ? NULL : value;
}

static bool typed_settings_check(void *set, pool_t pool, const char **error_r)
{
	*error_r = backscatter_settings_check(pool, get_known, set);
	return *error_r == NULL;
}

static const struct setting_parser_info typed_setting_parser_info = {
	.name = "backscatter",
	.defines = typed_setting_defines,
	.defaults = &typed_default_settings,
	.struct_size = sizeof(struct backscatter_typed_settings),
	.pool_offset1 = 1 + offsetof(struct backscatter_typed_settings, pool),
	.check_func = typed_settings_check,
};

extern PLUGIN_EXPORT const struct setting_parser_info *backscatter_settings_set_infos[];
extern PLUGIN_EXPORT const char *backscatter_settings_version;

const struct setting_parser_info *backscatter_settings_set_infos[] = {
	&typed_setting_parser_info, NULL
};
const char *backscatter_settings_version = DOVECOT_ABI_VERSION;

/* Checked by ourselves: a wrong value of one setting must not take the others
   away. NULL after an error line. */
static struct backscatter_typed_settings *typed_settings_get(struct event *event)
{
	struct backscatter_typed_settings *typed;
	const char *error;

	if (settings_get(event, &typed_setting_parser_info,
			 SETTINGS_GET_FLAG_NO_CHECK, &typed, &error) == 0)
		return typed;
	e_error(event, "backscatter: %s - defaults are used", error);
	return NULL;
}

const struct backscatter_settings *
backscatter_settings_get(struct mail_user *user, pool_t pool)
{
	struct backscatter_typed_settings *typed = typed_settings_get(user->event);
	const struct backscatter_settings *set =
		backscatter_settings_parse(pool, get_typed, typed);

	settings_free(typed);
	return set;
}

const struct spf_settings *
spf_settings_get_for_event(struct event *event, pool_t pool)
{
	struct backscatter_typed_settings *typed = typed_settings_get(event);
	const struct spf_settings *set = spf_settings_parse(pool, get_typed, typed);

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
