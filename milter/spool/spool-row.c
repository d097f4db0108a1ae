/* Rows as Dovecot gets them. */

#include "spool-row.h"
#include "milter/text.h"
#include "milter/utf8.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* Not empty, not too long, UTF-8 without control characters. */
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

static bool is_ascii(const char *text)
{
	while (*text > 0 && *text < 0x7f)
		text++;
	return *text == '\0';
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
	add(object, name, json_object_new_string(text));
}

/* In one line, and with the brackets that Dovecot wants to see; malloced. NULL if it is none. */
static char *make_message_id(const char *text)
{
	char *message_id;

	if (text == NULL)
		return NULL;
	message_id = strpbrk(text, "<@") != NULL ? text_copy(text) :
						   text_format("<%s>", text);
	for (char *p = message_id; *p != '\0'; p++) {
		if (*p == '\t' || *p == '\r' || *p == '\n')
			*p = ' ';
	}
	if (is_valid(message_id, SPOOL_ROW_MESSAGE_ID_MAX) &&
	    is_ascii(message_id))
		return message_id;
	free(message_id);
	return NULL;
}

/* What Dovecot takes for one. */
static bool is_recipient(const char *address)
{
	const char *at;

	if (!is_valid(address, SPOOL_ROW_ADDRESS_MAX) || *address == '<')
		return false;
	at = strrchr(address, '@');
	if (at == address || (at != NULL && at[1] == '\0'))
		return false;
	return strpbrk(at != NULL ? at : address, " <>,;") == NULL;
}

static struct json_object *recipients_new(const struct sent_message *message)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < message->recipient_count &&
			   i < SPOOL_ROW_RECIPIENTS_MAX; i++) {
		if (is_recipient(message->recipients[i])) {
			(void)json_object_array_add(
				list,
				json_object_new_string(message->recipients[i]));
		}
	}
	return list;
}

char *spool_row_arguments(const struct sent_message *message)
{
	char *text, *message_id = make_message_id(message->message_id);
	struct json_object *arguments;

	if (message_id == NULL)
		return NULL;
	arguments = json_object_new_object();
	add_text(arguments, "user", message->user);
	add_text(arguments, "source", "milter");
	if (is_valid(message->serial, SPOOL_ROW_MESSAGE_ID_MAX))
		add_text(arguments, "serial", message->serial);
	if (is_valid(message->envelope_id, SPOOL_ROW_ENVELOPE_ID_MAX) &&
	    is_ascii(message->envelope_id))
		add_text(arguments, "envelopeId", message->envelope_id);
	if (message->date > 0)
		add(arguments, "date", json_object_new_int64(message->date));
	add(arguments, "sentAt", json_object_new_int64(message->sent_at));
	add_text(arguments, "messageId", message_id);
	add(arguments, "recipient", recipients_new(message));
	text = text_copy(json_object_to_json_string_ext(arguments,
						JSON_C_TO_STRING_PLAIN));
	json_object_put(arguments);
	free(message_id);
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

struct json_object *spool_row_gap_arguments(const char *user, time_t until)
{
	struct json_object *arguments = json_object_new_object();

	/* those who don't list it are not concerned */
	add_text(arguments, "source", "milter");
	add(arguments, "until", json_object_new_int64(until));
	if (user != NULL)
		add_text(arguments, "user", user);
	else
		add(arguments, "allUsers", json_object_new_boolean(true));
	return arguments;
}
