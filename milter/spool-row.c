/* Rows as Dovecot gets them. */

#include "spool-row.h"
#include "text.h"
#include "utf8.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* Not empty, not too long, UTF-8 without control characters: Dovecot would refuse the whole
   call for anything else. */
static bool is_valid(const char *text, size_t max_size)
{
	if (text == NULL || *text == '\0' || strlen(text) > max_size ||
	    !text_is_utf8(text))
		return false;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

bool spool_row_user_is_valid(const char *user)
{
	return is_valid(user, SPOOL_ROW_USER_MAX);
}

static void add(struct json_object *object, const char *name,
		struct json_object *value)
{
	if (value == NULL || json_object_object_add(object, name, value) < 0)
		abort();
}

static void add_text(struct json_object *object, const char *name,
		     const char *text)
{
	if (is_valid(text, SPOOL_ROW_VALUE_MAX))
		add(object, name, json_object_new_string(text));
}

static struct json_object *recipients_new(const struct sent_message *message)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < message->recipient_count &&
			   i < SPOOL_ROW_RECIPIENTS_MAX; i++) {
		if (is_valid(message->recipients[i], SPOOL_ROW_VALUE_MAX)) {
			(void)json_object_array_add(
				list,
				json_object_new_string(message->recipients[i]));
		}
	}
	return list;
}

char *spool_row_arguments(const struct sent_message *message)
{
	struct json_object *arguments = json_object_new_object();
	char *text;

	add_text(arguments, "user", message->user);
	add_text(arguments, "source", "milter");
	add_text(arguments, "serial", message->serial);
	add_text(arguments, "envelopeId", message->envelope_id);
	if (message->date > 0)
		add(arguments, "date", json_object_new_int64(message->date));
	add(arguments, "sentAt", json_object_new_int64(message->sent_at));
	add_text(arguments, "messageId", message->message_id);
	add(arguments, "recipient", recipients_new(message));
	text = text_copy(json_object_to_json_string_ext(arguments,
						JSON_C_TO_STRING_PLAIN));
	json_object_put(arguments);
	return text;
}

struct json_object *spool_row_parse(const char *arguments)
{
	struct json_object *object = json_tokener_parse(arguments);

	if (json_object_is_type(object, json_type_object))
		return object;
	json_object_put(object);
	return NULL;
}

struct json_object *spool_row_gap_arguments(const char *user)
{
	struct json_object *arguments = json_object_new_object();

	if (user != NULL)
		add_text(arguments, "user", user);
	else
		add(arguments, "allUsers", json_object_new_boolean(true));
	return arguments;
}
