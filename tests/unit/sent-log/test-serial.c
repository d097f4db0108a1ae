/* Serials: those of fixed vectors verify for ever, issued ones verify for their
   address, and nothing else does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sent-log/serial.h"

#define DAY (24 * 3600)
#define NOW ((time_t)1700000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const ann[] = { "ann@example.org" };

static void add_key(struct serial_keys *keys, const struct serial_key *key)
{
	keys->keys[keys->count++] = *key;
}

/* A set of one new key. */
static struct serial_keys make_keys(void)
{
	struct serial_keys keys = { .count = 1 };

	assert_int_equal(serial_key_make(&keys.keys[0], NOW), 0);
	return keys;
}

static enum serial_status status_of(const struct serial_keys *keys,
				    const char *text, const char *address)
{
	struct serial_check check;

	serial_verify(keys, text, &address, 1, 0, &check);
	return check.status;
}

static void change_case(char *text)
{
	for (; *text != '\0'; text += text[1] == '\0' ? 1 : 2) {
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
	}
}

/* Fixed vectors, computed with Python's hmac, hashlib and base64. A version that
   doesn't know these any more would lose the bounces of mail that is under way:
   never change one. */

struct vector {
	/* bytes of the secret: all the same, or -1 = 0, 1, 2, ... */
	int secret;
	time_t now;
	unsigned char random[SERIAL_RANDOM_SIZE];
	const char *address;
	const char *text;
};

#define ADDRESS_50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const struct vector vectors[] = {
	{ -1, NOW, { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab }, "ann@example.org",
	  "AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEA" },
	{ -1, 0, { 0 }, "", "AFRQ2AAAAAAAAAAAAC2CPCOCCER2ZHMCVQIQ6" },
	/* UTF-8, and the last day that fits */
	{ 0xff, (time_t)65535 * DAY, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	  "j\xc3\xbcrgen@ex\xc3\xa4mple.org",
	  "AGXZN7777777777776Q3FGEQOGEODZAOQJMMQ" },
	{ 0xff, NOW, { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab },
	  ADDRESS_50 ADDRESS_50 ADDRESS_50 ADDRESS_50 ADDRESS_50 ADDRESS_50
	  "@example.org", "AGXZMTG3AERUKZ4JVNQJDS6FIJNDH2YCHWITE" },
};

static struct serial_keys vector_keys(const struct vector *vector)
{
	struct serial_keys keys = { .count = 1 };

	for (unsigned int i = 0; i < SERIAL_SECRET_SIZE; i++) {
		keys.keys[0].secret[i] = (unsigned char)(
			vector->secret >= 0 ? vector->secret : (int)i);
	}
	assert_int_equal(serial_key_set_id(&keys.keys[0]), 0);
	return keys;
}

static void test_vectors_are_issued(void **state)
{
	char text[SERIAL_TEXT_SIZE];
	(void)state;

	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct serial_keys keys = vector_keys(&vectors[i]);

		assert_int_equal(serial_issue_with(&keys.keys[0],
						   vectors[i].address,
						   vectors[i].now,
						   vectors[i].random, text),
				 0);
		assert_string_equal(text, vectors[i].text);
	}
}

static void test_vectors_verify(void **state)
{
	struct serial_check check;
	(void)state;

	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct serial_keys keys = vector_keys(&vectors[i]);

		serial_verify(&keys, vectors[i].text, &vectors[i].address, 1,
			      vectors[i].now, &check);
		assert_int_equal(check.status, SERIAL_VALID);
		assert_int_equal(check.issued,
				 vectors[i].now - vectors[i].now % DAY);
		assert_int_equal(check.key_id, keys.keys[0].id);
		assert_int_equal(check.address, 0);
	}
}

static void test_id_of_a_key(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[0]);
	(void)state;

	/* SHA-256 of the 32 bytes begins with it */
	assert_int_equal(keys.keys[0].id, 0x630d);
}

/* Their MACs are right, so only the version tells. */
static void test_other_versions(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[0]);
	(void)state;

	assert_int_equal(status_of(&keys,
				   "AJRQ2TG3AERUKZ4JVO6A5DQQHHMUHTHUC6RTC",
				   ann[0]),
			 SERIAL_BAD_FORM);
	assert_int_equal(status_of(&keys,
				   "ABRQ2TG3AERUKZ4JVMWZBQNQBNAQRGVTBTQCI",
				   ann[0]),
			 SERIAL_BAD_FORM);
}

/* Issuing */

static void test_issued_one_verifies(void **state)
{
	struct serial_keys keys = make_keys();
	char text[SERIAL_TEXT_SIZE], again[SERIAL_TEXT_SIZE];
	(void)state;

	assert_int_equal(serial_issue(&keys.keys[0], ann[0], NOW, text), 0);
	assert_int_equal(strlen(text), SERIAL_TEXT_SIZE - 1);
	assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
			 SERIAL_TEXT_SIZE - 1);
	assert_int_equal(status_of(&keys, text, ann[0]), SERIAL_VALID);
	assert_int_equal(serial_issue(&keys.keys[0], ann[0], NOW, again), 0);
	assert_string_not_equal(text, again);
}

static void test_case_is_none(void **state)
{
	struct serial_keys keys = make_keys();
	char text[SERIAL_TEXT_SIZE], normal[SERIAL_TEXT_SIZE],
		mixed[SERIAL_TEXT_SIZE];
	(void)state;

	assert_int_equal(serial_issue(&keys.keys[0], "Ann@EXAMPLE.org", NOW,
				      text),
			 0);
	memcpy(mixed, text, sizeof(mixed));
	change_case(mixed);
	assert_string_not_equal(mixed, text);
	assert_int_equal(status_of(&keys, mixed, "aNN@example.ORG"),
			 SERIAL_VALID);
	assert_true(serial_normalise(mixed, normal));
	assert_string_equal(normal, text);
}

static void test_days_that_do_not_fit(void **state)
{
	struct serial_keys keys = make_keys();
	static const struct {
		time_t now, issued;
	} tests[] = {
		{ -1, 0 },
		{ 1, 0 },
		{ DAY - 1, 0 },
		{ DAY, DAY },
		{ (time_t)65536 * DAY, (time_t)65535 * DAY },
	};
	struct serial_check check;
	char text[SERIAL_TEXT_SIZE];
	(void)state;

	for (size_t i = 0; i < COUNT(tests); i++) {
		assert_int_equal(serial_issue(&keys.keys[0], ann[0],
					      tests[i].now, text),
				 0);
		serial_verify(&keys, text, ann, 1, 0, &check);
		assert_int_equal(check.status, SERIAL_VALID);
		assert_int_equal(check.issued, tests[i].issued);
	}
}

/* Form */

static void test_bad_forms(void **state)
{
	static const char *const texts[] = {
		"",
		"A",
		/* 36 and 38 characters */
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSE",
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEAA",
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEA=",
		" AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEA",
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEA\n",
		/* none of base32's */
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSE0",
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSE1",
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSE8",
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZ CSEA",
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZ\xc3\xa4SEA",
		/* the bit too many is set */
		"AFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEB",
		/* another version */
		"BFRQ2TG3AERUKZ4JVN6K6WDAJGDMAJXZLCSEA",
		"77777777777777777777777777777777777Q",
	};
	struct serial_keys keys = vector_keys(&vectors[0]);
	char normal[SERIAL_TEXT_SIZE];
	struct serial_check check;
	(void)state;

	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_false(serial_normalise(texts[i], normal));
		serial_verify(&keys, texts[i], ann, 1, 0, &check);
		assert_int_equal(check.status, SERIAL_BAD_FORM);
		assert_int_equal(check.issued, 0);
	}
}

/* Verifying */

/* Every single changed character: wrong in one way or another. */
static void test_every_character_counts(void **state)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	struct serial_keys keys = vector_keys(&vectors[0]);
	char text[SERIAL_TEXT_SIZE];
	(void)state;

	for (size_t i = 0; i < SERIAL_TEXT_SIZE - 1; i++) {
		for (const char *digit = digits; *digit != '\0'; digit++) {
			enum serial_status status;

			memcpy(text, vectors[0].text, sizeof(text));
			if (text[i] == *digit)
				continue;
			text[i] = *digit;
			status = status_of(&keys, text, ann[0]);
			assert_true(status < SERIAL_EXPIRED);
			/* the MAC is in the last of them */
			if (i >= 18 && i < SERIAL_TEXT_SIZE - 2)
				assert_int_equal(status, SERIAL_WRONG_MAC);
		}
	}
}

static void test_other_addresses(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[0]);
	static const char *const others[] = {
		"", "ann", "bob@example.org", "ann@example.org.",
		"ann@example.orga", "ann+x@example.org", "ann@example.or",
		" ann@example.org", "ann@example.net",
	};
	struct serial_check check;
	(void)state;

	for (size_t i = 0; i < COUNT(others); i++) {
		assert_int_equal(status_of(&keys, vectors[0].text, others[i]),
				 SERIAL_WRONG_MAC);
	}
	serial_verify(&keys, vectors[0].text, others, COUNT(others), 0, &check);
	assert_int_equal(check.status, SERIAL_WRONG_MAC);
}

static void test_one_of_several_addresses(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[0]);
	static const char *const addresses[] = {
		"bob@example.org", "ann@example.net", "Ann@Example.Org",
		"ann@example.org", "eve@example.org"
	};
	struct serial_check check;
	(void)state;

	serial_verify(&keys, vectors[0].text, addresses, COUNT(addresses), 0,
		      &check);
	assert_int_equal(check.status, SERIAL_VALID);
	assert_int_equal(check.address, 2);
}

/* Without an address, or a key, nobody can say that it is forged. */
static void test_nothing_to_verify_with(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[0]);
	const struct serial_keys none = { .count = 0 };
	struct serial_check check;
	(void)state;

	serial_verify(&keys, vectors[0].text, NULL, 0, 0, &check);
	assert_int_equal(check.status, SERIAL_UNKNOWN_KEY);
	serial_verify(&none, vectors[0].text, ann, 1, 0, &check);
	assert_int_equal(check.status, SERIAL_UNKNOWN_KEY);
	assert_int_equal(check.key_id, keys.keys[0].id);
	assert_int_equal(check.issued, NOW - NOW % DAY);
}

static void test_unknown_key(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[2]);
	(void)state;

	assert_int_equal(status_of(&keys, vectors[0].text, ann[0]),
			 SERIAL_UNKNOWN_KEY);
}

static void test_several_keys(void **state)
{
	struct serial_keys keys = { .count = 0 };
	const struct serial_keys old = vector_keys(&vectors[0]);
	char text[SERIAL_TEXT_SIZE];
	(void)state;

	add_key(&keys, &vector_keys(&vectors[2]).keys[0]);
	serial_keys_add(&keys, &old);
	assert_int_equal(keys.count, 2);
	assert_int_equal(status_of(&keys, vectors[0].text, ann[0]),
			 SERIAL_VALID);
	assert_int_equal(serial_issue(&keys.keys[0], ann[0], NOW, text), 0);
	assert_int_equal(status_of(&keys, text, ann[0]), SERIAL_VALID);
	assert_int_equal(status_of(&old, text, ann[0]), SERIAL_UNKNOWN_KEY);
}

/* 16 bits: two keys of the same id happen, and either may have issued it. */
static void test_keys_of_the_same_id(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[0]);
	struct serial_key other;
	(void)state;

	assert_int_equal(serial_key_make(&other, NOW), 0);
	other.id = keys.keys[0].id;
	add_key(&keys, &other);
	assert_int_equal(status_of(&keys, vectors[0].text, ann[0]),
			 SERIAL_VALID);
	keys.keys[1] = keys.keys[0];
	keys.keys[0] = other;
	assert_int_equal(status_of(&keys, vectors[0].text, ann[0]),
			 SERIAL_VALID);
	keys.keys[1] = other;
	assert_int_equal(status_of(&keys, vectors[0].text, ann[0]),
			 SERIAL_WRONG_MAC);
}

static void test_expired(void **state)
{
	struct serial_keys keys = vector_keys(&vectors[0]);
	static const time_t day = NOW - NOW % DAY;
	static const struct {
		time_t since;
		enum serial_status status;
	} tests[] = {
		{ -1, SERIAL_VALID },
		{ 0, SERIAL_VALID },
		{ day - 1, SERIAL_VALID },
		{ day, SERIAL_VALID },
		/* issued some time on that day */
		{ day + DAY - 1, SERIAL_VALID },
		{ day + DAY, SERIAL_EXPIRED },
		{ (time_t)70000 * DAY, SERIAL_EXPIRED },
	};
	struct serial_check check;
	(void)state;

	for (size_t i = 0; i < COUNT(tests); i++) {
		serial_verify(&keys, vectors[0].text, ann, 1, tests[i].since,
			      &check);
		assert_int_equal(check.status, tests[i].status);
	}
	/* forged is forged, however old */
	serial_verify(&keys, vectors[0].text, &vectors[2].address, 1,
		      NOW + 90 * DAY, &check);
	assert_int_equal(check.status, SERIAL_WRONG_MAC);
}

/* Keys */

static void test_keys_are_random(void **state)
{
	struct serial_key one, two;
	(void)state;

	assert_int_equal(serial_key_make(&one, NOW), 0);
	assert_int_equal(serial_key_make(&two, NOW), 0);
	assert_memory_not_equal(one.secret, two.secret, SERIAL_SECRET_SIZE);
	assert_int_equal(one.created, NOW);
	assert_int_equal(one.retired, 0);
}

static void test_room_for_keys(void **state)
{
	struct serial_keys keys = { .count = SERIAL_KEYS_MAX - 1 };
	struct serial_keys more = { .count = 2 };
	static const struct serial_keys cleared;
	(void)state;

	more.keys[0].id = 1;
	more.keys[1].id = 2;
	serial_keys_add(&keys, &more);
	assert_int_equal(keys.count, SERIAL_KEYS_MAX);
	assert_int_equal(keys.keys[SERIAL_KEYS_MAX - 1].id, 1);
	serial_keys_clear(&keys);
	assert_memory_equal(&keys, &cleared, sizeof(keys));
}

static void test_status_names(void **state)
{
	(void)state;

	assert_string_equal(serial_status_name(SERIAL_BAD_FORM), "bad-form");
	assert_string_equal(serial_status_name(SERIAL_UNKNOWN_KEY),
			    "unknown-key");
	assert_string_equal(serial_status_name(SERIAL_WRONG_MAC), "wrong-address");
	assert_string_equal(serial_status_name(SERIAL_EXPIRED), "expired");
	assert_string_equal(serial_status_name(SERIAL_VALID), "valid");
	assert_string_equal(serial_status_name(SERIAL_VALID + 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_are_issued),
		cmocka_unit_test(test_vectors_verify),
		cmocka_unit_test(test_id_of_a_key),
		cmocka_unit_test(test_other_versions),
		cmocka_unit_test(test_issued_one_verifies),
		cmocka_unit_test(test_case_is_none),
		cmocka_unit_test(test_days_that_do_not_fit),
		cmocka_unit_test(test_bad_forms),
		cmocka_unit_test(test_every_character_counts),
		cmocka_unit_test(test_other_addresses),
		cmocka_unit_test(test_one_of_several_addresses),
		cmocka_unit_test(test_nothing_to_verify_with),
		cmocka_unit_test(test_unknown_key),
		cmocka_unit_test(test_several_keys),
		cmocka_unit_test(test_keys_of_the_same_id),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_keys_are_random),
		cmocka_unit_test(test_room_for_keys),
		cmocka_unit_test(test_status_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
