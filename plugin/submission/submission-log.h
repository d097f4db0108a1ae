#ifndef SUBMISSION_LOG_H
#define SUBMISSION_LOG_H

/* The row of a message that is being submitted. */

#include "user/backscatter-user.h"
#include "outgoing-message.h"
#include "sent-log/serial.h"

struct smtp_server_transaction;

/* Writes the row of this message, durably; the caller hands it to the relay
   afterwards. Where that fails, the gap mark is set, and where that fails, too, an
   error line says what to do: the message may leave in every case. serial: "" =
   it leaves without one. */
void submission_log_message(struct backscatter_user *buser,
			    const struct outgoing_message *message,
			    const struct smtp_server_transaction *trans,
			    const char *serial, time_t now);

#endif
