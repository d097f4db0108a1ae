/* Dovecot 2.4: the typed settings, for the plugins and for doveconf. Needs
   libdovecot only. */

#include "lib.h"

#if DOVECOT_VERSION_MINOR >= 4

#include "settings-parser.h"
#include "backscatter-settings.h"
#include "spf-settings.h"
#include "setting-info.h"

static const struct setting_define backscatter_setting_defines[] = {
#define BACKSCATTER_SETTING(setting_name, setting_default, parser) \
	SETTING_DEFINE_STRUCT_STR("backscatter_"#setting_name, \
				  backscatter_##setting_name, \
				  struct backscatter_typed_settings),
#include "backscatter-settings-table.h"
#undef BACKSCATTER_SETTING
#define SPF_SETTING(setting_name, setting_default, parser) \
	SETTING_DEFINE_STRUCT_STR("backscatter_"#setting_name, \
				  backscatter_##setting_name, \
				  struct backscatter_typed_settings),
#include "spf-settings-table.h"
#undef SPF_SETTING
	{ .type = SET_FILTER_NAME, .key = SENDER_DICT_SECTION,
	  .required_setting = "dict" },
	SETTING_DEFINE_LIST_END
};

static const struct backscatter_typed_settings backscatter_default_settings = {
#define BACKSCATTER_SETTING(setting_name, setting_default, parser) \
	.backscatter_##setting_name = setting_default,
#include "backscatter-settings-table.h"
#undef BACKSCATTER_SETTING
#define SPF_SETTING(setting_name, setting_default, parser) \
	.backscatter_##setting_name = setting_default,
#include "spf-settings-table.h"
#undef SPF_SETTING
};

const char *backscatter_typed_setting_get(const char *name, void *context)
{
	const struct setting_define *define = backscatter_setting_defines;

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
	const char *value = backscatter_typed_setting_get(name, context);

	return value == set_value_unknown ? NULL : value;
}

static bool
backscatter_settings_check(void *set, pool_t pool, const char **error_r)
{
	const struct backscatter_settings *parsed =
		backscatter_settings_parse(pool, get_known, set);

	*error_r = parsed->errors[0];
	if (*error_r == NULL)
		*error_r = spf_settings_parse(pool, get_known, set)->errors[0];
	return *error_r == NULL;
}

const struct setting_parser_info backscatter_setting_parser_info = {
	.name = "backscatter",
	.defines = backscatter_setting_defines,
	.defaults = &backscatter_default_settings,
	.struct_size = sizeof(struct backscatter_typed_settings),
	.pool_offset1 = 1 + offsetof(struct backscatter_typed_settings, pool),
	.check_func = backscatter_settings_check,
};

#endif
