#ifndef SPF_DNS_SERVERS_H
#define SPF_DNS_SERVERS_H

/* Which servers to ask. Inside plugin/spf/ only. */

#include "net.h"

/* Reads "127.0.0.1:5353 [2001:db8::53]:5353 192.0.2.53" (spaces or commas), appends
   each as c-ares reads it. Returns 0, or -1 and an error that names the one that is
   wrong. Allocated from pool. */
int spf_dns_servers_parse(pool_t pool, const char *servers,
			  ARRAY_TYPE(const_string) *servers_r,
			  const char **error_r);

/* Takes one of those texts apart again. */
void spf_dns_servers_split(const char *server, struct ip_addr *ip_r,
			   in_port_t *port_r);

/* Appends those of a resolv.conf, 127.0.0.1 if it names none or isn't there. */
void spf_dns_servers_read(pool_t pool, const char *path,
			  ARRAY_TYPE(const_string) *servers_r);

#endif
