/* Reading doveadm's answers. */

#include "doveadm-answer.h"
#include "milter/text.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* [[ "doveadmResponse", [ { "name": value } ], tag ]] and room for more */
#define MAX_DEPTH 16
#define ELEMENT_SIZE 3

static const struct {
	const char *type;
	enum doveadm_result result;
} error_types[] = {
	/* the module isn't there, or an older one */
	{ "unknownMethod", DOVEADM_NOT_ALLOWED },
	/* doveadm_allowed_commands */
	{ "unAuthorized", DOVEADM_NOT_ALLOWED },
	/* an option that an older plugin doesn't know */
	{ "invalidRequest", DOVEADM_NOT_UNDERSTOOD },
};

static const struct {
	int64_t code;
	enum doveadm_result result;
} exit_codes[] = {
	{ EX_USAGE, DOVEADM_WRONG_ARGUMENT },
	{ EX_DATAERR, DOVEADM_REFUSED },
	{ EX_NOUSER, DOVEADM_UNKNOWN_USER },
};

void doveadm_tag(size_t index, char text_r[DOVEADM_TAG_SIZE])
{
	(void)snprintf(text_r, DOVEADM_TAG_SIZE, "%zu", index);
}

static const char *string_of(struct json_object *object)
{
	const char *text;

	if (!json_object_is_type(object, json_type_string))
		return NULL;
	text = json_object_get_string(object);
	/* it may contain NULs */
	return strlen(text) == (size_t)json_object_get_string_len(object) ?
		       text : NULL;
}

/* Returns the command of this tag, or NULL if there is none that has no answer yet. */
static struct doveadm_command *
find_command(struct doveadm_command *commands, size_t count, const char *tag)
{
	char text[DOVEADM_TAG_SIZE];

	for (size_t i = 0; i < count; i++) {
		doveadm_tag(i, text);
		if (strcmp(tag, text) == 0) {
			return commands[i].result_r == DOVEADM_NO_ANSWER ?
				       &commands[i] : NULL;
		}
	}
	return NULL;
}

static enum doveadm_result result_of_exit_code(int64_t code)
{
	for (size_t i = 0; i < sizeof(exit_codes) / sizeof(*exit_codes); i++) {
		if (code == exit_codes[i].code)
			return exit_codes[i].result;
	}
	return DOVEADM_LATER;
}

/* {"type": T, "exitCode": N}. Returns false if it is something else. */
static bool read_error(struct json_object *object,
		       struct doveadm_command *command)
{
	struct json_object *code;
	const char *type;

	if (!json_object_is_type(object, json_type_object))
		return false;
	type = string_of(json_object_object_get(object, "type"));
	code = json_object_object_get(object, "exitCode");
	if (type == NULL || !json_object_is_type(code, json_type_int))
		return false;

	if (strcmp(type, "exitCode") == 0) {
		command->result_r =
			result_of_exit_code(json_object_get_int64(code));
		(void)snprintf(command->error_r, sizeof(command->error_r),
			       "%s: exit code %lld", command->name,
			       (long long)json_object_get_int64(code));
		return true;
	}
	command->result_r = DOVEADM_LATER;
	for (size_t i = 0; i < sizeof(error_types) / sizeof(*error_types); i++) {
		if (strcmp(type, error_types[i].type) == 0)
			command->result_r = error_types[i].result;
	}
	(void)snprintf(command->error_r, sizeof(command->error_r), "%s: %.64s",
		       command->name, type);
	return true;
}

/* Returns false if it is no answer to a command. */
static bool read_element(struct json_object *element,
			 struct doveadm_command *commands, size_t count)
{
	struct doveadm_command *command;
	struct json_object *content;
	const char *kind, *tag;

	if (!json_object_is_type(element, json_type_array) ||
	    json_object_array_length(element) != ELEMENT_SIZE)
		return false;
	kind = string_of(json_object_array_get_idx(element, 0));
	content = json_object_array_get_idx(element, 1);
	tag = string_of(json_object_array_get_idx(element, 2));
	if (kind == NULL || tag == NULL)
		return false;
	command = find_command(commands, count, tag);
	if (command == NULL)
		return false;

	if (strcmp(kind, "error") == 0)
		return read_error(content, command);
	if (strcmp(kind, "doveadmResponse") != 0 ||
	    !json_object_is_type(content, json_type_array))
		return false;
	command->result_r = DOVEADM_DONE;
	command->output_r = json_object_get(content);
	return true;
}

static bool read_elements(struct json_object *answer,
			  struct doveadm_command *commands, size_t count)
{
	if (!json_object_is_type(answer, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(answer); i++) {
		if (!read_element(json_object_array_get_idx(answer, i),
				  commands, count))
			return false;
	}
	return true;
}

static void forget_all(struct doveadm_command *commands, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_object_put(commands[i].output_r);
		commands[i].output_r = NULL;
		commands[i].result_r = DOVEADM_NO_ANSWER;
		commands[i].error_r[0] = '\0';
	}
}

static struct json_object *parse(const char *body, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *answer = NULL;

	if (tokener == NULL)
		abort();
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT |
					JSON_TOKENER_VALIDATE_UTF8);
	if (size <= DOVEADM_ANSWER_MAX_SIZE) {
		answer = json_tokener_parse_ex(tokener, body, (int)size);
		if (json_tokener_get_error(tokener) != json_tokener_success ||
		    json_tokener_get_parse_end(tokener) != size) {
			json_object_put(answer);
			answer = NULL;
		}
	}
	json_tokener_free(tokener);
	return answer;
}

static void explain_silence(struct doveadm_command *command)
{
	if (command->result_r == DOVEADM_NO_ANSWER) {
		(void)snprintf(command->error_r, sizeof(command->error_r),
			       "no answer to %s", command->name);
	}
}

void doveadm_answer_read(const char *body, size_t size,
			 struct doveadm_command *commands, size_t count,
			 char **error_r)
{
	struct json_object *answer = parse(body, size);

	*error_r = NULL;
	for (size_t i = 0; i < count; i++)
		commands[i].output_r = NULL;
	forget_all(commands, count);
	if (!read_elements(answer, commands, count)) {
		forget_all(commands, count);
		*error_r = text_format("an answer that can't be read");
	}
	json_object_put(answer);

	for (size_t i = 0; i < count && *error_r == NULL; i++)
		explain_silence(&commands[i]);
	for (size_t i = count; i > 0 && *error_r == NULL; i--) {
		if (commands[i - 1].error_r[0] != '\0')
			*error_r = text_copy(commands[i - 1].error_r);
	}
}
