#ifndef SPF_DNS_SERVERS_H
#define SPF_DNS_SERVERS_H

/* Which servers to ask: for the service, and for the check of the setting. */

#include <netinet/in.h>

#define SPF_DNS_MAX_SERVERS 8

struct spf_dns_server {
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		/* with the scope, if it needs one */
		struct sockaddr_in6 ip6;
	} address;
	socklen_t address_size;
};

struct spf_dns_servers {
	struct spf_dns_server all[SPF_DNS_MAX_SERVERS];
	unsigned int count;
	/* which one is asked first */
	unsigned int first;

	/* Each is asked so often, and so long after the one before; in each
	   round twice as long as in the round before. */
	unsigned int rounds, repeat_msecs;
};

/* Reads "127.0.0.1:5353 [2001:db8::53]:5353 192.0.2.53 fe80::1%eth0" (spaces or
   commas). Returns 0, or -1 and an error that names what is wrong. */
int spf_dns_servers_parse(const char *text, struct spf_dns_servers *servers_r,
			  const char **error_r);

/* Those of a resolv.conf, 127.0.0.1 if it names none or isn't there. */
void spf_dns_servers_read(const char *path, struct spf_dns_servers *servers_r);

#endif
