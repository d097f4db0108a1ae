#ifndef SUBMISSION_PLUGIN_H
#define SUBMISSION_PLUGIN_H

/* The names that Dovecot's module loader looks for. */

#include "compat/plugin-export.h"

struct module;

extern PLUGIN_EXPORT const char *submission_backscatter_plugin_version;
PLUGIN_EXPORT void submission_backscatter_plugin_init(struct module *module);
PLUGIN_EXPORT void submission_backscatter_plugin_deinit(void);

#endif
