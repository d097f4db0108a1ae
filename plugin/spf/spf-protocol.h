#ifndef SPF_PROTOCOL_H
#define SPF_PROTOCOL_H

/* What is said over the socket of the service backscatter-spf. Version 1:

   One connection for each question. The client sends all that it has to say at once. The
   service says hello when a process of it has taken the connection and has to wait for
   anything; else with the reply. Lines end with LF, fields are separated by tabs, and in a
   field TAB, LF, CR, NUL and \001 are written as Dovecot does it (str_tabescape()).

     service: VERSION <tab> backscatter-spf <tab> 1 <tab> 0
     client:  VERSION <tab> backscatter-spf-client <tab> 1 <tab> 0
     client:  check MSECS STEPS CLIENT HELO MAIL-FROM RECEIVER SERVERS ASKED
     service: step TEXT            any number of them, if STEPS is 1
     service: reply RESULT IDENTITY DOMAIN MECHANISM PROBLEM EXPLANATION

   MSECS is the time that was left, 1 to SPF_MAX_TIMEOUT_MSECS, at the moment ASKED, in
   milliseconds of CLOCK_MONOTONIC: both sides are on one host (0, or no number: now).
   STEPS is 0 or 1; CLIENT is an address, or empty: unknown. The others are the members
   of struct spf_check_request and struct spf_check_reply, whose NULL is an empty field.
   No line is longer than SPF_MAX_LINE with its LF. Then the service closes the
   connection; it does so at once, without an answer, if it is sent anything else. A minor
   version above 0 may add fields at the end of a line: they are not looked at. */

#include "spf.h"
#include "spf-limits.h"

#define SPF_PROTOCOL_SERVICE "backscatter-spf"
#define SPF_PROTOCOL_CLIENT "backscatter-spf-client"
#define SPF_PROTOCOL_HELLO(name) "VERSION\t"name"\t1\t0\n"

/* Bytes of one line. HELO and MAIL FROM may be twice as long escaped, and there is room
   for a long list of name servers. */
#define SPF_MAX_LINE 8192
/* steps of one evaluation */
#define SPF_MAX_STEPS 2000

/* The line, without its LF, is the hello of the other side, and of our version. */
bool spf_hello_is_right(const char *line, const char *name);

/* Appends the question with its LF. HELO and MAIL FROM are cut behind SPF_MAX_IDENTITY + 1
   bytes, which makes no difference to the result. Returns FALSE if it is longer than a
   line may be. */
bool spf_question_write(string_t *line, const struct spf_check_request *request);
/* Reads a question without its LF. Returns 0, or -1 if it is none. *steps_r: they are
   asked for. From the data stack. */
int spf_question_read(const char *line, struct spf_check_request *request_r,
		      bool *steps_r);

/* text: as a spf_check_trace_t gets it */
void spf_step_write(string_t *line, const char *text);
void spf_reply_write(string_t *line, const struct spf_check_reply *reply);
/* Reads a line of an answer without its LF. Returns 1 for a reply, allocated from pool,
   0 for a step, whose text is in the data stack, or -1 if it is neither, or promises
   less than spf.h does: whoever speaks there may be in a stranger's hand. */
int spf_answer_read(const char *line, pool_t pool, struct spf_check_reply *reply_r,
		    const char **step_r);

/* Lines over a socket, until a deadline: both sides. */

struct spf_wire {
	int fd;
	/* of spf_clock_msecs() */
	uint64_t deadline_msecs;
	/* what came, and has not been read as a line */
	size_t used;
	char received[SPF_MAX_LINE];
};

/* milliseconds of a clock that is never set */
uint64_t spf_clock_msecs(void);

/* Both return 0, or -1 and an error if that was not done before the deadline, or the
   other side has closed the connection. */
int spf_wire_send(struct spf_wire *wire, const void *data, size_t size,
		  const char **error_r);
/* The line comes without LF, from the data stack. One that has a NUL, or is longer than
   SPF_MAX_LINE, is an error. */
int spf_wire_read_line(struct spf_wire *wire, const char **line_r,
		       const char **error_r);

#endif
