/* Prints where a message on stdin came from, as plugin/spf sees it:

       received-origin [trusted relays [trusted networks]] < message
       client 192.0.2.9 out.example.net

   kind, address and HELO name; "-" where there is none. The reason goes to
   stderr. */

#include "lib.h"
#include "istream.h"
#include "net.h"
#include "spf/spf-addresses.h"
#include "spf/spf-origin.h"

#include <stdio.h>
#include <unistd.h>

#define MAX_MESSAGE (1024 * 1024)

static const char *const kind_names[] = {
	[SPF_ORIGIN_UNKNOWN] = "unknown",
	[SPF_ORIGIN_CLIENT] = "client",
	[SPF_ORIGIN_LOCAL] = "local",
	[SPF_ORIGIN_NETWORK] = "network",
	[SPF_ORIGIN_FETCHED] = "fetched",
};

static const struct spf_networks *networks(pool_t pool, const char *list)
{
	const struct spf_networks *networks;
	const char *error;

	if (spf_networks_parse(pool, list, &networks, &error) < 0)
		i_fatal("%s", error);
	return networks;
}

static void print_origin(const struct spf_origin_source *source, pool_t pool)
{
	struct spf_origin origin;

	spf_origin_find(source, pool, &origin);
	fprintf(stderr, "%s\n", origin.reason);
	printf("%s %s %s\n", kind_names[origin.kind],
	       origin.kind == SPF_ORIGIN_CLIENT ?
	       net_ip2addr(&origin.client_ip) : "-",
	       origin.helo == NULL ? "-" : origin.helo);
}

int main(int argc, char *argv[])
{
	struct spf_origin_source source;
	struct istream *input;
	pool_t pool;

	lib_init();
	pool = pool_alloconly_create("received-origin", 1024);
	i_zero(&source);
	source.relays = networks(pool, argc < 2 ? "127.0.0.0/8 ::1" : argv[1]);
	source.networks = networks(pool, argc < 3 ? "" : argv[2]);
	input = i_stream_create_fd(STDIN_FILENO, MAX_MESSAGE);
	while (i_stream_read(input) > 0)
		;
	source.header = i_stream_get_data(input, &source.header_size);
	print_origin(&source, pool);
	i_stream_unref(&input);
	pool_unref(&pool);
	lib_deinit();
	return 0;
}
