#ifndef DELIVERY_LDA_H
#define DELIVERY_LDA_H

#include "mail-deliver.h"

/* Delivers one message in dovecot-lda: what delivery-lmtp.c does in two places is
   done here in one. next: the next deliver hook, may be NULL. Returns as a deliver
   hook does. */
int delivery_lda(struct mail_deliver_context *ctx,
		 struct mail_storage **storage_r, deliver_mail_func_t *next);

#endif
