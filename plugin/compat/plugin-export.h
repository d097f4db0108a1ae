#ifndef PLUGIN_EXPORT_H
#define PLUGIN_EXPORT_H

/* For the names that Dovecot's module loader looks for: everything else in a module
   is hidden, so that its rooms can't clash with those of our other modules. */
#define PLUGIN_EXPORT __attribute__((visibility("default")))

#endif
