/* plugin/text/: fields of a header block, and what may be shown. */

#include "unit.h"
#include "str.h"
#include "text/text.h"

/* What lies in a block: name=value, one after the other. */
static const struct {
	const char *block;
	const char *fields;
} blocks[] = {
	{ "", "" },
	{ "A: b\n", "A= b|" },
	{ "A: b", "A= b|" },
	{ "A:\r\nB:c\r\n", "A=|B=c|" },
	{ "A: b\r\n c\r\n\td\r\nE: f\r\n", "A= b\r\n c\r\n\td|E= f|" },
	{ "A \t: b\n", "A= b|" },
	{ " A: b\nC: d\n", "A= b|C= d|" },
	{ "From x\nA: b\n", "A= b|" },
	{ "A: b\n\nC: d\n", "A= b|" },
	{ "A: b\r\n\r\nC: d\n", "A= b|" },
	{ "A: b\n\r", "A= b|" },
	{ ": b\n", "= b|" },
	{ "A:\r", "A=|" },
};

static void test_fields(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(blocks); i++) {
		const unsigned char *block = (const void *)blocks[i].block;
		struct header_fields fields = {
			block, block + strlen(blocks[i].block)
		};
		struct header_field field;
		string_t *found = t_str_new(64);
		size_t size;

		while (header_fields_next(&fields, &field)) {
			const unsigned char *name = header_field_name(&field, &size);

			str_append_data(found, name, size);
			str_append_c(found, '=');
			str_append_data(found, field.value, field.value_size);
			str_append_c(found, '|');
		}
		assert_string_equal(str_c(found), blocks[i].fields);
	}
}

/* A part of a block: its end comes later. */
static void test_end_of_a_part(void **state ATTR_UNUSED)
{
	const unsigned char *block = (const void *)"A: b\n c\nD";
	const unsigned char *line = block;

	for (size_t size = 0; size < 8; size++)
		assert_null(header_field_end(&line, block + size, FALSE));
	assert_null(header_field_end(&line, block + 8, FALSE));
	assert_ptr_equal(header_field_end(&line, block + 9, FALSE), block + 8);
	line = block;
	assert_ptr_equal(header_field_end(&line, block + 4, TRUE), block + 4);
}

static void test_names(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name;
		size_t size;
		bool is;
	} names[] = {
		{ "Received", 8, TRUE },
		{ " \treceived \t", 12, TRUE },
		{ "Received\0junk", 13, TRUE },
		{ "Receive", 7, FALSE },
		{ "Received2", 9, FALSE },
		{ "Re\0ceived", 9, FALSE },
		{ "", 0, FALSE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(names); i++) {
		const struct header_field field = {
			.name = (const void *)names[i].name,
			.name_size = names[i].size
		};

		if (header_field_is(&field, "Received") != names[i].is)
			fail_msg("%s", names[i].name);
	}
}

static void test_printable(void **state ATTR_UNUSED)
{
	static const struct {
		const char *text;
		size_t max;
		const char *unwanted, *shown;
	} texts[] = {
		{ "plain ~", SIZE_MAX, "", "plain ~" },
		{ "plain", 3, "", "pla" },
		{ "plain", 0, "", "" },
		{ "a\r\nb\x7f", SIZE_MAX, "", "a??b?" },
		{ "a(b) c", SIZE_MAX, "() ", "a?b??c" },
		{ "j\xc3\xb6rg \xe2\x82\xac", SIZE_MAX, "", "j?rg ?" },
		/* no byte goes without a trace */
		{ "a\x80" "b\xbf\xbf", SIZE_MAX, "", "a?b?" },
		{ "\x80", SIZE_MAX, "", "?" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(texts); i++) {
		assert_string_equal(text_printable(texts[i].text, texts[i].max,
						   texts[i].unwanted),
				    texts[i].shown);
	}
}

static void test_is_printable(void **state ATTR_UNUSED)
{
	assert_true(text_is_printable("plain ~", 7));
	assert_true(text_is_printable("", 0));
	assert_false(text_is_printable("plain ~", 6));
	assert_false(text_is_printable("a\tb", 9));
	assert_false(text_is_printable("a\x7f", 9));
	assert_false(text_is_printable("\xc3\xb6", 9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_end_of_a_part),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_is_printable),
	};

	return UNIT_RUN(tests);
}
