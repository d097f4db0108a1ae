#ifndef DOVEADM_PLUGIN_H
#define DOVEADM_PLUGIN_H

#include "compat/plugin-export.h"

struct module;

extern PLUGIN_EXPORT const char *doveadm_backscatter_plugin_version;
PLUGIN_EXPORT void doveadm_backscatter_plugin_init(struct module *module);
PLUGIN_EXPORT void doveadm_backscatter_plugin_deinit(void);

#endif
