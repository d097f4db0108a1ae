/* Who may send as what (docs/design.md, section 2). */

#include "unit.h"
#include "str.h"
#include "verdict/own-addresses.h"

static struct own_addresses *own_create(pool_t pool)
{
	struct own_addresses *own = own_addresses_init(pool, "+");

	own_addresses_add_login(own, "Alice@Example.org");
	own_addresses_add(own, "alice@example.org");
	own_addresses_add(own, "postmaster@example.org");
	own_addresses_add(own, "Sales-*@example.org");
	own_addresses_add(own, "@example.net");
	own_addresses_add(own, "j\xc3\xb6rg@example.org");
	own_addresses_add(own, "x\ny@example.org");
	own_addresses_add_recipient(own, "delivered@example.org");
	return own;
}

static void test_find(void **state ATTR_UNUSED)
{
	static const struct {
		const char *address, *source;
	} tests[] = {
		{ "alice@example.org", "login" },
		{ "ALICE+anything@EXAMPLE.ORG", "login" },
		/* roles, if the administrator says so */
		{ "postmaster@example.org", "backscatter_addresses" },
		{ "Postmaster+x@example.org", "backscatter_addresses" },
		{ "abuse@example.net", "backscatter_addresses" },
		{ "abuse@example.org", NULL },
		{ "sales-berlin@example.org", "backscatter_addresses" },
		{ "sales-berlin+x@example.org", "backscatter_addresses" },
		{ "sales@example.org", NULL },
		{ "bob@example.net", "backscatter_addresses" },
		{ "bob@sub.example.net", NULL },
		{ "bob@notexample.net", NULL },
		{ "bob@example.org", NULL },
		{ "alice@example.org.evil.test", NULL },
		{ "alice@example.org@evil.test", NULL },
		{ "\"alice@example.org\"@evil.test", NULL },
		{ "alicia@example.org", NULL },
		{ "alice@example.org.", NULL },
		{ "alice@example.org ", NULL },
		{ "J\xc3\xb6rg@example.org", "backscatter_addresses" },
		{ "j\xc3\x96rg@example.org", NULL },
		/* what was delivered gives no right to send */
		{ "delivered@example.org", NULL },
		/* no addresses, whatever is listed */
		{ "", NULL },
		{ "@", NULL },
		{ "alice", NULL },
		{ "alice@", NULL },
		{ "@example.net", NULL },
		{ "x\ny@example.org", NULL },
		{ "bob\r\n@example.net", NULL },
		{ "b\x7fob@example.net", NULL },
		{ "bob\t@example.net", NULL },
	};
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_create(pool);

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		const struct own_address *entry =
			ownership_find(own, tests[i].address);
		const char *source = entry == NULL ? NULL :
			ownership_source_name(entry->source);

		if (null_strcmp(source, tests[i].source) != 0)
			fail_msg("%s: %s", tests[i].address, source);
	}
	pool_unref(&pool);
}

static void test_length(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_create(pool);
	string_t *address = t_str_new(512);

	str_append(address, "@example.net");
	while (str_len(address) < OWNERSHIP_ADDRESS_MAX_LEN)
		str_insert(address, 0, "b");
	assert_non_null(ownership_find(own, str_c(address)));
	str_insert(address, 0, "b");
	assert_null(ownership_find(own, str_c(address)));
	pool_unref(&pool);
}

static void test_describe(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_addresses_init(pool, "+");

	assert_string_equal(ownership_describe(own, NULL), "none");
	assert_string_equal(ownership_describe(own, "more"), "more");

	own_addresses_add_recipient(own, "delivered@example.org");
	assert_string_equal(ownership_describe(own, NULL), "none");

	own = own_create(pool);
	assert_string_equal(ownership_describe(own, NULL),
		"alice@example.org, postmaster@example.org, "
		"sales-*@example.org, @example.net, j?rg@example.org, ...");
	assert_string_equal(ownership_describe(own, "more"),
		"alice@example.org, postmaster@example.org, "
		"sales-*@example.org, @example.net, j?rg@example.org, ..., "
		"more");
	pool_unref(&pool);
}

/* A setting may come from the userdb and hold anything. */
static void test_describe_is_sanitised(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_addresses_init(pool, "+");

	own_addresses_add(own, "a\r\n250 2.0.0@example.org");
	own_addresses_add(own, "\xe2\x82\xac\xff\x80\x1b@example.org");
	assert_string_equal(ownership_describe(own, NULL),
		"a??250 2.0.0@example.org, ???@example.org");
	pool_unref(&pool);
}

static void test_describe_is_short(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct own_addresses *own = own_addresses_init(pool, "+");
	string_t *address = t_str_new(512);
	const char *description;

	for (unsigned int i = 0; i < 150; i++)
		str_append_c(address, 'x');
	str_append(address, "@example.org");
	own_addresses_add(own, str_c(address));
	str_insert(address, 0, "y");
	own_addresses_add(own, str_c(address));
	description = ownership_describe(own, "more");
	assert_true(strlen(description) <= OWNERSHIP_DESCRIPTION_MAX_LEN);
	assert_non_null(strstr(description, "@example.org, ..., more"));

	for (unsigned int i = 0; i < 400; i++)
		str_append_c(address, 'z');
	own = own_addresses_init(pool, "+");
	own_addresses_add(own, str_c(address));
	assert_string_equal(ownership_describe(own, NULL), "...");
	pool_unref(&pool);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_describe_is_sanitised),
		cmocka_unit_test(test_describe_is_short),
	};

	return UNIT_RUN(tests);
}
