#ifndef PLUGIN_H
#define PLUGIN_H

/* The names that Dovecot's module loader looks for. */

#include "compat/plugin-export.h"

struct module;

extern PLUGIN_EXPORT const char *backscatter_plugin_version;
PLUGIN_EXPORT void backscatter_plugin_init(struct module *module);
PLUGIN_EXPORT void backscatter_plugin_deinit(void);

#endif
