#ifndef DOVECOT_COMPAT_H
#define DOVECOT_COMPAT_H

/* All that differs between Dovecot 2.3 and 2.4. Nothing else asks for the version.
   dovecot-2.3.c and dovecot-2.4.c implement it for one version each; doveadm's
   differences are in doveadm-compat.h. */

#include "settings/backscatter-settings.h"
#include "settings/spf-settings.h"

struct mail_user;
struct mail_namespace;
struct mailbox;
struct dict;

/* The settings of this user, with userdb overrides: from plugin {} in 2.3, typed
   settings in 2.4. Allocated from pool. Never fails. */
const struct backscatter_settings *
compat_settings_get(struct mail_user *user, pool_t pool);

/* The settings that belong to the message, as they are for this user. */
const struct spf_settings *
compat_spf_settings_get(struct mail_user *user, pool_t pool);

/* "90 days" -> seconds. Returns 0, or -1 and an error if it is no time. (In
   compat-interval.c: needs libdovecot only.) */
int compat_parse_interval(const char *str, unsigned int *seconds_r,
			  const char **error_r);

/* The same in milliseconds. */
int compat_parse_interval_msecs(const char *str, unsigned int *msecs_r,
				const char **error_r);

/* How a setting writes the user's name. */
#if DOVECOT_VERSION_MINOR == 3
#define COMPAT_VARIABLE_USER "%%u"
#else
#define COMPAT_VARIABLE_USER "%%{user}"
#endif

/* recipient_delimiter; allocated from pool */
const char *compat_recipient_delimiter(struct mail_user *user, pool_t pool);
/* mmap_disable: the mail may be on NFS. */
bool compat_mmap_disabled(struct mail_user *user);
/* Opens the dict of backscatter_sender_dict: in 2.3 a string in plugin {}
   ("proxy::senders"), in 2.4 a section with a dict in it. Returns 1, 0 if none is
   set, or -1 and an error. */
int compat_sender_dict_init(struct mail_user *user, struct dict **dict_r,
			    const char **error_r);
/* FALSE: the driver can't list its keys, and must not be asked to. */
bool compat_dict_can_iterate(const struct dict *dict);
/* Appends the full names of the mailboxes that the namespace's settings give this
   special use ("\\Sent"); whether they exist is not looked at. Data stack. */
void compat_namespace_special_use(struct mail_namespace *ns, const char *use,
				  ARRAY_TYPE(const_string) *names);
/* mail_max_lock_timeout for what is opened in this namespace from now on. Returns
   the one of before. */
unsigned int compat_namespace_set_lock_timeout(struct mail_namespace *ns,
					       unsigned int secs);
/* The mailbox has this special use ("\\Sent") in its namespace's settings. */
bool compat_mailbox_has_special_use(struct mailbox *box, const char *use);

#endif
