#ifndef IMAP_SENT_H
#define IMAP_SENT_H

/* The imap adapter: logs every message that a user's client saves to a Sent
   mailbox. Also for doveadm and dsync, never for lda and lmtp: mail to
   user+Sent@ must not fill the log. */

struct module;

void imap_sent_init(struct module *module);
void imap_sent_deinit(void);

#endif
