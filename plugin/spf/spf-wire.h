#ifndef SPF_WIRE_H
#define SPF_WIRE_H

/* Lines over a socket, until a deadline. Both sides of the protocol. */

#include "spf-protocol.h"

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
