#ifndef DOVEADM_SENT_MAILBOXES_H
#define DOVEADM_SENT_MAILBOXES_H

/* The mailboxes of a user, as far as sent messages lie in them. */

#include "user/backscatter-user.h"

struct mailbox;

/* How many Sent mailboxes the user has (physically: an autocreated one that nobody has
   used yet is none). *missing_r: those of backscatter_sent_mailboxes that he doesn't
   have, "a, b", NULL = none. One that can't count (public, shared) is logged as an
   error. */
unsigned int doveadm_sent_mailboxes_check(struct backscatter_user *buser,
					  const char **missing_r);

/* It is there, and not only because its settings would create it. */
bool doveadm_mailbox_exists(struct mailbox *box);

/* A message that was sent from here may lie in this mailbox: it is no Sent mailbox, and
   neither for drafts nor junk nor our quarantine, nor does it show other mailboxes'
   messages. */
bool doveadm_mailbox_is_searched(struct mailbox *box,
				 const struct backscatter_settings *set);

#endif
