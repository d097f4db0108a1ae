#ifndef BACKSCATTER_USER_H
#define BACKSCATTER_USER_H

/* A Dovecot user as the rooms see him: his settings, his log, his own addresses, his
   serial keys. Knows mail_user and the settings; judges nothing. */

#include "settings/backscatter-settings.h"
#include "sent-log/sent-log.h"
#include "sent-log/serial.h"
#include "verdict/coverage.h"
#include "verdict/own-addresses.h"

struct file_lock;
struct mail_user;

struct backscatter_user {
	pool_t pool;
	struct mail_user *user;
	/* for log lines, which begin with "backscatter: " */
	struct event *event;
	const struct backscatter_settings *set;
	/* NULL if the settings lead to no file */
	const char *path;
	/* NULL if unavailable: error says why */
	struct sent_log *log;
	const char *error;
};

/* Reads the user's settings (wrong ones are logged as errors) and prepares his
   log; touches no file. event: for log lines. */
struct backscatter_user *
backscatter_user_init(struct mail_user *user, struct event *event);
/* Makes the user's home if the log is to lie there: Dovecot does so when mail is
   first stored, and he may send, or get a bounce, before. Not before his namespaces
   are there. */
void backscatter_user_make_home(struct backscatter_user *buser);
/* Does the log that the path names exist, or could it be made? Returns 0, or -1 and what
   is wrong with its directory, with the cure. */
int backscatter_user_check_place(const struct backscatter_user *buser,
				 const char **error_r);
/* Another message or command of this session: the log may take its time again. */
void backscatter_user_begin(struct backscatter_user *buser);
void backscatter_user_deinit(struct backscatter_user **buser);
/* The log did not answer: closes it, so that nobody waits for it again. */
void backscatter_user_set_unavailable(struct backscatter_user *buser, const char *error);
/* A message has left, or will, and its row couldn't be written: marks the gap and tells
   the administrator. what: the message, as the line begins with; error may be the
   log's. Returns FALSE if it couldn't be marked either: then he has to do something. */
bool backscatter_user_not_logged(struct backscatter_user *buser, const char *what,
				 const char *error);

/* Locks the file beside the log that has this suffix; it is made, and removed with the
   lock (file_lock_free()). *created_r: FALSE if it was there, so another process has
   been interrupted, or has just had it. wait_secs: 0 = not at all. Returns 1, 0 if
   another process has it, or -1 and an error. */
int backscatter_user_lock(struct backscatter_user *buser, const char *suffix,
			  unsigned int wait_secs, struct file_lock **lock_r,
			  bool *created_r, const char **error_r);

/* What his settings say of coverage. */
struct coverage_policy
backscatter_user_coverage_policy(const struct backscatter_user *buser);

/* The user's login, the addresses of his settings, and recipient (the address
   that the envelope gave for him; NULL = none). Allocated from pool. */
struct own_addresses *
backscatter_user_own_addresses(struct backscatter_user *buser, const char *recipient,
			  pool_t pool);

/* His serial keys: those of his log and, where backscatter_site_key names a file, the
   site's. */

/* The key that his messages are sent with: the site's newest, or else his log's
   own. A site key that can't be read is logged as an error, and his own taken.
   Returns 0, or -1 and an error. */
int backscatter_user_get_issuing_key(struct backscatter_user *buser, time_t now,
			     struct serial_key *key_r, const char **error_r);

/* All that can verify a serial for him; *own_r: those of them that are his log's own.
   A site key that can't be read is logged as an error and missing in *keys_r: then
   its serials are of an unknown key. A log that doesn't answer becomes unavailable.
   Clear both. */
void backscatter_user_get_keys(struct backscatter_user *buser, time_t now,
		      struct serial_keys *keys_r, struct serial_keys *own_r);

#endif
