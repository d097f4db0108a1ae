#ifndef SPF_ADDRESSES_H
#define SPF_ADDRESSES_H

/* Addresses as text, and the settings that are lists of them. */

#include "net.h"

#include <netinet/in.h>

/* Networks: backscatter_trusted_relays, backscatter_trusted_networks. */

struct spf_networks;

/* Parses "127.0.0.0/8 ::1, [2001:db8::]/32"; an empty list is one that holds no
   address. Returns 0, or -1 if an entry is no network (*error_r names the first and
   says what is allowed; the others are in the list). The list lives in pool. */
int spf_networks_parse(pool_t pool, const char *list,
		       const struct spf_networks **networks_r,
		       const char **error_r);

bool spf_networks_are_empty(const struct spf_networks *networks);

/* ip: IPv4-mapped IPv6 addresses are IPv4 addresses here. */
bool spf_networks_have(const struct spf_networks *networks,
		       const struct ip_addr *ip);

/* Parses an address as MTAs write it: IPv4, IPv6, "IPv6:" before it or a zone
   behind it ("%eth0"); IPv4-mapped ones become IPv4. Returns 0 or -1. */
int spf_ip_parse(const char *text, struct ip_addr *ip_r);

/* Which servers to ask: backscatter_spf_dns, for the service and the check of the
   setting. */

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
