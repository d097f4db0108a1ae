#ifndef BACKSCATTER_USER_H
#define BACKSCATTER_USER_H

/* The sent log of a Dovecot user: his settings, the file that they name, and his
   own addresses. The bridge between mail_user and the rooms. */

#include "settings/backscatter-settings.h"
#include "sent-log/sent-log.h"
#include "verdict/own-addresses.h"

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
/* Another message or command of this session: the log may take its time again. */
void backscatter_user_begin(struct backscatter_user *buser);
void backscatter_user_deinit(struct backscatter_user **buser);
/* The log did not answer: closes it, so that nobody waits for it again. */
void backscatter_user_set_unavailable(struct backscatter_user *buser, const char *error);

/* The user's login, the addresses of his settings, and recipient (the address
   that the envelope gave for him; NULL = none). Allocated from pool. */
struct own_addresses *
backscatter_user_own_addresses(struct backscatter_user *buser, const char *recipient,
			  pool_t pool);

#endif
