/* plugin/spf/spf-forged.c: which fields speak in our name. */

#include "unit.h"
#include "spf/spf-forged.h"

#define ID "delivery.mx.test"
#define HOST "mx.test"

static const struct spf_own_names own = { ID, HOST };
static const struct spf_own_names no_received_spf = { ID, NULL };
static const struct spf_own_names nothing = { NULL, NULL };

static const struct {
	const char *name, *value;
	/* to whom it speaks in our name */
	bool to_own, to_no_received_spf;
} fields[] = {
#define AR "Authentication-Results"
	{ AR, " " ID "; spf=pass", TRUE, TRUE },
	{ "AUTHENTICATION-results \t", " " ID "; spf=pass", TRUE, TRUE },
	{ "\tAuthentication-Re\x01sults\v", " " ID "; spf=pass", TRUE, TRUE },
	{ AR, " other.test; spf=pass", FALSE, FALSE },
	{ AR, " other.test; " ID "; spf=pass", TRUE, TRUE },
	{ AR, " other.test; (" ID, TRUE, TRUE },
	{ AR, "\r\n\tother.test;\r\n\tspf=pass (" ID ")", TRUE, TRUE },
	{ AR, "", FALSE, FALSE },
	{ AR, " delivery.", FALSE, FALSE },
	{ AR, " other.test", FALSE, FALSE },
	{ AR, " (x; y) other.test; spf=pass", FALSE, FALSE },
	{ "X-" AR, " " ID "; spf=pass", FALSE, FALSE },
	{ "ARC-" AR, " i=1; " ID "; spf=pass", FALSE, FALSE },
	{ "Received-SPF", " pass (" HOST ": x)", TRUE, FALSE },
	{ "received-spf", " pass\r\n\treceiver=" HOST, TRUE, FALSE },
	{ "received-spf", " pass", FALSE, FALSE },
	{ "Received-SPF", " pass receiver=other.test; helo=" HOST, FALSE, FALSE },
	{ "Received", " from " HOST, FALSE, FALSE },
	{ "", "", FALSE, FALSE },
};

static bool
is_forged(unsigned int i, const struct spf_own_names *names)
{
	return spf_forged_is(fields[i].name, strlen(fields[i].name),
			     fields[i].value, strlen(fields[i].value), names);
}

static void test_fields(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(fields); i++) {
		if (is_forged(i, &own) != fields[i].to_own ||
		    is_forged(i, &no_received_spf) !=
		    fields[i].to_no_received_spf ||
		    is_forged(i, &nothing))
			fail_msg("%s:%s", fields[i].name, fields[i].value);
	}
}

static void test_nul_in_name(void **state ATTR_UNUSED)
{
	static const char names[][32] = {
		"Authentication-Results\0x", "Authentication\0-Results",
		"\0Authentication-Results",
	};
	static const char value[] = " " ID "; spf=pass";

	for (unsigned int i = 0; i < N_ELEMENTS(names); i++) {
		assert_true(spf_forged_is(names[i], 24, value, strlen(value),
					  &own));
		assert_true(spf_forged_may_be(names[i], 24));
	}
}

static void test_may_be(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(fields); i++) {
		if (fields[i].to_own)
			assert_true(spf_forged_may_be(fields[i].name,
						      strlen(fields[i].name)));
	}
	assert_false(spf_forged_may_be("Received", 8));
	assert_false(spf_forged_may_be("Authentication-Result", 21));
	assert_false(spf_forged_may_be("", 0));
}

#define OURS "Authentication-Results:\r\n\t" ID "; spf=pass\r\n"
#define OURS_TOO "Received-SPF: pass receiver=" HOST "\r\n"
#define OTHERS "Authentication-Results: other.test; spf=pass\r\n"
#define OTHERS_TOO "Received-SPF: pass receiver=other.test\r\n"
#define SUBJECT "Subject: " ID "\r\n"

static const struct {
	const char *header;
	bool found;
} headers[] = {
	{ "", FALSE },
	{ SUBJECT "\r\n", FALSE },
	{ OTHERS OTHERS_TOO "\r\n", FALSE },
	{ OURS "\r\n", TRUE },
	{ SUBJECT OURS OTHERS OURS_TOO SUBJECT OURS, TRUE },
	{ OTHERS "authentication-results :\tother.test;\r\n spf=none\r\n (x, "
	  "DELIVERY.\r\n mx.test; spf=pass)\r\n" OTHERS, TRUE },
	{ OTHERS_TOO OURS_TOO "\r\n", TRUE },
	{ OTHERS_TOO "\r\n" OURS, FALSE },
};

static void test_headers(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(headers); i++) {
		const char *header = headers[i].header;

		assert_int_equal(spf_forged_find(header, strlen(header), &own),
				 headers[i].found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_nul_in_name),
		cmocka_unit_test(test_may_be),
		cmocka_unit_test(test_headers),
	};

	return UNIT_RUN(tests);
}
