/* The engine: strings become values by one table, and what is wrong becomes an error
   line. Where the strings come from is the business of settings-2.3.c and
   settings-2.4.c. Needs libdovecot only, so that doveconf can check settings. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "backscatter-settings-private.h"

static const char *
error_line(const struct setting_parser *parser,
	   const struct setting_definition *definition, const char *value)
{
	string_t *str = t_str_new(256);

	str_printfa(str, "Setting %s has the wrong value '%s': allowed: %s",
		    definition->name, value, parser->allowed);
	if (parser->problem != NULL)
		str_printfa(str, " (%s)", parser->problem);
	if (parser->config_time)
		return str_c(str);
	str_append(str, "; meanwhile ");
	if (parser->meanwhile != NULL)
		str_append(str, parser->meanwhile);
	else
		str_printfa(str, "the default '%s' holds", definition->default_value);
	return str_c(str);
}

static void
parse_setting(struct setting_parser *parser,
	      const struct setting_definition *definition, const char *value)
{
	const char *error;

	parser->problem = parser->meanwhile = NULL;
	if (definition->parse(parser, value) == 0)
		return;
	error = p_strdup(parser->pool, error_line(parser, definition, value));
	array_push_back(&parser->errors, &error);
	if (parser->meanwhile == NULL)
		(void)definition->parse(parser, definition->default_value);
}

/* Fills in parser->user, parser->message or both. Returns the errors. */
static const char *const *
parse_settings(struct setting_parser *parser, backscatter_setting_get_t *get,
	       void *context)
{
	const struct setting_definition *definition = setting_definitions;

	p_array_init(&parser->errors, parser->pool, 1);
	for (; definition->name != NULL; definition++) T_BEGIN {
		const char *value = get(definition->name, context);

		if (value == NULL)
			value = definition->default_value;
		if (definition->of_user ? parser->user != NULL :
		    parser->message != NULL)
			parse_setting(parser, definition, value);
	} T_END;
	array_append_zero(&parser->errors);
	return array_front(&parser->errors);
}

const struct backscatter_settings *
backscatter_settings_parse(pool_t pool, backscatter_setting_get_t *get,
			   void *context)
{
	struct backscatter_settings *set =
		p_new(pool, struct backscatter_settings, 1);
	struct setting_parser parser = { .pool = pool, .user = set };

	set->errors = parse_settings(&parser, get, context);
	return set;
}

const struct spf_settings *
spf_settings_parse(pool_t pool, backscatter_setting_get_t *get, void *context)
{
	struct spf_settings *set = p_new(pool, struct spf_settings, 1);
	struct setting_parser parser = { .pool = pool, .message = set };

	set->errors = parse_settings(&parser, get, context);
	return set;
}

const char *
backscatter_settings_check(pool_t pool, backscatter_setting_get_t *get,
			   void *context)
{
	struct setting_parser parser = {
		.pool = pool,
		.user = p_new(pool, struct backscatter_settings, 1),
		.message = p_new(pool, struct spf_settings, 1),
		.config_time = TRUE,
	};

	return parse_settings(&parser, get, context)[0];
}
