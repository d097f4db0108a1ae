#ifndef LINE_REQUEST_H
#define LINE_REQUEST_H

/* The line protocol's texts: see line.h. Pure. */

#include "message.h"

#include <stddef.h>

enum line_command {
	LINE_MESSAGE,
	LINE_SERIAL,
};

/* Reads a request, without its LF, into message (zeroed, or used before). text: changed.
   Returns 0, or -1 and what is wrong with it. */
int line_request_read(char *text, struct message *message,
		      enum line_command *command_r, const char **error_r);

/* An answer, with its LF, of these parts (NULL = empty); malloced. status: "ok", ... */
char *line_answer(const char *status, const char *const *parts, size_t count);

/* For whoever asks: "NAME=VALUE" with a tab in front and VALUE escaped; malloced. */
char *line_parameter(const char *name, const char *value);
/* Splits an answer into up to max unescaped parts, of which the first is the status. text:
   changed; with or without its LF. Returns their number, or 0 if it is none of this
   version. */
size_t line_answer_read(char *text, char **parts_r, size_t max);

#endif
