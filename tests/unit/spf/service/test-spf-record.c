/* plugin/spf/service/spf-record.c and spf-macro.c: the grammar of RFC 7208, section 12. */

#include "unit.h"
#include "array.h"
#include "spf/spf-limits.h"
#include "spf/service/spf-macro.h"
#include "spf/service/spf-record.h"

/* What follows "v=spf1 ". */
static const char *const valid_terms[] = {
	"", " ", "   ", "all", "-all", "~all", "?all", "+all", "ALL", "a  -all ",
	/* domain-spec */
	"a", "a:example.com", "A:Example.COM", "a:example.com.", "a:a.b.c.d.e",
	"a:_spf.example.com", "a:foo:bar/baz.example.com", "a:.com",
	"a:example..com", "a:example.c-m", "a:example.1-2", "a:example.xn--p1ai",
	"a:example.123a", "a:example.a1", "a:exam\"ple.com", "a:!$&'()*.com",
	"a:111.222.33.a", "a:foo.com/bar.com", "a:foo.com//24.com",
	"a:%{d}..com.",
	/* macros */
	"a:%{d}", "a:%{D}", "a:x.%{d2}", "a:%{d1r}", "a:%{dR}", "a:%{i}.com",
	"a:%{l}%{s}%{o}%{d}%{i}%{p}%{h}%{v}", "a:%{l1r.-+,/_=}", "a:%{l--}",
	"a:%{d127}", "a:%{d99999999999999999999}", "a:%{d01}",
	"a:%%.%_.%-.com", "a:x%%", "a:x%_", "a:x%-", "a:%{d}.com", "a:%{d}x.com",
	"exists:%{l}", "exists:%{i}._spf.%{d2}",
	/* prefix lengths */
	"a/0", "a/1", "a/32", "a//0", "a//128", "a/24//64", "a:example.com/24",
	"a:example.com//64", "a:example.com/24//64", "a:%{d}/24//64",
	"a:foo.com/1.com/24", "mx", "mx/24//64", "mx:example.com/24",
	"a:%{l/}/24",
	/* other mechanisms */
	"include:example.com", "ptr", "ptr:example.com", "exists:example.com",
	"ip4:1.2.3.4", "ip4:255.255.255.255/32", "ip4:0.0.0.0/0", "IP4:1.2.3.4",
	"ip6:::", "ip6:::1", "ip6:2001:db8::/32", "ip6:::1.2.3.4",
	"ip6:2001:DB8::CD30/128", "ip6:::/0", "ip6:1:2:3:4:5:6:7:8",
	"ip6:1:2:3:4:5:6:1.2.3.4",
	/* modifiers */
	"redirect=example.com", "REDIRECT=example.com", "exp=example.com",
	"exp=%{d}", "redirect=%{d}", "redirect=a.com exp=b.com", "exp=a.b all",
	"foo=", "foo=bar", "foo=%{d}", "foo=%%", "f-o_o.2=a:b/c=d", "a=b",
	"all=", "ip4=1.2.3.4", "v=spf1", "foo=bar foo=bar", "redirect=a.com all",
	"include.=x",
};

static const char *const invalid_terms[] = {
	/* characters */
	"\tall", "a\tall", "all\n", "all\r", "a:ex\177ample.com",
	"a:ex\303\244mple.com", "\200all", "foo=\303\244",
	/* terms */
	"moo", "-", "+", "=", "=all", ":", "/", "/24", "1up=foo", "-foo=bar",
	"++all", "+ all", "all,", "all.", "all:", "all:foo.com", "all/8", "all/",
	"-redirect=example.com", "?exp=example.com", "redirect:example.com",
	"exp:example.com", "redirect", "exp", "moo.cow/x=y", "moo:x=y",
	"f%o=bar", "ip", "ip5:1.2.3.4", "aa", "a.", "mxx", "includ:example.com",
	/* domain-spec */
	"a:", "mx:", "ptr:", "include", "include:", "exists", "exists:",
	"redirect=", "exp=", "a:museum", "a:museum.", "a:.", "a:..",
	"a:example.com..", "a:example.com:8080", "a:example.-com",
	"a:example.com-", "a:1.2.3.4", "a:example.123", "a:example.c_m",
	"a:example.com/", "a:example.com/x", "a:foo-bar", "a:%{d}com",
	"a:%{d}.", "a:%{d}..", "exp=-all", "redirect=-all", "include:a",
	"include:example.com/24", "exists:example.com/24", "exists:a.com//24",
	"ptr/0", "ptr//0", "ptr:example.com/24",
	/* macros */
	"a:%", "a:x.%.com", "a:%{", "a:%{}", "a:%{d", "a:%{x}", "a:%{a}.com",
	"a:%d", "a:%(d)", "a:%{d0}", "a:%{d00}", "a:%{dr2}", "a:%{drr}",
	"a:%{d.2}", "a:%{l/2}.com/9", "a:%{d*}", "a:%{d|}", "a:%{d .}",
	"a:%{%{d}}", "a:%{c}", "a:%{r}", "a:%{t}", "a:%{C}", "foo=%", "foo=%abc", "foo=%{c}", "foo=%{x}",
	"exp=%{r}.example.com", "exists:%{lr-r}", "a:%{}d}", "a:%{-d}",
	/* prefix lengths */
	"a/", "a//", "a/33", "a//129", "a/032", "a/00", "a//064", "a/24/64",
	"a/24//64/8", "a//64/24", "a/-1", "a/+1", "a/1x", "a///24", "a/999999999",
	"a/4294967296", "a:example.com/33", "a:example.com//129", "a:/24",
	"a://64", "a:example.com/24/64",
	/* addresses */
	"ip4", "ip4:", "ip4/24", "ip4:1.2.3", "ip4:1.2.3.4.5", "ip4:1.2.3.4/",
	"ip4:1.2.3.4/33", "ip4:1.2.3.4/032", "ip4:1.2.3.4//32", "ip4:01.2.3.4",
	"ip4:256.1.1.1", "ip4:1.2.3.4:8080", "ip4:::1", "ip4:%{i}",
	"ip4:1.2.3.4/24/24", "ip4:example.com", "ip4:0x1.2.3.4", "ip4:/32",
	"ip6", "ip6:", "ip6:1.2.3.4", "ip6:::1/129", "ip6:::1//64", "ip6:::1/",
	"ip6::CAFE::BABE", "ip6:1::2::3", "ip6:12345::", "ip6:fe80::1%eth0",
	"ip6:[::1]", "ip6:1:2:3:4:5:6:7:8:9", "ip6:::1/0128", "ip6:/64",
	/* twice */
	"redirect=a.com redirect=b.com", "exp=a.com EXP=b.com",
	/* an error behind a match */
	"all moo", "ip4:1.2.3.4 -all redirect=",
};

static int parse(const char *text, struct spf_record *record_r,
		 const char **error_r)
{
	return spf_record_parse(pool_datastack_create(), text,
				strlen(text), record_r, error_r);
}

static void test_valid(void **state ATTR_UNUSED)
{
	struct spf_record record;
	const char *error, *text;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(valid_terms); i++) {
		text = t_strconcat("v=spf1 ", valid_terms[i], NULL);
		if (parse(text, &record, &error) < 0)
			fail_msg("%s: %s", text, error);
	}
}

static void test_invalid(void **state ATTR_UNUSED)
{
	struct spf_record record;
	const char *error, *text;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(invalid_terms); i++) {
		text = t_strconcat("v=spf1 ", invalid_terms[i], NULL);
		if (parse(text, &record, &error) == 0)
			fail_msg("%s is accepted", text);
		assert_true(*error != '\0');
	}
}

static void test_nul(void **state ATTR_UNUSED)
{
	static const char texts[][16] = {
		"v=spf1 all\0", "v=spf1 a\0b=c", "v=spf1 \0"
	};
	static const size_t sizes[] = { 11, 12, 8 };
	struct spf_record record;
	const char *error;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(sizes); i++) {
		assert_int_equal(spf_record_parse(pool_datastack_create(),
			texts[i], sizes[i], &record, &error), -1);
	}
}

static const struct {
	const char *text;
	bool version;
} versions[] = {
	{ "v=spf1", TRUE },
	{ "V=SpF1", TRUE },
	{ "v=spf1 ", TRUE },
	{ "v=spf1 anything", TRUE },
	{ "", FALSE },
	{ "v=spf", FALSE },
	{ "v=spf10", FALSE },
	{ "v=spf1\t-all", FALSE },
	{ "v=spf1-all", FALSE },
	{ " v=spf1 -all", FALSE },
	{ "spf2.0/mfrom", FALSE },
};

static void test_version(void **state ATTR_UNUSED)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(versions); i++) {
		if (spf_record_has_version(versions[i].text,
					   strlen(versions[i].text)) !=
		    versions[i].version)
			fail_msg("%s", versions[i].text);
	}
}

static const struct {
	const char *term;
	enum spf_term_type type;
	enum spf_check_result qualifier;
	const char *domain_spec;
	unsigned int ip4_bits, ip6_bits;
} terms[] = {
	{ "all", SPF_TERM_ALL, SPF_CHECK_PASS, NULL, 32, 128 },
	{ "-All", SPF_TERM_ALL, SPF_CHECK_FAIL, NULL, 32, 128 },
	{ "~a", SPF_TERM_A, SPF_CHECK_SOFTFAIL, NULL, 32, 128 },
	{ "?a/24", SPF_TERM_A, SPF_CHECK_NEUTRAL, NULL, 24, 128 },
	{ "+mx//64", SPF_TERM_MX, SPF_CHECK_PASS, NULL, 32, 64 },
	{ "mx:b.com/0//0", SPF_TERM_MX, SPF_CHECK_PASS, "b.com", 0, 0 },
	{ "a:f/1.com/8", SPF_TERM_A, SPF_CHECK_PASS, "f/1.com", 8, 128 },
	{ "a:%{l2/}.c/9", SPF_TERM_A, SPF_CHECK_PASS, "%{l2/}.c", 9, 128 },
	{ "ip4:1.2.3.4/7", SPF_TERM_IP4, SPF_CHECK_PASS, NULL, 7, 128 },
	{ "ip6:::1/77", SPF_TERM_IP6, SPF_CHECK_PASS, NULL, 32, 77 },
	{ "exists:%{i}.com.", SPF_TERM_EXISTS, SPF_CHECK_PASS, "%{i}.com.",
	  32, 128 },
	{ "ptr:b.com", SPF_TERM_PTR, SPF_CHECK_PASS, "b.com", 32, 128 },
	{ "-include:b.com", SPF_TERM_INCLUDE, SPF_CHECK_FAIL, "b.com", 32, 128 },
};

static void test_terms(void **state ATTR_UNUSED)
{
	const struct spf_term *term;
	struct spf_record record;
	const char *error;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(terms); i++) {
		assert_int_equal(parse(t_strconcat("v=spf1 ", terms[i].term,
						   NULL), &record, &error), 0);
		assert_int_equal(array_count(&record.terms), 1);
		term = array_front(&record.terms);
		if (term->type != terms[i].type ||
		    term->qualifier != terms[i].qualifier ||
		    term->ip4_bits != terms[i].ip4_bits ||
		    term->ip6_bits != terms[i].ip6_bits ||
		    null_strcmp(term->domain_spec, terms[i].domain_spec) != 0)
			fail_msg("%s", terms[i].term);
	}
}

static void test_modifiers(void **state ATTR_UNUSED)
{
	const struct spf_term *term;
	struct spf_record record;
	const char *error;

	assert_int_equal(parse("v=spf1 exp=a.com ip4:1.2.3.4/24 x=y "
			       "redirect=b.com -all", &record, &error), 0);
	assert_string_equal(record.explanation, "a.com");
	assert_string_equal(record.redirect->domain_spec, "b.com");
	assert_string_equal(record.redirect->text, "redirect=b.com");
	assert_int_equal(array_count(&record.terms), 2);
	term = array_front(&record.terms);
	assert_string_equal(term->text, "ip4:1.2.3.4/24");
}

static void test_size(void **state ATTR_UNUSED)
{
	struct spf_record record;
	const char *error;
	char *text = t_malloc0(SPF_MAX_RECORD + 2);

	memset(text, ' ', SPF_MAX_RECORD + 1);
	memcpy(text, "v=spf1", 6);
	assert_int_equal(parse(text, &record, &error), -1);
	text[SPF_MAX_RECORD] = '\0';
	assert_int_equal(parse(text, &record, &error), 0);
}

static const struct {
	const char *text;
	bool valid;
} explanations[] = {
	{ "", TRUE },
	{ "Go away.", TRUE },
	{ "%{c} %{r} %{t} %{l} %{S}", TRUE },
	{ "100%%", TRUE },
	{ "100%", FALSE },
	{ "100% sure", FALSE },
	{ "%{x}", FALSE },
	{ "%{c", FALSE },
	{ "tab\t", FALSE },
	{ "line\r\nbreak", FALSE },
	{ "\303\244", FALSE },
};

static void test_explanations(void **state ATTR_UNUSED)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(explanations); i++) {
		const char *text = explanations[i].text, *literal;

		if (spf_macro_is_valid(text, text + strlen(text),
				       SPF_MACRO_IN_EXPLANATION, &literal) !=
		    explanations[i].valid)
			fail_msg("%s", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_modifiers),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_explanations),
	};

	return UNIT_RUN(tests);
}
