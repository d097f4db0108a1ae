#ifndef SUBMISSION_SENDER_H
#define SUBMISSION_SENDER_H

/* May this user send as this address? backscatter_sender_check, and the words in
   which a refusal or a log line says so. */

#include "user/backscatter-user.h"
#include "outgoing-message.h"
#include "user/sender-addresses.h"

struct submission_sender {
	struct backscatter_user *buser;
	struct sender_addresses *addresses;
};

/* A reply to the client. text is one line of printable ASCII; data stack. */
struct submission_refusal {
	unsigned int status;
	const char *enhanced_code;
	const char *text;
};

/* mail_from: user@domain; "" = null sender, which is everybody's. Returns TRUE if
   the message may go on; "log" logs what "both" would have refused. */
bool submission_sender_check_envelope(struct submission_sender *sender,
				      const char *mail_from,
				      struct submission_refusal *refusal_r);
/* From:, Sender:, Resent-From: and Resent-Sender:, every address in them; a header that
   can't be read is nobody's. */
bool submission_sender_check_header(struct submission_sender *sender,
				    const struct outgoing_message *message,
				    struct submission_refusal *refusal_r);

#endif
