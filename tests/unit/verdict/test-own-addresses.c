/* Own addresses (docs/design.md, section 2). */

#include "unit.h"
#include "str.h"
#include "verdict/own-addresses.h"

static struct own_addresses *own_create(pool_t pool)
{
	struct own_addresses *own = own_addresses_init(pool, "+-");

	own_addresses_add(own, "Info@Example.org");
	own_addresses_add(own, "postmaster@example.org");
	own_addresses_add(own, "@catchall.example");
	own_addresses_add(own, "sales-*@shop.example");
	own_addresses_add(own, "*.de@x.*.example");
	own_addresses_add(own, "wh?t@shop.example");
	own_addresses_add(own, "*@star.example");
	own_addresses_add(own, "J\xc3\xb6RG@eai.example");
	own_addresses_add_login(own, "loginwithoutdomain");
	own_addresses_add_login(own, "@login.example");
	own_addresses_add_login(own, "lo*in@Example.org");
	own_addresses_add(own, "broken@");
	own_addresses_add_recipient(own, "sales+b=tag@Example.org");
	return own;
}

/* Of a login without domain nobody knows what he sends as. */
static void test_match_from(void **state ATTR_UNUSED)
{
	static const struct {
		const char *login, *from;
		bool own;
	} tests[] = {
		{ "Alice", "alice@example.org", TRUE },
		{ "alice", "Alice+lists@elsewhere.example", TRUE },
		{ "alice", "malice@example.org", FALSE },
		{ "anne-marie", "Anne-Marie@example.org", TRUE },
		{ "anne-marie", "anne@example.org", FALSE },
		{ "alice", "info@example.org", TRUE },
		{ "root", "root@example.org", FALSE },
		{ "alice@example.org", "alice@elsewhere.example", FALSE },
		{ "alice@example.org", "alice@example.org", TRUE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		pool_t pool = pool_alloconly_create("test", 1024);
		struct own_addresses *own = own_addresses_init(pool, "+-");

		own_addresses_add_login(own, tests[i].login);
		own_addresses_add(own, "info@example.org");
		if (own_addresses_match_from(own, tests[i].from) !=
		    tests[i].own)
			fail_msg("%s: %s", tests[i].login, tests[i].from);
		pool_unref(&pool);
	}
}

static void test_match(void **state ATTR_UNUSED)
{
	static const struct {
		const char *address;
		bool own;
	} tests[] = {
		{ "info@example.org", TRUE },
		{ "INFO@EXAMPLE.ORG", TRUE },
		{ "info+anything@example.org", TRUE },
		{ "info-anything@example.org", TRUE },
		{ "info@example.org.evil.test", FALSE },
		{ "xinfo@example.org", FALSE },
		{ "info@sub.example.org", FALSE },
		{ "anyone@catchall.example", TRUE },
		{ "anyone+x@catchall.example", TRUE },
		{ "anyone@sub.catchall.example", FALSE },
		/* the envelope's, without its detail */
		{ "sales@example.org", TRUE },
		{ "sales+other@example.org", TRUE },
		/* patterns */
		{ "sales-x@shop.example", TRUE },
		{ "SALES-@shop.example", TRUE },
		{ "sales-x+detail@shop.example", TRUE },
		{ "sales@shop.example", FALSE },
		{ "xsales-x@shop.example", FALSE },
		{ "sales-x@shop.example.org", FALSE },
		{ "sales-x@evil.test@shop.example", TRUE },
		{ "sales-x@shop.example@evil.test", FALSE },
		{ "a.de@x.y.example", TRUE },
		{ ".de@x..example", TRUE },
		{ "a.de.de@x.y.z.example", TRUE },
		{ "a.dee@x.y.example", FALSE },
		{ "a.de@xy.example", FALSE },
		{ "wh?t@shop.example", TRUE },
		{ "what@shop.example", FALSE },
		{ "anyone@star.example", TRUE },
		{ "+x@star.example", TRUE },
		{ "anyone@sub.star.example", FALSE },
		{ "abuse@star.example", FALSE },
		/* ASCII becomes lower-case, nothing else */
		{ "j\xc3\xb6rg@eai.example", TRUE },
		{ "J\xc3\xb6rg@EAI.example", TRUE },
		{ "J\xc3\x96RG@eai.example", FALSE },
		{ "j\xf6rg@eai.example", FALSE },
		/* in a login '*' is a character, and it names no domain */
		{ "lo*in@example.org", TRUE },
		{ "login@example.org", FALSE },
		{ "anyone@login.example", FALSE },
		/* roles never, whoever lists them */
		{ "postmaster@example.org", FALSE },
		{ "Postmaster@catchall.example", FALSE },
		{ "abuse+x@catchall.example", FALSE },
		{ "mailer-daemon@catchall.example", FALSE },
		{ "root@catchall.example", FALSE },
		/* no addresses */
		{ "loginwithoutdomain", FALSE },
		{ "@catchall.example", FALSE },
		{ "@", FALSE },
		{ "", FALSE },
		{ "+@catchall.example", TRUE },
	};
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_create(pool);

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		if (own_addresses_match(own, tests[i].address) != tests[i].own)
			fail_msg("%s", tests[i].address);
	}
	pool_unref(&pool);
}

static void test_without_delimiter(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_addresses_init(pool, "");

	own_addresses_add(own, "info@example.org");
	own_addresses_add(own, "@catchall.example");
	assert_true(own_addresses_match(own, "info@example.org"));
	assert_false(own_addresses_match(own, "info+x@example.org"));
	assert_false(own_addresses_match(own, "mailer-daemon@catchall.example"));
	pool_unref(&pool);
}

/* Would take a day if the pattern's every '*' were tried with every other. */
static void test_many_stars(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_addresses_init(pool, "+");
	string_t *pattern = t_str_new(256), *address = t_str_new(65536);

	for (unsigned int i = 0; i < 60; i++)
		str_append(pattern, "*a");
	str_append(pattern, "*b@example.org");
	for (unsigned int i = 0; i < 50000; i++)
		str_append_c(address, 'a');
	str_append(address, "@example.org");
	own_addresses_add(own, str_c(pattern));
	assert_false(own_addresses_match(own, str_c(address)));
	str_insert(address, 50000, "b");
	assert_true(own_addresses_match(own, str_c(address)));
	pool_unref(&pool);
}

static void test_list(void **state ATTR_UNUSED)
{
	static const char *const expected[] = {
		"info@example.org",
		"j\xc3\xb6rg@eai.example",
		"lo*in@example.org",
		"postmaster@example.org",
		"sales@example.org",
		"wh?t@shop.example",
	};
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_create(pool);
	const char *const *list;
	unsigned int i;

	own_addresses_add(own, "INFO@example.org");
	own_addresses_add(own, "info+detail@example.org");
	list = own_addresses_list(own, pool);
	for (i = 0; i < N_ELEMENTS(expected); i++)
		assert_string_equal(list[i], expected[i]);
	assert_null(list[i]);

	own = own_addresses_init(pool, "+");
	assert_null(own_addresses_list(own, pool)[0]);
	pool_unref(&pool);
}

static void test_without_detail(void **state ATTR_UNUSED)
{
	static const struct {
		const char *address, *without_detail;
	} tests[] = {
		{ "User+Detail@Example.ORG", "user@example.org" },
		{ "user-x+y@example.org", "user@example.org" },
		{ "user@example.org", "user@example.org" },
		{ "user@ex-ample.org", "user@ex-ample.org" },
		{ "+user@example.org", "+user@example.org" },
		{ "a+b@c@example.org", "a@example.org" },
		{ "user+x", "user+x" },
		{ "@", "@" },
		{ "", "" },
	};
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_create(pool);

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		assert_string_equal(
			own_addresses_without_detail(own, tests[i].address),
			tests[i].without_detail);
	}
	pool_unref(&pool);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_without_delimiter),
		cmocka_unit_test(test_many_stars),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_without_detail),
		cmocka_unit_test(test_match_from),
	};

	return UNIT_RUN(tests);
}
