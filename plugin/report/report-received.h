#ifndef REPORT_RECEIVED_H
#define REPORT_RECEIVED_H

/* Inside the room: a Received line (RFC 5321, 4.4). Strings are on the data stack,
   lower-case; NULL = absent. */
struct report_received {
	/* host that handed the message over, as it called itself */
	const char *from;
	/* host that took it in */
	const char *by;
	/* address behind "for" */
	const char *recipient;
	/* It was taken in locally or with a login: from one of the host's own
	   users. */
	bool submitted;
};

/* Anybody can write such a line: it may keep from convicting, nothing else. */
void report_received_read(const char *value, struct report_received *received_r);

#endif
