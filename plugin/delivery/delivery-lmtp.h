#ifndef DELIVERY_LMTP_H
#define DELIVERY_LMTP_H

struct delivery_report;

/* TRUE in the lmtp process. */
bool delivery_is_lmtp(void);

void delivery_lmtp_init(void);
void delivery_lmtp_deinit(void);

/* The report that is being delivered to the current recipient; NULL = the message
   is no report. */
struct delivery_report *delivery_lmtp_current_report(void);

#endif
