/* Addresses, networks and lists of DNS servers (the setting's, or those of resolv.conf).
   Read strictly: net_addr2ip() takes "127" for 0.0.0.127, as inet_aton() does. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "strfuncs.h"
#include "strnum.h"
#include "str-sanitize.h"
#include "spf-addresses.h"

#include <arpa/inet.h>
#include <netdb.h>

#define DNS_PORT 53
/* bytes of a wrong one in an error */
#define SERVER_MAX_SHOWN 80
#define DNS_ROUNDS 3
#define DNS_REPEAT_MSECS 1000
/* resolv.conf: as many servers as libc asks, and libc's bounds of "options" */
#define RESOLV_CONF_SERVERS 3
#define RESOLV_CONF_MAX_TIMEOUT 30
#define RESOLV_CONF_MAX_ATTEMPTS 5
#define RESOLV_CONF_MAX_LINE (64 * 1024)

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

/* DNS servers */

static void servers_init(struct spf_dns_servers *servers_r)
{
	i_zero(servers_r);
	servers_r->rounds = DNS_ROUNDS;
	servers_r->repeat_msecs = DNS_REPEAT_MSECS;
}

static bool
servers_add(struct spf_dns_servers *servers, const char *host, in_port_t port)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM
	};
	struct spf_dns_server *server = &servers->all[servers->count];
	struct addrinfo *found;
	struct in_addr ip4;

	/* getaddrinfo() would take "127.1" */
	if (strchr(host, ':') == NULL && inet_pton(AF_INET, host, &ip4) != 1)
		return FALSE;
	/* knows scopes */
	if (getaddrinfo(host, t_strdup_printf("%u", port), &hints, &found) != 0)
		return FALSE;
	memcpy(&server->address, found->ai_addr, found->ai_addrlen);
	server->address_size = found->ai_addrlen;
	servers->count++;
	freeaddrinfo(found);
	return TRUE;
}

int spf_dns_servers_parse(const char *text, struct spf_dns_servers *servers_r,
			  const char **error_r)
{
	const char *const *words = t_strsplit_spaces(text, " ,"), *host;
	in_port_t port;

	servers_init(servers_r);
	if (str_array_length(words) > SPF_DNS_MAX_SERVERS) {
		*error_r = t_strdup_printf("more than %u servers",
					   SPF_DNS_MAX_SERVERS);
		return -1;
	}
	for (; *words != NULL; words++) {
		/* net_str2hostport() knows brackets, but no address without them */
		if (!servers_add(servers_r, *words, DNS_PORT) &&
		    (net_str2hostport(*words, DNS_PORT, &host, &port) < 0 ||
		     !servers_add(servers_r, host, port))) {
			*error_r = t_strdup_printf(
				"%s: not an IP address, or address:port",
				str_sanitize(*words, SERVER_MAX_SHOWN));
			return -1;
		}
	}
	return 0;
}

/* "timeout:2". There is nothing to search, so ndots means nothing. */
static void
resolv_conf_option(struct spf_dns_servers *servers, const char *option)
{
	const char *const *parts = t_strsplit(option, ":");
	unsigned int number;

	if (str_array_length(parts) != 2 ||
	    str_to_uint(parts[1], &number) < 0 || number == 0)
		return;
	if (strcmp(parts[0], "timeout") == 0) {
		servers->repeat_msecs =
			I_MIN(number, RESOLV_CONF_MAX_TIMEOUT) * 1000;
	} else if (strcmp(parts[0], "attempts") == 0) {
		servers->rounds = I_MIN(number, RESOLV_CONF_MAX_ATTEMPTS);
	}
}

static void resolv_conf_line(struct spf_dns_servers *servers, const char *line)
{
	const char *const *words = t_strsplit_spaces(line, " \t");

	if (words[0] == NULL || words[1] == NULL)
		return;
	if (strcmp(words[0], "nameserver") == 0) {
		if (servers->count < RESOLV_CONF_SERVERS)
			(void)servers_add(servers, words[1], DNS_PORT);
	} else if (strcmp(words[0], "options") == 0) {
		for (words++; *words != NULL; words++)
			resolv_conf_option(servers, *words);
	}
}

void spf_dns_servers_read(const char *path, struct spf_dns_servers *servers_r)
{
	struct istream *input = i_stream_create_file(path, RESOLV_CONF_MAX_LINE);
	const char *line;

	servers_init(servers_r);
	while ((line = i_stream_read_next_line(input)) != NULL) T_BEGIN {
		resolv_conf_line(servers_r, line);
	} T_END;
	if (input->stream_errno != 0 && input->stream_errno != ENOENT) {
		i_error("read(%s) failed: %s", path,
			i_stream_get_error(input));
	}
	i_stream_destroy(&input);
	if (servers_r->count == 0 &&
	    !servers_add(servers_r, "127.0.0.1", DNS_PORT))
		i_unreached();
}
