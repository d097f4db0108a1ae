/* The end of a message. */

#include "sending.h"
#include "config.h"
#include "log.h"
#include "milter/doveadm/sender-question.h"
#include "milter/spool/spool.h"
#include "text.h"

#include <pthread.h>
#include <stdlib.h>

/* Messages at their end */
static pthread_mutex_t count_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t count_changed = PTHREAD_COND_INITIALIZER;
static unsigned int count;
static bool stopped;

/* While Dovecot is away it is so for every message. */
static void
warn_not_checked(const char *user, bool put_off, const char *error)
{
	static struct log_limit limit;
	unsigned int left_out;

	if (log_limit_allows(&limit, &left_out)) {
		log_warning("%s: From: not checked, %s: %s (%u more since the "
			    "last such line)", user, put_off ?
			    "put off (strict = yes)" : "accepted", error, left_out);
	}
}

/* Returns SENDING_REFUSED with *text_r (malloced); SENDING_LATER, after a warning, if nobody
   answers and that is no reason to accept it. */
static enum sending_result
ask_about_sender(const struct sending *sending, const struct message *message,
		 char **text_r)
{
	bool put_off = sending->config->strict &&
		sending->config->sender_check == SENDER_CHECK_HEADER;
	struct sender_answer answer;
	char *error;

	if (message->too_many_senders) {
		*text_r = text_copy("Header is too long to be checked");
		return SENDING_REFUSED;
	}
	if (sender_question_ask(sending->question, message->user,
				(const char *const *)message->sender_fields,
				message->sender_field_count, &answer,
				&error) < 0) {
		warn_not_checked(message->user, put_off, error);
		free(error);
		return put_off ? SENDING_LATER : SENDING_ACCEPTED;
	}
	if (answer.allowed)
		return SENDING_ACCEPTED;
	*text_r = text_copy(answer.reason);
	return SENDING_REFUSED;
}

/* *text_r: if it is refused. */
static enum sending_result
check_sender(const struct sending *sending, const struct message *message,
	     char **text_r)
{
	enum sender_check check = sending->config->sender_check;
	enum sending_result result;

	if (check == SENDER_CHECK_OFF ||
	    (message->sender_field_count == 0 && !message->too_many_senders))
		return SENDING_ACCEPTED;
	result = ask_about_sender(sending, message, text_r);
	if (result != SENDING_REFUSED)
		return result;
	log_info("%s: %s: %s", message->user, check == SENDER_CHECK_HEADER ?
		 "refused" : "sender_check = header would refuse", *text_r);
	if (check == SENDER_CHECK_HEADER)
		return SENDING_REFUSED;
	free(*text_r);
	*text_r = NULL;
	return SENDING_ACCEPTED;
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

static enum sending_result
end_message(const struct sending *sending, const struct message *message,
	    struct message_marks *marks_r, char **text_r)
{
	enum sending_result checked = check_sender(sending, message, text_r);
	time_t now = time(NULL);
	bool done = true;

	if (checked != SENDING_ACCEPTED)
		return checked;
	if (message_mark(message, &sending->marks, now, marks_r) < 0) {
		log_error("%s: OpenSSL can't make a serial", message->user);
		done = false;
	}
	if (!log_message(sending, message, marks_r, now))
		done = false;
	return done ? SENDING_ACCEPTED : SENDING_LATER;
}

/* Returns false if it is too late. */
static bool count_begin(void)
{
	bool begun;

	(void)pthread_mutex_lock(&count_mutex);
	begun = !stopped;
	if (begun)
		count++;
	(void)pthread_mutex_unlock(&count_mutex);
	return begun;
}

static void count_end(void)
{
	(void)pthread_mutex_lock(&count_mutex);
	count--;
	(void)pthread_cond_signal(&count_changed);
	(void)pthread_mutex_unlock(&count_mutex);
}

enum sending_result
sending_end(const struct sending *sending, const struct message *message,
	    struct message_marks *marks_r, char **text_r)
{
	enum sending_result result = SENDING_LATER;

	*marks_r = (struct message_marks){ .envid = false };
	*text_r = NULL;
	if (count_begin()) {
		result = end_message(sending, message, marks_r, text_r);
		count_end();
	}
	if (result == SENDING_LATER && !sending->config->strict)
		return SENDING_ACCEPTED;
	if (result == SENDING_LATER)
		*text_r = text_copy(SENDING_LATER_TEXT);
	return result;
}

void sending_passed_by(const struct sending *sending, const char *user)
{
	static struct log_limit limit;
	unsigned int left_out;

	if (!count_begin())
		return;
	if (log_limit_allows(&limit, &left_out)) {
		log_error("%s: a message leaves without serial and row: the MTA "
			  "gave it to a before-queue filter, which no milter can "
			  "see (smtpd_proxy_filter); coverage starts anew (%u "
			  "more since the last such line)", user, left_out);
	}
	spool_mark_gap(sending->spool, user);
	count_end();
}

bool sending_stop(unsigned int msecs)
{
	struct timespec until;
	bool none;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += msecs / 1000;
	until.tv_nsec += msecs % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	(void)pthread_mutex_lock(&count_mutex);
	stopped = true;
	while (count > 0 && pthread_cond_timedwait(&count_changed, &count_mutex,
						   &until) == 0)
		;
	none = count == 0;
	(void)pthread_mutex_unlock(&count_mutex);
	return none;
}
