#ifndef SPF_DNS_SOCKET_H
#define SPF_DNS_SOCKET_H

/* One question to one server without c-ares. Inside plugin/spf/service/ only. */

#include "spf-dns.h"

/* Asks once, over TCP again if the answer was cut off, and waits until deadline
   (spf_clock_msecs()). The name must be valid. Returns TRUE with the answer to
   just this question appended to answer, FALSE if none came. */
bool spf_dns_socket_ask(const struct ip_addr *server, in_port_t port,
			const char *name, enum spf_dns_type type,
			uint64_t deadline, buffer_t *answer);

#endif
