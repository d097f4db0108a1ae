#ifndef SENDER_CHECK_H
#define SENDER_CHECK_H

/* Is a message from whom it says it is from? Ownership of each sender that it names, and
   the words in which who sent it, or a log line, is told that one isn't his. Opens no log
   and no mailbox; whether a sender is refused, backscatter_sender_check tells whoever
   asks. */

#include "outgoing-message.h"
#include "sender-addresses.h"

/* A reply to the client. text is one line of printable ASCII; data stack. */
struct sender_refusal {
	/* 451: nobody knows now */
	unsigned int status;
	const char *enhanced_code;
	const char *text;
	/* for the log line only: the setting at fault; NULL = none */
	const char *setting;
};

/* where: "MAIL FROM", or a field's name. Returns TRUE if the user owns the address; FALSE
   and the refusal if he doesn't, or if that can't be looked up (the error is logged). */
bool sender_check_address(struct sender_addresses *senders, const char *where,
			  const char *address,
			  struct sender_refusal *refusal_r);
/* The same of From:, Sender:, Resent-From: and Resent-Sender:, every address in them; a
   header that can't be read is nobody's. */
bool sender_check_header(struct sender_addresses *senders,
			 const struct outgoing_message *message,
			 struct sender_refusal *refusal_r);

#endif
