#ifndef DELIVERY_USER_H
#define DELIVERY_USER_H

/* Whom the plugin is there for. An lmtp process has it for good once one of its
   recipients, or the protocol, has loaded it; a user's own mail_plugins may leave it
   out all the same. */

struct mail_user;
struct module;

void delivery_user_init(struct module *module);
void delivery_user_deinit(void);

/* The plugin is in this user's mail_plugins. */
bool delivery_user_has_plugin(struct mail_user *user);

#endif
