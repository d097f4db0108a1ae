#ifndef PLUGIN_H
#define PLUGIN_H

/* The names that Dovecot's module loader looks for: everything else in the module
   is hidden, so that its rooms can't clash with those of our other modules. */

#define PLUGIN_EXPORT __attribute__((visibility("default")))

struct module;

extern PLUGIN_EXPORT const char *backscatter_plugin_version;
PLUGIN_EXPORT void backscatter_plugin_init(struct module *module);
PLUGIN_EXPORT void backscatter_plugin_deinit(void);

#endif
