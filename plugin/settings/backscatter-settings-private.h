#ifndef BACKSCATTER_SETTINGS_PRIVATE_H
#define BACKSCATTER_SETTINGS_PRIVATE_H

/* Between the engine (backscatter-settings.c), the parsers (setting-parsers.c) and
   Dovecot 2.4's typed settings. Inside plugin/settings/ only. */

#include "backscatter-settings.h"

struct setting_parser {
	pool_t pool;
	/* what is filled in; NULL = is not asked for */
	struct backscatter_settings *user;
	struct spf_settings *message;
	ARRAY_TYPE(const_string) errors;
	/* Nothing starts with a wrong value: error lines don't say what holds
	   meanwhile. */
	bool config_time;
	/* backscatter_retention, as error lines write it */
	const char *retention;

	/* Of a value that is wrong (data stack): what is allowed; what exactly is
	   wrong with this one, NULL = that says it all; what the parser has set in
	   its place, NULL = nothing, and the default is parsed. */
	const char *allowed;
	const char *problem;
	const char *meanwhile;
};

struct setting_definition {
	/* "backscatter_..." */
	const char *name;
	const char *default_value;
	/* struct setting_parser.user is filled in, else message */
	bool of_user;
	/* Returns 0, or -1 if the value is wrong, and has set parser->allowed. */
	int (*parse)(struct setting_parser *parser, const char *value);
};

/* Ends with a name of NULL. */
extern const struct setting_definition setting_definitions[];

/* At configuration time: the first error in all settings, NULL if there is none.
   Allocated from pool. */
const char *
backscatter_settings_check(pool_t pool, backscatter_setting_get_t *get,
			   void *context);

#endif
