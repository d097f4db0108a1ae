/* Addresses and networks, read strictly: net_addr2ip() takes "127" for
   0.0.0.127, as inet_aton() does. */

#include "lib.h"
#include "array.h"
#include "net.h"
#include "strfuncs.h"
#include "spf-networks.h"

#include <arpa/inet.h>

struct spf_network {
	struct ip_addr ip;
	unsigned int bits;
};

struct spf_networks {
	ARRAY(struct spf_network) list;
};

static void spf_networks_unmap(struct ip_addr *ip)
{
	struct ip_addr ip4;

	if (net_ipv6_mapped_ipv4_convert(ip, &ip4) == 0)
		*ip = ip4;
}

int spf_ip_parse(const char *text, struct ip_addr *ip_r)
{
	const char *address = text;

	i_zero(ip_r);
	if (strncasecmp(address, "IPv6:", 5) == 0)
		address += 5;
	if (inet_pton(AF_INET6, t_strcut(address, '%'), &ip_r->u.ip6) == 1) {
		ip_r->family = AF_INET6;
		spf_networks_unmap(ip_r);
		return 0;
	}
	if (inet_pton(AF_INET, text, &ip_r->u.ip4) == 1) {
		ip_r->family = AF_INET;
		return 0;
	}
	return -1;
}

/* "[::1]/128", as Postfix writes it */
static const char *without_brackets(const char *text)
{
	const char *end = *text == '[' ? strchr(text, ']') : NULL;

	return end == NULL ? text :
		t_strconcat(t_strdup_until(text + 1, end), end + 1, NULL);
}

static int network_parse(const char *text, struct spf_network *network_r)
{
	const char *slash = strchr(text, '/');
	const char *address = slash == NULL ? text :
		t_strdup_until(text, slash);
	struct in6_addr ip6;
	struct in_addr ip4;

	if (inet_pton(AF_INET6, address, &ip6) != 1 &&
	    inet_pton(AF_INET, address, &ip4) != 1)
		return -1;
	if (net_parse_range(text, &network_r->ip, &network_r->bits) < 0)
		return -1;
	if (network_r->bits >= 96 && IPADDR_IS_V6(&network_r->ip)) {
		spf_networks_unmap(&network_r->ip);
		if (IPADDR_IS_V4(&network_r->ip))
			network_r->bits -= 96;
	}
	return 0;
}

int spf_networks_parse(pool_t pool, const char *list,
		       const struct spf_networks **networks_r,
		       const char **error_r)
{
	struct spf_networks *networks = p_new(pool, struct spf_networks, 1);
	const char *const *entry = t_strsplit_spaces(list, " \t,");
	struct spf_network network;
	int ret = 0;

	p_array_init(&networks->list, pool, 4);
	for (; *entry != NULL; entry++) {
		if (network_parse(without_brackets(*entry), &network) == 0)
			array_push_back(&networks->list, &network);
		else if (ret == 0) {
			*error_r = t_strdup_printf("'%s' is not a network: "
				"an address such as 192.0.2.1 or ::1, or one "
				"with its bits such as 192.0.2.0/24", *entry);
			ret = -1;
		}
	}
	*networks_r = networks;
	return ret;
}

bool spf_networks_are_empty(const struct spf_networks *networks)
{
	return array_is_empty(&networks->list);
}

bool spf_networks_have(const struct spf_networks *networks,
		       const struct ip_addr *ip)
{
	const struct spf_network *network;

	array_foreach(&networks->list, network) {
		if (net_is_in_network(ip, &network->ip, network->bits))
			return TRUE;
	}
	return FALSE;
}
