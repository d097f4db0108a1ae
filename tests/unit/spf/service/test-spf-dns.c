/* plugin/spf/service/spf-dns*.c against a server on loopback, with real sockets. */

#include "unit.h"
#include "array.h"
#include "buffer.h"
#include "net.h"
#include "spf/service/spf-dns.h"
#include "spf/service/spf-dns-message.h"
#include "spf/service/spf-dns-patience.h"
#include "spf/spf-dns-servers.h"
#include "spf/service/spf-dns-socket.h"
#include "spf/spf-limits.h"
#include "spf/spf-wire.h"

#include <arpa/inet.h>
#include <dirent.h>
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
	TRICK_SHORT
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
	{ "missing.test", TRICK_NONE, 3 },
	{ "nothing.test", TRICK_NONE, 3 },
	{ "refused.test", TRICK_NONE, 5 },
	{ "failing.test", TRICK_NONE, 2 },
};

/* less than SPF_DNS_PATIENCE_QUESTION_MSECS */
#define SERVER_SLOW_MSECS 100

/* a TXT record of this many strings of 250 bytes */
#define SERVER_BIG_STRINGS 8
#define SERVER_BIG_STRING_SIZE 250

static struct {
	pthread_t thread;
	int udp_fd, tcp_fd;
	in_port_t port;
	/* set by the tests */
	volatile bool dead, stop;
	/* counted by the server */
	volatile unsigned int questions, probes;
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

static bool
server_answer(const unsigned char *question, size_t size, bool tcp,
	      struct packet *packet)
{
	enum server_trick trick = TRICK_NONE;
	unsigned int i, rcode = 0;
	char name[512];
	size_t pos = question_read_name(question, size, name);
	uint16_t type = question[pos] << 8 | question[pos + 1];

	if (strcmp(name, "localhost") == 0)
		server.probes++;
	else
		server.questions++;
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

	if (size > 16 && server_answer(question, size, FALSE, &packet)) {
		(void)sendto(server.udp_fd, packet.data, packet.size, 0,
			     (void *)&client, client_size);
	}
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
			{ .fd = server.tcp_fd, .events = POLLIN }
		};

		if (poll(fds, N_ELEMENTS(fds), 20) <= 0)
			continue;
		if ((fds[0].revents & POLLIN) != 0)
			server_serve_udp();
		if ((fds[1].revents & POLLIN) != 0)
			server_serve_tcp();
	}
	return NULL;
}

static int server_start(void **state ATTR_UNUSED)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t size = sizeof(address);

	(void)signal(SIGPIPE, SIG_IGN);
	server.tcp_fd = socket(AF_INET, SOCK_STREAM, 0);
	server.udp_fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(server.tcp_fd, (void *)&address, size) < 0 ||
	    getsockname(server.tcp_fd, (void *)&address, &size) < 0 ||
	    bind(server.udp_fd, (void *)&address, size) < 0 ||
	    listen(server.tcp_fd, 5) < 0)
		return -1;
	server.port = ntohs(address.sin_port);
	return pthread_create(&server.thread, NULL, server_run, NULL);
}

static int server_stop(void **state ATTR_UNUSED)
{
	server.stop = TRUE;
	pthread_join(server.thread, NULL);
	i_close_fd(&server.udp_fd);
	i_close_fd(&server.tcp_fd);
	return 0;
}

static struct spf_dns *dns_of_server(void)
{
	struct spf_dns_settings set = {
		.servers = t_strdup_printf("127.0.0.1:%u", server.port)
	};
	struct spf_dns *dns;
	const char *error;

	if (spf_dns_init(&set, &dns, &error) < 0)
		i_fatal("%s", error);
	return dns;
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
		return net_ip2addr(&answer->addresses[0]);
	case SPF_DNS_TXT:
		return t_strndup(answer->texts[0].data, answer->texts[0].size);
	default:
		return answer->names[0];
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
		spf_dns_end(dns);
	}
	spf_dns_deinit(&dns);
}

static void test_names_that_text_cannot_express(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	const struct spf_dns_answer *answer;

	spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
	answer = spf_dns_lookup(dns, "mx.test", SPF_DNS_MX);
	assert_string_equal(answer->names[1], "");
	assert_string_equal(answer->names[2], "");
	assert_string_equal(answer->names[3], "foo:b.test");
	spf_dns_end(dns);
	spf_dns_deinit(&dns);
}

static void test_truncated_answer_comes_over_tcp(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	const struct spf_dns_answer *answer;

	spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
	answer = spf_dns_lookup(dns, "big.test", SPF_DNS_TXT);
	assert_int_equal(answer->status, SPF_DNS_FOUND);
	assert_int_equal(answer->texts[0].size,
			 SERVER_BIG_STRINGS * SERVER_BIG_STRING_SIZE);
	spf_dns_end(dns);
	spf_dns_deinit(&dns);
}

static unsigned int count_questions(struct spf_dns *dns, const char *name)
{
	unsigned int i, before = server.questions;

	for (i = 0; i < 3; i++) {
		spf_dns_begin(dns, TEST_SHORT_MSECS);
		(void)spf_dns_lookup(dns, name, SPF_DNS_A);
		spf_dns_end(dns);
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
		"failing.test", "refused.test", "short.test", "loop.test",
		"silent.test"
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
		spf_dns_end(dns);
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
	spf_dns_end(dns);
	return spf_clock_msecs() - start;
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
	spf_dns_end(dns);
	assert_true(spf_clock_msecs() - start < TEST_SHORT_MSECS + 1000);
	spf_dns_deinit(&dns);
}

static void test_dead_server_costs_less_each_time(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();

	server.dead = TRUE;
	assert_true(lookup_msecs(dns, "a.test", 1500) >= 1500);
	assert_in_range(lookup_msecs(dns, "a.test", 1500), 1000, 1450);
	assert_in_range(lookup_msecs(dns, "a.test", 1500), 250, 900);
	assert_in_range(lookup_msecs(dns, "a.test", 1500), 250, 900);
	server.dead = FALSE;
	spf_dns_begin(dns, 1500);
	assert_int_equal(spf_dns_lookup(dns, "a.test", SPF_DNS_A)->status,
			 SPF_DNS_FOUND);
	spf_dns_end(dns);
	assert_true(lookup_msecs(dns, "silent.test", 400) >= 400);
	spf_dns_deinit(&dns);
}

static void test_slow_domain_is_no_dead_server(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	unsigned int i, probes = server.probes;

	/* the third time it would be 250 if the server were dead */
	for (i = 0; i < 4; i++) {
		assert_true(lookup_msecs(dns, t_strdup_printf("%u.silent.test", i),
					 400) >= 400);
	}
	assert_true(server.probes > probes);
	spf_dns_deinit(&dns);
}

static void assert_found(struct spf_dns *dns, const char *name)
{
	spf_dns_begin(dns, 1000);
	assert_int_equal(spf_dns_lookup(dns, name, SPF_DNS_A)->status,
			 SPF_DNS_FOUND);
	spf_dns_end(dns);
}

/* However many names it has, and what comes between; but it takes the time from
   nobody else. */
static void test_slow_domains_cost_less_each_time(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	unsigned int i, msecs[6];

	for (i = 0; i < N_ELEMENTS(msecs); i++) {
		msecs[i] = lookup_msecs(dns, t_strdup_printf("%u.silent.test", i),
					1000);
		assert_found(dns, "fleeting.test");
	}
	assert_in_range(msecs[0], 1000, 1300);
	assert_in_range(msecs[1], 1000, 1300);
	assert_in_range(msecs[4], 250, 550);
	assert_in_range(msecs[5], 250, 550);
	assert_found(dns, "slow.test");
	spf_dns_deinit(&dns);
}

/* A wait that was too short for an answer is no reason not to ask again. */
static void test_short_wait_is_not_kept(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = dns_of_server();
	unsigned int i;

	for (i = 0; i < 5; i++) {
		(void)lookup_msecs(dns, t_strdup_printf("%u.silent.test", i),
				   1000);
	}
	assert_true(lookup_msecs(dns, "4.silent.test", 1000) >= 200);
	assert_true(lookup_msecs(dns, "0.silent.test", 1000) < 200);
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
		spf_dns_end(dns);
	}
	spf_dns_begin(dns, TEST_SHORT_MSECS);
	assert_false(spf_dns_lookup(dns, "failing.test", SPF_DNS_A)->late);
	assert_false(spf_dns_lookup(dns, "a.test", SPF_DNS_A)->late);
	spf_dns_end(dns);
	spf_dns_deinit(&dns);
}

/* The purse, with a clock of our own; an evaluation may take 5 seconds. */

#define PURSE_TIMEOUT 5000

static const struct patience_test {
	/* since the evaluation before */
	unsigned int pause_msecs;
	/* how long a question asked at the beginning may wait */
	unsigned int question_msecs;
	/* how long the evaluation took, and whether for nothing */
	unsigned int took_msecs;
	bool late;
} evaluations[] = {
	/* nobody pays for what is ordinary */
	{ 0, 5000, 20, FALSE },
	{ 0, 5000, 1000, FALSE },
	{ 0, 5000, 250, TRUE },
	/* two in full: 2 * 4750 of 10000; a good one gives nothing back */
	{ 0, 5000, 5000, TRUE },
	{ 0, 5000, 20, FALSE },
	{ 0, 5000, 5000, TRUE },
	/* 751 are left, and a 20th of the time since the last filling is added */
	{ 0, 751 + 250 + 250, 1000, TRUE },
	{ 0, 251 + 50 + 250, 540, TRUE },
	/* nearly empty; answers that come bit by bit have what is ordinary */
	{ 0, 11 + 27 + 250, 1020, FALSE },
	{ 0, 18 + 51 + 250, 300, TRUE },
	{ 0, 19 + 15 + 250, 260, TRUE },
	/* a minute later, and an hour */
	{ 60000, 24 + 3013 + 250, 3260, TRUE },
	{ 3600000, 5000, 5000, TRUE },
	{ 0, 5000, 20, FALSE },
};

static void test_purse(void **state ATTR_UNUSED)
{
	struct spf_dns_patience patience;
	uint64_t now = 1000000, deadline;
	unsigned int i;

	i_zero(&patience);
	for (i = 0; i < N_ELEMENTS(evaluations); i++) {
		const struct patience_test *test = &evaluations[i];

		now += test->pause_msecs;
		spf_dns_patience_begin(&patience, PURSE_TIMEOUT, now);
		deadline = spf_dns_patience_deadline(&patience, now);
		if (deadline - now != test->question_msecs) {
			fail_msg("%u: %u msecs", i,
				 (unsigned int)(deadline - now));
		}
		now += test->took_msecs;
		spf_dns_patience_pay(&patience, test->late, now);
	}
}

/* Questions that follow each other have a bound in common. */
static void test_empty_purse(void **state ATTR_UNUSED)
{
	struct spf_dns_patience patience = { .filled_msecs = 1000 };

	spf_dns_patience_begin(&patience, PURSE_TIMEOUT, 1000);
	assert_int_equal(spf_dns_patience_deadline(&patience, 1000), 1250);
	assert_int_equal(spf_dns_patience_deadline(&patience, 1500), 1750);
	assert_int_equal(spf_dns_patience_deadline(&patience, 1900), 2000);
	spf_dns_patience_begin(&patience, 100, 1001);
	assert_int_equal(spf_dns_patience_deadline(&patience, 1001), 1101);
	/* more than there is */
	spf_dns_patience_begin(&patience, UINT_MAX, 2000);
	spf_dns_patience_pay(&patience, TRUE, 100000);
	assert_int_equal(patience.purse_msecs, 0);
}

static void test_second_server(void **state ATTR_UNUSED)
{
	struct spf_dns_settings set;
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t size = sizeof(address);
	int dead_fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct spf_dns *dns;
	const char *error;
	uint64_t start;
	unsigned int i;

	assert_int_equal(bind(dead_fd, (void *)&address, size), 0);
	assert_int_equal(getsockname(dead_fd, (void *)&address, &size), 0);
	set.servers = t_strdup_printf("127.0.0.1:%u, 127.0.0.1:%u",
				      ntohs(address.sin_port), server.port);
	assert_int_equal(spf_dns_init(&set, &dns, &error), 0);
	/* the second question knows which one answers */
	for (i = 0; i < 2; i++) {
		start = spf_clock_msecs();
		spf_dns_begin(dns, TEST_TIMEOUT_MSECS);
		assert_int_equal(spf_dns_lookup(dns, "fleeting.test",
						SPF_DNS_A)->status,
				 SPF_DNS_FOUND);
		spf_dns_end(dns);
	}
	assert_true(spf_clock_msecs() - start < 900);
	spf_dns_deinit(&dns);
	i_close_fd(&dead_fd);
}

static void test_no_server_at_all(void **state ATTR_UNUSED)
{
	struct spf_dns_settings set = { .servers = "127.0.0.1:1" };
	struct spf_dns *dns;
	const char *error;

	assert_int_equal(spf_dns_init(&set, &dns, &error), 0);
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
		spf_dns_end(dns);
		assert_int_equal(count_fds(), before);
	}
	spf_dns_deinit(&dns);
}

/* What c-ares 1.34 refuses to ask goes without it. */
static void test_socket(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name;
		bool answered;
	} questions[] = {
		{ "a.test", TRUE },
		{ "foo:b/c d.test", TRUE },
		{ "missing.test", TRUE },
		{ "big.test", TRUE },
		{ "hang-up.test", FALSE },
		{ "silent.test", FALSE },
		{ "garbage.test", FALSE },
		{ "other.test", FALSE },
	};
	unsigned int i, before = count_fds();
	struct ip_addr ip;
	uint64_t start;

	(void)net_addr2ip("127.0.0.1", &ip);
	for (i = 0; i < N_ELEMENTS(questions); i++) {
		buffer_t *answer = t_buffer_create(512);

		start = spf_clock_msecs();
		if (spf_dns_socket_ask(&ip, server.port, questions[i].name,
				       SPF_DNS_TXT, start + TEST_SHORT_MSECS,
				       answer) != questions[i].answered)
			fail_msg("%s", questions[i].name);
		assert_true((answer->used > 0) == questions[i].answered);
		assert_true(spf_clock_msecs() - start <
			    TEST_SHORT_MSECS + 1000);
		assert_int_equal(count_fds(), before);
	}
	assert_false(spf_dns_socket_ask(&ip, 1, "a.test", SPF_DNS_A,
					start + TEST_TIMEOUT_MSECS,
					t_buffer_create(512)));
}

static const struct {
	const char *servers;
	/* NULL: an error */
	const char *first;
	unsigned int count;
} server_lists[] = {
	{ "127.0.0.1", "127.0.0.1:53", 1 },
	{ "127.0.0.1:5353", "127.0.0.1:5353", 1 },
	{ "[::1]:5353", "[::1]:5353", 1 },
	{ "::1", "[::1]:53", 1 },
	{ "[2001:db8::53] 192.0.2.1", "[2001:db8::53]:53", 2 },
	{ " 192.0.2.1,  192.0.2.2", "192.0.2.1:53", 2 },
	{ "localhost", NULL, 0 },
	{ "127.0.0.1:", NULL, 0 },
	{ "127.0.0.1:0", NULL, 0 },
	{ "127.0.0.1:65536", NULL, 0 },
	{ "127.0.0.1:53x", NULL, 0 },
	{ "127.0.0", NULL, 0 },
	{ "[::1", NULL, 0 },
};

static void test_server_lists(void **state ATTR_UNUSED)
{
	ARRAY_TYPE(const_string) servers;
	const char *error;
	unsigned int i;
	int ret;

	for (i = 0; i < N_ELEMENTS(server_lists); i++) {
		t_array_init(&servers, 4);
		ret = spf_dns_servers_parse(pool_datastack_create(),
					    server_lists[i].servers, &servers,
					    &error);
		if ((ret == 0) != (server_lists[i].first != NULL))
			fail_msg("%s: %d", server_lists[i].servers, ret);
		if (ret < 0)
			continue;
		assert_int_equal(array_count(&servers), server_lists[i].count);
		assert_string_equal(array_idx_elem(&servers, 0),
				    server_lists[i].first);
	}
}

static void test_resolv_conf(void **state ATTR_UNUSED)
{
	char path[] = "/tmp/resolv.conf.XXXXXX";
	int fd = mkstemp(path);
	ARRAY_TYPE(const_string) servers;

	dprintf(fd, "# nameserver 192.0.2.9\nsearch example.com\n"
		"nameserver\nnameserver nonsense\n"
		"nameserver 192.0.2.1\nnameserver\t2001:db8::53\n"
		"nameserver 192.0.2.3\nnameserver 192.0.2.4\n");
	i_close_fd(&fd);
	t_array_init(&servers, 4);
	spf_dns_servers_read(pool_datastack_create(), path, &servers);
	i_unlink(path);
	assert_int_equal(array_count(&servers), 3);
	assert_string_equal(array_idx_elem(&servers, 0), "192.0.2.1:53");
	assert_string_equal(array_idx_elem(&servers, 1), "[2001:db8::53]:53");

	t_array_init(&servers, 4);
	spf_dns_servers_read(pool_datastack_create(), "/nowhere", &servers);
	assert_int_equal(array_count(&servers), 1);
	assert_string_equal(array_idx_elem(&servers, 0), "127.0.0.1:53");
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

/* Every answer cut off at every byte: found or not, but nothing breaks. */
static void test_cut_messages(void **state ATTR_UNUSED)
{
	static const unsigned char question[] =
		"\0\1\1\0\0\1\0\0\0\0\0\0\2mx\4test\0\0\17\0\1";
	struct spf_dns_answer answer;
	struct packet packet;
	const char *next;
	size_t size;

	assert_true(server_answer(question, sizeof(question) - 1, TRUE, &packet));
	for (size = 0; size <= packet.size; size++) {
		spf_dns_message_read(pool_datastack_create(), packet.data, size,
				     "mx.test", SPF_DNS_MX, &answer, &next);
		assert_int_equal(answer.status, size < packet.size ?
				 SPF_DNS_ERROR : SPF_DNS_FOUND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_names_that_text_cannot_express),
		cmocka_unit_test(test_truncated_answer_comes_over_tcp),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_of_errors),
		cmocka_unit_test(test_cache_is_bounded),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_deadline_is_for_all_questions),
		cmocka_unit_test(test_dead_server_costs_less_each_time),
		cmocka_unit_test(test_slow_domain_is_no_dead_server),
		cmocka_unit_test(test_slow_domains_cost_less_each_time),
		cmocka_unit_test(test_short_wait_is_not_kept),
		cmocka_unit_test(test_late_is_known),
		cmocka_unit_test(test_purse),
		cmocka_unit_test(test_empty_purse),
		cmocka_unit_test(test_second_server),
		cmocka_unit_test(test_no_server_at_all),
		cmocka_unit_test(test_no_socket_is_left_open),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_server_lists),
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_cut_messages),
	};
	int failed;

	lib_init();
	failed = cmocka_run_group_tests(tests, server_start, server_stop);
	lib_deinit();
	return failed;
}
