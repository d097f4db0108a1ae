/* From mail_user to sent_log. What is logged and what is asked is decided by
   the adapters. */

#include "lib.h"
#include "mail-namespace.h"
#include "mail-user.h"
#include "mailbox-list.h"
#include "compat/dovecot-compat.h"
#include "mailbox-log.h"

/* How long the log may keep a delivery, a message that is sent or an IMAP command
   waiting, in all: longer than any transaction of ours takes, shorter than an MTA's
   or a mail client's patience. */
#define MAILBOX_LOG_DEADLINE_MSECS 3000

static void mailbox_log_notice(const char *line, void *context)
{
	struct mailbox_log *log = context;

	e_warning(log->event, "backscatter: %s", line);
}

/* Not before the file is opened: his namespaces may not be there yet when the log is
   prepared. */
static void
mailbox_log_get_owner(struct sent_log_owner *owner_r, void *context)
{
	struct mailbox_log *log = context;
	const struct mail_namespace *ns = log->user->namespaces;
	const char *root;

	owner_r->name = log->user->username;
	while (ns != NULL && (ns->flags & NAMESPACE_FLAG_INBOX_USER) == 0)
		ns = ns->next;
	if (ns != NULL &&
	    mailbox_list_get_root_path(ns->list,
				       MAILBOX_LIST_PATH_TYPE_MAILBOX, &root))
		owner_r->mail = p_strdup(log->pool, root);
}

/* The cure for a path that is the same for two users. */
static const char *mailbox_log_owner_hint(struct mailbox_log *log)
{
	return p_strdup_printf(log->pool, "backscatter_db has the wrong value "
		"'%s': allowed are paths that differ from user to user, by "
		COMPAT_VARIABLE_USER " or ~/ - or if he was renamed and his "
		"mail moved, run 'doveadm backscatter coverage adopt -u %s'",
		log->set->db, log->user->username);
}

static const char *mailbox_log_path(struct mailbox_log *log)
{
	const char *home;

	if (log->set->db == NULL) {
		log->error = "backscatter_db names no file";
		return NULL;
	}
	if (*log->set->db == '/')
		return log->set->db;
	if (mail_user_get_home(log->user, &home) <= 0) {
		log->error = p_strdup_printf(log->pool,
			"backscatter_db=%s needs a home, and the user has none "
			"(set home in the userdb, or an absolute path)",
			log->set->db);
		return NULL;
	}
	return p_strconcat(log->pool, home, log->set->db + 1, NULL);
}

struct mailbox_log *
mailbox_log_init(struct mail_user *user, struct event *event)
{
	pool_t pool = pool_alloconly_create("backscatter mailbox log", 2048);
	struct mailbox_log *log = p_new(pool, struct mailbox_log, 1);
	struct sent_log_settings set;
	const char *const *error;

	log->pool = pool;
	log->user = user;
	log->event = event;
	event_ref(event);
	log->set = compat_settings_get(user, pool);
	for (error = log->set->errors; *error != NULL; error++)
		e_error(event, "backscatter: %s", *error);

	i_zero(&set);
	set.path = log->path = mailbox_log_path(log);
	if (log->path == NULL)
		return log;
	set.network_filesystem = compat_mmap_disabled(user);
	set.deadline_msecs = MAILBOX_LOG_DEADLINE_MSECS;
	set.retention_secs = log->set->retention;
	set.listed_sources = log->set->sources;
	set.notice = mailbox_log_notice;
	set.notice_context = log;
	set.get_owner = mailbox_log_get_owner;
	set.owner_context = log;
	set.owner_hint = mailbox_log_owner_hint(log);
	log->log = sent_log_init(&set);
	return log;
}

void mailbox_log_make_home(struct mailbox_log *log)
{
	/* failed: opening the log will say so, and with which path */
	if (log->path != NULL && *log->set->db != '/')
		(void)mail_user_home_mkdir(log->user);
}

void mailbox_log_begin(struct mailbox_log *log)
{
	if (log->log != NULL)
		sent_log_begin(log->log);
}

void mailbox_log_deinit(struct mailbox_log **_log)
{
	struct mailbox_log *log = *_log;

	*_log = NULL;
	if (log->log != NULL)
		sent_log_deinit(&log->log);
	event_unref(&log->event);
	pool_unref(&log->pool);
}

void mailbox_log_set_unavailable(struct mailbox_log *log, const char *error)
{
	log->error = p_strdup(log->pool, error);
	sent_log_deinit(&log->log);
}

struct own_addresses *
mailbox_log_own_addresses(struct mailbox_log *log, const char *recipient,
			  pool_t pool)
{
	struct own_addresses *own =
		own_addresses_init(pool, compat_recipient_delimiter(log->user, pool));
	const char *const *address;

	own_addresses_add_login(own, log->user->username);
	for (address = log->set->addresses; *address != NULL; address++)
		own_addresses_add(own, *address);
	if (recipient != NULL)
		own_addresses_add_recipient(own, recipient);
	return own;
}
