/* plugin/spf/service/spf-dns*.c against a server on loopback, with real sockets. */

#include "unit.h"
#include "array.h"
#include "buffer.h"
#include "net.h"
#include "spf/service/spf-dns.h"
#include "spf/service/spf-dns-socket.h"
#include "spf/spf-limits.h"
#include "spf/spf-protocol.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server: a thread that knows libc only, and answers by this table. */

enum server_trick {
	TRICK_NONE,
	/* says nothing, and so for all names below */
	TRICK_SILENT,
	/* takes its time */
	TRICK_SLOW,
	/* sends bytes that are no message */
	TRICK_GARBAGE,
	/* cuts off over UDP */
	TRICK_TRUNCATE,
	/* closes the TCP connection after the first byte */
	TRICK_TRUNCATE_AND_HANG_UP,
	/* answers another question */
	TRICK_OTHER_QUESTION,
	/* promises more records than it sends */
	TRICK_SHORT,
	/* knows no EDNS: an error, with the question and without; not its version;
	   nothing at all */
	TRICK_NO_EDNS,
	TRICK_NO_EDNS_SHORT,
	TRICK_NO_EDNS_NOTIMP,
	TRICK_NO_EDNS_BADVERS,
	TRICK_NO_EDNS_SILENT
};

#define DATA(string) string, sizeof(string) - 1

static const struct server_record {
	const char *name;
	uint16_t type;
	uint32_t ttl;
	const char *data;
	size_t size;
} server_records[] = {
	{ "a.test", 1, 60, DATA("\300\0\2\1") },
	{ "a.test", 1, 60, DATA("\300\0\2\2") },
	{ "a.test", 28, 60,
	  DATA("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1") },
	{ "strings.test", 16, 60, DATA("\6v=spf1\5 -all") },
	{ "several.test", 16, 60, DATA("\3one") },
	{ "several.test", 16, 60, DATA("\3two") },
	{ "empty.test", 16, 60, DATA("\0") },
	{ "mx.test", 15, 60, DATA("\0\12\2mx\4Test\0") },
	{ "mx.test", 15, 60, DATA("\0\24\0") },
	{ "mx.test", 15, 60, DATA("\0\24\3m.x\4test\0") },
	{ "mx.test", 15, 60, DATA("\0\24\5foo:b\4test\0") },
	{ "1.2.0.192.in-addr.arpa", 12, 60, DATA("\4host\4test\0") },
	{ "foo:b/c d.test", 1, 60, DATA("\300\0\2\3") },
	{ "back\\slash.test", 1, 60, DATA("\300\0\2\4") },
	{ "alias.test", 5, 60, DATA("\2a2\4test\0") },
	{ "a2.test", 5, 60, DATA("\1a\4test\0") },
	{ "half-alias.test", 5, 60, DATA("\1a\4test\0") },
	{ "loop.test", 5, 60, DATA("\5loop2\4test\0") },
	{ "loop2.test", 5, 60, DATA("\4loop\4test\0") },
	{ "root-alias.test", 5, 60, DATA("\0") },
	{ "dangling.test", 5, 60, DATA("\7nothing\4test\0") },
	{ "kept.test", 1, 60, DATA("\300\0\2\1") },
	{ "fleeting.test", 1, 0, DATA("\300\0\2\1") },
	{ "slow.test", 1, 60, DATA("\300\0\2\1") },
	{ "short-address.test", 1, 60, DATA("\300\0\2") },
	/* an answer with another id comes first */
	{ "other-id.test", 1, 60, DATA("\300\0\2\1") },
	{ "no-edns.test", 1, 60, DATA("\300\0\2\1") },
	{ "no-edns-short.test", 1, 60, DATA("\300\0\2\1") },
	{ "no-edns-notimp.test", 1, 60, DATA("\300\0\2\1") },
	{ "no-edns-badvers.test", 1, 60, DATA("\300\0\2\1") },
	{ "no-edns-silent.test", 1, 60, DATA("\300\0\2\1") },
	{ "brief-alias.test", 5, 7, DATA("\1a\4test\0") },
	{ "long-alias.test", 5, 600, DATA("\1a\4test\0") },
	{ "long-string.test", 16, 60, DATA("\377abc") },
};

static const struct {
	const char *name;
	enum server_trick trick;
	unsigned int rcode;
} server_tricks[] = {
	{ "silent.test", TRICK_SILENT, 0 },
	{ "slow.test", TRICK_SLOW, 0 },
	{ "garbage.test", TRICK_GARBAGE, 0 },
	{ "big.test", TRICK_TRUNCATE, 0 },
	{ "hang-up.test", TRICK_TRUNCATE_AND_HANG_UP, 0 },
	{ "other.test", TRICK_OTHER_QUESTION, 0 },
	{ "short.test", TRICK_SHORT, 0 },
	{ "no-edns.test", TRICK_NO_EDNS, 0 },
	{ "no-edns-short.test", TRICK_NO_EDNS_SHORT, 0 },
	{ "no-edns-notimp.test", TRICK_NO_EDNS_NOTIMP, 0 },
	{ "no-edns-badvers.test", TRICK_NO_EDNS_BADVERS, 0 },
	{ "no-edns-silent.test", TRICK_NO_EDNS_SILENT, 0 },
	{ "missing.test", TRICK_NONE, 3 },
	{ "nothing.test", TRICK_NONE, 3 },
	{ "refused.test", TRICK_NONE, 5 },
	{ "failing.test", TRICK_NONE, 2 },
};

#define SERVER_SLOW_MSECS 100

/* a TXT record of this many strings of 250 bytes */
#define SERVER_BIG_STRINGS 8
#define SERVER_BIG_STRING_SIZE 250

static struct {
	pthread_t thread;
	/* bound: answers nothing; answers all with an error */
	int dead_fd, failing_fd;
	int udp_fd, tcp_fd;
	in_port_t port, dead_port, failing_port;
	/* set by the tests */
	volatile bool dead, stop;
	/* counted by the server */
	volatile unsigned int questions, failed;
	/* what the last one said in EDNS; 0: it had none */
	volatile unsigned int edns_size;
} server;

struct packet {
	unsigned char data[8192];
	size_t size;
};

static void packet_add(struct packet *packet, const void *data, size_t size)
{
	i_assert(packet->size + size <= sizeof(packet->data));
	memcpy(packet->data + packet->size, data, size);
	packet->size += size;
}

static void packet_add_number(struct packet *packet, uint32_t number, size_t size)
{
	while (size-- > 0) {
		unsigned char byte = number >> (size * 8);

		packet_add(packet, &byte, 1);
	}
}

static void packet_add_name(struct packet *packet, const char *name)
{
	size_t size;

	for (; *name != '\0'; name += size + (name[size] == '.' ? 1 : 0)) {
		size = strcspn(name, ".");
		packet_add_number(packet, size, 1);
		packet_add(packet, name, size);
	}
	packet_add_number(packet, 0, 1);
}

static void
packet_add_record(struct packet *packet, const char *name, uint16_t type,
		  uint32_t ttl, const void *data, size_t size)
{
	packet_add_name(packet, name);
	packet_add_number(packet, type, 2);
	packet_add_number(packet, 1, 2);
	packet_add_number(packet, ttl, 4);
	packet_add_number(packet, size, 2);
	packet_add(packet, data, size);
	packet->data[7]++;
}

static void packet_add_big_record(struct packet *packet)
{
	unsigned char data[SERVER_BIG_STRINGS * (SERVER_BIG_STRING_SIZE + 1)];
	size_t i;

	memset(data, 'x', sizeof(data));
	for (i = 0; i < sizeof(data); i += SERVER_BIG_STRING_SIZE + 1)
		data[i] = SERVER_BIG_STRING_SIZE;
	packet_add_record(packet, "big.test", 16, 60, data, sizeof(data));
}

static void
packet_add_records(struct packet *packet, const char *name, uint16_t type)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(server_records); i++) {
		const struct server_record *record = &server_records[i];

		if (strcmp(record->name, name) != 0 ||
		    (record->type != type && record->type != 5))
			continue;
		packet_add_record(packet, name, record->type, record->ttl,
				  record->data, record->size);
		if (record->type == 5 && strcmp(name, "alias.test") == 0)
			packet_add_records(packet, "a2.test", type);
		else if (record->type == 5 && strcmp(name, "a2.test") == 0)
			packet_add_records(packet, "a.test", type);
	}
	if (strcmp(name, "big.test") == 0)
		packet_add_big_record(packet);
}

/* "foo:b/c d.test" -> its name; returns where the question's name ends. */
static size_t
question_read_name(const unsigned char *question, size_t size, char *name)
{
	size_t pos = 12, i;

	while (pos < size && question[pos] != 0) {
		if (pos > 12)
			*name++ = '.';
		for (i = 1; i <= question[pos]; i++) {
			unsigned char c = question[pos + i];

			*name++ = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
		}
		pos += question[pos] + 1;
	}
	*name = '\0';
	return pos + 1;
}

/* "x.silent.test" too */
static bool name_is_below(const char *name, const char *domain)
{
	size_t name_size = strlen(name), size = strlen(domain);

	return name_size >= size &&
		strcmp(name + name_size - size, domain) == 0 &&
		(name_size == size || name[name_size - size - 1] == '.');
}

/* question_size: without EDNS' record */
static void
packet_add_no_edns(struct packet *packet, const unsigned char *question,
		   size_t question_size, enum server_trick trick)
{
	static const unsigned char badvers[] = { 0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0 };
	unsigned int rcode = trick == TRICK_NO_EDNS_NOTIMP ? 4 :
		(trick == TRICK_NO_EDNS_BADVERS ? 0 : 1);

	packet_add(packet, question, 2);
	packet_add_number(packet, 0x8180 | rcode, 2);
	packet_add(packet, "\0\0\0\0\0\0\0\0", 8);
	if (trick != TRICK_NO_EDNS_SHORT) {
		packet->data[5] = 1;
		packet_add(packet, question + 12, question_size - 12);
	}
	if (trick == TRICK_NO_EDNS_BADVERS) {
		packet->data[11] = 1;
		packet_add(packet, badvers, sizeof(badvers));
	}
}

static bool
server_answer(const unsigned char *question, size_t size, bool tcp,
	      struct packet *packet)
{
	enum server_trick trick = TRICK_NONE;
	unsigned int i, rcode = 0;
	char name[512];
	size_t pos = question_read_name(question, size, name);
	uint16_t type = question[pos] << 8 | question[pos + 1];

	server.questions++;
	server.edns_size = question[11] == 0 ? 0 :
		question[pos + 7] << 8 | question[pos + 8];
	for (i = 0; i < N_ELEMENTS(server_tricks); i++) {
		if (name_is_below(name, server_tricks[i].name)) {
			trick = server_tricks[i].trick;
			rcode = server_tricks[i].rcode;
		}
	}
	if (server.dead || trick == TRICK_SILENT ||
	    (tcp && trick == TRICK_TRUNCATE_AND_HANG_UP))
		return FALSE;
	if (trick == TRICK_SLOW)
		(void)usleep(SERVER_SLOW_MSECS * 1000);
	packet->size = 0;
	if (trick == TRICK_GARBAGE) {
		packet_add(packet, "\377\377\377garbage", 10);
		return TRUE;
	}
	if (trick >= TRICK_NO_EDNS && trick <= TRICK_NO_EDNS_SILENT &&
	    server.edns_size > 0) {
		packet_add_no_edns(packet, question, pos + 4, trick);
		return trick != TRICK_NO_EDNS_SILENT;
	}
	packet_add(packet, question, 2);
	packet_add_number(packet, 0x8180 | rcode, 2);
	packet_add(packet, "\0\1\0\0\0\0\0\0", 8);
	packet_add(packet, question + 12, pos + 4 - 12);
	if (trick == TRICK_OTHER_QUESTION)
		packet->data[13] ^= 3;
	if (!tcp && (trick == TRICK_TRUNCATE ||
		     trick == TRICK_TRUNCATE_AND_HANG_UP))
		packet->data[2] |= 2;
	else
		packet_add_records(packet, name, type);
	if (trick == TRICK_SHORT)
		packet->data[7] += 3;
	return TRUE;
}

static void server_serve_udp(void)
{
	unsigned char question[512];
	struct sockaddr_in client;
	socklen_t client_size = sizeof(client);
	struct packet packet;
	ssize_t size = recvfrom(server.udp_fd, question, sizeof(question), 0,
				(void *)&client, &client_size);

	if (size <= 16 || !server_answer(question, size, FALSE, &packet))
		return;
	if (memcmp(question + 12, "\10other-id", 9) == 0) {
		struct packet other = packet;

		/* and says "192.0.2.9" */
		other.data[0] ^= 1;
		other.data[other.size - 1] = 9;
		(void)sendto(server.udp_fd, other.data, other.size, 0,
			     (void *)&client, client_size);
	}
	(void)sendto(server.udp_fd, packet.data, packet.size, 0,
		     (void *)&client, client_size);
}

static void server_serve_failing(void)
{
	unsigned char message[512];
	struct sockaddr_in client;
	socklen_t client_size = sizeof(client);
	ssize_t size = recvfrom(server.failing_fd, message, sizeof(message), 0,
				(void *)&client, &client_size);

	if (size < 12)
		return;
	server.failed++;
	message[2] |= 0x80;
	message[3] |= 2;
	(void)sendto(server.failing_fd, message, size, 0, (void *)&client,
		     client_size);
}

static void server_serve_tcp(void)
{
	unsigned char question[514], prefix[2];
	int fd = accept(server.tcp_fd, NULL, NULL);
	struct packet packet;
	ssize_t size = read(fd, question, sizeof(question));

	if (size > 18 && server_answer(question + 2, size - 2, TRUE, &packet)) {
		prefix[0] = packet.size >> 8;
		prefix[1] = packet.size & 0xff;
		(void)send(fd, prefix, 2, MSG_NOSIGNAL);
		(void)send(fd, packet.data, packet.size, MSG_NOSIGNAL);
	}
	(void)close(fd);
}

static void *server_run(void *context ATTR_UNUSED)
{
	while (!server.stop) {
		struct pollfd fds[] = {
			{ .fd = server.udp_fd, .events = POLLIN },
			{ .fd = server.tcp_fd, .events = POLLIN },
			{ .fd = server.failing_fd, .events = POLLIN }
		};

		if (poll(fds, N_ELEMENTS(fds), 20) <= 0)
			continue;
		if ((fds[0].revents & POLLIN) != 0)
			server_serve_udp();
		if ((fds[1].revents & POLLIN) != 0)
			server_serve_tcp();
		if ((fds[2].revents & POLLIN) != 0)
			server_serve_failing();
	}
	return NULL;
}

/* port: 0 is any. Returns the port. */
static in_port_t server_bind(int *fd_r, int type, in_port_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t size = sizeof(address);

	*fd_r = socket(AF_INET, type, 0);
	if (bind(*fd_r, (void *)&address, size) < 0 ||
	    getsockname(*fd_r, (void *)&address, &size) < 0)
		i_fatal("bind() failed: %m");
	return ntohs(address.sin_port);
}

static int server_start(void **state ATTR_UNUSED)
{
	(void)signal(SIGPIPE, SIG_IGN);
	server.port = server_bind(&server.tcp_fd, SOCK_STREAM, 0);
	(void)server_bind(&server.udp_fd, SOCK_DGRAM, server.port);
	server.dead_port = server_bind(&server.dead_fd, SOCK_DGRAM, 0);
	server.failing_port = server_bind(&server.failing_fd, SOCK_DGRAM, 0);
	if (listen(server.tcp_fd, 5) < 0)
		return -1;
	return pthread_create(&server.thread, NULL, server_run, NULL);
}

static int server_stop(void **state ATTR_UNUSED)
{
	server.stop = TRUE;
	pthread_join(server.thread, NULL);
	i_close_fd(&server.udp_fd);
	i_close_fd(&server.tcp_fd);
	i_close_fd(&server.dead_fd);
	i_close_fd(&server.failing_fd);
	return 0;
}

static struct spf_dns *dns_of(const char *list)
{
	struct spf_dns_servers servers;
	const char *error;

	if (spf_dns_servers_parse(list, &servers, &error) < 0)
		i_fatal("%s", error);
	return spf_dns_init(&servers, NULL);
}

/* port: of another server that is asked first; 0: none */
static struct spf_dns *dns_of_servers(in_port_t port)
{
	return dns_of(port == 0 ?
		      t_strdup_printf("127.0.0.1:%u", server.port) :
		      t_strdup_printf("127.0.0.1:%u, 127.0.0.1:%u", port,
				      server.port));
}

static struct spf_dns *dns_of_server(void)
{
	return dns_of_servers(0);
}

/* Tests */

#define TEST_TIMEOUT_MSECS 3000
#define TEST_SHORT_MSECS 300

static const struct {
	const char *name;
	enum spf_dns_type type;
	enum spf_dns_status status;
	unsigned int count;
	/* the first one, as text */
	const char *first;
} lookups[] = {
	{ "a.test", SPF_DNS_A, SPF_DNS_FOUND, 2, "192.0.2.1" },
	{ "A.TEST", SPF_DNS_A, SPF_DNS_FOUND, 2, "192.0.2.1" },
	{ "a.test", SPF_DNS_AAAA, SPF_DNS_FOUND, 1, "2001:db8::1" },
	{ "a.test", SPF_DNS_TXT, SPF_DNS_VOID, 0, NULL },
	{ "strings.test", SPF_DNS_TXT, SPF_DNS_FOUND, 1, "v=spf1 -all" },
	{ "several.test", SPF_DNS_TXT, SPF_DNS_FOUND, 2, "one" },
	{ "empty.test", SPF_DNS_TXT, SPF_DNS_FOUND, 1, "" },
	/* names that text can't express are "" */
	{ "mx.test", SPF_DNS_MX, SPF_DNS_FOUND, 4, "mx.Test" },
	{ "1.2.0.192.in-addr.arpa", SPF_DNS_PTR, SPF_DNS_FOUND, 1, "host.test" },
	{ "foo:b/c d.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.3" },
	{ "back\\slash.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.4" },
	/* aliases, also where the server doesn't follow them */
	{ "alias.test", SPF_DNS_A, SPF_DNS_FOUND, 2, "192.0.2.1" },
	{ "half-alias.test", SPF_DNS_A, SPF_DNS_FOUND, 2, "192.0.2.1" },
	{ "alias.test", SPF_DNS_TXT, SPF_DNS_VOID, 0, NULL },
	{ "loop.test", SPF_DNS_A, SPF_DNS_ERROR, 0, NULL },
	{ "root-alias.test", SPF_DNS_A, SPF_DNS_VOID, 0, NULL },
	/* EDNS is left out where it isn't understood */
	{ "no-edns.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.1" },
	{ "no-edns-short.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.1" },
	{ "no-edns-notimp.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.1" },
	{ "no-edns-badvers.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.1" },
	{ "no-edns-silent.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.1" },
	{ "other-id.test", SPF_DNS_A, SPF_DNS_FOUND, 1, "192.0.2.1" },
	{ "dangling.test", SPF_DNS_A, SPF_DNS_VOID, 0, NULL },
	{ "missing.test", SPF_DNS_A, SPF_DNS_VOID, 0, NULL },
	{ "refused.test", SPF_DNS_A, SPF_DNS_ERROR, 0, NULL },
	{ "failing.test", SPF_DNS_A, SPF_DNS_ERROR, 0, NULL },
	{ "hang-up.test", SPF_DNS_A, SPF_DNS_ERROR, 0, NULL },
	{ "short.test", SPF_DNS_A, SPF_DNS_ERROR, 0, NULL },
	{ "short-address.test", SPF_DNS_A, SPF_DNS_ERROR, 0, NULL },
	{ "long-string.test", SPF_DNS_TXT, SPF_DNS_ERROR, 0, NULL },
};

static const char *
answer_first(const struct spf_dns_answer *answer, enum spf_dns_type type)
{
	switch (type) {
	case SPF_DNS_A:
	case SPF_DNS_AAAA:
		return net_ip2addr(&answer->records[0].ip);
	case SPF_DNS_TXT:
		return t_strndup(answer->records[0].text,
				 answer->records[0].size);
	default:
		return answer->records[0].text;
	}
}

static void test_lookups(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	const struct spf_dns_answer *answer;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(lookups); i++) {
		spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
		answer = spf_dns_lookup(dns, lookups[i].name, lookups[i].type);
		if (answer->status != lookups[i].status ||
		    answer->count != lookups[i].count)
			fail_msg("%s: status %d, count %u", lookups[i].name,
				 answer->status, answer->count);
		assert_true((answer->status == SPF_DNS_ERROR) ==
			    (answer->error != NULL));
		if (answer->count > 0) {
			assert_string_equal(answer_first(answer, lookups[i].type),
					    lookups[i].first);
		}
	}
	spf_dns_deinit(&dns);
}

static void test_names_that_text_cannot_express(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	const struct spf_dns_answer *answer;

	spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
	answer = spf_dns_lookup(dns, "mx.test", SPF_DNS_MX);
	assert_string_equal(answer->records[1].text, "");
	assert_string_equal(answer->records[2].text, "");
	assert_string_equal(answer->records[3].text, "foo:b.test");
	spf_dns_deinit(&dns);
}

static void test_truncated_answer_comes_over_tcp(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	const struct spf_dns_answer *answer;

	spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
	answer = spf_dns_lookup(dns, "big.test", SPF_DNS_TXT);
	assert_int_equal(answer->status, SPF_DNS_FOUND);
	assert_int_equal(answer->records[0].size,
			 SERVER_BIG_STRINGS * SERVER_BIG_STRING_SIZE);
	spf_dns_deinit(&dns);
}

static unsigned int count_questions(struct spf_dns *dns, const char *name)
{
	unsigned int i, before = server.questions;

	for (i = 0; i < 3; i++) {
		spf_dns_begin(dns, TEST_SHORT_MSECS);
		(void)spf_dns_lookup(dns, name, SPF_DNS_A);
	}
	return server.questions - before;
}

static void test_cache(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();

	assert_int_equal(count_questions(dns, "kept.test"), 1);
	assert_int_equal(count_questions(dns, "KEPT.test"), 0);
	assert_int_equal(count_questions(dns, "missing.test"), 1);
	assert_int_equal(count_questions(dns, "fleeting.test"), 3);
	spf_dns_deinit(&dns);
}

/* What a name's servers can't say costs once; a dead server says nothing of it. */
static void test_cache_of_errors(void **state ATTR_UNUSED)
{
	static const char *const names[] = {
		"failing.test", "refused.test", "short.test", "loop.test"
	};
	struct spf_dns *dns = dns_of_server();
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(names); i++) {
		assert_true(count_questions(dns, names[i]) > 0);
		if (count_questions(dns, names[i]) > 0)
			fail_msg("%s", names[i]);
	}
	server.dead = TRUE;
	assert_true(count_questions(dns, "a.test") >= 3);
	server.dead = FALSE;
	assert_true(count_questions(dns, "a.test") > 0);
	spf_dns_deinit(&dns);
}

static void test_cache_is_bounded(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	unsigned int i;

	for (i = 0; i < SPF_DNS_MAX_CACHED + 10; i++) T_BEGIN {
		spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
		(void)spf_dns_lookup(dns, t_strdup_printf("n%u.test", i),
				     SPF_DNS_A);
	} T_END;
	assert_int_equal(count_questions(dns, "n0.test"), 1);
	assert_int_equal(count_questions(dns, t_strdup_printf("n%u.test", i - 1)),
			 0);
	spf_dns_deinit(&dns);
}

/* Milliseconds that an unanswered question takes. */
static unsigned int
lookup_msecs(struct spf_dns *dns, const char *name, unsigned int timeout_msecs)
{
	uint64_t start = spf_clock_msecs();
	const struct spf_dns_answer *answer;

	spf_dns_begin(dns, timeout_msecs);
	answer = spf_dns_lookup(dns, name, SPF_DNS_A);
	assert_int_equal(answer->status, SPF_DNS_ERROR);
	return spf_clock_msecs() - start;
}

static void assert_found(struct spf_dns *dns, const char *name)
{
	spf_dns_begin(dns, 1000);
	assert_int_equal(spf_dns_lookup(dns, name, SPF_DNS_A)->status,
			 SPF_DNS_FOUND);
}

/* Who asks for an instant only must not make others go without an answer. */
static void test_cache_of_silence(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();

	assert_found(dns, "a.test");
	assert_true(count_questions(dns, "silent.test") >= 3);
	assert_true(count_questions(dns, "silent.test") >= 3);
	assert_in_range(lookup_msecs(dns, "silent.test",
				     SPF_DNS_SILENT_WAIT_MSECS + 100),
			SPF_DNS_SILENT_WAIT_MSECS, UINT_MAX);
	assert_int_equal(count_questions(dns, "silent.test"), 0);
	spf_dns_deinit(&dns);
}

static void test_deadline(void **state ATTR_UNUSED)
{
	static const char *const names[] = {
		"silent.test", "garbage.test", "other.test"
	};
	unsigned int i, msecs;

	for (i = 0; i < N_ELEMENTS(names); i++) {
		struct spf_dns *dns = dns_of_server();

		msecs = lookup_msecs(dns, names[i], TEST_SHORT_MSECS);
		if (msecs < TEST_SHORT_MSECS || msecs > TEST_SHORT_MSECS + 1000)
			fail_msg("%s: %u msecs", names[i], msecs);
		spf_dns_deinit(&dns);
	}
}

static void test_deadline_is_for_all_questions(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	uint64_t start = spf_clock_msecs();
	unsigned int i;

	spf_dns_begin(dns, TEST_SHORT_MSECS);
	for (i = 0; i < 5; i++) {
		assert_int_equal(spf_dns_lookup(dns,
			t_strdup_printf("%s", i == 0 ? "silent.test" : "new.test"),
			SPF_DNS_A)->status, SPF_DNS_ERROR);
		assert_true(spf_dns_is_late(dns));
	}
	assert_true(spf_clock_msecs() - start < TEST_SHORT_MSECS + 1000);
	spf_dns_deinit(&dns);
}

/* ... and when it answers again there is all the time again. */
static void test_dead_server_costs_less(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();

	server.dead = TRUE;
	assert_in_range(lookup_msecs(dns, "a.test", 1500), 1500, 1950);
	assert_in_range(lookup_msecs(dns, "a.test", 1500), 1000, 1450);
	assert_in_range(lookup_msecs(dns, "b.test", 1500), 1000, 1450);
	assert_in_range(lookup_msecs(dns, "a.test", 400), 400, 850);
	server.dead = FALSE;
	assert_found(dns, "a.test");
	assert_in_range(lookup_msecs(dns, "silent.test", 1500), 1500, 1950);
	spf_dns_deinit(&dns);
}

/* A name that says nothing, while others answer: it costs once, and only the next
   question has less time. */
static void test_silent_name_is_asked_once(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();

	assert_found(dns, "a.test");
	assert_in_range(lookup_msecs(dns, "silent.test", 1500), 1500, 1950);
	assert_in_range(lookup_msecs(dns, "2.silent.test", 1500), 1000, 1450);
	assert_found(dns, "fleeting.test");
	assert_in_range(lookup_msecs(dns, "silent.test", 1500), 0, 450);
	/* where it wasn't known that others answer, silence says nothing */
	assert_in_range(lookup_msecs(dns, "2.silent.test", 1500), 1500, 1950);
	spf_dns_deinit(&dns);
}

/* In an evaluation in which a server has said something, silence is the name's. */
static void test_silence_after_an_answer(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();

	spf_dns_begin(dns, 1500);
	(void)spf_dns_lookup(dns, "a.test", SPF_DNS_A);
	assert_true(spf_dns_lookup(dns, "silent.test", SPF_DNS_A)->late);
	assert_in_range(lookup_msecs(dns, "2.silent.test", 1500), 1500, 1950);
	spf_dns_deinit(&dns);
}

static void test_late_is_known(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	unsigned int i;

	/* the second time from the cache */
	for (i = 0; i < 2; i++) {
		spf_dns_begin(dns, TEST_SHORT_MSECS);
		assert_true(spf_dns_lookup(dns, "silent.test", SPF_DNS_A)->late);
	}
	spf_dns_begin(dns, TEST_SHORT_MSECS);
	assert_false(spf_dns_lookup(dns, "failing.test", SPF_DNS_A)->late);
	assert_false(spf_dns_lookup(dns, "a.test", SPF_DNS_A)->late);
	spf_dns_deinit(&dns);
}

/* A server that is dead, or can't say: then the other one is asked, and first from
   then on. */
static void test_second_server(void **state ATTR_UNUSED)
{
	const in_port_t first[] = { server.dead_port, server.failing_port, 1 };
	unsigned int i, msecs, failed = server.failed;

	for (i = 0; i < N_ELEMENTS(first); i++) {
		struct spf_dns *dns = dns_of_servers(first[i]);
		uint64_t start = spf_clock_msecs();

		assert_found(dns, "fleeting.test");
		msecs = spf_clock_msecs() - start;
		if (first[i] == server.dead_port)
			assert_in_range(msecs, 500, 900);
		else
			assert_in_range(msecs, 0, 450);
		start = spf_clock_msecs();
		assert_found(dns, "fleeting.test");
		assert_in_range(spf_clock_msecs() - start, 0, 450);
		spf_dns_deinit(&dns);
	}
	assert_int_equal(server.failed, failed + 1);
}

/* What the second one says doesn't matter, nor that it says nothing. */
static void test_late_answer_counts(void **state ATTR_UNUSED)
{
	char *servers[] = {
		i_strdup_printf("127.0.0.1:%u 127.0.0.1:%u", server.port,
				server.dead_port),
		i_strdup_printf("127.0.0.1:%u 127.0.0.1:%u", server.port,
				server.failing_port),
	};
	unsigned int i, questions;
	struct spf_dns *dns;

	for (i = 0; i < N_ELEMENTS(servers); i++) {
		dns = dns_of(servers[i]);
		/* so each has less time than the answer takes */
		questions = server.questions;
		spf_dns_begin(dns, SERVER_SLOW_MSECS + 50);
		assert_int_equal(spf_dns_lookup(dns, "slow.test",
						SPF_DNS_A)->status,
				 SPF_DNS_FOUND);
		assert_int_equal(server.questions, questions + 1);
		spf_dns_deinit(&dns);
		i_free(servers[i]);
	}
}

static void test_edns_size(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();

	assert_found(dns, "a.test");
	assert_int_equal(server.edns_size, 1232);
	spf_dns_deinit(&dns);
}

/* The smallest of the way, however many questions it took. */
static void test_ttl(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name;
		unsigned int ttl;
	} ttls[] = {
		{ "a.test", 60 }, { "fleeting.test", 0 },
		{ "brief-alias.test", 7 }, { "long-alias.test", 60 },
		{ "missing.test", SPF_DNS_VOID_TTL },
		{ "failing.test", SPF_DNS_ERROR_TTL },
	};
	struct spf_dns *dns = dns_of_server();
	unsigned int i;

	spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
	for (i = 0; i < N_ELEMENTS(ttls); i++) {
		assert_int_equal(spf_dns_lookup(dns, ttls[i].name,
						SPF_DNS_A)->ttl, ttls[i].ttl);
	}
	spf_dns_deinit(&dns);
}

static void test_no_server_at_all(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of("127.0.0.1:1");

	assert_true(lookup_msecs(dns, "a.test", TEST_TIMEOUT_MSECS) <
		    TEST_TIMEOUT_MSECS);
	spf_dns_deinit(&dns);
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count;
}

static void test_no_socket_is_left_open(void **state ATTR_UNUSED)
{
	static const char *const names[] = {
		"a.test", "big.test", "hang-up.test", "silent.test", "garbage.test"
	};
	struct spf_dns *dns = dns_of_server();
	unsigned int i, before = count_fds();

	for (i = 0; i < N_ELEMENTS(names); i++) {
		spf_dns_begin(dns, TEST_SHORT_MSECS);
		(void)spf_dns_lookup(dns, names[i], SPF_DNS_TXT);
		assert_int_equal(count_fds(), before);
	}
	spf_dns_deinit(&dns);
}

static const struct {
	const char *servers;
	/* NULL: an error */
	const char *first;
	unsigned int count;
} server_lists[] = {
	{ "127.0.0.1", "127.0.0.1 53", 1 },
	{ "127.0.0.1:5353", "127.0.0.1 5353", 1 },
	{ "[::1]:5353", "::1 5353", 1 },
	{ "::1", "::1 53", 1 },
	{ "[2001:db8::53] 192.0.2.1", "2001:db8::53 53", 2 },
	{ " 192.0.2.1,  192.0.2.2", "192.0.2.1 53", 2 },
	{ "fe80::1%lo", "fe80::1%lo 53", 1 },
	{ "[fe80::1%lo]:5353", "fe80::1%lo 5353", 1 },
	{ "1::1 1::2 1::3 1::4 1::5 1::6 1::7 1::8", "1::1 53", 8 },
	{ "1::1 1::2 1::3 1::4 1::5 1::6 1::7 1::8 1::9", NULL, 0 },
	{ "fe80::1%nowhere", NULL, 0 },
	{ "localhost", NULL, 0 },
	{ "127.0.0.1:", NULL, 0 },
	{ "127.0.0.1:0", NULL, 0 },
	{ "127.0.0.1:65536", NULL, 0 },
	{ "127.0.0.1:53x", NULL, 0 },
	{ "127.0.0", NULL, 0 },
	{ "[::1", NULL, 0 },
};

static const char *server_text(const struct spf_dns_server *server)
{
	char host[100], port[10];

	assert_int_equal(getnameinfo(&server->address.any, server->address_size,
				     host, sizeof(host), port, sizeof(port),
				     NI_NUMERICHOST | NI_NUMERICSERV), 0);
	return t_strdup_printf("%s %s", host, port);
}

static void test_server_lists(void **state ATTR_UNUSED)
{
	struct spf_dns_servers servers;
	const char *error;
	unsigned int i;
	int ret;

	for (i = 0; i < N_ELEMENTS(server_lists); i++) {
		ret = spf_dns_servers_parse(server_lists[i].servers, &servers,
					    &error);
		if ((ret == 0) != (server_lists[i].first != NULL))
			fail_msg("%s: %d", server_lists[i].servers, ret);
		if (ret < 0)
			continue;
		assert_int_equal(servers.count, server_lists[i].count);
		assert_string_equal(server_text(&servers.all[0]),
				    server_lists[i].first);
	}
}

static void
read_resolv_conf(const char *text, struct spf_dns_servers *servers_r)
{
	char path[] = "/tmp/resolv.conf.XXXXXX";
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	i_close_fd(&fd);
	spf_dns_servers_read(path, servers_r);
	i_unlink(path);
}

static void test_resolv_conf(void **state ATTR_UNUSED)
{
	struct spf_dns_servers servers;

	read_resolv_conf("# nameserver 192.0.2.9\nsearch example.com\n"
			 "nameserver\nnameserver nonsense\n"
			 "nameserver 192.0.2.1\nnameserver\tfe80::1%lo\n"
			 "nameserver 192.0.2.3\nnameserver 192.0.2.4\n",
			 &servers);
	assert_int_equal(servers.count, 3);
	assert_string_equal(server_text(&servers.all[0]), "192.0.2.1 53");
	assert_string_equal(server_text(&servers.all[1]), "fe80::1%lo 53");
	assert_int_equal(servers.repeat_msecs, 1000);
	assert_int_equal(servers.rounds, 3);

	spf_dns_servers_read("/nowhere", &servers);
	assert_int_equal(servers.count, 1);
	assert_string_equal(server_text(&servers.all[0]), "127.0.0.1 53");
}

static void test_resolv_conf_options(void **state ATTR_UNUSED)
{
	static const struct {
		const char *options;
		unsigned int msecs, rounds;
	} tests[] = {
		{ "ndots:5 timeout:2 rotate attempts:1", 2000, 1 },
		{ "timeout:1000 attempts:1000", 30000, 5 },
		{ "timeout:0 attempts:0", 1000, 3 },
		{ "timeout:-1 attempts:-1", 1000, 3 },
		{ "timeout: attempts:", 1000, 3 },
		{ "timeout attempts", 1000, 3 },
		{ "timeout:2s attempts:99999999999", 1000, 3 },
	};
	struct spf_dns_servers servers;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(tests); i++) {
		read_resolv_conf(t_strdup_printf("options %s\n",
						 tests[i].options), &servers);
		if (servers.repeat_msecs != tests[i].msecs ||
		    servers.rounds != tests[i].rounds)
			fail_msg("%s", tests[i].options);
	}
}

static const struct {
	const char *name;
	bool valid;
} names[] = {
	{ "example.com", TRUE },
	{ "com", TRUE },
	{ "_spf.example.com", TRUE },
	{ "foo:bar/baz.example.com", TRUE },
	{ "macro%percent  space.example.com", TRUE },
	{ "a23456789012345678901234567890123456789012345678901234567890123.com",
	  TRUE },
	{ "a234567890123456789012345678901234567890123456789012345678901234.com",
	  FALSE },
	{ "", FALSE },
	{ ".", FALSE },
	{ "example.com.", FALSE },
	{ ".example.com", FALSE },
	{ "example..com", FALSE },
	{ "ex\tample.com", FALSE },
	{ "ex\303\244mple.com", FALSE },
};

static void test_names(void **state ATTR_UNUSED)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(names); i++) {
		if (spf_dns_name_is_valid(names[i].name) != names[i].valid)
			fail_msg("%s", names[i].name);
	}
}

static int read_message(const unsigned char *data, size_t size,
			enum spf_dns_type type, struct spf_dns_chain *chain,
			struct spf_dns_answer *answer_r)
{
	return spf_dns_message_read(pool_datastack_create(), data, size, type,
				    chain, answer_r);
}

/* Every answer cut off at every byte: found or not, but nothing breaks. */
static void test_cut_messages(void **state ATTR_UNUSED)
{
	static const unsigned char question[] =
		"\0\1\1\0\0\1\0\0\0\0\0\0\2mx\4test\0\0\17\0\1";
	struct spf_dns_answer answer;
	struct packet packet;
	size_t size;

	assert_true(server_answer(question, sizeof(question) - 1, TRUE, &packet));
	for (size = 0; size <= packet.size; size++) {
		struct spf_dns_chain chain = { .name = "mx.test", .ttl = 99 };

		assert_int_equal(read_message(packet.data, size, SPF_DNS_MX,
					      &chain, &answer),
				 size < packet.size ? -1 : 1);
		assert_int_equal(answer.status, size < packet.size ?
				 SPF_DNS_ERROR : SPF_DNS_FOUND);
		assert_int_equal(answer.ttl, size < packet.size ? 0 : 60);
	}
}

/* Answers about "q.test": the counts of answers and authorities, and the records. */
#define OWNER "\300\14"
#define IN_60 "\0\1\0\0\0\74"
#define SOA "\0\0\6" IN_60 "\0\26\0\0" "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0"
static const struct {
	const char *what;
	unsigned int rcode;
	const char *counts;
	const char *records;
	size_t size;
	int ret;
	enum spf_dns_status status;
	unsigned int ttl;
	/* where it leads, with 0 */
	const char *next;
} messages[] = {
	{ "nothing", 0, "\0\0\0\0", DATA(""), 1, SPF_DNS_VOID, 60, NULL },
	{ "SOA", 3, "\0\0\0\1", DATA(SOA "\7"), 1, SPF_DNS_VOID, 7, NULL },
	{ "SOA's own TTL", 3, "\0\0\0\1", DATA(SOA "\377"), 1, SPF_DNS_VOID, 60,
	  NULL },
	{ "short SOA", 3, "\0\0\0\1", DATA("\0\0\6" IN_60 "\0\3abc"), 1,
	  SPF_DNS_VOID, 60, NULL },
	{ "broken authority", 3, "\0\0\0\1", DATA("\300"), 1, SPF_DNS_VOID, 60,
	  NULL },
	{ "alias", 0, "\0\1\0\0", DATA(OWNER "\0\5" IN_60 "\0\3\1x\0"), 0,
	  SPF_DNS_FOUND, 60, "x" },
	{ "alias of nothing", 0, "\0\1\0\1",
	  DATA(OWNER "\0\5" IN_60 "\0\3\1x\0" SOA "\7"), 1, SPF_DNS_VOID, 7, NULL },
	{ "alias of no name", 3, "\0\1\0\0",
	  DATA(OWNER "\0\5" IN_60 "\0\3\1x\0"), 1, SPF_DNS_VOID, 60, NULL },
	{ "alias of what no text can be", 0, "\0\1\0\0",
	  DATA(OWNER "\0\5" IN_60 "\0\3\1.\0"), 1, SPF_DNS_VOID, 60, NULL },
	{ "alias of itself", 0, "\0\1\0\0",
	  DATA(OWNER "\0\5" IN_60 "\0\2" OWNER), -1, SPF_DNS_ERROR, 0, NULL },
	{ "other class", 0, "\0\1\0\0",
	  DATA(OWNER "\0\1\0\3\0\0\0\74\0\4\300\0\2\1"), 1, SPF_DNS_VOID, 60,
	  NULL },
	{ "TTL below zero", 0, "\0\1\0\0",
	  DATA(OWNER "\0\1\0\1\200\0\0\1\0\4\300\0\2\1"), 1, SPF_DNS_FOUND,
	  0, NULL },
	{ "name that points to itself", 0, "\0\1\0\0",
	  DATA("\300\30\0\1" IN_60 "\0\4\300\0\2\1"), -1, SPF_DNS_ERROR, 0,
	  NULL },
	{ "name that goes on for ever", 0, "\0\1\0\0",
	  DATA("\1a\300\30\0\1" IN_60 "\0\4\300\0\2\1"), -1, SPF_DNS_ERROR, 0,
	  NULL },
	{ "name that points outside", 0, "\0\1\0\0",
	  DATA("\377\377\0\1" IN_60 "\0\4\300\0\2\1"), -1, SPF_DNS_ERROR, 0,
	  NULL },
	{ "label of another kind", 0, "\0\1\0\0",
	  DATA("\200\0\0\1" IN_60 "\0\4\300\0\2\1"), -1, SPF_DNS_ERROR, 0, NULL },
	{ "alias longer than its record", 0, "\0\1\0\0",
	  DATA(OWNER "\0\5" IN_60 "\0\2\1x\0"), -1, SPF_DNS_ERROR, 0, NULL },
	{ "not implemented", 4, "\0\0\0\0", DATA(""), -1, SPF_DNS_ERROR, 0, NULL },
};

static void test_messages(void **state ATTR_UNUSED)
{
	struct spf_dns_answer answer;
	struct packet packet;
	unsigned int i;
	int ret;

	for (i = 0; i < N_ELEMENTS(messages); i++) {
		struct spf_dns_chain chain = { .name = "q.test", .ttl = 3600 };

		packet.size = 0;
		packet_add(&packet, "\0\1\201\200\0\1", 6);
		packet.data[3] |= messages[i].rcode;
		packet_add(&packet, messages[i].counts, 4);
		packet_add(&packet, "\0\0\1q\4test\0\0\1\0\1", 14);
		packet_add(&packet, messages[i].records, messages[i].size);
		ret = read_message(packet.data, packet.size, SPF_DNS_A, &chain,
				   &answer);
		if (ret != messages[i].ret ||
		    (ret > 0 && answer.ttl != messages[i].ttl) ||
		    answer.status != messages[i].status)
			fail_msg("%s: %d, status %d, TTL %u", messages[i].what,
				 ret, answer.status, answer.ttl);
		assert_string_equal(chain.name, messages[i].next != NULL ?
				    messages[i].next : "q.test");
	}
}

/* Each name ends only after many pointers: 5000 records in no time. */
static void test_many_pointers(void **state ATTR_UNUSED)
{
	static unsigned char message[SPF_DNS_MESSAGE_SIZE];
	struct spf_dns_chain chain = { .name = "q", .ttl = 60 };
	struct spf_dns_answer answer;
	uint64_t start = spf_clock_msecs();
	size_t size = 0, i;

	memcpy(message, "\0\1\201\200\0\1\23\210\0\0\0\0\1q\0\0\1\0\1", 19);
	for (size = 19; size < 16000; size += 2) {
		message[size] = 0xc0 | (size - 2) >> 8;
		message[size + 1] = (size - 2) & 0xff;
	}
	message[19] = 0xc0;
	message[20] = 12;
	for (i = 0; i < 4000; i++, size += 12)
		memcpy(message + size, "\376\177\0\1\0\1\0\0\0\0\0\0", 12);
	assert_int_equal(read_message(message, size, SPF_DNS_A, &chain, &answer),
			 -1);
	assert_true(spf_clock_msecs() - start < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_names_that_text_cannot_express),
		cmocka_unit_test(test_truncated_answer_comes_over_tcp),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_of_errors),
		cmocka_unit_test(test_cache_of_silence),
		cmocka_unit_test(test_cache_is_bounded),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_deadline_is_for_all_questions),
		cmocka_unit_test(test_dead_server_costs_less),
		cmocka_unit_test(test_silent_name_is_asked_once),
		cmocka_unit_test(test_silence_after_an_answer),
		cmocka_unit_test(test_late_is_known),
		cmocka_unit_test(test_second_server),
		cmocka_unit_test(test_late_answer_counts),
		cmocka_unit_test(test_edns_size),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_no_server_at_all),
		cmocka_unit_test(test_no_socket_is_left_open),
		cmocka_unit_test(test_server_lists),
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_resolv_conf_options),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_cut_messages),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_many_pointers),
	};
	int failed;

	lib_init();
	failed = cmocka_run_group_tests(tests, server_start, server_stop);
	lib_deinit();
	return failed;
}
