#ifndef SPF_NETWORKS_H
#define SPF_NETWORKS_H

/* A list of networks (backscatter_trusted_relays, backscatter_trusted_networks). */

struct ip_addr;
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

#endif
