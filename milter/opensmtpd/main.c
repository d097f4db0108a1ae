/* filter-backscatter: a filter of OpenSMTPD 7 (smtpd-filters(7)) that asks the milter's line
   socket about what authenticated users send. Other mail passes as it is, and so does all
   mail when the milter doesn't answer.

   At MAIL the milter issues a serial, which becomes the header's first field (and, with -e
   and -t, goes into MAIL); at the end of the message its row is written, or it is refused.
   Reads stdin, writes stdout, and waits for no answer. */

#include "session.h"
#include "milter/clock.h"
#include "milter/text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define USAGE "usage: filter-backscatter [-e] [-t] LINE_SOCKET\n" \
	"  -e  the serial as ENVID, too, where the client gave none\n" \
	"  -t  the tag in MAIL FROM, too (the milter's tag = yes)\n"
#define EXIT_USAGE 64
/* OpenSMTPD's own are 64 KiB */
#define LINE_MAX_SIZE (1024 * 1024)
/* parts of a line in front of its last one, which may have "|" in it */
#define MAX_PARTS 9
/* how often to look for answers that don't come */
#define LOOK_MSECS 1000

static const char *line_socket;
static bool adds_envid, adds_tag;

static void fail(const char *what)
{
	(void)fprintf(stderr, "filter-backscatter: %s\n", what);
	exit(1);
}

/* What OpenSMTPD gets */

static void write_result(const struct session *session, const char *result,
			 const char *parameter)
{
	(void)printf("filter-result|%s|%s|%s%s%s\n", session->id, session->token,
		     result, *parameter == '\0' ? "" : "|", parameter);
}

static void write_line(const struct session *session, const char *token,
		       const char *line)
{
	(void)printf("filter-dataline|%s|%s|%s\n", session->id, token, line);
}

static void write_field(const struct session *session, const char *token,
			const char *name, const char *value)
{
	if (value != NULL && *value != '\0') {
		(void)printf("filter-dataline|%s|%s|%s: %s\n", session->id,
			     token, name, value);
	}
}

/* MAIL */

/* What MAIL becomes, with the client's parameters, which a rewrite would drop; NULL = it stays
   as it is. Malloced. */
static char *rewritten_mail(const struct session *session)
{
	char *given = session_envelope_id(session);
	bool envid = adds_envid && given == NULL && *session->serial != '\0';
	bool tag = adds_tag && *session->tagged != '\0';

	free(given);
	if (!envid && !tag)
		return NULL;
	return text_format("<%s>%s%s%s%s", tag ? session->tagged :
			   session->message.sender,
			   *session->parameters == '\0' ? "" : " ",
			   session->parameters, envid ? " ENVID=" : "",
			   envid ? session->serial : "");
}

static void answer_mail(struct session *session, char **parts)
{
	char *mail;

	session->serial = text_copy(parts[1]);
	session->tagged = text_copy(parts[2]);
	session->message_id = text_copy(parts[3]);
	session->date = text_copy(parts[4]);
	mail = rewritten_mail(session);
	if (mail == NULL)
		write_result(session, "proceed", "");
	else
		write_result(session, "rewrite", mail);
	free(mail);
}

/* The end of a message */

static void answer_commit(struct session *session, char **parts)
{
	bool refused = strcmp(parts[0], "refused") == 0;
	char *reply;

	if (!refused && strcmp(parts[0], "later") != 0) {
		write_result(session, "proceed", "");
		return;
	}
	reply = text_format("%s %s", refused ? "553 5.7.1" : "451 4.3.0",
			    parts[1]);
	write_result(session, "reject", reply);
	free(reply);
}

/* Questions */

static void answer_if_over(struct session *session)
{
	char *parts[LINE_QUESTION_PARTS];

	if (session->token == NULL ||
	    !line_question_is_over(&session->question))
		return;
	line_question_get(&session->question, parts);
	if (session->at_commit)
		answer_commit(session, parts);
	else
		answer_mail(session, parts);
	line_question_end(&session->question);
	free(session->token);
	session->token = NULL;
}

static void ask(struct session *session, const char *token, char *request)
{
	/* OpenSMTPD waits for each answer before it goes on; it has nothing to wait for if it
	   doesn't */
	line_question_end(&session->question);
	free(session->token);
	session->token = text_copy(token);
	line_question_begin(&session->question, line_socket, request);
	answer_if_over(session);
}

/* Requests of OpenSMTPD */

static void proceed(struct session *session, const char *token)
{
	(void)printf("filter-result|%s|%s|proceed\n", session->id, token);
}

static void filter_mail_from(struct session *session, const char *token,
			     const char *sender)
{
	session_begin_message(session, sender);
	session->at_commit = false;
	if (session->user == NULL)
		proceed(session, token);
	else
		ask(session, token, session_serial_request(session));
}

static void filter_commit(struct session *session, const char *token,
			  const char *nothing)
{
	(void)nothing;
	session->at_commit = true;
	if (session->message.user == NULL)
		proceed(session, token);
	else
		ask(session, token, session_message_request(session));
}

static bool is_field(const char *line)
{
	return *line == ' ' || *line == '\t' ||
		(*line != '\0' && strchr(line, ':') != NULL);
}

static void write_missing_fields(struct session *session, const char *token)
{
	session_end_header(session);
	if (!session->message.has_message_id)
		write_field(session, token, "Message-ID", session->message_id);
	if (!session->message.has_date)
		write_field(session, token, "Date", session->date);
}

static void filter_data_line(struct session *session, const char *token,
			     const char *line)
{
	if (session->message.user != NULL && session->place == SESSION_BEGIN) {
		session->place = SESSION_HEADER;
		write_field(session, token, MESSAGE_SERIAL_HEADER,
			    session->serial);
	}
	if (session->place == SESSION_HEADER && is_field(line))
		session_read_line(session, line);
	else if (session->place == SESSION_HEADER)
		write_missing_fields(session, token);
	write_line(session, token, line);
}

/* Reports of OpenSMTPD */

/* result|user */
static void report_auth(struct session *session, char *text)
{
	char *result = strsep(&text, "|");

	if (text == NULL || strcmp(result, "pass") != 0)
		return;
	free(session->user);
	session->user = text_copy(text);
}

/* message|result|address */
static void report_rcpt(struct session *session, char *text)
{
	char *result;

	(void)strsep(&text, "|");
	result = text == NULL ? text : strsep(&text, "|");
	if (text != NULL && strcmp(result, "ok") == 0 &&
	    session->message.user != NULL)
		message_add_recipient(&session->message, text);
}

/* The only place where MAIL's parameters stand. */
static void report_client(struct session *session, char *command)
{
	static const char mail[] = "MAIL FROM:";
	const char *parameters;

	if (strncasecmp(command, mail, strlen(mail)) != 0)
		return;
	parameters = strrchr(command, '>');
	free(session->parameters);
	session->parameters = text_copy(parameters == NULL ? "" :
		parameters + 1 + strspn(parameters + 1, " "));
}

static void report_disconnect(struct session *session, char *text)
{
	(void)text;
	session_free(session->id);
}

/* Lines */

static const struct {
	const char *name;
	void (*filter)(struct session *session, const char *token,
		       const char *text);
} filters[] = {
	{ "mail-from", filter_mail_from },
	{ "data-line", filter_data_line },
	{ "commit", filter_commit },
};

static const struct {
	const char *name;
	void (*report)(struct session *session, char *text);
} reports[] = {
	{ "link-auth", report_auth },
	{ "link-disconnect", report_disconnect },
	{ "protocol-client", report_client },
	{ "tx-rcpt", report_rcpt },
};

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static void register_all(void)
{
	for (size_t i = 0; i < COUNT(reports); i++) {
		(void)printf("register|report|smtp-in|%s\n", reports[i].name);
	}
	for (size_t i = 0; i < COUNT(filters); i++) {
		(void)printf("register|filter|smtp-in|%s\n", filters[i].name);
	}
	(void)printf("register|ready\n");
}

/* "" if there is no further one */
static char *next_part(char **text)
{
	static char none[] = "";

	return *text == NULL ? none : strsep(text, "|");
}

static char *rest_of(char *text)
{
	static char none[] = "";

	return text == NULL ? none : text;
}

static void read_report(const char *event, struct session *session, char *text)
{
	for (size_t i = 0; i < COUNT(reports); i++) {
		if (strcmp(reports[i].name, event) == 0) {
			reports[i].report(session, rest_of(text));
			return;
		}
	}
}

static void read_filter(const char *phase, struct session *session, char *text)
{
	const char *token = next_part(&text);

	for (size_t i = 0; i < COUNT(filters); i++) {
		if (strcmp(filters[i].name, phase) == 0) {
			filters[i].filter(session, token, rest_of(text));
			return;
		}
	}
}

/* kind|version|time|subsystem|event|session|... */
static void read_line(char *line)
{
	const char *kind = next_part(&line), *event, *id;

	if (strcmp(kind, "config") == 0) {
		if (strcmp(rest_of(line), "ready") == 0)
			register_all();
		return;
	}
	for (unsigned int i = 0; i < 3; i++)
		(void)next_part(&line);
	event = next_part(&line);
	id = next_part(&line);
	if (strcmp(kind, "report") == 0)
		read_report(event, session_get(id), line);
	else if (strcmp(kind, "filter") == 0)
		read_filter(event, session_get(id), line);
}

/* Input */

struct input {
	char *text;
	size_t size;
};

static void read_lines(struct input *input)
{
	char *start = input->text, *end;

	while ((end = memchr(start, '\n', input->size -
			     (size_t)(start - input->text))) != NULL) {
		*end = '\0';
		read_line(start);
		start = end + 1;
	}
	input->size -= (size_t)(start - input->text);
	memmove(input->text, start, input->size);
	if (input->size == LINE_MAX_SIZE)
		fail("a line is too long");
}

/* Returns false when OpenSMTPD is gone. */
static bool read_input(struct input *input)
{
	ssize_t size = read(STDIN_FILENO, input->text + input->size,
			    LINE_MAX_SIZE - input->size);

	if (size < 0)
		return errno == EINTR || errno == EAGAIN;
	input->size += (size_t)size;
	read_lines(input);
	return size > 0;
}

static void add_poll(struct pollfd **polls, nfds_t *room, nfds_t count, int fd,
		     short events)
{
	if (count == *room) {
		*room = 2 * *room + 16;
		*polls = reallocarray(*polls, *room, sizeof(**polls));
		if (*polls == NULL)
			fail("out of memory");
	}
	(*polls)[count].fd = fd;
	(*polls)[count].events = events;
}

/* Waits for OpenSMTPD or an answer. Returns whether OpenSMTPD has said something. */
static bool wait_for_any(void)
{
	static struct pollfd *polls;
	static nfds_t room;
	nfds_t count = 0;

	add_poll(&polls, &room, count++, STDIN_FILENO, POLLIN);
	for (struct session *session = session_first(); session != NULL;
	     session = session->next) {
		if (session->token != NULL) {
			add_poll(&polls, &room, count++, session->question.fd,
				 line_question_events(&session->question));
		}
	}
	if (poll(polls, count, count > 1 ? LOOK_MSECS : -1) < 0)
		return false;
	return polls[0].revents != 0;
}

/* Each goes on as far as it can, whichever was ready. */
static void continue_questions(void)
{
	int64_t now = clock_msecs();

	for (struct session *session = session_first(); session != NULL;
	     session = session->next) {
		if (session->token != NULL) {
			line_question_continue(&session->question, now);
			answer_if_over(session);
		}
	}
}

static void parse_arguments(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "et")) != -1) {
		if (option == 'e')
			adds_envid = true;
		else if (option == 't')
			adds_tag = true;
		else
			optind = argc;
	}
	if (optind != argc - 1) {
		(void)fputs(USAGE, stderr);
		exit(EXIT_USAGE);
	}
	line_socket = argv[optind];
}

int main(int argc, char **argv)
{
	struct input input = { .text = memory_new(LINE_MAX_SIZE) };
	bool there = true;

	parse_arguments(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	while (there) {
		if (wait_for_any())
			there = read_input(&input);
		continue_questions();
		if (fflush(stdout) != 0)
			fail("OpenSMTPD doesn't listen any more");
	}
	free(input.text);
	return 0;
}
