#ifndef DELIVERY_H
#define DELIVERY_H

/* The delivery adapter: lmtp and dovecot-lda. */

void delivery_init(void);
void delivery_deinit(void);

#endif
