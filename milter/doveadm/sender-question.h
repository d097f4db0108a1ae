#ifndef SENDER_QUESTION_H
#define SENDER_QUESTION_H

/* Who may write what in From: and Sender:, asked of Dovecot, which knows the users' addresses
   (doveadm backscatter sender). An answer is remembered for a minute. */

#include <stdbool.h>
#include <stddef.h>

struct doveadm_client;
struct sender_question;

/* An answer that takes longer is none: a message waits for it. */
#define SENDER_QUESTION_TIMEOUT_MSECS 1000
#define SENDER_QUESTION_CACHE_SECS 60
#define SENDER_QUESTION_CACHE_SIZE 1024
/* with the NUL */
#define SENDER_REASON_SIZE 256

struct sender_answer {
	bool allowed;
	/* Why not, for the SMTP reply and the log: one line of printable ASCII. "" if
	   allowed. */
	char reason[SENDER_REASON_SIZE];
};

/* client must live longer. */
struct sender_question *sender_question_init(struct doveadm_client *client);
void sender_question_deinit(struct sender_question **question);

/* fields: whole header fields, "From: Ann <ann@example.com>", as the message has them.
   Returns 0, or -1 and a malloced error if that isn't known: no answer in time, or Dovecot
   can't tell. Such a message is accepted. Threads may ask at once. */
int sender_question_ask(struct sender_question *question, const char *user,
			const char *const *fields, size_t field_count,
			struct sender_answer *answer_r, char **error_r);

#endif
