/* Sessions in a list, and the requests about their messages. What OpenSMTPD is told is in
   main.c. */

#include "session.h"
#include "milter/line.h"
#include "milter/line-request.h"
#include "milter/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct session *sessions;

/* Sessions */

struct session *session_first(void)
{
	return sessions;
}

struct session *session_get(const char *id)
{
	struct session *session;

	for (session = sessions; session != NULL; session = session->next) {
		if (strcmp(session->id, id) == 0)
			return session;
	}
	session = memory_new(sizeof(*session));
	session->id = text_copy(id);
	session->parameters = text_copy("");
	session->question.fd = -1;
	session->next = sessions;
	sessions = session;
	return session;
}

static void forget_message(struct session *session)
{
	char **texts[] = {
		&session->serial, &session->tagged, &session->message_id,
		&session->date, &session->field, &session->token,
	};

	message_clear(&session->message);
	line_question_end(&session->question);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		free(*texts[i]);
		*texts[i] = NULL;
	}
	session->field_size = 0;
	session->place = SESSION_BEGIN;
}

void session_free(const char *id)
{
	struct session **place = &sessions, *session;

	while (*place != NULL && strcmp((*place)->id, id) != 0)
		place = &(*place)->next;
	session = *place;
	if (session == NULL)
		return;
	*place = session->next;
	forget_message(session);
	free(session->id);
	free(session->user);
	free(session->parameters);
	free(session);
}

void session_begin_message(struct session *session, const char *sender)
{
	forget_message(session);
	if (session->user != NULL)
		message_begin(&session->message, session->user, sender);
}

/* The header */

static void end_field(struct session *session)
{
	size_t senders = session->message.sender_field_count;
	char *value;

	if (session->field == NULL)
		return;
	value = strchr(session->field, ':');
	if (value != NULL) {
		*value++ = '\0';
		message_add_field(&session->message, session->field, value);
	}
	/* whoever stands in the part that is missing */
	if (session->field_is_cut && session->message.sender_field_count > senders)
		session->message.too_many_senders = true;
	free(session->field);
	session->field = NULL;
	session->field_size = 0;
	session->field_is_cut = false;
}

static void append_to_field(struct session *session, const char *line)
{
	size_t size = strlen(line);

	if (session->field_size + size > SESSION_MAX_FIELD) {
		session->field_is_cut = true;
		return;
	}
	session->field = realloc(session->field, session->field_size + size + 3);
	if (session->field == NULL)
		abort();
	if (session->field_size > 0) {
		memcpy(session->field + session->field_size, "\r\n", 2);
		session->field_size += 2;
	}
	memcpy(session->field + session->field_size, line, size + 1);
	session->field_size += size;
}

void session_read_line(struct session *session, const char *line)
{
	if (*line != ' ' && *line != '\t')
		end_field(session);
	append_to_field(session, line);
}

void session_end_header(struct session *session)
{
	end_field(session);
	session->place = SESSION_BODY;
}

/* Requests */

struct request {
	char *text;
	size_t size, room;
};

static void append(struct request *request, const char *text)
{
	size_t size = strlen(text);

	if (request->size + size + 1 > request->room) {
		request->room = 2 * (request->size + size + 1);
		request->text = realloc(request->text, request->room);
		if (request->text == NULL)
			abort();
	}
	memcpy(request->text + request->size, text, size + 1);
	request->size += size;
}

static void add(struct request *request, const char *name, const char *value)
{
	char *parameter = line_parameter(name, value);

	append(request, parameter);
	free(parameter);
}

static struct request
begin_request(const struct session *session, const char *command)
{
	struct request request = { .text = NULL };

	append(&request, LINE_VERSION "\t");
	append(&request, command);
	add(&request, "user", session->message.user);
	add(&request, "sender", session->message.sender);
	return request;
}

char *session_serial_request(const struct session *session)
{
	struct request request = begin_request(session, "serial");

	append(&request, "\n");
	return request.text;
}

/* Of a field that is there but can't be read, a blank tells that it is there. */
static const char *
value_of(bool is_there, const char *value, const char *offered)
{
	if (is_there)
		return value == NULL ? " " : value;
	return offered == NULL ? "" : offered;
}

static void
add_header(struct request *request, const struct session *session)
{
	const struct message *message = &session->message;
	char *date = message->date == 0 ? NULL :
		message_format_date(message->date);

	add(request, "message-id", value_of(message->has_message_id,
					    message->message_id,
					    session->message_id));
	add(request, "date", value_of(message->has_date, date, session->date));
	free(date);
	for (size_t i = 0; i < message->sender_field_count; i++)
		add(request, "field", message->sender_fields[i]);
	/* as many as are too many for the milter */
	for (size_t i = 0; message->too_many_senders &&
	     i <= MESSAGE_MAX_SENDER_FIELDS; i++)
		add(request, "field", "From:");
}

char *session_message_request(const struct session *session)
{
	const struct message *message = &session->message;
	struct request request = begin_request(session, "message");
	char *envelope_id = session_envelope_id(session);

	if (session->serial != NULL)
		add(&request, "serial", session->serial);
	if (envelope_id != NULL)
		add(&request, "envid", envelope_id);
	free(envelope_id);
	add_header(&request, session);
	for (size_t i = 0; i < message->recipient_count &&
	     request.size < SESSION_MAX_REQUEST; i++)
		add(&request, "recipient", message->recipients[i]);
	append(&request, "\n");
	return request.text;
}

char *session_envelope_id(const struct session *session)
{
	static const char name[] = "ENVID=";

	for (const char *p = session->parameters; *p != '\0';) {
		size_t size;

		p += strspn(p, " ");
		size = strcspn(p, " ");
		if (strncasecmp(p, name, strlen(name)) == 0 &&
		    size > strlen(name)) {
			return text_format("%.*s", (int)(size - strlen(name)),
					   p + strlen(name));
		}
		p += size;
	}
	return NULL;
}
