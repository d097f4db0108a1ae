/* From setting strings to struct backscatter_settings, by one table. Where the
   strings come from (plugin {} or typed settings) is compat's business. Needs
   libdovecot only, so that doveconf can check settings with it. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "sent-log/sent-log.h"
#include "compat/dovecot-compat.h"
#include "backscatter-settings.h"

#include <time.h>

#define SETTING_PREFIX "backscatter_"

struct settings_parser {
	pool_t pool;
	struct backscatter_settings *set;
	ARRAY_TYPE(const_string) errors;
	/* backscatter_retention, as written */
	const char *retention;
};

struct setting_definition {
	const char *name;
	const char *default_value;
	/* Returns 0 if the value is right. On -1 it has set the value that loses
	   nothing, and *allowed_r says what is allowed. */
	int (*parse)(struct settings_parser *parser, const char *value,
		     const char **allowed_r);
};

static const char *const *
parse_list(struct settings_parser *parser, const char *value)
{
	return (const char *const *)p_strsplit_spaces(parser->pool, value, " ,\t");
}

static int parse_sources(struct settings_parser *parser, const char *value,
			 const char **allowed_r)
{
	const char *const *names = t_strsplit_spaces(value, " ,\t");
	unsigned int source;

	parser->set->sources_valid = TRUE;
	/* as a userdb field, which can't be empty everywhere */
	if (strcmp(value, "none") == 0)
		return 0;
	for (; *names != NULL; names++) {
		source = sent_log_source_parse(*names);
		if (source == 0 || source == SENT_LOG_SOURCE_ADMIN) {
			parser->set->sources = 0;
			parser->set->sources_valid = FALSE;
			*allowed_r = "submission, milter and sent, or none";
			return -1;
		}
		parser->set->sources |= source;
	}
	return 0;
}

static int parse_addresses(struct settings_parser *parser, const char *value,
			   const char **allowed_r)
{
	ARRAY_TYPE(const_string) addresses;
	const char *const *list = parse_list(parser, value);
	int ret = 0;

	p_array_init(&addresses, parser->pool, 4);
	for (; *list != NULL; list++) {
		const char *domain = strrchr(*list, '@');

		if (domain == NULL || domain[1] == '\0') {
			*allowed_r = "addresses (user@domain), patterns "
				"(sales-*@domain) and @domain for all of a domain";
			ret = -1;
			continue;
		}
		array_push_back(&addresses, list);
	}
	array_append_zero(&addresses);
	parser->set->addresses = array_front(&addresses);
	return ret;
}

static const char *class_names(void)
{
	string_t *names = t_str_new(128);

	for (unsigned int i = REPORT_CLASS_NONE + 1; i < REPORT_CLASS_COUNT; i++) {
		str_printfa(names, "%s%s", str_len(names) == 0 ? "" : ", ",
			    report_class_name((enum report_class)i));
	}
	return str_c(names);
}

static int class_parse(const char *name, enum report_class *class_r)
{
	for (unsigned int i = REPORT_CLASS_NONE + 1; i < REPORT_CLASS_COUNT; i++) {
		*class_r = (enum report_class)i;
		if (strcmp(report_class_name(*class_r), name) == 0)
			return 0;
	}
	return -1;
}

/* "ACTION", kept as that of REPORT_CLASS_NONE, or "CLASS=ACTION". Returns NULL, or
   what is wrong with it. */
static const char *
parse_action_word(const char *word, enum action *actions, bool *given)
{
	const char *action = strchr(word, '=');
	enum report_class class = REPORT_CLASS_NONE;

	if (action == NULL)
		action = word;
	else if (class_parse(t_strdup_until(word, action++), &class) < 0) {
		return t_strdup_printf("'%s' names no class; the classes are %s",
				       word, class_names());
	}
	if (action_parse(action, &actions[class]) < 0)
		return t_strdup_printf("'%s' is no action", action);
	if (given[class] && class == REPORT_CLASS_NONE)
		return "more than one action for bounces";
	if (given[class]) {
		return t_strdup_printf("class %s is named twice",
				       report_class_name(class));
	}
	given[class] = TRUE;
	return NULL;
}

static void annotate_all(enum action *actions)
{
	for (unsigned int i = 0; i < REPORT_CLASS_COUNT; i++)
		actions[i] = ACTION_ANNOTATE;
}

/* One action for bounces, and exceptions by class: an exception that can't be read
   may be the one that keeps a report from being discarded. */
static int parse_action(struct settings_parser *parser, const char *value,
			const char **allowed_r)
{
	const char *const *words = t_strsplit_spaces(value, " ,\t");
	enum action *actions = parser->set->actions, bounces;
	bool given[REPORT_CLASS_COUNT] = { FALSE };
	const char *problem = *words == NULL ? "it is empty" : NULL;

	actions[REPORT_CLASS_NONE] = ACTION_QUARANTINE;
	for (; *words != NULL && problem == NULL; words++)
		problem = parse_action_word(*words, actions, given);
	if (problem != NULL) {
		annotate_all(actions);
		*allowed_r = t_strdup_printf("annotate, quarantine, discard and "
			"reject, and CLASS=ACTION for one class of reports (%s)",
			problem);
		return -1;
	}
	bounces = actions[REPORT_CLASS_NONE];
	for (unsigned int i = 0; i < REPORT_CLASS_COUNT; i++) {
		const struct report_class_info *info =
			report_class_info((enum report_class)i);

		if (!given[i] || i == REPORT_CLASS_NONE)
			actions[i] = info->bounce ? bounces : ACTION_ANNOTATE;
	}
	return 0;
}

static int parse_mailbox(struct settings_parser *parser, const char *value,
			 const char **allowed_r)
{
	if (*value == '\0' || strcasecmp(value, "INBOX") == 0) {
		parser->set->mailbox = "Backscatter";
		*allowed_r = "the name of a mailbox other than INBOX";
		return -1;
	}
	parser->set->mailbox = p_strdup(parser->pool, value);
	return 0;
}

static int parse_db(struct settings_parser *parser, const char *value,
		    const char **allowed_r)
{
	if (*value != '/' && strncmp(value, "~/", 2) != 0) {
		*allowed_r = "a path that starts with / or ~/";
		return -1;
	}
	parser->set->db = p_strdup(parser->pool, value);
	return 0;
}

static int parse_interval(const char *value, unsigned int *seconds_r,
			  const char **allowed_r)
{
	const char *error;

	if (compat_parse_interval(value, seconds_r, &error) == 0 &&
	    *seconds_r > 0)
		return 0;
	*allowed_r = "a time such as 90 days";
	return -1;
}

static int parse_retention(struct settings_parser *parser, const char *value,
			   const char **allowed_r)
{
	parser->retention = p_strdup(parser->pool, value);
	if (parse_interval(value, &parser->set->retention, allowed_r) == 0)
		return 0;
	/* rather no expiry than rows that the administrator wanted to keep */
	parser->set->retention = INT_MAX;
	return -1;
}

static int parse_report_age(struct settings_parser *parser, const char *value,
			    const char **allowed_r)
{
	if (parse_interval(value, &parser->set->report_age, allowed_r) < 0) {
		parser->set->report_age = parser->set->retention;
		return -1;
	}
	if (parser->set->report_age <= parser->set->retention)
		return 0;
	*allowed_r = p_strdup_printf(parser->pool,
		"a time not longer than backscatter_retention, which is %s",
		parser->retention);
	/* rather rows that are kept too long than a log that is believed to reach
	   back to where it has none */
	parser->set->retention = parser->set->report_age;
	return -1;
}

int backscatter_date_parse(const char *str, time_t *time_r)
{
	struct tm tm, normalised;
	const char *end;

	i_zero(&tm);
	tm.tm_isdst = -1;
	end = strptime(str, "%Y-%m-%d", &tm);
	if (end == NULL || *end != '\0')
		return -1;
	/* mktime() takes February 31 for a day in March */
	normalised = tm;
	*time_r = mktime(&normalised);
	return normalised.tm_mday == tm.tm_mday &&
		normalised.tm_mon == tm.tm_mon ? 0 : -1;
}

static int parse_sent_mailboxes(struct settings_parser *parser,
				const char *value,
				const char **allowed_r ATTR_UNUSED)
{
	/* names may have spaces inside, so only commas separate */
	const char *const *names = t_strsplit_spaces(value, ",");
	ARRAY_TYPE(const_string) trimmed;

	p_array_init(&trimmed, parser->pool, 2);
	for (; *names != NULL; names++) {
		const char *name = p_strdup(parser->pool,
					    t_str_trim(*names, " \t"));

		if (*name != '\0')
			array_push_back(&trimmed, &name);
	}
	array_append_zero(&trimmed);
	parser->set->sent_mailboxes = array_front(&trimmed);
	return 0;
}

static int parse_site_key(struct settings_parser *parser, const char *value,
			  const char **allowed_r)
{
	if (*value == '\0')
		return 0;
	if (*value != '/') {
		*allowed_r = "a path that starts with /, or empty";
		return -1;
	}
	parser->set->site_key = p_strdup(parser->pool, value);
	return 0;
}

static int parse_sender_check(struct settings_parser *parser, const char *value,
			      const char **allowed_r)
{
	static const char *const names[SENDER_CHECK_COUNT] = {
		[SENDER_CHECK_OFF] = "off",
		[SENDER_CHECK_LOG] = "log",
		[SENDER_CHECK_ENVELOPE] = "envelope",
		[SENDER_CHECK_BOTH] = "both",
	};

	for (unsigned int i = 0; i < SENDER_CHECK_COUNT; i++) {
		if (strcmp(names[i], value) == 0) {
			parser->set->sender_check = (enum sender_check)i;
			return 0;
		}
	}
	/* neither an open door nor a closed one that nobody wanted */
	parser->set->sender_check = SENDER_CHECK_LOG;
	*allowed_r = "off, log, envelope and both";
	return -1;
}

int backscatter_yes_no_parse(const char *value, bool *yes_r)
{
	*yes_r = strcasecmp(value, "yes") == 0 || strcasecmp(value, "y") == 0 ||
		strcmp(value, "1") == 0;
	return *yes_r || strcasecmp(value, "no") == 0 ? 0 : -1;
}

static int parse_tag(struct settings_parser *parser, const char *value,
		     const char **allowed_r)
{
	*allowed_r = "yes and no";
	return backscatter_yes_no_parse(value, &parser->set->tag);
}

static const struct setting_definition setting_definitions[] = {
#define BACKSCATTER_SETTING(setting_name, setting_default, parser) \
	{ SETTING_PREFIX #setting_name, setting_default, parser },
#include "backscatter-settings-table.h"
#undef BACKSCATTER_SETTING
};

static void
parse_setting(struct settings_parser *parser,
	      const struct setting_definition *definition, const char *value)
{
	const char *allowed, *error;

	if (definition->parse(parser, value, &allowed) == 0)
		return;
	error = p_strdup_printf(parser->pool,
		"Setting %s has the wrong value '%s': allowed are %s",
		definition->name, value, allowed);
	array_push_back(&parser->errors, &error);
}

const struct backscatter_settings *
backscatter_settings_parse(pool_t pool, backscatter_setting_get_t *get,
			   void *context)
{
	struct settings_parser parser = { .pool = pool };

	parser.set = p_new(pool, struct backscatter_settings, 1);
	p_array_init(&parser.errors, pool, 1);
	for (unsigned int i = 0; i < N_ELEMENTS(setting_definitions); i++) T_BEGIN {
		const struct setting_definition *definition =
			&setting_definitions[i];
		const char *value = get(definition->name, context);

		if (value == NULL)
			value = definition->default_value;
		parse_setting(&parser, definition, value);
	} T_END;
	array_append_zero(&parser.errors);
	parser.set->errors = array_front(&parser.errors);
	return parser.set;
}
