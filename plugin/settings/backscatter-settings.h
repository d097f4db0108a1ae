#ifndef BACKSCATTER_SETTINGS_H
#define BACKSCATTER_SETTINGS_H

/* All settings, parsed and checked: settings-table.h lists them, with their
   defaults. Reading them never fails: in place of a wrong value stands the one that
   loses nothing, and an error says so. May read Dovecot's settings, and what the
   userdb says of a user; opens no log and no mailbox. */

#include "report/report.h"
#include "verdict/action.h"

struct dict;
struct mail_user;
struct spf_networks;

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

/* What becomes of backscatter of each class; REPORT_CLASS_NONE: annotated. */
struct class_actions {
	enum action of[REPORT_CLASS_COUNT];
};

/* One user's. */
struct backscatter_settings {
#define USER_SETTING(type, name, default_value, parser) type name;
#include "settings-table.h"

	/* backscatter_sources itself could be read */
	bool sources_valid;
	/* One line a wrong setting: its name, its value, what is allowed and what
	   holds meanwhile. NULL-terminated. */
	const char *const *errors;
};

/* Those that belong to the message. */
struct spf_settings {
#define MESSAGE_SETTING(type, name, default_value, parser) type name;
#include "settings-table.h"

	/* as above */
	const char *const *errors;
};

/* The settings of this user, with userdb overrides: from plugin {} in 2.3, typed
   settings in 2.4. Allocated from pool, which must not be the data stack's. */
const struct backscatter_settings *
backscatter_settings_get(struct mail_user *user, pool_t pool);
/* Those of the message, whatever the userdb says of this user. */
const struct spf_settings *
spf_settings_get(struct mail_user *user, pool_t pool);
/* Dovecot 2.4: the same for who has no user. */
const struct spf_settings *
spf_settings_get_for_event(struct event *event, pool_t pool);

/* The same from strings. get: the value of a setting by its full name, NULL = not
   set. */
typedef const char *
backscatter_setting_get_t(const char *name, void *context);
const struct backscatter_settings *
backscatter_settings_parse(pool_t pool, backscatter_setting_get_t *get,
			   void *context);
const struct spf_settings *
spf_settings_parse(pool_t pool, backscatter_setting_get_t *get, void *context);

/* Opens the dict of backscatter_sender_dict: in 2.3 a string in plugin {}
   ("proxy::senders"), in 2.4 a section with a dict in it. Returns 1, 0 if none is
   set, or -1 and an error. */
int backscatter_sender_dict_init(struct mail_user *user, struct dict **dict_r,
			    const char **error_r);

/* "2026-01-31" -> the first second of that day, local time. Returns 0, or -1 if there
   is no such day. */
int backscatter_date_parse(const char *str, time_t *time_r);

#endif
