/* Collects a message. What it gets is in message-marks.c. */

#include "message.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RECIPIENTS_AT_FIRST 16

void message_clear(struct message *message)
{
	free(message->user);
	free(message->sender);
	free(message->envelope_id);
	free(message->message_id);
	for (size_t i = 0; i < message->recipient_count; i++)
		free(message->recipients[i]);
	free(message->recipients);
	for (size_t i = 0; i < message->sender_field_count; i++)
		free(message->sender_fields[i]);
	memset(message, 0, sizeof(*message));
}

/* Without <brackets>. */
static char *bare_address(const char *address)
{
	size_t size = strlen(address);

	if (size >= 2 && address[0] == '<' && address[size - 1] == '>') {
		address++;
		size -= 2;
	}
	return text_format("%.*s", (int)size, address);
}

void message_begin(struct message *message, const char *user,
		   const char *sender)
{
	message_clear(message);
	message->user = text_copy(user);
	message->sender = bare_address(sender);
}

/* The envelope */

static int hex_value(char digit)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *found = digit == '\0' ? NULL : strchr(digits, digit);

	return found == NULL ? -1 : (int)(found - digits);
}

/* RFC 3461, 4. Returns NULL if it is none, or has control characters in it. */
static char *xtext_decode(const char *xtext)
{
	char *text = memory_new(strlen(xtext) + 1), *end = text;

	for (const char *p = xtext; *p != '\0'; p++) {
		int high, low;

		*end = *p;
		if (*p == '+') {
			high = hex_value(p[1]);
			low = high < 0 ? -1 : hex_value(p[2]);
			*end = low < 0 ? '\0' : (char)(high << 4 | low);
			p += 2;
		}
		if ((unsigned char)*end < ' ' || *end == 0x7f) {
			free(text);
			return NULL;
		}
		end++;
	}
	return text;
}

void message_set_envelope_id(struct message *message, const char *xtext)
{
	message->has_envelope_id = true;
	free(message->envelope_id);
	message->envelope_id = *xtext == '\0' ||
		strlen(xtext) > MESSAGE_MAX_VALUE ? NULL : xtext_decode(xtext);
}

void message_add_recipient(struct message *message, const char *address)
{
	if (message->recipient_count == MESSAGE_MAX_RECIPIENTS ||
	    strlen(address) > MESSAGE_MAX_RECIPIENT || *address == '\0' ||
	    strcmp(address, "<>") == 0)
		return;
	if (message->recipient_count == message->recipient_room) {
		size_t room = message->recipient_room == 0 ?
			RECIPIENTS_AT_FIRST : 2 * message->recipient_room;
		char **more = reallocarray(message->recipients, room,
					   sizeof(*more));

		if (more == NULL)
			abort();
		message->recipients = more;
		message->recipient_room = room;
	}
	message->recipients[message->recipient_count++] = bare_address(address);
}

/* The header */

/* The value in one line, without blanks at its ends. Returns NULL if it is too long, or
   empty. */
static char *unfolded(const char *value)
{
	char *text, *end;

	if (strlen(value) > MESSAGE_MAX_VALUE)
		return NULL;
	text = end = memory_new(strlen(value) + 1);
	for (; *value != '\0'; value++) {
		if (*value == '\r' || *value == '\n')
			continue;
		if (end > text || (*value != ' ' && *value != '\t'))
			*end++ = *value == '\t' ? ' ' : *value;
	}
	while (end > text && end[-1] == ' ')
		end--;
	*end = '\0';
	if (*text == '\0') {
		free(text);
		return NULL;
	}
	return text;
}

/* Printable ASCII with something to read in it: what Dovecot can log as a Message-ID. */
static bool is_readable_id(const char *text)
{
	bool readable = false;

	if (text == NULL || strlen(text) > MESSAGE_MAX_MESSAGE_ID)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			return false;
		readable = readable || strchr(" <>@()\"", *text) == NULL;
	}
	return readable;
}

/* "<id>" alone, whatever comments stand beside it: those who read a report skip them. */
static char *id_of(const char *value)
{
	const char *begin = strchr(value, '<');
	const char *end = begin == NULL ? NULL : strchr(begin, '>');
	char *inside, *text;

	if (end == NULL)
		return unfolded(value);
	inside = text_format("%.*s", (int)(end + 1 - begin), begin);
	text = unfolded(inside);
	free(inside);
	return text;
}

static void read_message_id(struct message *message, const char *value)
{
	char *text;

	message->has_message_id = true;
	if (message->message_id != NULL)
		return;
	text = id_of(value);
	if (is_readable_id(text))
		message->message_id = text;
	else
		free(text);
}

/* Some readers drop what can't be in a name, and then see another one. */
static bool is_name(const char *written, const char *name)
{
	for (; *written != '\0'; written++) {
		char lower = *written >= 'A' && *written <= 'Z' ?
			(char)(*written + 'a' - 'A') : *written;

		if (*written <= ' ' || *written > '~')
			continue;
		if (*name == '\0' || lower != *name)
			return false;
		name++;
	}
	return *name == '\0';
}

/* To some readers a line ends at a CR: what follows may be a sender to them. */
static bool has_bare_cr(const char *text)
{
	while ((text = strchr(text, '\r')) != NULL) {
		if (*++text != '\n')
			return true;
	}
	return false;
}

static bool may_name_sender(const char *name, const char *value)
{
	return is_name(name, "from") || is_name(name, "sender") ||
		is_name(name, "resent-from") || is_name(name, "resent-sender") ||
		has_bare_cr(name) || has_bare_cr(value);
}

static void add_sender_field(struct message *message, const char *name,
			     const char *value)
{
	size_t size = strlen(name) + strlen(value);

	if (message->sender_field_count == MESSAGE_MAX_SENDER_FIELDS ||
	    message->sender_bytes + size > MESSAGE_MAX_SENDER_BYTES) {
		message->too_many_senders = true;
		return;
	}
	message->sender_bytes += size;
	message->sender_fields[message->sender_field_count++] =
		text_format("%s: %s", name,
			    value + strspn(value, " \t"));
}

void message_add_field(struct message *message, const char *name,
		       const char *value)
{
	char *text;

	if (may_name_sender(name, value))
		add_sender_field(message, name, value);
	if (is_name(name, "message-id")) {
		read_message_id(message, value);
	} else if (is_name(name, "date")) {
		message->has_date = true;
		text = unfolded(value);
		message->date = text == NULL ? 0 : message_parse_date(text);
		free(text);
	}
}
