/* The end of a message. */

#include "sending.h"
#include "config.h"
#include "log.h"
#include "sender-question.h"
#include "spool.h"
#include "text.h"

#include <stdlib.h>

/* Returns NULL, or why this user may not send this header (malloced). */
static char *
refusal(const struct sending *sending, const struct message *message)
{
	struct sender_answer answer;
	char *error;

	if (message->too_many_senders)
		return text_copy("Header is too long to be checked");
	if (sender_question_ask(sending->question, message->user,
				(const char *const *)message->sender_fields,
				message->sender_field_count, &answer,
				&error) < 0) {
		log_warning("%s: From: not checked: %s", message->user, error);
		free(error);
		return NULL;
	}
	return answer.allowed ? NULL : text_copy(answer.reason);
}

/* Returns false, with *text_r, if it is refused. */
static bool
check_sender(const struct sending *sending, const struct message *message,
	     char **text_r)
{
	enum sender_check check = sending->config->sender_check;

	*text_r = check == SENDER_CHECK_OFF ||
		(message->sender_field_count == 0 && !message->too_many_senders) ?
		NULL : refusal(sending, message);
	if (*text_r == NULL)
		return true;
	log_info("%s: %s: %s", message->user, check == SENDER_CHECK_HEADER ?
		 "refused" : "sender_check = header would refuse", *text_r);
	if (check == SENDER_CHECK_HEADER)
		return false;
	free(*text_r);
	*text_r = NULL;
	return true;
}

/* Returns false if there is no row, after an error line. */
static bool
log_message(const struct sending *sending, const struct message *message,
	    const struct message_marks *marks, time_t now)
{
	struct sent_message row;
	int64_t id;
	char *error;

	if (marks->logged_id == NULL) {
		spool_mark_gap(sending->spool, message->user);
		return false;
	}
	message_get_row(message, marks, now, &row);
	if (spool_add(sending->spool, &row, &id, &error) != 0) {
		log_error("%s: message %s: not logged: %s", message->user,
			  marks->logged_id, error);
		free(error);
		return false;
	}
	(void)spool_wait(sending->spool, id, SENDING_WAIT_MSECS);
	return true;
}

enum sending_result
sending_end(const struct sending *sending, const struct message *message,
	    struct message_marks *marks_r, char **text_r)
{
	time_t now = time(NULL);
	bool done = true;

	*marks_r = (struct message_marks){ .envid = false };
	if (!check_sender(sending, message, text_r))
		return SENDING_REFUSED;
	if (message_mark(message, &sending->marks, now, marks_r) < 0) {
		log_error("%s: OpenSSL can't make a serial", message->user);
		done = false;
	}
	if (!log_message(sending, message, marks_r, now))
		done = false;
	if (done || !sending->config->strict)
		return SENDING_ACCEPTED;
	*text_r = text_copy(SENDING_LATER_TEXT);
	return SENDING_LATER;
}
