/* plugin/spf/spf-trusted.c: whose result counts, and who claims to be us. */

#include "unit.h"
#include "str.h"
#include "spf/spf-addresses.h"
#include "spf/spf-forged.h"
#include "spf/spf-trusted.h"

#include <time.h>

#define ID "mx.example.org"
#define AR "Authentication-Results: "
#define RELAYS "127.0.0.0/8 ::1 10.1.0.0/16"

static const struct trusted_test {
	const char *header;
	bool found;
	enum spf_check_result result;
	enum spf_identity identity;
	const char *domain;
} results[] = {
#define FOUND(result, identity, domain) \
	TRUE, SPF_CHECK_##result, SPF_IDENTITY_##identity, domain
#define NOT_FOUND FALSE, SPF_CHECK_NONE, SPF_IDENTITY_MAILFROM, NULL
	{ AR ID "; spf=pass smtp.mailfrom=a@example.net\n",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ AR ID "; spf=fail smtp.mailfrom=example.net\r\n",
	  FOUND(FAIL, MAILFROM, "example.net") },
	{ "authentication-RESULTS : MX.Example.ORG; SPF=SoftFail "
	  "SMTP.MailFrom=example.net", FOUND(SOFTFAIL, MAILFROM, "example.net") },
	{ AR ID "; spf=none smtp.helo=out.example.net",
	  FOUND(NONE, HELO, "out.example.net") },
	{ AR ID "; spf=temperror", FOUND(TEMPERROR, MAILFROM, NULL) },
	{ AR ID ";spf=neutral;", FOUND(NEUTRAL, MAILFROM, NULL) },
	{ AR ID " 1; spf=pass smtp.mailfrom=example.net",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ AR "\"" ID "\" 1; spf=pass smtp.mailfrom=example.net",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ AR "(x (y) \\) z)\r\n\t" ID " (x) 1 (y) ;\r\n\tspf (a) / (b) 1 (c) = "
	  "(d) pass (e) reason (f) = (g) \"x; \\\" y\" (h) smtp (i) . (j) "
	  "mailfrom (k) = (l) example.net (m)\r\n",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ AR ID "; dkim=pass (2048-bit key; unprotected) header.d=a.example\n"
	  "\theader.i=@a.example header.b=Ab/+=;\n\tspf=pass (mx: domain of x "
	  "designates y) smtp.mailfrom=x@b.example;\n"
	  "\tdmarc=fail (p=none) header.from=c.example\n",
	  FOUND(PASS, MAILFROM, "b.example") },
	{ AR ID "; spf=pass smtp.mailfrom=\"a b\"@example.net smtp.helo=c",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ AR ID "; spf=pass smtp.mailfrom=\"a@b\"@example.net",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ AR ID "; spf=pass smtp.mailfrom=\"a@example.net\"",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ AR ID "; spf=pass smtp.mailfrom=\"\" smtp.helo=out.example.net",
	  FOUND(PASS, HELO, "out.example.net") },
	{ AR ID "; spf=pass smtp.mailfrom=<> smtp.helo=out.example.net",
	  FOUND(PASS, HELO, "out.example.net") },
	{ AR ID "; spf=fail smtp.helo=a.example; spf=pass "
	  "smtp.mailfrom=b.example", FOUND(PASS, MAILFROM, "b.example") },
	{ AR ID "; spf=pass smtp.mailfrom=b.example; spf=fail "
	  "smtp.mailfrom=a.example", FOUND(PASS, MAILFROM, "b.example") },
	/* the topmost of that id */
	{ AR ID "; spf=fail smtp.mailfrom=a.example\n"
	  AR ID "; spf=pass smtp.mailfrom=a.example\n",
	  FOUND(FAIL, MAILFROM, "a.example") },
	{ AR "other.example; spf=pass smtp.mailfrom=a.example\n"
	  AR ID "; dkim=none\n"
	  AR ID "; spf=fail smtp.mailfrom=a.example\n",
	  FOUND(FAIL, MAILFROM, "a.example") },

	/* names as others read them */
	{ " " AR ID "; spf=fail", FOUND(FAIL, MAILFROM, NULL) },
	{ "Authentication-Results\r\n : " ID "; spf=fail",
	  FOUND(FAIL, MAILFROM, NULL) },

	{ "", NOT_FOUND },
	{ AR ID "; none", NOT_FOUND },
	{ AR ID, NOT_FOUND },
	{ AR ID ";", NOT_FOUND },
	{ AR "x" ID "; spf=pass", NOT_FOUND },
	{ AR ID ".evil.example; spf=pass", NOT_FOUND },
	{ AR "evil.example (" ID "); spf=pass", NOT_FOUND },
	{ AR "evil.example; x=\"" ID "; spf=pass\"", NOT_FOUND },
	{ AR "spf=pass smtp.mailfrom=a; " ID, NOT_FOUND },
	{ "X-" AR ID "; spf=pass", NOT_FOUND },
	{ "ARC-" AR "i=1; " ID "; spf=pass", NOT_FOUND },
	{ "\n" AR ID "; spf=pass", NOT_FOUND },
	/* a result inside of something else */
	{ AR ID "; dkim=pass (; spf=pass smtp.mailfrom=a)", NOT_FOUND },
	{ AR ID "; dkim=pass reason=\"; spf=pass smtp.mailfrom=a\"", NOT_FOUND },
	{ AR ID "; x-spf=pass smtp.mailfrom=a", NOT_FOUND },
	/* broken */
	{ AR ID " x; spf=pass", NOT_FOUND },
	{ AR ID "; spf=maybe smtp.mailfrom=a", NOT_FOUND },
	{ AR ID "; spf= smtp.mailfrom=a", NOT_FOUND },
	{ AR ID "; spf smtp.mailfrom=a", NOT_FOUND },
	{ AR ID "; spf=pass smtp.mailfrom", NOT_FOUND },
	{ AR ID "; spf=pass smtp.mailfrom=", NOT_FOUND },
	{ AR ID "; spf=pass (", NOT_FOUND },
	{ AR ID "; spf=pass smtp.mailfrom=\"a", NOT_FOUND },
	{ AR ID "; spf=pass )", NOT_FOUND },
	{ AR "\"" ID "; spf=pass", NOT_FOUND },
	{ AR "(" ID "; spf=pass", NOT_FOUND },

#define RS "Received-SPF: "
	{ RS "pass (" ID ": domain of a@example.net designates 192.0.2.9 as "
	  "permitted sender) client-ip=192.0.2.9; "
	  "envelope-from=\"a@example.net\"; helo=out.example.net\n",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ RS "Fail (mailfrom) identity=mailfrom; client-ip=192.0.2.9;\n"
	  "\thelo=out.example.net; envelope-from=a@example.net;\n"
	  "\treceiver=" ID "\n", FOUND(FAIL, MAILFROM, "example.net") },
	{ RS "Pass (helo) identity=helo; helo=out.example.net; "
	  "envelope-from=a@example.net; receiver=" ID,
	  FOUND(PASS, HELO, "out.example.net") },
	{ RS "pass receiver=\"" ID "\" envelope-from=\"\\\"a b\\\"@example.net\" "
	  "helo=x", FOUND(PASS, MAILFROM, "example.net") },
	{ RS "none receiver=" ID "; envelope-from=<>; helo=out.example.net;",
	  FOUND(NONE, HELO, "out.example.net") },
	{ RS "none receiver=" ID "; envelope-from=; helo=out.example.net;",
	  FOUND(NONE, HELO, "out.example.net") },
	{ RS "permerror (" ID ": x)", FOUND(PERMERROR, MAILFROM, NULL) },
	{ RS "pass (other: x) receiver=" ID "; envelope-from=a@example.net",
	  FOUND(PASS, MAILFROM, "example.net") },
	{ RS "fail receiver=" ID "; envelope-from=a@example.net\n"
	  AR ID "; spf=pass\n", FOUND(FAIL, MAILFROM, "example.net") },
	/* the MX writes the other field */
	{ AR ID "; dkim=none\n"
	  RS "pass receiver=" ID "; envelope-from=a@example.net\n", NOT_FOUND },
	{ AR ID "; spf=maybe\n"
	  RS "pass receiver=" ID "; envelope-from=a@example.net\n", NOT_FOUND },
	{ RS "pass (" ID ": x) receiver=other.example; "
	  "envelope-from=a@example.net", NOT_FOUND },
	{ RS "pass (other: x) envelope-from=a@example.net", NOT_FOUND },
	{ RS "pass (x) receiver=<UNKNOWN>", NOT_FOUND },
	{ RS "passed receiver=" ID, NOT_FOUND },
	{ RS "receiver=" ID, NOT_FOUND },
	{ RS "pass receiver=" ID "; helo", NOT_FOUND },
	{ RS "pass receiver=" ID "; helo=(", NOT_FOUND },
	{ RS "pass (" ID ": x", NOT_FOUND },
	{ RS "(" ID ": x) pass", NOT_FOUND },
	{ RS, NOT_FOUND },
};

static const struct claim_test {
	const char *value;
	bool ours;
} claims[] = {
	{ " " ID "; spf=pass", TRUE },
	{ ID ";spf=pass", TRUE },
	{ " " ID, TRUE },
	{ " " ID " 1; spf=pass", TRUE },
	{ " " ID "\t; spf=pass", TRUE },
	{ " Mx.eXample.org; spf=pass", TRUE },
	{ "\r\n\t" ID "\r\n\t; spf=pass", TRUE },
	{ " (x) " ID "(y); spf=pass", TRUE },
	{ " \"" ID "\"; spf=pass", TRUE },
	{ " \"m\\x.example.org\"; spf=pass", TRUE },
	{ " \" " ID " \"; spf=pass", TRUE },
	/* what a tolerant reader may make of it */
	{ " \"" ID "; spf=pass", TRUE },
	{ " " ID "/1; spf=pass", TRUE },
	{ " " ID ":25; spf=pass", TRUE },
	{ " " ID "=x; spf=pass", TRUE },
	{ " " ID ", spf=pass", TRUE },
	{ " " ID ".; spf=pass", TRUE },
	{ " " ID ")", TRUE },
	{ " " ID " (unfinished", TRUE },
	{ " mx . example(x).\r\n\torg; spf=pass", TRUE },

	/* anywhere: to :contains of Sieve it is all the same */
	{ "; " ID, TRUE },
	{ " (" ID ") other.example; spf=pass", TRUE },
	{ " other.example (" ID "); spf=pass", TRUE },
	{ " other.example; dkim=none (x (" ID "; spf=pass))", TRUE },
	{ " other.example; x=" ID "; spf=pass", TRUE },
	{ " other.example; dkim=none reason=\"" ID "; spf=pass\"", TRUE },
	{ " other.example; dkim=none, " ID "; spf=pass", TRUE },
	{ " other.example; dkim=none,\r\n\tMX.EXAMPLE.ORG; spf=pass", TRUE },
	/* as a part of another: so it is to :contains */
	{ " x" ID "; spf=pass", TRUE },
	{ " " ID "x; spf=pass", TRUE },
	{ " " ID ".evil.example; spf=pass", TRUE },
	{ " delivery." ID "; spf=pass", TRUE },
	{ " \"" ID ":8080\"; spf=pass", TRUE },

	/* folded, or torn apart by what is no part of it to some */
	{ " other.example (mx.exam\r\n ple.org; spf=pass)", TRUE },
	{ " mx.exam\n\tple.org; spf=pass", TRUE },
	{ " mx.exam\r\n \r\n ple.org; spf=pass", TRUE },
	{ " mx.\x01" "example\x7f.org; spf=pass", TRUE },
	{ " mx.ex\xe2\x80\x8b" "ample.org; spf=pass", TRUE },
	{ " m\\x.\\e\\xample.org; spf=pass", TRUE },
	{ " \"mx.\"example.\"org\"; spf=pass", TRUE },
	{ " other.example (mx(a).(b (c) \\) d)example.org; spf=pass)", TRUE },
	{ " (\\) mx(x).example.org", TRUE },
	{ " \"(\" mx(x).example.org \")\"", TRUE },
	{ " (((((((" ID, TRUE },
	{ ")))))))" ID, TRUE },

	/* encoded words (RFC 2047) */
	{ " =?utf-8?q?mx.example.org?=; spf=pass", TRUE },
	{ " =?us-ascii?q?mx.example.org=3B_spf=3Dpass?=", TRUE },
	{ " =?UTF-8?B?bXguZXhhbXBsZS5vcmc7IHNwZj1wYXNz?=", TRUE },
	{ " =?utf-8?q?mx.?= =?utf-8?q?example.org?=; spf=pass", TRUE },
	{ " other.example (=?iso-8859-1?q?=6D=78.example=2Eorg?=)", TRUE },
	{ " other.example; x=\"=?utf-8?q?mx=2Eexample.org?=\"", TRUE },
	{ " =?utf-8?q?mx.exam?=\r\n =?utf-8?q?ple.org?=; spf=pass", TRUE },
	{ " mx.=?utf-8?q?example?=.org; spf=pass", TRUE },
	{ " =?utf-8?q?mx.exam\r\n ple.org?=", TRUE },
	{ " =?utf-16be?b?AG0AeAAuAGUAeABhAG0AcABsAGUALgBvAHIAZw==?=", TRUE },
	{ " =?UTF-16LE?B?bQB4AC4AZQB4AGEAbQBwAGwAZQAuAG8AcgBnAA==?=", TRUE },
	{ " =?utf-16?b?//5tAHgALgBlAHgAYQBtAHAAbABlAC4AbwByAGcA?=", TRUE },
	{ " =?utf-32?b?//4AAG0AAAB4AAAALgAAAGUAAAB4AAAAYQAAAG0AAABwAAAAbAAAAGUAAAAuAAAAbwAAAHIAAABnAAAA?=", TRUE },
	{ " =?utf-7?q?+AG0-x.ex+AGEAbQ-ple.org?=", TRUE },
	/* in the middle of a character, and of four letters of base64 */
	{ " =?utf-16be?b?AG0AeAAuAA==?= =?utf-16be?b?ZQB4AGEAbQBwAGwAZQAuAG8AcgBn?=", TRUE },
	{ " =?utf-8?b?bXguZX?= =?utf-8?b?hhbXBsZS5vcmc=?=", TRUE },
	{ " =?utf-8?b?bXguZXh?=\r\n\t=?utf-8?B?hbXBsZS5vcmc=?=", TRUE },
	/* never closed; an unknown character set */
	{ " =?utf-8?q?mx=2Eexample=2Eorg; spf=pass", TRUE },
	{ " =?x-nobody-knows?q?abc?=", TRUE },
	{ " =?utf-8*en?q?mx=2Eexample.org?=", TRUE },
	/* host names as URLs and input methods have them */
	{ " mx%2Eexample%2eorg; spf=pass", TRUE },
	{ " mx\xe3\x80\x82" "example\xef\xbd\xa1org; spf=pass", TRUE },
	{ " \xef\xbd\x8d\xef\xbd\x98\xef\xbc\x8e" "example.org", TRUE },

	{ "", FALSE },
	{ " ", FALSE },
	{ ";", FALSE },
	{ ".", FALSE },
	{ "..", FALSE },
	{ "\"", FALSE },
	{ "\"\"", FALSE },
	{ "\\", FALSE },
	{ "(", FALSE },
	{ ")(", FALSE },
	{ "%", FALSE },
	{ "=?", FALSE },
	{ "=?\?=", FALSE },
	{ "?==?", FALSE },
	{ "?==??", FALSE },
	{ "?= =?a?b?", FALSE },
	{ " mx.example; spf=pass", FALSE },
	{ " mx.example.net; spf=pass", FALSE },
	{ " mx-example.org; spf=pass", FALSE },
	{ " mx.example(.org); spf=pass", FALSE },
	{ " other.example; spf=pass smtp.mailfrom=a@example.org", FALSE },
	{ " other.example; dkim=pass (=?utf-8?q?gr=C3=BC=C3=9Fe?=)", FALSE },
	/* only UTF-8 is decoded */
	{ " other.example; dkim=pass (=?iso-8859-1?b?Z3L8377l?=)", TRUE },
	{ " other.example; spf=pass smtp.mailfrom=\xc3\xbc@example.org", FALSE },
	{ " other.example; spf=pass smtp.mailfrom=a%40mx.example.net", FALSE },
};

/* Received fields of relays, and one that anybody can write */
#define FILTER "Received: from localhost (localhost [127.0.0.1])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 2; date\n"
#define MX "Received: from out.example.net (out.example.net [192.0.2.9])\n" \
	"\tby mx.example.org (Postfix) with ESMTP id 1; date\n"
#define LOCAL "Received: by mx.example.org (Postfix, from userid 1000)\n" \
	"\tid 4; date\n"
#define FETCHED "Received: from pop.example.net [192.0.2.9]\n" \
	"\tby localhost with POP3 (fetchmail-6.4.37)\n\tfor <a@b>; date\n"
#define SENDER "Received: from a (b [198.51.100.1]) by c; date\n"
#define PASS AR ID "; spf=pass smtp.mailfrom=a.example\n"
#define RS_PASS "Received-SPF: pass (" ID ": x) receiver=" ID "\n"

static const struct {
	const char *header;
	bool found;
} places[] = {
	{ PASS MX SENDER, TRUE },
	/* as milters of the MX insert it */
	{ MX PASS SENDER, TRUE },
	{ MX "Subject: x\n" PASS, TRUE },
	{ FILTER PASS MX SENDER, TRUE },
	{ FILTER MX PASS SENDER, TRUE },
	{ FILTER FILTER MX RS_PASS SENDER, TRUE },
	/* appended by a milter; Received-SPF stands on top, or is the sender's */
	{ MX SENDER PASS, TRUE },
	{ MX SENDER RS_PASS, FALSE },
	{ FILTER MX SENDER "Subject: x\n" PASS, TRUE },
	{ MX FILTER PASS, TRUE },
	{ MX MX PASS, TRUE },
	{ MX "received : x\n" PASS, TRUE },
	{ MX AR ID "; dkim=none\n" SENDER PASS, TRUE },
	{ MX AR "other.example; spf=pass\n" SENDER PASS, TRUE },
	/* the fields don't say who wrote what */
	{ "Received: nobody knows\n" SENDER PASS, TRUE },
	{ FILTER SENDER PASS, TRUE },
	/* handed in again by a content filter */
	{ LOCAL MX PASS SENDER, TRUE },
	{ FETCHED MX PASS SENDER, TRUE },
	{ FILTER PASS, TRUE },
};

static const struct spf_networks *relays(pool_t pool)
{
	const struct spf_networks *networks;
	const char *error;

	assert_int_equal(spf_networks_parse(pool, RELAYS, &networks, &error), 0);
	return networks;
}

static void test_places(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct spf_trusted_result result;

	for (unsigned int i = 0; i < N_ELEMENTS(places); i++) {
		const char *header = places[i].header;

		if (spf_trusted_result_find(header, strlen(header), ID,
					    relays(pool), pool, &result) !=
		    places[i].found)
			fail_msg("%s: %d", header, !places[i].found);
		assert_int_equal(result.result, places[i].found ?
				 SPF_CHECK_PASS : SPF_CHECK_NONE);
	}
	pool_unref(&pool);
}

static void test_results(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct spf_trusted_result result;

	for (unsigned int i = 0; i < N_ELEMENTS(results); i++) {
		const struct trusted_test *test = &results[i];

		if (spf_trusted_result_find(test->header, strlen(test->header),
					    ID, relays(pool), pool,
					    &result) != test->found)
			fail_msg("%s: %d", test->header, !test->found);
		if (result.result != test->result ||
		    result.identity != test->identity ||
		    null_strcmp(result.domain, test->domain) != 0) {
			fail_msg("%s: %s %s %s", test->header,
				 spf_check_result_name(result.result),
				 spf_identity_name(result.identity),
				 result.domain);
		}
	}
	pool_unref(&pool);
}

static void test_claims(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(claims); i++) {
		if (spf_results_claim_id((const unsigned char *)claims[i].value,
					 strlen(claims[i].value), ID) !=
		    claims[i].ours)
			fail_msg("%s", claims[i].value);
	}
}

static void test_claim_with_nul(void **state ATTR_UNUSED)
{
	static const unsigned char tests[][26] = {
		" m\0x.example.org; spf=1\0",
		" other; (\0mx.exampl\0e.org)",
		"\0\0\0\0\0\0\0\0\0mx.exa\0mple.org",
		" =?utf-8?q?mx.ex\0ample.org",
	};
	static const unsigned char encoded[] =
		"=?utf-8?b?bXguZXh\0hbXBsZS5vcmc=?=";

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++)
		assert_true(spf_results_claim_id(tests[i], 26, ID));
	assert_true(spf_results_claim_id(encoded, sizeof(encoded) - 1, ID));
}

/* However far it is pushed out of sight. */
static void test_claim_behind_padding(void **state ATTR_UNUSED)
{
	string_t *value = t_str_new(100000);

	for (unsigned int i = 0; i < 10000; i++)
		str_append(value, "\r\n (x)");
	str_append(value, ID "; spf=pass");
	assert_true(spf_results_claim_id(str_data(value), str_len(value), ID));

	/* nobody nests comments that deep */
	str_truncate(value, 0);
	for (unsigned int i = 0; i < 1000; i++)
		str_append_c(value, '(');
	assert_true(spf_results_claim_id(str_data(value), str_len(value), ID));
}

/* Seconds of CPU that a field filled with text takes, whosever it is. */
static double seconds_of(const char *start, const char *text, bool received_spf)
{
	string_t *value = str_new(default_pool, 1024 * 1024);
	clock_t begin = clock();

	str_append(value, start);
	while (str_len(value) < 1000 * 1000)
		str_append(value, text);
	T_BEGIN {
		if (received_spf) {
			(void)spf_received_spf_claims_host(str_data(value),
				str_len(value), ID);
		} else {
			(void)spf_results_claim_id(str_data(value),
						   str_len(value), ID);
		}
	} T_END;
	str_free(&value);
	return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* As much as a header may have in one field; all of these take some milliseconds. */
static void test_large_fields_take_no_time(void **state ATTR_UNUSED)
{
	static const char *const fillers[] = {
		"=?iso-2022-jp?q?a?= =?gb18030?q?a?= =?utf-7?q?a?= =?euc-kr?q?a?= "
		"=?iso-2022-cn-ext?q?a?= ",
		"=?utf-8?q?a?= ", "=?utf-8?b?YQ==?= =?us-ascii?q?a?= ", "=?",
		"?= =?x?b?", "()", "(mx.example.or)", "\xcc\x81", "%41", "\"\\", ",",
		"a=b; ", "a=b ", "mx.example.or ",
	};

	for (unsigned int i = 0; i < N_ELEMENTS(fillers); i++) {
		if (seconds_of(" other.example; ", fillers[i], FALSE) > 2 ||
		    seconds_of(" pass ", fillers[i], TRUE) > 2)
			fail_msg("%s", fillers[i]);
	}
}

static void test_received_spf_claims(void **state ATTR_UNUSED)
{
	static const struct claim_test tests[] = {
		{ " pass (" ID ": x) helo=y", TRUE },
		{ " Pass (x) receiver=MX.example.org", TRUE },
		{ " pass receiver=\"" ID "\"; broken", TRUE },
		{ " pass (" ID ": x) receiver=other.example", TRUE },
		/* what a tolerant reader may make of it */
		{ " pass (" ID ": domain of x", TRUE },
		{ " pass ( " ID ": x)", TRUE },
		{ " pass (" ID " : x)", TRUE },
		{ " pass (" ID ".: x)", TRUE },
		{ " pass (x) (" ID ": x)", TRUE },
		{ " pass (other.example: " ID ": x)", TRUE },
		{ " \"pass\" (" ID ": x)", TRUE },
		{ " passed (" ID ": x)", TRUE },
		{ " pass; receiver=" ID, TRUE },
		{ " pass x; receiver=" ID, TRUE },
		{ " pass receiver=other.example; receiver=" ID, TRUE },
		{ " pass receiver = <" ID ">", TRUE },
		{ " pass; receiver=MX\\.example.org", TRUE },
		{ " pass (mx\\.example.org: x", TRUE },
		{ " pass receiver=mx=2Eexample.org\r\n\t" ID, TRUE },
		{ " =?utf-8?q?pass_=28mx=2Eexample.org:_x?=", TRUE },
		{ ID, TRUE },
		{ " pass (mx.exam\r\n ple.org: x", TRUE },
		{ " pass receiver=mx.\r\n\texample.org identity=mailfrom", TRUE },
		{ " =?utf-16be?b?ACAAKABtAHgALgBlAHgAYQBtAHAAbABlAC4AbwByAGcAOgAgAHg=?=", TRUE },
		{ " pass receiver==?utf-8?b?bXguZX?= =?utf-8?b?hhbXBsZS5vcmc=?=",
		  TRUE },
		{ " pass helo=\"pass (" ID ": x)\"", TRUE },
		{ " pass helo=" ID "; receiver=" ID, TRUE },
		{ " pass xhelo=" ID, TRUE },
		/* others write of mail that we sent */
		{ " pass (other.example: domain of a@" ID ") helo=" ID, FALSE },
		{ " pass envelope-from=\"a@" ID "\"; HELO=\"" ID "\"", FALSE },
		{ " pass receiver=x" ID, FALSE },
		{ " pass receiver=x." ID, FALSE },
		{ " pass receiver=" ID "x", FALSE },
		{ " pass receiver=" ID ".x", FALSE },
		{ " pass receiver=" ID "-x", FALSE },
		{ " pass receiver=mx.example.or", FALSE },
		{ " pass \\\\", FALSE },
		{ " pass", FALSE },
		{ "", FALSE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		const char *value = tests[i].value;

		if (spf_received_spf_claims_host((const unsigned char *)value,
						 strlen(value), ID) !=
		    tests[i].ours)
			fail_msg("%s", value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_claim_with_nul),
		cmocka_unit_test(test_claim_behind_padding),
		cmocka_unit_test(test_large_fields_take_no_time),
		cmocka_unit_test(test_received_spf_claims),
	};

	return UNIT_RUN(tests);
}
