/* What each setting's value may be: parse_PARSER() of settings-table.h. They never set
   what loses mail in place of what is wrong. */

#include "lib.h"
#include "array.h"
#include "hostpid.h"
#include "str.h"
#include "compat/dovecot-compat.h"
#include "sent-log/sent-log.h"
#include "spf/spf-addresses.h"
#include "spf/spf-limits.h"
#include "backscatter-settings-private.h"

#include <time.h>

/* RFC 8601, 2.2: a value; in practice a host's name */
#define AUTHSERV_ID_MAX 255

/* Lists but those of mailboxes, whose names have spaces: a passwd-file's userdb field
   has none, and separates them by commas. */
#define LIST_SEPARATORS " ,\t"

static int parse_yes_no(struct setting_parser *parser, const char *value,
			bool *yes_r)
{
	parser->allowed = "yes and no";
	/* what Dovecot takes for yes in settings of its own */
	*yes_r = strcasecmp(value, "yes") == 0 || strcasecmp(value, "y") == 0 ||
		strcmp(value, "1") == 0;
	return *yes_r || strcasecmp(value, "no") == 0 ? 0 : -1;
}

static int parse_interval(struct setting_parser *parser, const char *value,
			  unsigned int *seconds_r)
{
	const char *error;

	parser->allowed = "a time such as 90 days";
	return compat_parse_interval(value, seconds_r, &error) == 0 &&
		*seconds_r > 0 ? 0 : -1;
}

static int parse_sources(struct setting_parser *parser, const char *value,
			 unsigned int *sources_r)
{
	const char *const *names = t_strsplit_spaces(value, LIST_SEPARATORS);
	unsigned int source;

	parser->allowed = "submission, milter and sent, or none";
	*sources_r = 0;
	parser->user->sources_valid = TRUE;
	/* as a userdb field, which can't be empty everywhere */
	if (strcmp(value, "none") == 0)
		return 0;
	for (; *names != NULL; names++) {
		source = sent_log_source_parse(*names);
		if (source == 0 || source == SENT_LOG_SOURCE_ADMIN) {
			*sources_r = 0;
			parser->user->sources_valid = FALSE;
			parser->meanwhile = "nothing is condemned";
			return -1;
		}
		*sources_r |= source;
	}
	return 0;
}

static int parse_addresses(struct setting_parser *parser, const char *value,
			   const char *const **addresses_r)
{
	const char **list = (const char **)
		p_strsplit_spaces(parser->pool, value, LIST_SEPARATORS);
	unsigned int count = 0;

	parser->allowed = "addresses (user@domain), patterns (sales-*@domain) "
		"and @domain for all of a domain";
	*addresses_r = list;
	for (unsigned int i = 0; list[i] != NULL; i++) {
		const char *domain = strrchr(list[i], '@');

		if (domain == NULL || domain[1] == '\0')
			parser->meanwhile = "the others hold";
		else
			list[count++] = list[i];
	}
	list[count] = NULL;
	return parser->meanwhile == NULL ? 0 : -1;
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
parse_action_word(const char *word, struct class_actions *actions, bool *given)
{
	const char *equals = strchr(word, '=');
	const char *action = equals == NULL ? word : equals + 1;
	enum report_class class = REPORT_CLASS_NONE;

	if (equals != NULL &&
	    class_parse(t_strdup_until(word, equals), &class) < 0) {
		return t_strdup_printf("'%s' names no class; the classes are %s",
				       word, class_names());
	}
	if (action_parse(action, &actions->of[class]) < 0)
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

/* One action for bounces, and exceptions by class. Where one word is wrong all
   reports are annotated: it may be the one that keeps a report from being
   discarded. */
static int parse_action(struct setting_parser *parser, const char *value,
			struct class_actions *actions_r)
{
	const char *const *words = t_strsplit_spaces(value, LIST_SEPARATORS);
	bool given[REPORT_CLASS_COUNT] = { FALSE };
	enum action bounces;

	parser->allowed = "annotate, quarantine, discard and reject, and "
		"CLASS=ACTION for one class of reports";
	actions_r->of[REPORT_CLASS_NONE] = ACTION_QUARANTINE;
	if (*words == NULL)
		parser->problem = "it is empty";
	for (; *words != NULL && parser->problem == NULL; words++)
		parser->problem = parse_action_word(*words, actions_r, given);
	if (parser->problem != NULL) {
		i_zero(actions_r);
		parser->meanwhile = "all reports are annotated";
		return -1;
	}
	bounces = actions_r->of[REPORT_CLASS_NONE];
	given[REPORT_CLASS_NONE] = FALSE;
	for (unsigned int i = 0; i < REPORT_CLASS_COUNT; i++) {
		if (!given[i]) {
			actions_r->of[i] =
				report_class_info((enum report_class)i)->bounce ?
				bounces : ACTION_ANNOTATE;
		}
	}
	return 0;
}

static int parse_mailbox(struct setting_parser *parser, const char *value,
			 const char **mailbox_r)
{
	parser->allowed = "the name of a mailbox other than INBOX";
	*mailbox_r = p_strdup(parser->pool, value);
	return *value != '\0' && strcasecmp(value, "INBOX") != 0 ? 0 : -1;
}

static int parse_db(struct setting_parser *parser, const char *value,
		    const char **path_r)
{
	parser->allowed = "a path that starts with / or ~/";
	if (*value != '/' && strncmp(value, "~/", 2) != 0) {
		parser->meanwhile = "there is no sent log";
		return -1;
	}
	*path_r = p_strdup(parser->pool, value);
	return 0;
}

static int parse_retention(struct setting_parser *parser, const char *value,
			   unsigned int *seconds_r)
{
	parser->retention = p_strdup(parser->pool, value);
	if (parse_interval(parser, value, seconds_r) == 0)
		return 0;
	/* rather no expiry than rows that the administrator wanted to keep */
	*seconds_r = INT_MAX;
	parser->retention = "for ever";
	parser->meanwhile = "nothing expires";
	return -1;
}

static int parse_report_age(struct setting_parser *parser, const char *value,
			    unsigned int *seconds_r)
{
	unsigned int *retention = &parser->user->retention;

	if (parse_interval(parser, value, seconds_r) < 0) {
		*seconds_r = *retention;
		parser->meanwhile = t_strdup_printf(
			"it is as long as backscatter_retention, %s",
			parser->retention);
		return -1;
	}
	if (*seconds_r <= *retention)
		return 0;
	parser->allowed = t_strdup_printf(
		"a time not longer than backscatter_retention, which is %s",
		parser->retention);
	/* rather rows that are kept too long than a log that is believed to reach
	   back to where it has none */
	*retention = *seconds_r;
	parser->meanwhile = t_strdup_printf(
		"it holds, and backscatter_retention is %s, too", value);
	return -1;
}

static int parse_sent_mailboxes(struct setting_parser *parser,
				const char *value, const char *const **names_r)
{
	const char **names = (const char **)
		p_strsplit_spaces(parser->pool, value, ",");
	unsigned int count = 0;

	*names_r = names;
	for (unsigned int i = 0; names[i] != NULL; i++) {
		names[count] = p_strdup(parser->pool,
					t_str_trim(names[i], " \t"));
		if (*names[count] != '\0')
			count++;
	}
	names[count] = NULL;
	return 0;
}

static int parse_site_key(struct setting_parser *parser, const char *value,
			  const char **path_r)
{
	parser->allowed = "a path that starts with /, or empty";
	*path_r = *value == '\0' ? NULL : p_strdup(parser->pool, value);
	return *value == '\0' || *value == '/' ? 0 : -1;
}

static int parse_sender_check(struct setting_parser *parser, const char *value,
			      enum sender_check *check_r)
{
	static const char *const names[SENDER_CHECK_COUNT] = {
		[SENDER_CHECK_OFF] = "off",
		[SENDER_CHECK_LOG] = "log",
		[SENDER_CHECK_ENVELOPE] = "envelope",
		[SENDER_CHECK_BOTH] = "both",
	};

	for (unsigned int i = 0; i < SENDER_CHECK_COUNT; i++) {
		if (strcmp(names[i], value) == 0) {
			*check_r = (enum sender_check)i;
			return 0;
		}
	}
	parser->allowed = "off, log, envelope and both";
	return -1;
}

static int parse_spf_timeout(struct setting_parser *parser, const char *value,
			     unsigned int *msecs_r)
{
	const char *error;

	parser->allowed = "a time from 1 ms to 60 s, such as 5s";
	if (compat_parse_interval_msecs(value, msecs_r, &error) < 0)
		return -1;
	return *msecs_r > 0 && *msecs_r <= SPF_MAX_TIMEOUT_MSECS ? 0 : -1;
}

static int parse_spf_dns(struct setting_parser *parser, const char *value,
			 const char **servers_r)
{
	struct spf_dns_servers servers;

	parser->allowed = "addresses of name servers such as 127.0.0.1:5353 or "
		"[::1]:53, or empty";
	*servers_r = p_strdup(parser->pool, value);
	return spf_dns_servers_parse(value, &servers, &parser->problem);
}

static int parse_networks(struct setting_parser *parser, const char *value,
			  const struct spf_networks **networks_r)
{
	parser->allowed = "networks such as 192.0.2.0/24 and 2001:db8::/32";
	if (spf_networks_parse(parser->pool, value, networks_r,
			       &parser->problem) == 0)
		return 0;
	/* without its own MX a site has spf=fail for all mail */
	if (!spf_networks_are_empty(*networks_r))
		parser->meanwhile = "the others hold";
	return -1;
}

/* Authentication-Results that have our id anywhere are removed from what arrives. */
static bool contains_id(const char *id, const char *own_id)
{
	return id != NULL &&
		strstr(t_str_lcase(id), t_str_lcase(own_id)) != NULL;
}

/* As a token: what needs quotes, some readers would not take for the same. */
static bool is_authserv_id(const char *value)
{
	const char *p;

	for (p = value; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || strchr("()<>@,;:\\\"/[]?=", *p) != NULL)
			return FALSE;
	}
	return p > value && p - value <= AUTHSERV_ID_MAX;
}

static int parse_trusted_authserv(struct setting_parser *parser,
				  const char *value, const char **id_r)
{
	parser->allowed = "an authserv-id such as mx.example.org, or empty";
	*id_r = *value == '\0' ? NULL : p_strdup(parser->pool, value);
	return *value == '\0' || is_authserv_id(value) ? 0 : -1;
}

static int parse_authserv_id(struct setting_parser *parser, const char *value,
			     const char **id_r)
{
	const char *trusted = parser->message->trusted_authserv;
	const char *own = p_strconcat(parser->pool, "delivery.", my_hostname, NULL);

	parser->allowed = "an authserv-id such as delivery.mx.example.org that "
		"nobody else writes";
	*id_r = *value == '\0' ? own : p_strdup(parser->pool, value);
	if (*value != '\0' && !is_authserv_id(value))
		return -1;
	if (!contains_id(trusted, *id_r))
		return 0;
	/* Its fields are removed from what arrives: those of the trusted one would
	   be, and whoever writes one would be trusted. */
	parser->message->trusted_authserv = NULL;
	parser->problem = t_strdup_printf("%s is a part of "
		"backscatter_trusted_authserv, '%s'", *id_r, trusted);
	*id_r = own;
	parser->meanwhile = t_strdup_printf(
		"it is %s, and backscatter_trusted_authserv counts as empty", own);
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

/* The table's types are those of the parsers: the compiler looks. */
#define SETTING(set, name, parser_name) \
static int set_##name(struct setting_parser *parser, const char *value) \
{ \
	return parse_##parser_name(parser, value, &parser->set->name); \
}
#define USER_SETTING(type, name, default_value, parser) SETTING(user, name, parser)
#define MESSAGE_SETTING(type, name, default_value, parser) SETTING(message, name, parser)
#include "settings-table.h"

const struct setting_definition setting_definitions[] = {
#define USER_SETTING(type, name, default_value, parser) \
	{ "backscatter_"#name, default_value, TRUE, set_##name },
#define MESSAGE_SETTING(type, name, default_value, parser) \
	{ "backscatter_"#name, default_value, FALSE, set_##name },
#include "settings-table.h"
	{ .name = NULL }
};
