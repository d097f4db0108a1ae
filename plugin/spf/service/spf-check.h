#ifndef SPF_CHECK_H
#define SPF_CHECK_H

/* The evaluation itself. */

#include "spf/spf.h"

struct spf_dns;

/* Evaluates one message. Never fails and takes no longer than the timeout; what
   goes wrong is temperror (try again: DNS) or permerror (the record is broken).
   Asks the servers of dns, not those of the request. The reply and what is
   needed for it are allocated from pool, which must not be the data stack's. */
void spf_check_host(struct spf_dns *dns, const struct spf_check_request *request,
		    pool_t pool, struct spf_check_reply *reply_r);

#endif
