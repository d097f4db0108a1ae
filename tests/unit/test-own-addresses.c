/* Own addresses (DESIGN.md section 2). */

#include "unit.h"
#include "verdict/own-addresses.h"

static struct own_addresses *own_create(pool_t pool)
{
	struct own_addresses *own = own_addresses_init(pool, "+-");

	own_addresses_add(own, "Info@Example.org");
	own_addresses_add(own, "postmaster@example.org");
	own_addresses_add(own, "@catchall.example");
	own_addresses_add(own, "loginwithoutdomain");
	own_addresses_add(own, "broken@");
	own_addresses_add_recipient(own, "sales+b=tag@Example.org");
	return own;
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_without_delimiter),
	};

	return UNIT_RUN(tests);
}
