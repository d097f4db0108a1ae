#ifndef DOVEADM_COPY_H
#define DOVEADM_COPY_H

#include "user/backscatter-user.h"

/* Searches the user's Sent mailboxes for the copy that a row of the log stands for:
   the row has its hash only. Returns "Sent UID 12 (<id@example.org>)", or NULL if it
   isn't there any more. Allocated from log->pool. */
const char *
doveadm_copy_find(struct backscatter_user *buser, const struct sent_log_row *row);

#endif
