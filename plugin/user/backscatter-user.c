/* From mail_user to the rooms. What is logged and what is asked is decided by the
   rooms above. */

#include "lib.h"
#include "file-create-locked.h"
#include "mail-namespace.h"
#include "mail-user.h"
#include "mailbox-list.h"
#include "compat/dovecot-compat.h"
#include "backscatter-user.h"
#include "sent-log/site-key.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* How long the log may keep a delivery, a message that is sent or an IMAP command
   waiting, in all: longer than any transaction of ours takes, shorter than an MTA's
   or a mail client's patience. */
#define BACKSCATTER_USER_DEADLINE_MSECS 3000

/* field of a mail_user's event */
#define SETTINGS_ERRORS_SAID "backscatter_settings_errors_said"

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
		"'%s': allowed: paths that differ from user to user, by "
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

/* Once for each mail_user: doveadm's commands and what logs copies as they are saved are
   two modules of one process. */
static void backscatter_user_say_errors(struct backscatter_user *buser)
{
	const char *const *error;

	if (event_find_field_nonrecursive(buser->user->event,
					  SETTINGS_ERRORS_SAID) != NULL)
		return;
	event_add_int(buser->user->event, SETTINGS_ERRORS_SAID, 1);
	for (error = buser->set->errors; *error != NULL; error++)
		e_error(buser->event, "%s", *error);
}

struct backscatter_user *
backscatter_user_init(struct mail_user *user, struct event *event)
{
	pool_t pool = pool_alloconly_create("backscatter user", 2048);
	struct backscatter_user *buser = p_new(pool, struct backscatter_user, 1);
	struct sent_log_settings set;

	buser->pool = pool;
	buser->user = user;
	buser->event = event_create(event);
	event_set_append_log_prefix(buser->event, "backscatter: ");
	buser->set = backscatter_settings_get(user, pool);
	backscatter_user_say_errors(buser);

	i_zero(&set);
	set.path = buser->path = backscatter_user_path(buser);
	if (buser->path == NULL)
		return buser;
	set.network_filesystem = compat_mmap_disabled(user);
	set.deadline_msecs = BACKSCATTER_USER_DEADLINE_MSECS;
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

int backscatter_user_check_place(const struct backscatter_user *buser,
				 const char **error_r)
{
	const char *folder = t_strdup_until(buser->path,
					    strrchr(buser->path, '/'));
	const char *place = *folder == '\0' ? "/" : folder;
	const char *wrong;

	if (faccessat(AT_FDCWD, buser->path, F_OK, AT_EACCESS) == 0)
		return 0;
	/* the home is made when it is needed, and with it all that leads to it */
	while (*buser->set->db != '/' && *folder != '\0' &&
	       faccessat(AT_FDCWD, folder, F_OK, AT_EACCESS) < 0 &&
	       errno == ENOENT)
		place = folder = t_strdup_until(folder, strrchr(folder, '/'));
	if (*place == '\0')
		place = "/";
	if (faccessat(AT_FDCWD, place, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	wrong = errno == ENOENT ?
		t_strdup_printf("doesn't exist: create it for uid %ld",
				(long)geteuid()) :
		t_strdup_printf("can't be written by uid %ld (%s)%s",
				(long)geteuid(), strerror(errno),
				errno != EACCES ? "" : ": chown or chgrp it");
	*error_r = t_strdup_printf("sent log %s: can't be made: the directory "
				   "%s %s", buser->path, place, wrong);
	return -1;
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

bool backscatter_user_not_logged(struct backscatter_user *buser, const char *what,
				 const char *error)
{
	const char *gap_error;

	/* the log's own is valid only until its next call */
	error = buser->path == NULL ? t_strdup(error) :
		t_strdup_printf("sent log %s: %s", buser->path, error);
	if (buser->log == NULL)
		gap_error = "the log is unavailable";
	else if (sent_log_mark_gap(buser->log, &gap_error) > 0) {
		e_error(buser->event, "%s not logged: %s - coverage starts anew "
			"when the log can be written again", what, error);
		return TRUE;
	}
	e_error(buser->event, "%s not logged: %s, nor the gap marked: %s - when "
		"this is mended, run: doveadm backscatter coverage restart -u %s",
		what, error, gap_error, buser->user->username);
	return FALSE;
}

int backscatter_user_lock(struct backscatter_user *buser, const char *suffix,
			  unsigned int wait_secs, struct file_lock **lock_r,
			  bool *created_r, const char **error_r)
{
	const struct file_create_settings set = {
		.lock_timeout_secs = wait_secs,
		.lock_settings = {
			.lock_method = FILE_LOCK_METHOD_FCNTL,
			.unlink_on_free = TRUE,
			.close_on_free = TRUE,
			.allow_deadlock = TRUE,
		},
	};
	const char *error, *path = t_strconcat(buser->path, suffix, NULL);

	*lock_r = NULL;
	if (sent_log_look_beside(buser->log, suffix, &error) >= 0) {
		if (file_create_locked(path, &set, lock_r, created_r, &error) >= 0)
			return 1;
		*lock_r = NULL;
		if (errno == EAGAIN && wait_secs == 0)
			return 0;
	}
	*error_r = t_strdup_printf("Locking %s failed: %s", path, error);
	return -1;
}

struct coverage_policy
backscatter_user_coverage_policy(const struct backscatter_user *buser)
{
	return (struct coverage_policy) {
		.listed_sources = buser->set->sources,
		.report_age = buser->set->report_age,
		.retention = buser->set->retention,
	};
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

/* Keys */

/* The file's rights are the group's matter where several users read it. */
static const char *site_key_cure(const char *path)
{
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0 || errno != EACCES)
		return "";
	return t_strdup_printf(": not readable for uid %ld: chown or chgrp it, "
			       "until then mail gets serials of the mailbox's own key",
			       (long)geteuid());
}

/* Returns 1, 0 if the site has none, -1 after an error line. */
static int site_keys_get(struct backscatter_user *buser, struct serial_keys *keys_r)
{
	char *error;

	keys_r->count = 0;
	if (buser->set->site_key == NULL)
		return 0;
	if (site_key_read(buser->set->site_key, keys_r, &error) == 0)
		return keys_r->count > 0 ? 1 : 0;
	e_error(buser->event, "backscatter_site_key: %s%s", error,
		site_key_cure(buser->set->site_key));
	free(error);
	return -1;
}

int backscatter_user_get_issuing_key(struct backscatter_user *buser, time_t now,
			     struct serial_key *key_r, const char **error_r)
{
	struct serial_keys site;

	if (site_keys_get(buser, &site) > 0) {
		*key_r = site.keys[site.count - 1];
		serial_keys_clear(&site);
		return 0;
	}
	if (buser->log == NULL) {
		*error_r = buser->error;
		return -1;
	}
	return sent_log_get_issuing_key(buser->log, now, key_r, error_r) < 0 ?
		-1 : 0;
}

void backscatter_user_get_keys(struct backscatter_user *buser, time_t now,
		      struct serial_keys *keys_r, struct serial_keys *own_r)
{
	const char *error;

	own_r->count = 0;
	(void)site_keys_get(buser, keys_r);
	if (buser->log == NULL)
		return;
	if (sent_log_get_serial_keys(buser->log, now, own_r, &error) < 0) {
		own_r->count = 0;
		backscatter_user_set_unavailable(buser, error);
		return;
	}
	serial_keys_add(keys_r, own_r);
}
