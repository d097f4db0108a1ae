#ifndef LINE_QUESTION_H
#define LINE_QUESTION_H

/* One question to the milter's line socket (milter/line.h), without waiting for it: whoever
   asks polls its descriptor. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The status, and the longest list of parts: SERIAL SENDER MESSAGE-ID DATE. */
#define LINE_QUESTION_PARTS 5
/* As long as the milter may take, and a little more. */
#define LINE_QUESTION_MSECS 10000
/* the plugin's texts are shorter */
#define LINE_QUESTION_ANSWER_SIZE 4096

struct line_question {
	/* -1 = there is none */
	int fd;
	int64_t until_msecs;
	/* malloced; what was sent of it */
	char *request;
	size_t request_size, sent;
	char answer[LINE_QUESTION_ANSWER_SIZE];
	size_t answer_size;
};

/* Asks at the socket of this path. request: malloced, becomes the question's. If it can't be
   asked, the answer is there at once (line_question_is_over()), and empty. */
void line_question_begin(struct line_question *question, const char *path,
			 char *request);
/* What to poll for. */
short line_question_events(const struct line_question *question);
/* Goes on as far as it can. */
void line_question_continue(struct line_question *question, int64_t now_msecs);
bool line_question_is_over(const struct line_question *question);
/* The answer's parts, with "" in place of those that are missing; the first one is "" if
   nobody has answered. Texts in question; to be asked for once. */
void line_question_get(struct line_question *question,
		       char *parts_r[LINE_QUESTION_PARTS]);
void line_question_end(struct line_question *question);

#endif
