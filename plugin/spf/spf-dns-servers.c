/* Lists of DNS servers: the setting's, or those of resolv.conf. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "spf-dns-servers.h"

#include <arpa/inet.h>

#define DNS_PORT 53
/* as many as libc asks */
#define DNS_MAX_SERVERS 3
#define DNS_MAX_LINE 1024

static const char *
server_text(pool_t pool, const struct ip_addr *ip, in_port_t port)
{
	return p_strdup_printf(pool, IPADDR_IS_V6(ip) ? "[%s]:%u" : "%s:%u",
			       net_ip2addr(ip), port);
}

/* net_addr2ip() would take "127.1". */
static int server_parse_address(const char *text, struct ip_addr *ip_r)
{
	i_zero(ip_r);
	ip_r->family = strchr(text, ':') == NULL ? AF_INET : AF_INET6;
	return inet_pton(ip_r->family, text, ip_r->family == AF_INET ?
			 (void *)&ip_r->u.ip4 : (void *)&ip_r->u.ip6) == 1 ?
		0 : -1;
}

int spf_dns_servers_parse(pool_t pool, const char *servers,
			  ARRAY_TYPE(const_string) *servers_r,
			  const char **error_r)
{
	const char *const *server, *host, *text;
	struct ip_addr ip;
	in_port_t port;

	for (server = t_strsplit_spaces(servers, " ,"); *server != NULL;
	     server++) {
		/* net_str2hostport() knows brackets, but no address without them */
		if (server_parse_address(*server, &ip) == 0)
			port = DNS_PORT;
		else if (net_str2hostport(*server, DNS_PORT, &host, &port) < 0 ||
			 server_parse_address(host, &ip) < 0) {
			*error_r = t_strdup_printf(
				"%s: not an IP address, or address:port",
				*server);
			return -1;
		}
		text = server_text(pool, &ip, port);
		array_push_back(servers_r, &text);
	}
	return 0;
}

void spf_dns_servers_split(const char *server, struct ip_addr *ip_r,
			   in_port_t *port_r)
{
	const char *host;

	if (net_str2hostport(server, DNS_PORT, &host, port_r) < 0 ||
	    server_parse_address(host, ip_r) < 0)
		i_unreached();
}

/* "nameserver 192.0.2.53". Returns NULL for every other line. */
static const char *resolv_conf_server(pool_t pool, const char *line)
{
	const char *const *words = t_strsplit_spaces(line, " \t");
	struct ip_addr ip;

	if (words[0] == NULL || strcmp(words[0], "nameserver") != 0 ||
	    words[1] == NULL || server_parse_address(words[1], &ip) < 0)
		return NULL;
	return server_text(pool, &ip, DNS_PORT);
}

void spf_dns_servers_read(pool_t pool, const char *path,
			  ARRAY_TYPE(const_string) *servers_r)
{
	struct istream *input = i_stream_create_file(path, DNS_MAX_LINE);
	const char *line, *server;

	while ((line = i_stream_read_next_line(input)) != NULL &&
	       array_count(servers_r) < DNS_MAX_SERVERS) {
		server = resolv_conf_server(pool, line);
		if (server != NULL)
			array_push_back(servers_r, &server);
	}
	i_stream_destroy(&input);
	if (array_count(servers_r) == 0) {
		server = p_strdup_printf(pool, "127.0.0.1:%u", DNS_PORT);
		array_push_back(servers_r, &server);
	}
}
