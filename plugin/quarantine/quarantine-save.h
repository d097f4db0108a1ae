#ifndef QUARANTINE_SAVE_H
#define QUARANTINE_SAVE_H

/* Saves a report that is being delivered into the quarantine, and notes where it
   lies. */

#include "sent-log/sent-log.h"

struct mail_deliver_context;
struct mail_storage;
struct module;

void quarantine_save_init(struct module *module);
void quarantine_save_deinit(void);

/* Saves the report that is being delivered into the quarantine of this name, which is
   made and subscribed if need be (lda_mailbox_autocreate is off by default, and says
   nothing about ours). One delivery at a time. *storage_r is as mail_deliver_save()
   sets it.
   Returns 1 and the place (but for id and quarantined); 0 if it was saved, and where
   isn't known; -1 and an error. */
int quarantine_save(struct mail_deliver_context *ctx, const char *name,
		    struct mail_storage **storage_r,
		    struct sent_log_stored_report *place_r, const char **error_r);

#endif
