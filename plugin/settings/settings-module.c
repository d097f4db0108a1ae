/* Entry points of settings/libbackscatter_settings.so, Dovecot 2.4: tells doveconf
   our settings. */

#include "lib.h"

#if DOVECOT_VERSION_MINOR >= 4

#include "settings-parser.h"
#include "setting-info.h"
#include "compat/plugin-export.h"

extern PLUGIN_EXPORT const struct setting_parser_info *backscatter_settings_set_infos[];
extern PLUGIN_EXPORT const char *backscatter_settings_version;

const struct setting_parser_info *backscatter_settings_set_infos[] = {
	&backscatter_setting_parser_info, NULL
};
const char *backscatter_settings_version = DOVECOT_ABI_VERSION;

#endif
