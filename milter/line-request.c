/* Reading and writing lines. */

#include "line-request.h"
#include "line.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define ESCAPE '\001'

/* What stands for what behind ESCAPE. A NUL ends a text: it is left out. */
static const char escapes[][2] = {
	{ '\001', '1' }, { '\t', 't' }, { '\r', 'r' }, { '\n', 'n' },
};

#define ESCAPE_COUNT (sizeof(escapes) / sizeof(escapes[0]))

static void unescape(char *text)
{
	char *end = text;

	for (; *text != '\0'; text++) {
		size_t i;

		if (*text != ESCAPE) {
			*end++ = *text;
			continue;
		}
		if (*++text == '\0')
			break;
		for (i = 0; i < ESCAPE_COUNT; i++) {
			if (escapes[i][1] == *text)
				*end++ = escapes[i][0];
		}
	}
	*end = '\0';
}

static char *escaped(const char *text)
{
	char *copy = memory_new(2 * strlen(text) + 1), *end = copy;

	for (; *text != '\0'; text++) {
		size_t i;

		for (i = 0; i < ESCAPE_COUNT && escapes[i][0] != *text; i++)
			;
		if (i == ESCAPE_COUNT) {
			*end++ = *text;
		} else {
			*end++ = ESCAPE;
			*end++ = escapes[i][1];
		}
	}
	return copy;
}

/* The part up to the next tab; *text: behind it, or NULL. */
static char *next_part(char **text)
{
	return strsep(text, "\t");
}

/* Requests */

static void set_serial(struct message *message, const char *value)
{
	if (!serial_normalise(value, message->serial))
		message->serial[0] = '\0';
}

/* "a@example.org, "b,c"@example.net": the next one, or NULL. */
static char *next_recipient(char **list)
{
	char *start = *list + strspn(*list, ", "), *end;
	bool quoted = false;

	for (end = start; *end != '\0' && (quoted || *end != ','); end++) {
		if (*end == '"')
			quoted = !quoted;
		else if (*end == '\\' && end[1] != '\0')
			end++;
	}
	*list = *end == '\0' ? end : end + 1;
	*end = '\0';
	return end == start ? NULL : start;
}

static void add_recipients(struct message *message, char *list)
{
	char *recipient;

	while ((recipient = next_recipient(&list)) != NULL)
		message_add_recipient(message, recipient);
}

static void add_field(struct message *message, char *field)
{
	char *value = strchr(field, ':');

	if (value != NULL) {
		*value++ = '\0';
		message_add_field(message, field, value);
	}
}

static void set_parameter(struct message *message, const char *name, char *value)
{
	if (strcmp(name, "recipient") == 0)
		message_add_recipient(message, value);
	else if (strcmp(name, "recipients") == 0)
		add_recipients(message, value);
	else if (strcmp(name, "envid") == 0 && *value != '\0')
		message_set_envelope_id(message, value);
	else if (strcmp(name, "message-id") == 0 && *value != '\0')
		message_add_field(message, "Message-ID", value);
	else if (strcmp(name, "date") == 0 && *value != '\0')
		message_add_field(message, "Date", value);
	else if (strcmp(name, "field") == 0)
		add_field(message, value);
	else if (strcmp(name, "serial") == 0)
		set_serial(message, value);
}

/* The value of the first parameter of this name, unescaped and malloced; "" = there is
   none. */
static char *find_value(const char *text, const char *name)
{
	size_t name_size = strlen(name);
	const char *end;
	char *value;

	for (; *text != '\0'; text = end + (*end == '\t')) {
		end = strchrnul(text, '\t');
		if (strncmp(text, name, name_size) != 0 ||
		    text[name_size] != '=')
			continue;
		text += name_size + 1;
		value = text_format("%.*s", (int)(end - text), text);
		unescape(value);
		return value;
	}
	return text_copy("");
}

/* A message begins with its user and sender, wherever they stand. */
static void begin_message(struct message *message, const char *text)
{
	char *user = find_value(text, "user");
	char *sender = find_value(text, "sender");

	message_begin(message, user, sender);
	free(user);
	free(sender);
}

static void read_parameters(char *text, struct message *message)
{
	while (text != NULL) {
		const char *name = next_part(&text);
		char *value = strchr(name, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		unescape(value);
		set_parameter(message, name, value);
	}
}

int line_request_read(char *text, struct message *message,
		      enum line_command *command_r, const char **error_r)
{
	const char *version = next_part(&text);
	const char *command = text == NULL ? "" : next_part(&text);

	*error_r = "version is not " LINE_VERSION;
	if (strcmp(version, LINE_VERSION) != 0)
		return -1;
	*error_r = "unknown command";
	if (strcmp(command, "message") == 0)
		*command_r = LINE_MESSAGE;
	else if (strcmp(command, "serial") == 0)
		*command_r = LINE_SERIAL;
	else
		return -1;
	begin_message(message, text == NULL ? "" : text);
	read_parameters(text, message);
	*error_r = "no user";
	return *message->user == '\0' ? -1 : 0;
}

char *line_parameter(const char *name, const char *value)
{
	char *copy = escaped(value);
	char *parameter = text_format("\t%s=%s", name, copy);

	free(copy);
	return parameter;
}

/* Answers */

char *line_answer(const char *status, const char *const *parts, size_t count)
{
	char *answer = text_format(LINE_VERSION "\t%s", status);

	for (size_t i = 0; i < count; i++) {
		char *part = escaped(parts[i] == NULL ? "" : parts[i]);
		char *longer = text_format("%s\t%s%s", answer, part,
					   i + 1 < count ? "" : "\n");

		free(part);
		free(answer);
		answer = longer;
	}
	return answer;
}

size_t line_answer_read(char *text, char **parts_r, size_t max)
{
	size_t count = 0;

	text[strcspn(text, "\n")] = '\0';
	if (strcmp(next_part(&text), LINE_VERSION) != 0)
		return 0;
	while (text != NULL && count < max) {
		parts_r[count] = next_part(&text);
		unescape(parts_r[count++]);
	}
	return count;
}
