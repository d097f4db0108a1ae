#ifndef SETTING_INFO_H
#define SETTING_INFO_H

/* Dovecot 2.4: the typed settings. All of them are strings for Dovecot; the check
   at configuration time is the parser that 2.3 uses at run time, so that both
   say the same about a wrong value. And the section that a dict is written in. */

#define SENDER_DICT_SECTION "backscatter_sender_dict"

struct backscatter_typed_settings {
	pool_t pool;
#define BACKSCATTER_SETTING(setting_name, setting_default, parser) \
	const char *backscatter_##setting_name;
#include "backscatter-settings-table.h"
#undef BACKSCATTER_SETTING
#define SPF_SETTING(setting_name, setting_default, parser) \
	const char *backscatter_##setting_name;
#include "spf-settings-table.h"
#undef SPF_SETTING
};

extern const struct setting_parser_info backscatter_setting_parser_info;

/* spf_settings_get() for who has an event only. */
const struct spf_settings *
spf_settings_get_for_event(struct event *event, pool_t pool);

/* backscatter_setting_get_t; context: struct backscatter_typed_settings */
const char *backscatter_typed_setting_get(const char *name, void *context);

#endif
