/* Tags in addresses. */

#include "unit.h"
#include "verdict/tag.h"

/* 37 characters; of no key, but of the right form */
#define SERIAL "AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQC"

static void test_is_detail(void **state ATTR_UNUSED)
{
	assert_int_equal(strlen(SERIAL), SERIAL_TEXT_SIZE - 1);
	assert_int_equal(strlen("b="SERIAL), TAG_DETAIL_SIZE);
	assert_true(tag_is_detail("b="SERIAL));
	assert_true(tag_is_detail("B="SERIAL));
	assert_false(tag_is_detail(SERIAL));
	assert_false(tag_is_detail("b="));
	assert_false(tag_is_detail("b="SERIAL"A"));
	assert_false(tag_is_detail("b=friends"));
}

static void test_get_serial(void **state ATTR_UNUSED)
{
	static const struct {
		const char *address, *delimiters;
		bool tagged;
	} tests[] = {
		{ "me+b="SERIAL"@example.org", "+", TRUE },
		{ "me+B="SERIAL"@example.org", "+", TRUE },
		{ "me-b="SERIAL"@example.org", "+-", TRUE },
		{ "me+lists+b="SERIAL"@example.org", "+", TRUE },
		/* not a sub-address here */
		{ "me-b="SERIAL"@example.org", "+", FALSE },
		{ "me+b="SERIAL"@example.org", "", FALSE },
		{ "+b="SERIAL"@example.org", "+", FALSE },
		{ "b="SERIAL"@example.org", "+", FALSE },
		{ "me+b="SERIAL, "+", FALSE },
		{ "me+c="SERIAL"@example.org", "+", FALSE },
		{ "me+b=@example.org", "+", FALSE },
		{ "me+b="SERIAL"x@example.org", "+", FALSE },
		{ "me+b="SERIAL"+x@example.org", "+", FALSE },
		{ "@example.org", "+", FALSE },
		{ "@", "+", FALSE },
		{ "", "+", FALSE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		const char *serial = tag_get_serial(tests[i].address,
						    tests[i].delimiters);

		if (!tests[i].tagged)
			assert_null(serial);
		else
			assert_string_equal(serial, SERIAL);
	}
}

static void test_add(void **state ATTR_UNUSED)
{
	static const struct {
		const char *address, *delimiters, *tagged;
	} tests[] = {
		{ "me@example.org", "+", "me+b="SERIAL"@example.org" },
		{ "me@example.org", "-+", "me-b="SERIAL"@example.org" },
		/* 64 octets with the tag, and one more */
		{ "abcdefghijklmnopqrstuvwx@example.org", "+",
		  "abcdefghijklmnopqrstuvwx+b="SERIAL"@example.org" },
		{ "abcdefghijklmnopqrstuvwxy@example.org", "+", NULL },
		/* it has a detail */
		{ "me+x@example.org", "+", NULL },
		{ "me+b="SERIAL"@example.org", "+", NULL },
		{ "john-doe@example.org", "+-", NULL },
		/* rewritten by others */
		{ "prvs=1234abcdef=me@example.org", "+", NULL },
		{ "SRS0=abcd=AB=example.net=you@example.org", "+", NULL },
		/* needs quotes */
		{ "\"me you\"@example.org", "+", NULL },
		{ "m\303\270@example.org", "+", NULL },
		{ "me@example.org", "", NULL },
		{ "@example.org", "+", NULL },
		{ "", "+", NULL },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		const char *tagged = tag_add(tests[i].address, SERIAL,
					     tests[i].delimiters);

		if (tests[i].tagged == NULL) {
			assert_null(tagged);
			continue;
		}
		assert_string_equal(tagged, tests[i].tagged);
		assert_string_equal(tag_get_serial(tagged, tests[i].delimiters),
				    SERIAL);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_detail),
		cmocka_unit_test(test_get_serial),
		cmocka_unit_test(test_add),
	};

	return UNIT_RUN(tests);
}
