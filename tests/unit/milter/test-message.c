/* What is kept of a message, and what it gets; also that the milter's rules are the
   plugin's. */

#include "unit.h"
#include "message-date.h"
#include "verdict/own-addresses.h"
#include "verdict/tag.h"
#include "milter/message.h"
#include "milter/spool/spool.h"

/* Tuesday, 2023-11-14 22:13:20 UTC */
#define NOW 1700000000
#define SERIAL "AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQC"

static struct serial_keys keys;

static const struct message_settings settings = {
	.key = &keys.keys[0],
	.envid = TRUE,
	.recipient_delimiter = "+",
	.hostname = "mx.example.org",
};

static struct message from_ann(void)
{
	struct message message;

	memset(&message, 0, sizeof(message));
	message_begin(&message, "ann", "<Ann+lists@Example.org>");
	message_add_recipient(&message, "<bob@example.net>");
	return message;
}

static enum serial_status status_of(const char *serial, const char *address)
{
	struct serial_check check;

	serial_verify(&keys, serial, &address, 1, 0, &check);
	return check.status;
}

static struct message_marks
mark(const struct message *message, const struct message_settings *set)
{
	struct message_marks marks;

	assert_int_equal(message_mark(message, set, NOW, &marks), 0);
	return marks;
}

/* The envelope */

static void test_begin_again(void **state ATTR_UNUSED)
{
	struct message message = from_ann();

	message_add_field(&message, "From", "ann@example.org");
	message_add_field(&message, "Message-ID", "<a@example.org>");
	message_set_envelope_id(&message, "x");
	message_begin(&message, "bob", "<>");
	assert_string_equal(message.user, "bob");
	assert_string_equal(message.sender, "");
	assert_int_equal(message.recipient_count, 0);
	assert_int_equal(message.sender_field_count, 0);
	assert_null(message.message_id);
	assert_null(message.envelope_id);
	assert_false(message.has_message_id || message.has_envelope_id);
	message_clear(&message);
}

static void test_addresses(void **state ATTR_UNUSED)
{
	static const struct {
		const char *written, *kept;
	} tests[] = {
		{ "<ann@example.org>", "ann@example.org" },
		{ "ann@example.org", "ann@example.org" },
		{ "<\"a b>\"@example.org>", "\"a b>\"@example.org" },
		{ "<>", "" },
		{ "<", "<" },
		{ ">", ">" },
		{ "", "" },
	};
	struct message message;

	memset(&message, 0, sizeof(message));
	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		message_begin(&message, "ann", tests[i].written);
		assert_string_equal(message.sender, tests[i].kept);
	}
	message_clear(&message);
}

static void test_envelope_id(void **state ATTR_UNUSED)
{
	static const struct {
		const char *xtext, *decoded;
	} tests[] = {
		{ "QQ314159", "QQ314159" },
		{ "a+2Bb+3D", "a+b=" },
		{ "+2B", "+" },
		/* no xtext */
		{ "a+2b", NULL },
		{ "a+", NULL },
		{ "a+2", NULL },
		{ "a+0Ab", NULL },
		{ "a+00b", NULL },
		{ "a\tb", NULL },
		{ "", NULL },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		struct message message = from_ann();
		struct message_marks marks;

		message_set_envelope_id(&message, tests[i].xtext);
		if (tests[i].decoded == NULL)
			assert_null(message.envelope_id);
		else {
			assert_string_equal(message.envelope_id,
					    tests[i].decoded);
		}
		/* it stays in every case */
		marks = mark(&message, &settings);
		assert_false(marks.envid);
		message_marks_clear(&marks);
		message_clear(&message);
	}
}

static void test_bounds(void **state ATTR_UNUSED)
{
	struct message message = from_ann();
	char *large = i_malloc(MESSAGE_MAX_SENDER_BYTES + 1);

	memset(large, 'x', MESSAGE_MAX_SENDER_BYTES);
	message_add_recipient(&message, large);
	message_add_recipient(&message, "<>");
	assert_int_equal(message.recipient_count, 1);
	for (unsigned int i = 0; i < MESSAGE_MAX_RECIPIENTS + 5; i++)
		message_add_recipient(&message, "<bob@example.net>");
	assert_int_equal(message.recipient_count, MESSAGE_MAX_RECIPIENTS);

	message_set_envelope_id(&message, large);
	assert_null(message.envelope_id);
	message_add_field(&message, "Message-ID", large);
	assert_true(message.has_message_id);
	assert_null(message.message_id);

	assert_false(message.too_many_senders);
	message_add_field(&message, "From", large);
	assert_true(message.too_many_senders);
	assert_int_equal(message.sender_field_count, 0);
	for (unsigned int i = 0; i < MESSAGE_MAX_SENDER_FIELDS + 5; i++)
		message_add_field(&message, "From", "ann@example.org");
	assert_int_equal(message.sender_field_count, MESSAGE_MAX_SENDER_FIELDS);
	message_clear(&message);
	i_free(large);
}

/* The header */

static void test_message_ids(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name, *value, *kept;
	} tests[] = {
		{ "Message-ID", "<a@example.org>", "<a@example.org>" },
		{ "message-id ", "  <a@example.org> ", "<a@example.org>" },
		{ "MESSAGE-ID", "\r\n\t<a@example.org>\r\n ", "<a@example.org>" },
		{ "Message-Id", "(a\n\t b) <a@x>", "<a@x>" },
		{ "Message\001-ID", "<a@x>", "<a@x>" },
		/* what stands beside it is not read in a report either */
		{ "Message-ID", "<a@x> (von J\303\274rgen)", "<a@x>" },
		{ "Message-ID", "\r\n <a@x>\r\n\t(b)", "<a@x>" },
		{ "Message-ID", "a@x", "a@x" },
		{ "Message-ID", " \r\n\t ", NULL },
		{ "Message-ID", "", NULL },
		{ "Message-ID", "<>", NULL },
		{ "Message-ID", "<@>", NULL },
		{ "Message-ID", "<\303\244@x>", NULL },
		{ "Message-ID", "<\001@x>", NULL },
	};
	static const char *const others[] = {
		"Resent-Message-ID", "Message-I", "Message-IDs", "Message_ID",
		"", "-",
	};
	struct message message;

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		message = from_ann();
		message_add_field(&message, tests[i].name, tests[i].value);
		assert_true(message.has_message_id);
		if (tests[i].kept == NULL)
			assert_null(message.message_id);
		else
			assert_string_equal(message.message_id, tests[i].kept);
		message_clear(&message);
	}
	message = from_ann();
	for (unsigned int i = 0; i < N_ELEMENTS(others); i++)
		message_add_field(&message, others[i], "<a@example.org>");
	assert_false(message.has_message_id);
	/* the first one that can be read */
	message_add_field(&message, "Message-ID", "");
	message_add_field(&message, "Message-ID", "<1@x>");
	message_add_field(&message, "Message-ID", "<2@x>");
	assert_string_equal(message.message_id, "<1@x>");
	message_clear(&message);
}

static void test_sender_fields(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name, *value;
		bool kept;
	} tests[] = {
		{ "From", "Ann <ann@example.org>", TRUE },
		{ "SENDER", "ann@example.org", TRUE },
		{ "resent-from", "ann@example.org", TRUE },
		{ "Resent-Sender", "ann@example.org", TRUE },
		{ "Fr om", "eve@example.net", TRUE },
		/* to some readers the sender is behind the CR */
		{ "Subject", "x\rFrom: eve@example.net", TRUE },
		{ "Subject", "x\r", TRUE },
		{ "Subject\rFrom", "x", TRUE },
		{ "Subject", "x\r\n y", FALSE },
		{ "Reply-To", "eve@example.net", FALSE },
		{ "Fro", "eve@example.net", FALSE },
		{ "Froms", "eve@example.net", FALSE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		struct message message = from_ann();

		message_add_field(&message, tests[i].name, tests[i].value);
		assert_int_equal(message.sender_field_count, tests[i].kept);
		if (tests[i].kept) {
			assert_string_equal(message.sender_fields[0],
				t_strconcat(tests[i].name, ": ", tests[i].value,
					    NULL));
		}
		message_clear(&message);
	}
}

/* What it gets */

static void test_marks_of_a_bare_message(void **state ATTR_UNUSED)
{
	struct message message = from_ann();
	struct message_marks marks = mark(&message, &settings);
	time_t date;
	int timezone;

	assert_int_equal(status_of(marks.serial, "ann@example.org"),
			 SERIAL_VALID);
	assert_true(marks.envid);
	assert_null(marks.sender);
	assert_int_equal(marks.message_id[0], '<');
	assert_string_equal(strchr(marks.message_id, '@'), "@Example.org>");
	assert_string_equal(marks.logged_id, marks.message_id);
	assert_true(message_date_parse((const unsigned char *)marks.date,
				       strlen(marks.date), &date, &timezone));
	assert_int_equal(date, NOW);
	message_marks_clear(&marks);
	message_clear(&message);
}

static void test_marks_of_a_full_message(void **state ATTR_UNUSED)
{
	struct message message = from_ann();
	struct message_marks marks;
	struct sent_message row;

	message_set_envelope_id(&message, "a+2Bb");
	message_add_recipient(&message, "<Eve@example.net>");
	message_add_field(&message, "Message-ID", "<1@example.org>");
	message_add_field(&message, "Date", "Tue, 14 Nov 2023 21:00:00 +0000");
	marks = mark(&message, &settings);
	assert_null(marks.message_id);
	assert_null(marks.date);
	assert_false(marks.envid);

	message_get_row(&message, &marks, NOW, &row);
	assert_string_equal(row.user, "ann");
	assert_string_equal(row.message_id, "<1@example.org>");
	assert_string_equal(row.serial, marks.serial);
	assert_string_equal(row.envelope_id, "a+b");
	assert_int_equal(row.recipient_count, 2);
	assert_string_equal(row.recipients[0], "bob@example.net");
	assert_string_equal(row.recipients[1], "Eve@example.net");
	assert_int_equal(row.sent_at, NOW);
	assert_int_equal(row.date, NOW - 73 * 60 - 20);
	message_marks_clear(&marks);
	message_clear(&message);
}

/* It is there, so there is none to add; the row is found by the serial. */
static void test_unreadable_message_id(void **state ATTR_UNUSED)
{
	struct message message = from_ann();
	struct message_marks marks;

	message_add_field(&message, "Message-ID", " ");
	marks = mark(&message, &settings);
	assert_null(marks.message_id);
	assert_string_equal(marks.logged_id, t_strdup_printf(
		"<%s@backscatter.invalid>", marks.serial));
	message_marks_clear(&marks);
	message_clear(&message);
}

static void test_null_sender(void **state ATTR_UNUSED)
{
	struct message_settings tagging = settings;
	struct message message;
	struct message_marks marks;

	memset(&message, 0, sizeof(message));
	message_begin(&message, "ann@example.org", "<>");
	tagging.tag = TRUE;
	marks = mark(&message, &tagging);
	assert_int_equal(status_of(marks.serial, "ann@example.org"),
			 SERIAL_VALID);
	assert_true(marks.envid);
	assert_null(marks.sender);
	assert_string_equal(strchr(marks.message_id, '@'), "@mx.example.org>");
	message_marks_clear(&marks);
	message_clear(&message);
}

static void test_settings(void **state ATTR_UNUSED)
{
	struct message_settings set = settings;
	struct message message;
	struct message_marks marks;

	memset(&message, 0, sizeof(message));
	message_begin(&message, "ann", "<ann@example.org>");
	set.envid = FALSE;
	set.tag = TRUE;
	marks = mark(&message, &set);
	assert_false(marks.envid);
	assert_string_equal(marks.sender, t_strdup_printf(
		"ann+b=%s@example.org", marks.serial));
	message_marks_clear(&marks);
	/* issued at MAIL already */
	memcpy(message.serial, SERIAL, sizeof(SERIAL));
	marks = mark(&message, &set);
	assert_string_equal(marks.serial, SERIAL);
	assert_string_equal(marks.sender, "ann+b="SERIAL"@example.org");
	message_marks_clear(&marks);
	message_clear(&message);
}

/* A domain that would break out of the field is not taken over. */
static void test_strange_sender(void **state ATTR_UNUSED)
{
	struct message message;
	struct message_marks marks;

	memset(&message, 0, sizeof(message));
	message_begin(&message, "ann", "<ann@exa mple>\r\nX: y>");
	marks = mark(&message, &settings);
	assert_string_equal(strchr(marks.message_id, '@'), "@mx.example.org>");
	message_marks_clear(&marks);
	message_clear(&message);
}

/* The plugin's rules */

static const char *const addresses[] = {
	"me@example.org", "ME@Example.ORG", "me+x@example.org",
	"me+b="SERIAL"@example.org", "john-doe@example.org",
	"+x@example.org", "me+@example.org", "me@exa+mple.org", "me+x",
	"prvs=1234abcdef=me@example.org", "PRVS=1=me@example.org",
	"btv1==1==me@example.org", "SRS0=abcd=AB=example.net=you@example.org",
	"srs1=x@example.org", "srs2=x@example.org", "\"me you\"@example.org",
	"\"me+you\"@example.org", "m\303\270@example.org", "@example.org",
	"", "@", "me", "me@", "a@b@example.org", "me.you@example.org",
	"!#$%&'*/=?^_`{|}~@example.org", "me;you@example.org",
	"abcdefghijklmnopqrstuvw@example.org",
	"abcdefghijklmnopqrstuvwx@example.org",
	"abcdefghijklmnopqrstuvwxy@example.org",
};
static const char *const delimiters[] = { "+", "-", "+-", "-+", "" };

static void test_tag_is_the_plugins(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(addresses); i++) {
		for (unsigned int j = 0; j < N_ELEMENTS(delimiters); j++) {
			const char *plugins = tag_add(addresses[i], SERIAL,
						      delimiters[j]);
			char *ours = message_tagged(addresses[i], SERIAL,
						    delimiters[j]);

			if (null_strcmp(plugins, ours) != 0)
				fail_msg("%s: %s", addresses[i], ours);
			free(ours);
		}
	}
}

static void test_detail_is_the_plugins(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("own addresses", 1024);

	for (unsigned int i = 0; i < N_ELEMENTS(addresses); i++) {
		for (unsigned int j = 0; j < N_ELEMENTS(delimiters); j++) {
			struct own_addresses *own =
				own_addresses_init(pool, delimiters[j]);
			char *ours = message_address_without_detail(
				addresses[i], delimiters[j]);

			assert_string_equal(ours, own_addresses_without_detail(
				own, addresses[i]));
			free(ours);
		}
	}
	pool_unref(&pool);
}

static void test_dates_are_the_plugins(void **state ATTR_UNUSED)
{
	static const char *const dates[] = {
		"Tue, 14 Nov 2023 22:13:20 +0000",
		"14 Nov 2023 22:13:20 +0000",
		"Tue, 14 Nov 2023 22:13:20 +0530 (IST)",
		"Tue, 14 Nov 2023 22:13:20 -0830",
		"Tue, 14 Nov 2023 22:13 +0100",
		"Tue,  4 Nov 2023 22:13:20 GMT",
		"Tue, 14 Nov 99 22:13:20 +0000",
		"Thu, 29 Feb 2024 00:00:00 +0000",
		/* none */
		"", "Tue", "Tue, 14 Nov", "14 Nov 2023", "yesterday",
		"Tue, 32 Nov 2023 22:13:20 +0000",
		"Tue, 14 Nox 2023 22:13:20 +0000",
		"Tue, 14 Nov 2023 25:13:20 +0000",
		"Tue, 14 Nov 2023 22:61:20 +0000",
		"Tue, 14 Nov 2023 22-13-20 +0000",
	};

	for (unsigned int i = 0; i < N_ELEMENTS(dates); i++) {
		time_t date = 0;
		int timezone;

		if (!message_date_parse((const unsigned char *)dates[i],
					strlen(dates[i]), &date, &timezone))
			date = 0;
		if (message_parse_date(dates[i]) != date) {
			fail_msg("%s: %ld, not %ld", dates[i],
				 (long)message_parse_date(dates[i]), (long)date);
		}
	}
	/* before the epoch, or beyond all numbers */
	assert_int_equal(message_parse_date("1 Jan 1960 00:00:00 +0000"), 0);
	assert_int_equal(message_parse_date("1 Jan 99999 00:00:00 +0000"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin_again),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_envelope_id),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_message_ids),
		cmocka_unit_test(test_sender_fields),
		cmocka_unit_test(test_marks_of_a_bare_message),
		cmocka_unit_test(test_marks_of_a_full_message),
		cmocka_unit_test(test_unreadable_message_id),
		cmocka_unit_test(test_null_sender),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_strange_sender),
		cmocka_unit_test(test_tag_is_the_plugins),
		cmocka_unit_test(test_detail_is_the_plugins),
		cmocka_unit_test(test_dates_are_the_plugins),
	};

	if (serial_key_make(&keys.keys[0], NOW) < 0)
		return 1;
	keys.count = 1;
	return UNIT_RUN(tests);
}
