#ifndef BACKSCATTER_SETTINGS_H
#define BACKSCATTER_SETTINGS_H

/* The settings of one user, parsed and checked (docs/design.md, section 9). */

#include "report/report.h"
#include "verdict/action.h"

struct dict;
struct mail_user;

/* What the submission service does with a sender that its user doesn't own. */
enum sender_check {
	SENDER_CHECK_OFF,
	/* accepted; a log line says what SENDER_CHECK_BOTH would have refused */
	SENDER_CHECK_LOG,
	/* MAIL FROM has to be his */
	SENDER_CHECK_ENVELOPE,
	/* MAIL FROM and the headers that name a sender */
	SENDER_CHECK_BOTH,

	SENDER_CHECK_COUNT
};

struct backscatter_settings {
	/* enum sent_log_source bits */
	unsigned int sources;
	/* own addresses beyond the login, see own_addresses_add();
	   NULL-terminated */
	const char *const *addresses;
	enum action actions[REPORT_CLASS_COUNT];
	const char *mailbox;
	/* as written, "~/" not expanded; NULL if the setting is wrong */
	const char *db;
	/* seconds */
	unsigned int retention;
	unsigned int report_age;
	/* NULL-terminated */
	const char *const *sent_mailboxes;
	/* absolute path of the site's key file; NULL = none */
	const char *site_key;
	enum sender_check sender_check;
	/* MAIL FROM gets a sub-address tag */
	bool tag;

	/* backscatter_sources itself could be read */
	bool sources_valid;
	/* One line a wrong setting: its name, its value, what is allowed.
	   NULL-terminated. In place of a wrong value stands the one that loses
	   nothing: no sources, annotate, rows that never expire, a sender check
	   that only logs. */
	const char *const *errors;
};

/* "2026-01-31" -> the first second of that day, local time. Returns 0, or -1 if there
   is no such day. */
int backscatter_date_parse(const char *str, time_t *time_r);

/* What Dovecot takes for yes in settings of its own, and "no". Returns 0, or -1 and
   no. */
int backscatter_yes_no_parse(const char *value, bool *yes_r);

/* Returns the value of a setting by its full name, NULL = not set. */
typedef const char *
backscatter_setting_get_t(const char *name, void *context);
/* Never fails: see errors. Allocated from pool. */
const struct backscatter_settings *
backscatter_settings_parse(pool_t pool, backscatter_setting_get_t *get,
			   void *context);

/* The settings of this user, with userdb overrides: from plugin {} in 2.3, typed
   settings in 2.4. Allocated from pool. Never fails. */
const struct backscatter_settings *
backscatter_settings_get(struct mail_user *user, pool_t pool);
/* Opens the dict of backscatter_sender_dict: in 2.3 a string in plugin {}
   ("proxy::senders"), in 2.4 a section with a dict in it. Returns 1, 0 if none is
   set, or -1 and an error. */
int backscatter_sender_dict_init(struct mail_user *user, struct dict **dict_r,
			    const char **error_r);

#endif
