#ifndef SENDING_H
#define SENDING_H

/* What happens at the end of a message, whoever asks for it: may this user send it, its
   marks, its row. */

#include "message.h"

struct config;
struct sender_question;
struct spool;

/* A local MTA's bounce comes within milliseconds: the row should be there before. */
#define SENDING_WAIT_MSECS 500

/* Lives as long as the program. */
struct sending {
	const struct config *config;
	struct message_settings marks;
	struct spool *spool;
	struct sender_question *question;
};

enum sending_result {
	/* it goes on, with all that marks_r has */
	SENDING_ACCEPTED,
	/* 553 5.7.1: the user may not send as that */
	SENDING_REFUSED,
	/* 451 4.3.0, only with strict = yes: it can't be logged or marked, or its header
	   not be checked */
	SENDING_LATER,
};

/* text for SENDING_LATER */
#define SENDING_LATER_TEXT "This message can't be checked or logged now, try again later"

/* Any thread. The row is durable when it returns SENDING_ACCEPTED, or an error line or a gap
   says otherwise. marks_r: to be cleared in every case. text_r: for the SMTP reply; malloced,
   printable ASCII; NULL if accepted. */
enum sending_result
sending_end(const struct sending *sending, const struct message *message,
	    struct message_marks *marks_r, char **text_r);

/* Any thread. The MTA said who sends a message, and gave its content to somebody else: it has
   left without its marks and row, after an error line. */
void sending_passed_by(const struct sending *sending, const char *user);

/* From now on messages go on without marks and row (or not at all: strict = yes), and nothing
   of sending is touched: as if we were gone already. Waits for those at their end. Returns
   false if some still are after so many milliseconds. */
bool sending_stop(unsigned int msecs);

#endif
