#ifndef SAVED_COPY_H
#define SAVED_COPY_H

/* The imap adapter: logs every message that a user's client saves to a Sent
   mailbox. Also for doveadm and dsync, never for lda and lmtp: mail to
   user+Sent@ must not fill the log. May look at what is being saved and write the
   log; judges nothing itself, but asks quarantine/rejudge.h to. */

struct module;

void saved_copy_init(struct module *module);
void saved_copy_deinit(void);

#endif
