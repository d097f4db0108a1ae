/* From mail_user to sent_log. What is logged and what is asked is decided by
   the adapters. */

#include "lib.h"
#include "mail-namespace.h"
#include "mail-user.h"
#include "mailbox-list.h"
#include "compat/dovecot-compat.h"
#include "backscatter-user.h"

/* How long the log may keep a delivery, a message that is sent or an IMAP command
   waiting, in all: longer than any transaction of ours takes, shorter than an MTA's
   or a mail client's patience. */
#define MAILBOX_LOG_DEADLINE_MSECS 3000

static void backscatter_user_notice(const char *line, void *context)
{
	struct backscatter_user *buser = context;

	e_warning(buser->event, "%s", line);
}

/* Not before the file is opened: his namespaces may not be there yet when the log is
   prepared. */
static void
backscatter_user_get_owner(struct sent_log_owner *owner_r, void *context)
{
	struct backscatter_user *buser = context;
	const struct mail_namespace *ns = buser->user->namespaces;
	const char *root;

	owner_r->name = buser->user->username;
	while (ns != NULL && (ns->flags & NAMESPACE_FLAG_INBOX_USER) == 0)
		ns = ns->next;
	if (ns != NULL &&
	    mailbox_list_get_root_path(ns->list,
				       MAILBOX_LIST_PATH_TYPE_MAILBOX, &root))
		owner_r->mail = p_strdup(buser->pool, root);
}

/* The cure for a path that is the same for two users. */
static const char *backscatter_user_owner_hint(struct backscatter_user *buser)
{
	return p_strdup_printf(buser->pool, "backscatter_db has the wrong value "
		"'%s': allowed are paths that differ from user to user, by "
		COMPAT_VARIABLE_USER " or ~/ - or if he was renamed and his "
		"mail moved, run 'doveadm backscatter coverage adopt -u %s'",
		buser->set->db, buser->user->username);
}

static const char *backscatter_user_path(struct backscatter_user *buser)
{
	const char *home;

	if (buser->set->db == NULL) {
		buser->error = "backscatter_db names no file";
		return NULL;
	}
	if (*buser->set->db == '/')
		return buser->set->db;
	if (mail_user_get_home(buser->user, &home) <= 0) {
		buser->error = p_strdup_printf(buser->pool,
			"backscatter_db=%s needs a home, and the user has none "
			"(set home in the userdb, or an absolute path)",
			buser->set->db);
		return NULL;
	}
	return p_strconcat(buser->pool, home, buser->set->db + 1, NULL);
}

struct backscatter_user *
backscatter_user_init(struct mail_user *user, struct event *event)
{
	pool_t pool = pool_alloconly_create("backscatter mailbox log", 2048);
	struct backscatter_user *buser = p_new(pool, struct backscatter_user, 1);
	struct sent_log_settings set;
	const char *const *error;

	buser->pool = pool;
	buser->user = user;
	buser->event = event_create(event);
	event_set_append_log_prefix(buser->event, "backscatter: ");
	buser->set = backscatter_settings_get(user, pool);
	for (error = buser->set->errors; *error != NULL; error++)
		e_error(buser->event, "%s", *error);

	i_zero(&set);
	set.path = buser->path = backscatter_user_path(buser);
	if (buser->path == NULL)
		return buser;
	set.network_filesystem = compat_mmap_disabled(user);
	set.deadline_msecs = MAILBOX_LOG_DEADLINE_MSECS;
	set.retention_secs = buser->set->retention;
	set.listed_sources = buser->set->sources;
	set.notice = backscatter_user_notice;
	set.notice_context = buser;
	set.get_owner = backscatter_user_get_owner;
	set.owner_context = buser;
	set.owner_hint = backscatter_user_owner_hint(buser);
	buser->log = sent_log_init(&set);
	return buser;
}

void backscatter_user_make_home(struct backscatter_user *buser)
{
	/* failed: opening the log will say so, and with which path */
	if (buser->path != NULL && *buser->set->db != '/')
		(void)mail_user_home_mkdir(buser->user);
}

void backscatter_user_begin(struct backscatter_user *buser)
{
	if (buser->log != NULL)
		sent_log_begin(buser->log);
}

void backscatter_user_deinit(struct backscatter_user **_log)
{
	struct backscatter_user *buser = *_log;

	*_log = NULL;
	if (buser->log != NULL)
		sent_log_deinit(&buser->log);
	event_unref(&buser->event);
	pool_unref(&buser->pool);
}

void backscatter_user_set_unavailable(struct backscatter_user *buser, const char *error)
{
	buser->error = p_strdup(buser->pool, error);
	sent_log_deinit(&buser->log);
}

struct own_addresses *
backscatter_user_own_addresses(struct backscatter_user *buser, const char *recipient,
			  pool_t pool)
{
	struct own_addresses *own =
		own_addresses_init(pool, compat_recipient_delimiter(buser->user, pool));
	const char *const *address;

	own_addresses_add_login(own, buser->user->username);
	for (address = buser->set->addresses; *address != NULL; address++)
		own_addresses_add(own, *address);
	if (recipient != NULL)
		own_addresses_add_recipient(own, recipient);
	return own;
}
