#ifndef DOVEADM_OWN_MAIL_H
#define DOVEADM_OWN_MAIL_H

/* Is a mail, wherever it lies, one that its user has sent? Believed only so far as it
   may show that sent messages are missing in the log. */

#include "sent/sent-copy.h"

/* Headers that it looks at, NULL-terminated. */
extern const char *const doveadm_own_mail_headers[];

/* It came here by delivery: a client's copy has none of these fields. */
bool doveadm_mail_was_delivered(struct mail *mail);

/* copy: of mail. deleted: it lies in Trash. A draft was not sent. What was delivered
   here is spam with a forged From:, a note to oneself, the user's own message to a list
   or the copy that he sent himself by Bcc: only the last one tells anything. */
bool doveadm_mail_is_own(struct mail *mail, const struct sent_copy *copy,
			 const struct own_addresses *own, bool deleted);

#endif
