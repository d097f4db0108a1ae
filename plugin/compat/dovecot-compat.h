#ifndef DOVECOT_COMPAT_H
#define DOVECOT_COMPAT_H

/* What differs between Dovecot 2.3 and 2.4, but for reading our settings (settings/)
   and doveadm's commands (doveadm/doveadm-compat.h): nothing else asks for the
   version. dovecot-2.3.c and dovecot-2.4.c implement it for one version each. The
   ground floor: includes nothing of ours. */

struct mail_user;
struct mail_namespace;
struct mailbox;
struct dict;

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

/* base_dir of this process's configuration: where Dovecot's sockets are. */
const char *compat_base_dir(void);
/* recipient_delimiter; allocated from pool */
const char *compat_recipient_delimiter(struct mail_user *user, pool_t pool);
/* mmap_disable: the mail may be on NFS. */
bool compat_mmap_disabled(struct mail_user *user);
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
