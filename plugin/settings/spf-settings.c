/* From setting strings to struct spf_settings, by one table. Needs libdovecot only,
   so that doveconf can check settings with it. */

#include "lib.h"
#include "array.h"
#include "hostpid.h"
#include "net.h"
#include "compat/dovecot-compat.h"
#include "spf/spf-dns-servers.h"
#include "spf/spf-networks.h"
#include "spf-settings.h"

#define SETTING_PREFIX "backscatter_"
/* A delivery doesn't wait longer for a name server. */
#define TIMEOUT_MAX_MSECS (60 * 1000)
/* RFC 8601, 2.2: a value; in practice a host's name */
#define AUTHSERV_ID_MAX 255

struct spf_settings_parser {
	pool_t pool;
	struct spf_settings *set;
	ARRAY_TYPE(const_string) errors;
};

struct spf_setting_definition {
	const char *name;
	const char *default_value;
	/* Returns 0 if the value is right. On -1 *allowed_r says what is
	   allowed, and what it has set is replaced by the default's. */
	int (*parse)(struct spf_settings_parser *parser, const char *value,
		     const char **allowed_r);
};

static int parse_spf(struct spf_settings_parser *parser, const char *value,
		     const char **allowed_r)
{
	*allowed_r = "yes and no";
	return backscatter_yes_no_parse(value, &parser->set->enabled);
}

static int
parse_received_spf(struct spf_settings_parser *parser, const char *value,
		   const char **allowed_r)
{
	*allowed_r = "yes and no";
	return backscatter_yes_no_parse(value, &parser->set->received_spf);
}

static int parse_timeout(struct spf_settings_parser *parser, const char *value,
			 const char **allowed_r)
{
	const char *error;

	*allowed_r = "a time from 1 ms to 60 s, such as 5s";
	if (compat_parse_interval_msecs(value, &parser->set->timeout_msecs,
					&error) < 0)
		return -1;
	return parser->set->timeout_msecs > 0 &&
		parser->set->timeout_msecs <= TIMEOUT_MAX_MSECS ? 0 : -1;
}

static int parse_dns(struct spf_settings_parser *parser, const char *value,
		     const char **allowed_r)
{
	ARRAY_TYPE(const_string) servers;
	const char *error;

	*allowed_r = "addresses of name servers such as 127.0.0.1:5353 or "
		"[::1]:53, or empty";
	t_array_init(&servers, 2);
	if (spf_dns_servers_parse(parser->pool, value, &servers, &error) < 0)
		return -1;
	parser->set->dns = p_strdup(parser->pool, value);
	return 0;
}

static int
parse_networks(struct spf_settings_parser *parser, const char *value,
	       const struct spf_networks **networks_r, const char **allowed_r)
{
	const char *error;

	if (spf_networks_parse(parser->pool, value, networks_r, &error) == 0)
		return 0;
	*allowed_r = t_strdup_printf("networks such as 192.0.2.0/24 and "
		"2001:db8::/32 (%s); the default holds meanwhile", error);
	return -1;
}

static int
parse_trusted_relays(struct spf_settings_parser *parser, const char *value,
		     const char **allowed_r)
{
	return parse_networks(parser, value, &parser->set->trusted_relays,
			      allowed_r);
}

static int
parse_trusted_networks(struct spf_settings_parser *parser, const char *value,
		       const char **allowed_r)
{
	return parse_networks(parser, value, &parser->set->trusted_networks,
			      allowed_r);
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

static int
parse_trusted_authserv(struct spf_settings_parser *parser, const char *value,
		       const char **allowed_r)
{
	*allowed_r = "an authserv-id such as mx.example.org, or empty";
	if (*value == '\0')
		return 0;
	if (!is_authserv_id(value))
		return -1;
	parser->set->trusted_authserv = p_strdup(parser->pool, value);
	return 0;
}

static int
parse_authserv_id(struct spf_settings_parser *parser, const char *value,
		  const char **allowed_r)
{
	*allowed_r = "an authserv-id such as delivery.mx.example.org that "
		"nobody else writes (nor a part of backscatter_trusted_authserv)";
	parser->set->authserv_id = *value == '\0' ?
		p_strconcat(parser->pool, "delivery.", my_hostname, NULL) :
		p_strdup(parser->pool, value);
	if (*value != '\0' && !is_authserv_id(value))
		return -1;
	/* Its fields are removed from what arrives: those of the trusted one would
	   be, and whoever writes one would be trusted. */
	if (contains_id(parser->set->trusted_authserv,
			parser->set->authserv_id)) {
		parser->set->trusted_authserv = NULL;
		return -1;
	}
	return 0;
}

static const struct spf_setting_definition definitions[] = {
#define SPF_SETTING(setting_name, setting_default, parser) \
	{ SETTING_PREFIX #setting_name, setting_default, parser },
#include "spf-settings-table.h"
#undef SPF_SETTING
};

static void
parse_setting(struct spf_settings_parser *parser,
	      const struct spf_setting_definition *definition,
	      const char *value)
{
	const char *allowed, *error;

	if (definition->parse(parser, value, &allowed) == 0)
		return;
	error = p_strdup_printf(parser->pool,
		"Setting %s has the wrong value '%s': allowed are %s",
		definition->name, value, allowed);
	array_push_back(&parser->errors, &error);
	(void)definition->parse(parser, definition->default_value, &allowed);
}

const struct spf_settings *
spf_settings_parse(pool_t pool, backscatter_setting_get_t *get, void *context)
{
	struct spf_settings_parser parser = { .pool = pool };

	parser.set = p_new(pool, struct spf_settings, 1);
	p_array_init(&parser.errors, pool, 1);
	for (unsigned int i = 0; i < N_ELEMENTS(definitions); i++) T_BEGIN {
		const char *value = get(definitions[i].name, context);

		if (value == NULL)
			value = definitions[i].default_value;
		parse_setting(&parser, &definitions[i], value);
	} T_END;
	array_append_zero(&parser.errors);
	parser.set->errors = array_front(&parser.errors);
	return parser.set;
}
