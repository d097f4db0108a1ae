#ifndef DELIVERY_STORED_H
#define DELIVERY_STORED_H

/* Where in the quarantine was the report stored? lib-lda doesn't tell, so the storage
   is watched, from begin to end. At any other time nothing is hooked: to know the UID,
   Maildir has to wait for its uidlist lock, which is not for mail that goes to INBOX.
   One delivery at a time. */

#include "sent-log/sent-log.h"

struct mail_user;
struct module;

void delivery_stored_init(struct module *module);
void delivery_stored_deinit(void);

/* Watches what is saved into this user's mailboxes from now on. */
void delivery_stored_begin(struct mail_user *user);
/* Returns TRUE and the place if something was saved; id and quarantined are not
   set. */
bool delivery_stored_end(struct sent_log_stored_report *place_r);

#endif
