#ifndef SPF_DNS_SOCKET_H
#define SPF_DNS_SOCKET_H

/* One question to the servers, until one of them answers. Inside plugin/spf/service/ only. */

#include "spf-dns-message.h"
#include "spf/spf-addresses.h"
#include "spf-waiting.h"

/* How long to wait; times are of spf_clock_msecs(). */
struct spf_dns_deadline {
	/* no longer, ... */
	uint64_t last_msecs;
	/* ... and behind this one only with a place */
	uint64_t free_msecs;
	struct spf_waiting *waiting;
};

/* Asks for chain->name, waits until the deadline and no longer, and leaves no socket
   open. The server that answers is the first one from then on.
   Returns what spf_dns_message_read() does; -1 also if there was no answer
   (answer_r->late: it is the time that is over). *answered_r: a server said
   something, be it that it can't say. */
int spf_dns_socket_ask(struct spf_dns_servers *servers, pool_t pool,
		       enum spf_dns_type type,
		       const struct spf_dns_deadline *deadline,
		       struct spf_dns_chain *chain,
		       struct spf_dns_answer *answer_r, bool *answered_r);

#endif
