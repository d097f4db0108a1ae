#ifndef DOVECOT_COMPAT_H
#define DOVECOT_COMPAT_H

/* All that differs between Dovecot 2.3 and 2.4. Nothing else asks for the version.
   dovecot-2.3.c and dovecot-2.4.c implement it for one version each; doveadm's
   differences are in doveadm-compat.h. */

#include "backscatter-settings.h"

struct mail_user;
struct mailbox;

/* The settings of this user, with userdb overrides: from plugin {} in 2.3, typed
   settings in 2.4. Allocated from pool. Never fails. */
const struct backscatter_settings *
compat_settings_get(struct mail_user *user, pool_t pool);

/* "90 days" -> seconds. Returns 0, or -1 and an error if it is no time. (In
   compat-interval.c: needs libdovecot only.) */
int compat_parse_interval(const char *str, unsigned int *seconds_r,
			  const char **error_r);

/* recipient_delimiter; allocated from pool */
const char *compat_recipient_delimiter(struct mail_user *user, pool_t pool);
/* mmap_disable: the mail may be on NFS. */
bool compat_mmap_disabled(struct mail_user *user);
/* The mailbox has this special use ("\\Sent") in its namespace's settings. */
bool compat_mailbox_has_special_use(struct mailbox *box, const char *use);

#endif
