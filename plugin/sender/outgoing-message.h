#ifndef OUTGOING_MESSAGE_H
#define OUTGOING_MESSAGE_H

/* The header of a message that is being sent: who it says it is from, and what a
   report could name it by. Reads; judges nothing and knows no user. */

#include "outgoing-senders.h"

struct istream;

/* More of a header than this is not looked at. */
#define OUTGOING_MAX_HEADER_BYTES (1024 * 1024)
/* Message-ID fields in one message */
#define OUTGOING_MAX_MESSAGE_IDS 8
/* From, Sender, Resent-From and Resent-Sender together */
#define OUTGOING_MAX_SENDER_FIELDS 100
/* bytes of a field that can't be read */
#define OUTGOING_MAX_SHOWN_VALUE 200

/* A header that two readers may read differently, so that its senders can't be told.
   All of it is the message's word but for problem. */
struct outgoing_unreadable {
	/* what is wrong, in a few words; NULL = nothing */
	const char *problem;
	/* the field's name; "" = a line without one */
	const char *field;
	/* the begin of its value; "" = not shown */
	const char *value;
};

struct outgoing_message {
	/* in the order of the header */
	ARRAY_TYPE(outgoing_sender) senders;
	/* the first such problem */
	struct outgoing_unreadable unreadable;
	/* normalised as report_message_id_first() does it */
	ARRAY_TYPE(const_string) message_ids;
	/* Date:, 0 = absent or unreadable */
	time_t date;
	/* the fields are there, readable or not */
	bool has_message_id:1;
	bool has_date:1;
	/* the header goes on beyond OUTGOING_MAX_HEADER_BYTES */
	bool truncated:1;
};

/* Reads the header from the beginning of input, and seeks back there. Allocated
   from pool. Returns 0, or -1 and an error if the stream can't be read. */
int outgoing_message_read(pool_t pool, struct istream *input,
			  struct outgoing_message *message_r,
			  const char **error_r);

#endif
