/* plugin/spf/spf-origin.c and spf-addresses.c: through which of a message's Received
   fields the way back leads, and where it ends. */

#include "unit.h"
#include "net.h"
#include "str.h"
#include "spf/spf-limits.h"
#include "spf/spf-addresses.h"
#include "spf/spf-origin.h"

#define RELAYS "127.0.0.0/8 ::1 10.1.0.0/16"
/* a relay's network among them */
#define NETWORKS "10.0.0.0/8 192.168.0.0/16 fd00::/8"

/* fields that our own hosts write */
#define MX "Received: from out.example.net (out.example.net [192.0.2.9])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 1; date\n"
#define MX_IPV6 "Received: from out.example.net (unknown [IPv6:2001:db8::9])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 1; date\n"
#define CONTENT_FILTER \
	"Received: from localhost (localhost [127.0.0.1])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 2; date\n" \
	"X-Virus-Scanned: yes\n" \
	"Received: from mx.example.org ([127.0.0.1])\n" \
	"\tby localhost (mx.example.org [127.0.0.1]) (amavisd-new, port 10024)\n" \
	"\twith ESMTP id x; date\n"
#define INNER_RELAY "Received: from mx1.example.org (mx1.example.org [10.1.2.3])\n" \
	"\tby mx2.example.org (Postfix) with ESMTP id 3; date\n"
#define LMTP "Received: from mx.example.org ([127.0.0.1])\r\n" \
	"\tby mx.example.org with LMTP\r\n\tid x; date\r\n"
#define LMTP_SOCKET "Received: from mx.example.org\r\n" \
	"\tby mx.example.org with LMTP\r\n\tid x; date\r\n"
#define USER "Received: by mx.example.org (Postfix, from userid 1000)\n" \
	"\tid 4; date\n"
#define ALIAS "Received: by mx.example.org (Postfix)\n\tid 5; date\n"
#define FETCHED "Received: from pop.example.net [192.0.2.9]\n" \
	"\tby localhost with POP3 (fetchmail-6.4.37)\n\tfor <a@b>; date\n"
#define WEBMAIL "Received: from web (localhost [127.0.0.1])\n" \
	"\t(Authenticated sender: jane)\n" \
	"\tby mx.example.org (Postfix) with ESMTPSA id 6; date\n"
#define OF_NETWORK "Received: from pc.example.org (unknown [10.7.8.9])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 9; date\n"
#define OF_NETWORK_IPV6 "Received: from pc.example.org (unknown [IPv6:fd00::9])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 9; date\n"
#define LMTP_OF_NETWORK "Received: from pc.example.org ([192.168.1.2])\r\n" \
	"\tby imap.example.org with LMTP\r\n\tid x; date\r\n"
#define JUNK "Received: nobody knows\n"
/* and what a client writes below */
#define FORGED "Received: from bank.example (bank.example [198.51.100.1])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 7; date\n"
#define FORGED_LOCAL "Received: from x (localhost [127.0.0.1])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 8; date\n"

static const struct origin_test {
	const char *header;
	enum spf_origin_kind kind;
	const char *ip;
} tests[] = {
	{ MX "Subject: x\n", SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ "Return-Path: <a@b>\n" MX, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ MX_IPV6, SPF_ORIGIN_CLIENT, "2001:db8::9" },
	{ MX FORGED, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ MX FORGED_LOCAL FORGED, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ MX USER, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ MX JUNK, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ CONTENT_FILTER MX FORGED, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ INNER_RELAY CONTENT_FILTER MX FORGED, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ LMTP MX FORGED, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ LMTP_SOCKET LMTP INNER_RELAY MX, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ ALIAS MX FORGED, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ "Received: (qmail 1 invoked from network); date\n" MX,
	  SPF_ORIGIN_CLIENT, "192.0.2.9" },
	{ "received : from out.example.net (out [192.0.2.9])\r\n"
	  "\tby mx.example.org (Postfix) with ESMTP id 1; date\r\n",
	  SPF_ORIGIN_CLIENT, "192.0.2.9" },
	/* the body is no header */
	{ "Subject: x\n\n" MX, SPF_ORIGIN_UNKNOWN, NULL },
	{ "Subject: x\r\n\r\n" MX, SPF_ORIGIN_UNKNOWN, NULL },

	{ USER, SPF_ORIGIN_LOCAL, NULL },
	{ USER FORGED, SPF_ORIGIN_LOCAL, NULL },
	{ CONTENT_FILTER USER, SPF_ORIGIN_LOCAL, NULL },
	{ WEBMAIL FORGED, SPF_ORIGIN_LOCAL, NULL },
	{ CONTENT_FILTER WEBMAIL, SPF_ORIGIN_LOCAL, NULL },
	/* handed in by a relay, by somebody without name */
	{ FORGED_LOCAL, SPF_ORIGIN_LOCAL, NULL },
	{ INNER_RELAY, SPF_ORIGIN_LOCAL, NULL },
	/* a bounce of our own Postfix */
	{ ALIAS, SPF_ORIGIN_LOCAL, NULL },
	{ LMTP ALIAS, SPF_ORIGIN_LOCAL, NULL },
	{ FORGED_LOCAL FETCHED FORGED, SPF_ORIGIN_FETCHED, NULL },

	/* may send without login, whatever it writes below */
	{ OF_NETWORK, SPF_ORIGIN_NETWORK, NULL },
	{ OF_NETWORK_IPV6, SPF_ORIGIN_NETWORK, NULL },
	{ OF_NETWORK MX, SPF_ORIGIN_NETWORK, NULL },
	{ OF_NETWORK FORGED_LOCAL FORGED, SPF_ORIGIN_NETWORK, NULL },
	{ OF_NETWORK USER, SPF_ORIGIN_NETWORK, NULL },
	{ OF_NETWORK WEBMAIL, SPF_ORIGIN_NETWORK, NULL },
	{ OF_NETWORK JUNK, SPF_ORIGIN_NETWORK, NULL },
	{ CONTENT_FILTER OF_NETWORK FORGED, SPF_ORIGIN_NETWORK, NULL },
	{ LMTP INNER_RELAY CONTENT_FILTER OF_NETWORK MX,
	  SPF_ORIGIN_NETWORK, NULL },
	/* a client from outside that claims to be in it */
	{ MX OF_NETWORK, SPF_ORIGIN_CLIENT, "192.0.2.9" },
	/* of those that speak LMTP to us none is a client */
	{ LMTP_OF_NETWORK MX, SPF_ORIGIN_UNKNOWN, NULL },

	{ "", SPF_ORIGIN_UNKNOWN, NULL },
	{ "Subject: x\n", SPF_ORIGIN_UNKNOWN, NULL },
	{ JUNK MX, SPF_ORIGIN_UNKNOWN, NULL },
	{ INNER_RELAY JUNK MX, SPF_ORIGIN_UNKNOWN, NULL },
	{ LMTP, SPF_ORIGIN_UNKNOWN, NULL },
	{ LMTP_SOCKET, SPF_ORIGIN_UNKNOWN, NULL },
	{ "Received: (qmail 1 invoked from network); date\n",
	  SPF_ORIGIN_UNKNOWN, NULL },
	/* an MX that is missing in the setting */
	{ "Received: from mx.example.org ([192.0.2.1])\r\n"
	  "\tby imap.example.org with LMTP\r\n\tid x; date\r\n" MX,
	  SPF_ORIGIN_UNKNOWN, NULL },
	{ "Xreceived: x\n" "Received-SPF: pass\n", SPF_ORIGIN_UNKNOWN, NULL },
};

static pool_t pool;

static const struct spf_networks *networks(const char *list)
{
	const struct spf_networks *networks;
	const char *error;

	assert_int_equal(spf_networks_parse(pool, list, &networks, &error), 0);
	return networks;
}

static struct spf_origin_source source_of(const char *header)
{
	struct spf_origin_source source;

	i_zero(&source);
	source.header = header;
	source.header_size = strlen(header);
	source.relays = networks(RELAYS);
	source.networks = networks(NETWORKS);
	return source;
}

static void
assert_client(const struct spf_origin *origin, const char *ip, const char *helo)
{
	assert_int_equal(origin->kind, SPF_ORIGIN_CLIENT);
	assert_string_equal(net_ip2addr(&origin->client_ip), ip);
	if (null_strcmp(origin->helo, helo) != 0)
		fail_msg("helo: %s", origin->helo);
}

static void test_received(void **state ATTR_UNUSED)
{
	struct spf_origin_source source;
	struct spf_origin origin;

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) T_BEGIN {
		source = source_of(tests[i].header);
		spf_origin_find(&source, pool, &origin);
		if (origin.kind != tests[i].kind) {
			fail_msg("%s: kind %d (%s)", tests[i].header,
				 origin.kind, origin.reason);
		}
		assert_non_null(origin.reason);
		if (tests[i].ip != NULL)
			assert_client(&origin, tests[i].ip, "out.example.net");
	} T_END;
}

static void test_xclient_is_the_client(void **state ATTR_UNUSED)
{
	struct spf_origin_source source = source_of(FORGED);
	struct spf_origin origin;

	assert_int_equal(net_addr2ip("192.0.2.77", &source.xclient_ip), 0);
	source.xclient_helo = "client.example.net";
	spf_origin_find(&source, pool, &origin);
	assert_client(&origin, "192.0.2.77", "client.example.net");

	assert_int_equal(net_addr2ip("::ffff:192.0.2.77", &source.xclient_ip), 0);
	source.xclient_helo = NULL;
	spf_origin_find(&source, pool, &origin);
	assert_client(&origin, "192.0.2.77", NULL);

	source.xclient_helo = "a\r\nb: c";
	spf_origin_find(&source, pool, &origin);
	assert_client(&origin, "192.0.2.77", NULL);
}

static void test_trusted_xclient_is_one_more_hop(void **state ATTR_UNUSED)
{
	static const char *const ips[] = {
		"127.0.0.1", "::ffff:127.0.0.1", "10.1.255.255", "::1"
	};
	struct spf_origin_source source = source_of(MX FORGED);
	struct spf_origin origin;

	source.xclient_helo = "mx.example.org";
	for (unsigned int i = 0; i < N_ELEMENTS(ips); i++) {
		assert_int_equal(net_addr2ip(ips[i], &source.xclient_ip), 0);
		spf_origin_find(&source, pool, &origin);
		assert_client(&origin, "192.0.2.9", "out.example.net");
	}
}

static void test_xclient_of_a_network(void **state ATTR_UNUSED)
{
	static const char *const ips[] = {
		"10.7.8.9", "::ffff:10.7.8.9", "fd00::9"
	};
	struct spf_origin_source source = source_of(MX FORGED);
	struct spf_origin origin;

	source.xclient_helo = "pc.example.org";
	for (unsigned int i = 0; i < N_ELEMENTS(ips); i++) {
		assert_int_equal(net_addr2ip(ips[i], &source.xclient_ip), 0);
		spf_origin_find(&source, pool, &origin);
		assert_int_equal(origin.kind, SPF_ORIGIN_NETWORK);
		assert_null(origin.helo);
		assert_int_equal(origin.client_ip.family, 0);
	}
	/* one more hop, and then a client of the networks */
	source = source_of(OF_NETWORK MX);
	assert_int_equal(net_addr2ip("10.1.2.3", &source.xclient_ip), 0);
	spf_origin_find(&source, pool, &origin);
	assert_int_equal(origin.kind, SPF_ORIGIN_NETWORK);
}

static void test_too_many_hops(void **state ATTR_UNUSED)
{
	string_t *header = t_str_new(32768);
	struct spf_origin_source source;
	struct spf_origin origin;

	for (unsigned int i = 1; i < SPF_MAX_HOPS; i++)
		str_append(header, INNER_RELAY);
	str_append(header, MX);
	source = source_of(str_c(header));
	spf_origin_find(&source, pool, &origin);
	assert_client(&origin, "192.0.2.9", "out.example.net");

	str_insert(header, 0, INNER_RELAY);
	source = source_of(str_c(header));
	spf_origin_find(&source, pool, &origin);
	assert_int_equal(origin.kind, SPF_ORIGIN_UNKNOWN);
}

static void test_networks(void **state ATTR_UNUSED)
{
	static const struct {
		const char *list, *ip;
		bool have;
	} lists[] = {
		{ "", "127.0.0.1", FALSE },
		{ "127.0.0.0/8", "127.255.0.1", TRUE },
		{ "127.0.0.0/8", "128.0.0.1", FALSE },
		{ "127.0.0.0/8 ::1", "::1", TRUE },
		{ "127.0.0.0/8 ::1", "::2", FALSE },
		{ "127.0.0.0/8 ::1", "::ffff:127.0.0.1", TRUE },
		{ "192.0.2.1", "192.0.2.1", TRUE },
		{ "192.0.2.1", "192.0.2.2", FALSE },
		{ "192.0.2.7/24", "192.0.2.200", TRUE },
		{ "::1, 192.0.2.1,\t2001:db8::/32", "2001:db8:1::1", TRUE },
		{ "::ffff:192.0.2.0/120", "192.0.2.1", TRUE },
		{ "::ffff:192.0.2.1", "192.0.2.1", TRUE },
		{ "::ffff:192.0.2.1", "192.0.2.2", FALSE },
		/* as "postconf mynetworks" prints them */
		{ "[::1]/128 [::ffff:127.0.0.0]/104", "127.0.0.1", TRUE },
		{ "[::1]/128 [::ffff:127.0.0.0]/104", "::1", TRUE },
		{ "[2001:db8::]/32", "2001:db8:1::1", TRUE },
		{ "[192.0.2.1]", "192.0.2.1", TRUE },
		{ "0.0.0.0/0", "192.0.2.1", TRUE },
		{ "0.0.0.0/0", "2001:db8::1", FALSE },
	};
	struct ip_addr ip;

	for (unsigned int i = 0; i < N_ELEMENTS(lists); i++) {
		assert_int_equal(net_addr2ip(lists[i].ip, &ip), 0);
		if (spf_networks_have(networks(lists[i].list), &ip) !=
		    lists[i].have)
			fail_msg("%s: %s", lists[i].list, lists[i].ip);
	}
}

static void test_wrong_networks(void **state ATTR_UNUSED)
{
	static const char *const wrong[] = {
		"127", "127.0.0", "127.0.0.0/33", "127.0.0.0/", "127.0.0.0/-1",
		"127.0.0.0/8/8", "localhost", "::1/129", "::g", "0x7f000001",
		"*", "/", "[", "[]", "[::1", "::1]", "[::1]x",
	};
	struct ip_addr loopback;
	const struct spf_networks *networks;
	const char *error;

	for (unsigned int i = 0; i < N_ELEMENTS(wrong); i++) {
		error = NULL;
		assert_int_equal(spf_networks_parse(pool,
			t_strconcat("::1 ", wrong[i], NULL),
			&networks, &error), -1);
		if (strstr(error, t_strdup_printf("'%s'", wrong[i])) == NULL)
			fail_msg("%s: %s", wrong[i], error);
		/* the others hold */
		assert_int_equal(net_addr2ip("::1", &loopback), 0);
		assert_true(spf_networks_have(networks, &loopback));
		assert_false(spf_networks_are_empty(networks));
	}
}

static int setup(void **state ATTR_UNUSED)
{
	pool = pool_alloconly_create("test", 1024);
	return 0;
}

static int teardown(void **state ATTR_UNUSED)
{
	pool_unref(&pool);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What stands behind it the client may have written. */
static void test_trusted_size(void **state ATTR_UNUSED)
{
	static const struct {
		const char *trusted, *rest;
	} headers[] = {
		{ MX "Subject: x\n", FORGED "Subject: x\n" },
		{ CONTENT_FILTER MX, FORGED_LOCAL FORGED },
		{ LMTP MX, JUNK },
		{ OF_NETWORK, FORGED_LOCAL MX },
		{ "A: b\n" MX "C: d\n", "received : x\n" },
		{ MX, "" },
		{ LMTP, "" },
		{ USER FORGED, "" },
		{ WEBMAIL FORGED, "" },
		{ INNER_RELAY FETCHED FORGED, "" },
		{ JUNK MX FORGED, "" },
		{ "", "" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(headers); i++) {
		const char *header = t_strconcat(headers[i].trusted,
						 headers[i].rest, NULL);

		if (spf_origin_trusted_size(header, strlen(header),
					    networks(RELAYS)) !=
		    strlen(headers[i].trusted))
			fail_msg("%s", header);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_received),
		TEST(test_xclient_is_the_client),
		TEST(test_trusted_xclient_is_one_more_hop),
		TEST(test_xclient_of_a_network),
		TEST(test_too_many_hops),
		TEST(test_networks),
		TEST(test_wrong_networks),
		TEST(test_trusted_size),
	};

	return UNIT_RUN(tests);
}
