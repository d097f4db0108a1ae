/* plugin/spf/service/: check_host() with a zone in memory, beyond the public suites. */

#include "unit.h"
#include "array.h"
#include "str.h"
#include "spf-zone.h"
#include "spf/service/spf-check.h"
#include "spf/service/spf-dns.h"
#include "spf/spf-limits.h"

#define NIBBLES_0 "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"

/* One for all evaluations, as long as the test runs. */
static pool_t test_pool(void)
{
	static pool_t pool = NULL;

	if (pool == NULL)
		pool = pool_alloconly_create("test", 4096);
	return pool;
}

/* host.test is 192.0.2.1 and 2001:db8::1, and so are its names. */
static const struct {
	const char *name, *type, *value;
} zone_records[] = {
	{ "host.test", "A", "192.0.2.1" },
	{ "host.test", "AAAA", "2001:db8::1" },
	{ "other.test", "A", "192.0.2.200" },
	{ "1.2.0.192.in-addr.arpa", "PTR", "host.test" },
	{ "1."NIBBLES_0".8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "HOST.test" },
	{ "slow.test", "error", "" },

	/* identity */
	{ "ip.test", "TXT", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all" },
	{ "loopback.test", "TXT", "v=spf1 -all" },
	{ "sender.test", "TXT", "v=spf1 exists:%{l}.at.%{o}.h.%{h}.s -all" },
	{ "sender.test", "TXT", "not SPF" },
	{ "jane.at.sender.test.h.helo.test.s", "A", "127.0.0.2" },
	{ "postmaster.at.sender.test.h.sender.test.s", "A", "127.0.0.2" },
	{ "postmaster.at.sender.test.h.helo.test.s", "A", "127.0.0.2" },

	/* what libspf2 misreads */
	{ "zero4.test", "TXT", "v=spf1 ip4:198.51.100.1/0 -all" },
	{ "zero6.test", "TXT", "v=spf1 ip6:::/0 -all" },
	{ "zero-a.test", "TXT", "v=spf1 a:other.test/0 -all" },
	{ "zero-a6.test", "TXT", "v=spf1 a:host.test/0//0 -all" },
	{ "zero-mx.test", "TXT", "v=spf1 mx/0 -all" },
	{ "zero-mx.test", "MX", "other.test" },
	{ "zero-void.test", "TXT", "v=spf1 a:missing.test/0 -all" },
	{ "net-a.test", "TXT", "v=spf1 a:other.test/24 -all" },
	{ "net-a25.test", "TXT", "v=spf1 a:other.test/25 -all" },
	{ "net-a6.test", "TXT", "v=spf1 a:host.test/24//64 -all" },
	{ "broken.test", "TXT", "v=spf1 all include:" },
	{ "redirect-first.test", "TXT", "v=spf1 redirect=fail.test ip4:192.0.2.1" },
	{ "redirect-all.test", "TXT", "v=spf1 redirect=missing.test ?all" },
	{ "fail.test", "TXT", "v=spf1 -all" },
	{ "ptr.test", "TXT", "v=spf1 ptr:host.test -all" },
	{ "ptr-label.test", "TXT", "v=spf1 ptr:ost.test ~all" },

	/* results of DNS */
	{ "none.test", "TXT", "v=spf2 +all" },
	{ "two.test", "TXT", "v=spf1 +all" },
	{ "two.test", "TXT", "v=spf1 +all" },
	{ "alias.test", "CNAME", "ip.test" },
	{ "slow-a.test", "TXT", "v=spf1 a:slow.test +all" },
	{ "slow-include.test", "TXT", "v=spf1 include:slow.test +all" },
	{ "slow-mx.test", "TXT", "v=spf1 mx +all" },
	{ "slow-mx.test", "MX", "slow.test" },
	{ "slow-redirect.test", "TXT", "v=spf1 redirect=slow.test" },
	{ "slow-exists.test", "TXT", "v=spf1 exists:slow.test +all" },
	{ "slow-later.test", "TXT", "v=spf1 ip4:192.0.2.1 a:slow.test -all" },

	/* names that can't be */
	{ "bad-a.test", "TXT", "v=spf1 a:a..test mx:a..test ~all" },
	{ "bad-exists.test", "TXT", "v=spf1 exists:a..test ptr:a..test ~all" },
	{ "bad-include.test", "TXT", "v=spf1 include:a..test +all" },
	{ "bad-redirect.test", "TXT", "v=spf1 redirect=a..test" },
	{ "bad-mx.test", "TXT", "v=spf1 mx ~all" },
	{ "bad-mx.test", "MX", "a..test" },
	{ "bad-mx.test", "MX", "" },

	/* includes */
	{ "include.test", "TXT", "v=spf1 ?include:ip.test ~all" },
	{ "include-none.test", "TXT", "v=spf1 include:none.test +all" },
	{ "include-missing.test", "TXT", "v=spf1 include:missing.test +all" },
	{ "include-broken.test", "TXT", "v=spf1 include:broken.test +all" },
	{ "include-two.test", "TXT", "v=spf1 include:two.test +all" },
	{ "include-redirect.test", "TXT", "v=spf1 -include:redirect.test ~all" },
	{ "include-neutral.test", "TXT", "v=spf1 include:neutral.test ~all" },
	{ "neutral.test", "TXT", "v=spf1 ip4:198.51.100.0/24" },
	{ "redirect.test", "TXT", "v=spf1 redirect=ip.test" },
	{ "domain.test", "TXT", "v=spf1 include:inner.%{d} -all" },
	{ "inner.domain.test", "TXT", "v=spf1 a a:x.%{d} -all" },
	{ "x.inner.domain.test", "A", "192.0.2.1" },
	{ "self.test", "TXT", "v=spf1 include:self.test +all" },
	{ "ring1.test", "TXT", "v=spf1 redirect=ring2.test" },
	{ "ring2.test", "TXT", "v=spf1 redirect=ring1.test" },

	/* limits */
	{ "ten.test", "TXT", "v=spf1 a:other.test a:other.test a:other.test "
	  "a:other.test a:other.test a:other.test a:other.test a:other.test "
	  "a:other.test a:other.test ip4:192.0.2.1 -all" },
	{ "eleven.test", "TXT", "v=spf1 a:other.test a:other.test a:other.test "
	  "a:other.test a:other.test a:other.test a:other.test a:other.test "
	  "a:other.test a:other.test a:host.test -all" },
	/* as long as a record for libspf2 can get */
	{ "ten-mx.test", "TXT", "v=spf1 ~mx/25 ?mx/25 ~mx/25 ?mx/25 ~mx/25 "
	  "?mx/25 ~mx/25 ?mx/25 ~mx/25 ?mx/25 -ip4:192.0.2.1 +all" },
	{ "ten-mx.test", "MX", "other.test" },
	{ "nine-redirect.test", "TXT", "v=spf1 ~mx/25 ?mx/25 ~mx/25 ?mx/25 "
	  "~mx/25 ?mx/25 ~mx/25 ?mx/25 ~mx/25 redirect=fail.test" },
	{ "nine-redirect.test", "MX", "other.test" },
	{ "nine-p.test", "TXT", "v=spf1 a:other.test a:other.test a:other.test "
	  "a:other.test a:other.test a:other.test a:other.test a:other.test "
	  "exists:%{p} -all" },
	{ "ten-p.test", "TXT", "v=spf1 a:other.test a:other.test a:other.test "
	  "a:other.test a:other.test a:other.test a:other.test a:other.test "
	  "a:other.test exists:%{p} -all" },
	{ "void2.test", "TXT", "v=spf1 a:m1.test exists:m2.test ~all" },
	{ "void3.test", "TXT", "v=spf1 a:m1.test mx:m2.test exists:m3.test +all" },
	{ "void-mx.test", "TXT", "v=spf1 mx a:m4.test ~all" },
	{ "void-mx.test", "MX", "m1.test" },
	{ "void-mx.test", "MX", "m2.test" },
	{ "void-mx.test", "MX", "m3.test" },
	{ "void-exp.test", "TXT", "v=spf1 a:m1.test a:m2.test -all exp=m3.test" },
	{ "void-ptr.test", "TXT", "v=spf1 a:m1.test a:m2.test ptr +all" },

	/* macros */
	{ "comma.test", "TXT", "v=spf1 exists:%{l1r,/}.m.test -all" },
	{ "a.m.test", "A", "127.0.0.2" },
	{ "bar.test", "TXT", "v=spf1 exists:%{lr+}.m.test -all" },
	{ "c|d.a.m.test", "A", "127.0.0.2" },
	{ "time.test", "TXT", "v=spf1 -all exp=time-exp.test" },
	{ "time-exp.test", "TXT", "%{t}" },
	{ "escape.test", "TXT", "v=spf1 -all exp=escape-exp.test" },
	{ "escape-exp.test", "TXT", "%{L} %{S} %{l} %%%_%- %{h} %{r} %{v} %{o}" },
	{ "parts.test", "TXT", "v=spf1 -all exp=parts-exp.test" },
	{ "parts-exp.test", "TXT", "%{d1} %{d2} %{d9} %{dr} %{d1r} %{D2R} %{i1r}" },
	/* RFC 7208, 7.4 */
	{ "email.example.com", "TXT", "v=spf1 -all exp=exp.example.com" },
	{ "exp.example.com", "TXT", "%{s} %{o} %{d} %{d4} %{d3} %{d2} %{d1} "
	  "%{dr} %{d2r} %{l} %{l-} %{lr} %{lr-} %{l1r-} %{ir}.%{v}._spf.%{d2} "
	  "%{lr-}.lp._spf.%{d2} %{ir}.%{v}.%{l1r-}.lp._spf.%{d2}" },
	{ "p.test", "TXT", "v=spf1 -all exp=p-exp.test" },
	{ "p-exp.test", "TXT", "%{p} %{c} %{i}" },
	{ "eai.test", "TXT", "v=spf1 exists:%{l}.m.test exists:%{L}.m.test "
	  "exists:%{s} include:%{l}.m.test a:host.test -all" },
	{ "eai-redirect.test", "TXT", "v=spf1 redirect=%{l}.m.test" },
	{ "wide.test", "TXT", "v=spf1 exists:%{l}.%{l}.%{l}.%{l}.%{l}.%{l}.w.test"
	  " -all" },

	/* explanations */
	{ "exp.test", "TXT", "v=spf1 -all exp=e.%{d}" },
	{ "e.exp.test", "TXT", "See http://%{o}/%{S}" },
	{ "exp-redirect.test", "TXT", "v=spf1 exp=e.exp.test redirect=fail.test" },
	{ "exp-redirected.test", "TXT", "v=spf1 redirect=exp.test" },
	{ "exp-softfail.test", "TXT", "v=spf1 ~all exp=e.exp.test" },
	{ "exp-slow.test", "TXT", "v=spf1 -all exp=slow.test" },
	{ "exp-empty.test", "TXT", "v=spf1 -all exp=e.exp-empty.test" },
	{ "e.exp-empty.test", "TXT", "" },
	{ "exp-break.test", "TXT", "v=spf1 -all exp=e.exp-break.test" },
	{ "e.exp-break.test", "TXT", "Yes\r\nX-Spam: no" },
	{ "exp-local.test", "TXT", "v=spf1 -all exp=e.exp-local.test" },
	{ "e.exp-local.test", "TXT", "%{l} was here" },
};

static void zone_add(struct spf_zone *zone, const char *name, const char *type,
		     const char *value)
{
	spf_zone_add(zone, name, type, value, strlen(value));
}

static struct spf_dns *zone_init(struct spf_zone **zone_r)
{
	struct spf_dns *dns;
	unsigned int i;

	*zone_r = spf_zone_init(&dns);
	for (i = 0; i < N_ELEMENTS(zone_records); i++) {
		zone_add(*zone_r, zone_records[i].name, zone_records[i].type,
			 zone_records[i].value);
	}
	return dns;
}

static void
check(struct spf_dns *dns, const char *client, const char *mail_from,
      struct spf_check_reply *reply_r)
{
	struct spf_check_request request = {
		.helo = "helo.test", .mail_from = mail_from,
		.receiver = "mx.example.com", .timeout_msecs = 5000
	};

	if (net_addr2ip(client, &request.client_ip) < 0)
		i_unreached();
	spf_check_host(dns, &request, test_pool(), reply_r);
}

#define IP4 "192.0.2.1"
#define IP6 "2001:db8::1"
#define OUTSIDE "203.0.113.9"

static const struct {
	const char *client, *mail_from;
	enum spf_check_result result;
	/* NULL: not looked at */
	const char *mechanism;
} cases[] = {
	/* what is checked */
	{ IP4, "jane@ip.test", SPF_CHECK_PASS, "ip4:192.0.2.1" },
	{ IP4, "jane@IP.test.", SPF_CHECK_PASS, "ip4:192.0.2.1" },
	{ IP6, "jane@ip.test", SPF_CHECK_PASS, "ip6:2001:db8::1" },
	{ "::ffff:192.0.2.1", "jane@ip.test", SPF_CHECK_PASS, "ip4:192.0.2.1" },
	{ OUTSIDE, "jane@ip.test", SPF_CHECK_FAIL, "all" },
	{ "127.0.0.1", "jane@loopback.test", SPF_CHECK_FAIL, "all" },
	{ "::1", "jane@loopback.test", SPF_CHECK_FAIL, "all" },
	{ IP4, "jane@sender.test", SPF_CHECK_PASS, NULL },
	{ IP4, "@sender.test", SPF_CHECK_PASS, NULL },
	{ IP4, "sender.test", SPF_CHECK_PASS, NULL },
	{ IP4, "joe@sender.test", SPF_CHECK_FAIL, NULL },
	{ IP4, "a@b@ip.test", SPF_CHECK_PASS, NULL },
	{ IP4, "jane@test", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@.", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@[192.0.2.1]", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@192.0.2.1", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@ip..test", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@.ip.test", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@ip test", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@\303\244.test", SPF_CHECK_NONE, NULL },
	{ IP4, "jane@ip.test\r\nX: y", SPF_CHECK_NONE, NULL },

	/* what libspf2 misreads */
	{ IP4, "a@zero4.test", SPF_CHECK_PASS, "ip4:198.51.100.1/0" },
	{ IP6, "a@zero4.test", SPF_CHECK_FAIL, NULL },
	{ IP6, "a@zero6.test", SPF_CHECK_PASS, NULL },
	{ IP4, "a@zero6.test", SPF_CHECK_FAIL, NULL },
	{ IP4, "a@zero-a.test", SPF_CHECK_PASS, "a:other.test/0" },
	{ IP6, "a@zero-a.test", SPF_CHECK_FAIL, NULL },
	{ "2001:db9::5", "a@zero-a6.test", SPF_CHECK_PASS, NULL },
	{ OUTSIDE, "a@zero-a6.test", SPF_CHECK_PASS, NULL },
	{ OUTSIDE, "a@zero-mx.test", SPF_CHECK_PASS, "mx/0" },
	{ IP4, "a@zero-void.test", SPF_CHECK_FAIL, NULL },
	{ IP4, "a@net-a.test", SPF_CHECK_PASS, NULL },
	{ IP4, "a@net-a25.test", SPF_CHECK_FAIL, NULL },
	{ "2001:db8::99", "a@net-a6.test", SPF_CHECK_PASS, NULL },
	{ "2001:db8:0:1::99", "a@net-a6.test", SPF_CHECK_FAIL, NULL },
	{ "192.0.2.9", "a@net-a6.test", SPF_CHECK_PASS, NULL },
	{ IP4, "a@broken.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@redirect-first.test", SPF_CHECK_PASS, "ip4:192.0.2.1" },
	{ OUTSIDE, "a@redirect-first.test", SPF_CHECK_FAIL, "all" },
	{ IP4, "a@redirect-all.test", SPF_CHECK_NEUTRAL, "all" },
	{ IP4, "a@ptr.test", SPF_CHECK_PASS, "ptr:host.test" },
	{ IP6, "a@ptr.test", SPF_CHECK_PASS, "ptr:host.test" },
	{ OUTSIDE, "a@ptr.test", SPF_CHECK_FAIL, "all" },
	{ IP4, "a@ptr-label.test", SPF_CHECK_SOFTFAIL, NULL },

	/* results of DNS */
	{ IP4, "a@none.test", SPF_CHECK_NONE, NULL },
	{ IP4, "a@missing.test", SPF_CHECK_NONE, NULL },
	{ IP4, "a@two.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@alias.test", SPF_CHECK_PASS, NULL },
	{ IP4, "a@slow.test", SPF_CHECK_TEMPERROR, NULL },
	{ IP4, "a@slow-a.test", SPF_CHECK_TEMPERROR, NULL },
	{ IP4, "a@slow-include.test", SPF_CHECK_TEMPERROR, NULL },
	{ IP4, "a@slow-mx.test", SPF_CHECK_TEMPERROR, NULL },
	{ IP4, "a@slow-redirect.test", SPF_CHECK_TEMPERROR, NULL },
	{ IP4, "a@slow-exists.test", SPF_CHECK_TEMPERROR, NULL },
	{ IP4, "a@slow-later.test", SPF_CHECK_PASS, NULL },

	/* names that can't be */
	{ IP4, "a@bad-a.test", SPF_CHECK_SOFTFAIL, NULL },
	{ IP4, "a@bad-exists.test", SPF_CHECK_SOFTFAIL, NULL },
	{ IP4, "a@bad-include.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@bad-redirect.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@bad-mx.test", SPF_CHECK_SOFTFAIL, NULL },

	/* includes */
	{ IP4, "a@include.test", SPF_CHECK_NEUTRAL, "include:ip.test" },
	{ OUTSIDE, "a@include.test", SPF_CHECK_SOFTFAIL, "all" },
	{ IP4, "a@include-none.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@include-missing.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@include-broken.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@include-two.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@include-redirect.test", SPF_CHECK_FAIL, NULL },
	{ OUTSIDE, "a@include-redirect.test", SPF_CHECK_SOFTFAIL, "all" },
	{ IP4, "a@include-neutral.test", SPF_CHECK_SOFTFAIL, NULL },
	{ IP4, "a@neutral.test", SPF_CHECK_NEUTRAL, "default" },
	{ IP4, "a@redirect.test", SPF_CHECK_PASS, "ip4:192.0.2.1" },
	{ IP4, "a@domain.test", SPF_CHECK_PASS, "include:inner.%{d}" },
	{ IP4, "a@self.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@ring1.test", SPF_CHECK_PERMERROR, NULL },

	/* limits */
	{ IP4, "a@ten.test", SPF_CHECK_PASS, "ip4:192.0.2.1" },
	{ IP4, "a@eleven.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@ten-mx.test", SPF_CHECK_FAIL, "ip4:192.0.2.1" },
	{ IP4, "a@nine-redirect.test", SPF_CHECK_FAIL, "all" },
	{ IP4, "a@nine-p.test", SPF_CHECK_PASS, NULL },
	{ IP4, "a@ten-p.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@void2.test", SPF_CHECK_SOFTFAIL, NULL },
	{ IP4, "a@void3.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@void-mx.test", SPF_CHECK_SOFTFAIL, NULL },
	{ IP4, "a@void-exp.test", SPF_CHECK_FAIL, NULL },
	{ OUTSIDE, "a@void-ptr.test", SPF_CHECK_PERMERROR, NULL },
	{ IP4, "a@void-ptr.test", SPF_CHECK_PASS, NULL },

	/* macros */
	{ IP4, "a,b/c@comma.test", SPF_CHECK_PASS, NULL },
	{ IP4, "b@comma.test", SPF_CHECK_FAIL, NULL },
	{ IP4, "a+c|d@bar.test", SPF_CHECK_PASS, NULL },
	/* RFC 8616: what is not ASCII matches nothing */
	{ IP4, "\303\244@eai.test", SPF_CHECK_PASS, "a:host.test" },
	{ IP4, "\303\244@eai-redirect.test", SPF_CHECK_PERMERROR, NULL },
};

static void test_cases(void **state ATTR_UNUSED)
{
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(cases); i++) {
		check(dns, cases[i].client, cases[i].mail_from, &reply);
		if (reply.result != cases[i].result)
			fail_msg("%s: %s (%s)", cases[i].mail_from,
				 spf_check_result_name(reply.result),
				 reply.problem);
		if (cases[i].mechanism != NULL) {
			assert_string_equal(reply.mechanism,
					    cases[i].mechanism);
		}
		assert_int_equal(reply.identity, SPF_IDENTITY_MAILFROM);
		assert_true((reply.problem != NULL) ==
			    (reply.mechanism == NULL));
	}
	spf_zone_deinit(&zone, &dns);
}

static const struct {
	const char *mail_from;
	/* NULL: none */
	const char *explanation;
} explanations[] = {
	{ "jane@exp.test", "See http://exp.test/jane%40exp.test" },
	{ "jane@exp-redirect.test", NULL },
	{ "jane@exp-redirected.test",
	  "See http://exp-redirected.test/jane%40exp-redirected.test" },
	{ "jane@exp-softfail.test", NULL },
	{ "jane@exp-slow.test", NULL },
	{ "jane@exp-empty.test", NULL },
	{ "jane@exp-break.test", NULL },
	{ "jane@exp-local.test", "jane was here" },
	{ "j\r\nane@exp-local.test", NULL },
	{ "j\303\244ne@exp-local.test", NULL },
	{ "~a!*'()&=/@escape.test", "~a%21%2A%27%28%29%26%3D%2F "
	  "~a%21%2A%27%28%29%26%3D%2F%40escape.test ~a!*'()&=/ % %20 helo.test "
	  "mx.example.com in-addr escape.test" },
	{ "a@parts.test", "test parts.test parts.test test.parts parts test.parts "
	  "203" },
	{ "strong-bad@email.example.com", "strong-bad@email.example.com "
	  "email.example.com email.example.com email.example.com "
	  "email.example.com example.com com com.example.email example.email "
	  "strong-bad strong.bad strong-bad bad.strong strong "
	  "9.113.0.203.in-addr._spf.example.com bad.strong.lp._spf.example.com "
	  "9.113.0.203.in-addr.strong.lp._spf.example.com" },
	{ "a@p.test", "unknown 203.0.113.9 203.0.113.9" },
};

static void test_explanations(void **state ATTR_UNUSED)
{
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(explanations); i++) {
		check(dns, OUTSIDE, explanations[i].mail_from, &reply);
		if (null_strcmp(reply.explanation, explanations[i].explanation) != 0)
			fail_msg("%s: %s", explanations[i].mail_from,
				 reply.explanation);
	}
	check(dns, OUTSIDE, "a@time.test", &reply);
	assert_true(strspn(reply.explanation, "0123456789") ==
		    strlen(reply.explanation));
	check(dns, IP6, "a@p.test", &reply);
	assert_string_equal(reply.explanation, "HOST.test 2001:db8::1 2.0.0.1."
		"0.D.B.8."NIBBLES_0".1");
	spf_zone_deinit(&zone, &dns);
}

static void test_long_explanation_is_cut(void **state ATTR_UNUSED)
{
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;
	string_t *text = t_str_new(8192);

	while (str_len(text) < 8000)
		str_append(text, "%{s} ");
	zone_add(zone, "long.test", "TXT", "v=spf1 -all exp=e.long.test");
	zone_add(zone, "e.long.test", "TXT", str_c(text));
	check(dns, IP4, "jane@long.test", &reply);
	assert_int_equal(reply.result, SPF_CHECK_FAIL);
	assert_int_equal(strlen(reply.explanation), SPF_MAX_EXPLANATION);
	spf_zone_deinit(&zone, &dns);
}

static void test_null_sender(void **state ATTR_UNUSED)
{
	static const struct {
		const char *helo;
		enum spf_check_result result;
		const char *domain;
	} helos[] = {
		{ "sender.test", SPF_CHECK_PASS, "sender.test" },
		{ "Sender.Test.", SPF_CHECK_FAIL, "sender.test" },
		{ "localhost", SPF_CHECK_NONE, "localhost" },
		{ "[192.0.2.1]", SPF_CHECK_NONE, "?192.0.2.1?" },
		{ "192.0.2.1", SPF_CHECK_NONE, "192.0.2.1" },
		{ "a b;c\r\n\"", SPF_CHECK_NONE, "a?b?c???" },
		{ "", SPF_CHECK_NONE, "" },
		{ NULL, SPF_CHECK_NONE, "" },
	};
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(helos); i++) {
		struct spf_check_request request = {
			.helo = helos[i].helo,
			.mail_from = i % 2 == 0 ? "" : NULL,
			.timeout_msecs = 5000
		};

		(void)net_addr2ip(IP4, &request.client_ip);
		spf_check_host(dns, &request, test_pool(), &reply);
		assert_int_equal(reply.identity, SPF_IDENTITY_HELO);
		assert_string_equal(reply.domain, helos[i].domain);
		assert_int_equal(reply.result, helos[i].result);
	}
	spf_zone_deinit(&zone, &dns);
}

static void test_no_client(void **state ATTR_UNUSED)
{
	struct spf_check_request request = { .mail_from = "a@two.test" };
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;

	spf_check_host(dns, &request, test_pool(), &reply);
	assert_int_equal(reply.result, SPF_CHECK_NONE);
	spf_zone_deinit(&zone, &dns);
}

/* libspf2 forgets what is behind 511 bytes, and counts terms in a byte. */
static void test_long_records(void **state ATTR_UNUSED)
{
	static const unsigned int counts[] = { 1, 60, 255, 256, 257, 600 };
	struct spf_check_reply reply;
	unsigned int i, j;

	for (i = 0; i < N_ELEMENTS(counts); i++) {
		struct spf_zone *zone;
		struct spf_dns *dns = zone_init(&zone);
		string_t *text = t_str_new(8192);

		str_append(text, "v=spf1");
		for (j = 0; j < counts[i]; j++) {
			str_printfa(text, " ip4:10.0.%u.%u", j / 256, j % 256);
			if (j < 120)
				str_printfa(text, " ip6:2001:db8:1::%x", j);
		}
		str_append(text, " ~ip4:192.0.2.1 -all");
		zone_add(zone, "big.test", "TXT", str_c(text));
		check(dns, IP4, "a@big.test", &reply);
		assert_int_equal(reply.result, SPF_CHECK_SOFTFAIL);
		check(dns, OUTSIDE, "a@big.test", &reply);
		assert_int_equal(reply.result, SPF_CHECK_FAIL);
		check(dns, t_strdup_printf("10.0.%u.%u", (counts[i] - 1) / 256,
					   (counts[i] - 1) % 256),
		      "a@big.test", &reply);
		assert_int_equal(reply.result, SPF_CHECK_PASS);
		spf_zone_deinit(&zone, &dns);
	}
}

static void test_mx_and_ptr_names(void **state ATTR_UNUSED)
{
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;
	unsigned int i;

	zone_add(zone, "mx10.test", "TXT", "v=spf1 mx -all");
	zone_add(zone, "mx11.test", "TXT", "v=spf1 mx -all");
	zone_add(zone, "ptr10.test", "TXT", "v=spf1 ptr:host.test -all");
	for (i = 0; i < 11; i++) {
		zone_add(zone, "mx11.test", "MX", "host.test");
		if (i > 0)
			zone_add(zone, "mx10.test", "MX",
				 i < 10 ? "other.test" : "host.test");
		/* the eleventh would match */
		zone_add(zone, "9.2.0.192.in-addr.arpa", "PTR",
			 i < 10 ? "other.test" : "eleven.host.test");
	}
	zone_add(zone, "eleven.host.test", "A", "192.0.2.9");
	check(dns, IP4, "a@mx10.test", &reply);
	assert_int_equal(reply.result, SPF_CHECK_PASS);
	check(dns, IP4, "a@mx11.test", &reply);
	assert_int_equal(reply.result, SPF_CHECK_PERMERROR);
	check(dns, "192.0.2.9", "a@ptr10.test", &reply);
	assert_int_equal(reply.result, SPF_CHECK_FAIL);
	spf_zone_deinit(&zone, &dns);
}

static void test_ptr_errors_are_skipped(void **state ATTR_UNUSED)
{
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;

	zone_add(zone, "skip.test", "TXT", "v=spf1 ptr:host.test -all");
	zone_add(zone, "9.2.0.192.in-addr.arpa", "PTR", "slow.test");
	zone_add(zone, "9.2.0.192.in-addr.arpa", "PTR", "nine.host.test");
	zone_add(zone, "nine.host.test", "A", "192.0.2.9");
	zone_add(zone, "8.2.0.192.in-addr.arpa", "error", "");
	check(dns, "192.0.2.9", "a@skip.test", &reply);
	assert_int_equal(reply.result, SPF_CHECK_PASS);
	check(dns, "192.0.2.8", "a@skip.test", &reply);
	assert_int_equal(reply.result, SPF_CHECK_FAIL);
	spf_zone_deinit(&zone, &dns);
}

/* A source where every name has the record, and addresses never come in time. */
static void late_lookup(void *context ATTR_UNUSED, pool_t pool,
			const char *name ATTR_UNUSED, enum spf_dns_type type,
			struct spf_dns_answer *answer_r)
{
	static const char record[] = "v=spf1 ptr:host.test -all";
	struct spf_dns_record *text;

	if (type != SPF_DNS_TXT) {
		answer_r->status = SPF_DNS_ERROR;
		answer_r->error = "no answer in time";
		answer_r->late = TRUE;
		return;
	}
	text = p_new(pool, struct spf_dns_record, 1);
	text->text = record;
	text->size = sizeof(record) - 1;
	answer_r->status = SPF_DNS_FOUND;
	answer_r->records = text;
	answer_r->count = 1;
}

/* But what didn't come in time is none of the errors that ptr skips, be there time
   left or not. */
static void test_ptr_late_is_temperror(void **state ATTR_UNUSED)
{
	struct spf_dns *dns = spf_dns_init_lookup(late_lookup, NULL);
	struct spf_check_reply reply;

	check(dns, "192.0.2.9", "a@late.test", &reply);
	assert_int_equal(reply.result, SPF_CHECK_TEMPERROR);
	spf_dns_deinit(&dns);
}

/* Of a name that gets too long, labels go from the left (7.3). */
static void test_long_name(void **state ATTR_UNUSED)
{
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	struct spf_check_reply reply;
	string_t *name = t_str_new(256);
	const char *local = t_strconcat("abcdefghijklmnopqrstuvwxyz",
					"0123456789abcdefghijklm", NULL);
	unsigned int i;

	for (i = 0; i < 4; i++)
		str_printfa(name, "%s.", local);
	str_append(name, "w.test");
	zone_add(zone, str_c(name), "A", "127.0.0.2");
	check(dns, IP4, t_strconcat(local, "@wide.test", NULL), &reply);
	assert_int_equal(reply.result, SPF_CHECK_PASS);
	/* a label of more than 63 stays, and matches nothing */
	check(dns, IP4, t_strconcat(local, local, "@wide.test", NULL), &reply);
	assert_int_equal(reply.result, SPF_CHECK_FAIL);
	/* no dot to cut at */
	zone_add(zone, "nodot.test", "TXT", "v=spf1 exists:%{l}%{l}%{l} -all");
	check(dns, IP4, t_strconcat(local, local, "@nodot.test", NULL), &reply);
	assert_int_equal(reply.result, SPF_CHECK_FAIL);
	spf_zone_deinit(&zone, &dns);
}

static void collect_line(const char *line, void *context)
{
	string_t *lines = context;
	const char *p;

	for (p = line; *p != '\0'; p++)
		assert_in_range(*p, 0x20, 0x7e);
	str_printfa(lines, "%s\n", line);
}

static void test_trace(void **state ATTR_UNUSED)
{
	struct spf_zone *zone;
	struct spf_dns *dns = zone_init(&zone);
	string_t *lines = t_str_new(1024);
	struct spf_check_request request = {
		.mail_from = "a@include.test", .timeout_msecs = 5000,
		.trace = collect_line, .trace_context = lines
	};
	struct spf_check_reply reply;

	(void)net_addr2ip(OUTSIDE, &request.client_ip);
	spf_check_host(dns, &request, test_pool(), &reply);
	assert_non_null(strstr(str_c(lines), "dns: include.test TXT: \"v=spf1 "));
	assert_non_null(strstr(str_c(lines), "include.test: include:ip.test\n"));
	assert_non_null(strstr(str_c(lines), "ip.test: all\n"));
	assert_non_null(strstr(str_c(lines), "libspf2: softfail\n"));
	assert_non_null(strstr(str_c(lines), "result: softfail (all)\n"));
	request.mail_from = "\033[2Jx\r\n@exp-local.test";
	spf_check_host(dns, &request, test_pool(), &reply);
	spf_zone_deinit(&zone, &dns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_explanations),
		cmocka_unit_test(test_long_explanation_is_cut),
		cmocka_unit_test(test_null_sender),
		cmocka_unit_test(test_no_client),
		cmocka_unit_test(test_long_records),
		cmocka_unit_test(test_mx_and_ptr_names),
		cmocka_unit_test(test_ptr_errors_are_skipped),
		cmocka_unit_test(test_ptr_late_is_temperror),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_trace),
	};

	return UNIT_RUN(tests);
}
