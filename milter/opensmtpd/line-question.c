/* Asking the milter. What is asked, and what an answer means, is left to others. */

#include "line-question.h"
#include "milter/clock.h"
#include "milter/line-request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void hang_up(struct line_question *question)
{
	if (question->fd >= 0)
		(void)close(question->fd);
	question->fd = -1;
}

void line_question_begin(struct line_question *question, const char *path,
			 char *request)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	question->request = request;
	question->request_size = strlen(request);
	question->sent = question->answer_size = 0;
	question->until_msecs = clock_msecs() + LINE_QUESTION_MSECS;
	question->fd = socket(AF_UNIX,
			      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (question->fd >= 0 &&
	    connect(question->fd, &address, sizeof(address)) < 0)
		hang_up(question);
}

short line_question_events(const struct line_question *question)
{
	return question->sent < question->request_size ? POLLOUT : POLLIN;
}

bool line_question_is_over(const struct line_question *question)
{
	return question->fd < 0;
}

/* Returns how many bytes, 0 = not now; hangs up if there is an error. */
static size_t moved(struct line_question *question, ssize_t size)
{
	if (size >= 0)
		return (size_t)size;
	if (errno != EINTR && errno != EAGAIN)
		hang_up(question);
	return 0;
}

static void read_answer(struct line_question *question)
{
	size_t room = sizeof(question->answer) - 1 - question->answer_size;
	ssize_t size = read(question->fd,
			    question->answer + question->answer_size, room);

	question->answer_size += moved(question, size);
	if (size == 0 || question->answer_size == sizeof(question->answer) - 1)
		hang_up(question);
}

void line_question_continue(struct line_question *question, int64_t now_msecs)
{
	if (question->sent < question->request_size) {
		question->sent += moved(question, send(question->fd,
			question->request + question->sent,
			question->request_size - question->sent, MSG_NOSIGNAL));
	} else {
		read_answer(question);
	}
	if (now_msecs > question->until_msecs)
		hang_up(question);
}

void line_question_get(struct line_question *question,
		       char *parts_r[LINE_QUESTION_PARTS])
{
	static char none[] = "";
	char *end;
	size_t count = 0;

	question->answer[question->answer_size] = '\0';
	/* one that is not whole is none */
	end = memchr(question->answer, '\n', question->answer_size);
	if (end != NULL)
		count = line_answer_read(question->answer, parts_r,
					 LINE_QUESTION_PARTS);
	for (; count < LINE_QUESTION_PARTS; count++)
		parts_r[count] = none;
}

void line_question_end(struct line_question *question)
{
	hang_up(question);
	free(question->request);
	question->request = NULL;
}
