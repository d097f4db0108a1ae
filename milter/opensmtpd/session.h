#ifndef OPENSMTPD_SESSION_H
#define OPENSMTPD_SESSION_H

/* What the filter knows of a session, from the events that OpenSMTPD reports, and of its
   present message. */

#include "milter/message.h"
#include "line-question.h"

/* of one field, with its folds */
#define SESSION_MAX_FIELD (256 * 1024)
/* Recipients beyond this are not told to the milter, which takes requests of 1 MiB. */
#define SESSION_MAX_REQUEST (640 * 1024)

enum session_place {
	/* before the first line */
	SESSION_BEGIN,
	SESSION_HEADER,
	SESSION_BODY,
};

struct session {
	/* in its list */
	struct session *next;
	/* as OpenSMTPD writes it */
	char *id;
	/* NULL = nobody has logged in */
	char *user;
	/* of the client's last MAIL, as it wrote them; "" = none */
	char *parameters;

	/* that of the user; its user is NULL where nobody has logged in */
	struct message message;
	enum session_place place;
	/* what the milter offered at MAIL; NULL or "" = nothing */
	char *serial, *tagged, *message_id, *date;
	/* the field that is being read */
	char *field;
	size_t field_size;
	/* its end had no room */
	bool field_is_cut;

	struct line_question question;
	/* what to answer with: OpenSMTPD's token; NULL = no question is being asked */
	char *token;
	bool at_commit;
};

/* The session of this id, made if there is none yet. */
struct session *session_get(const char *id);
/* The first one; next leads to the others. */
struct session *session_first(void);
void session_free(const char *id);

/* MAIL FROM:<sender>, by the user of the session: the last message is forgotten. */
void session_begin_message(struct session *session, const char *sender);

/* A line of the message. Tells the field that ends with it. */
void session_read_line(struct session *session, const char *line);
/* The header ends: before an empty line, a body without one, or the last dot. */
void session_end_header(struct session *session);

/* Requests to the milter: malloced. */
char *session_serial_request(const struct session *session);
char *session_message_request(const struct session *session);

/* The client's ENVID in its parameters: malloced, or NULL if there is none. */
char *session_envelope_id(const struct session *session);

#endif
