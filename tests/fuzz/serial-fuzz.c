/* libFuzzer target for serials and for tags in addresses. Built with
   clang -fsanitize=fuzzer,address,undefined together with plugin/sent-log/'s
   serial.c and plugin/verdict/tag.c; the seeds are in serial-seeds/.

   Beside what the sanitizers find it checks what serial.h and tag.h promise. */

#include "lib.h"
#include "sent-log/serial.h"
#include "verdict/tag.h"

#include <ctype.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1700000000
#define ISSUED_FOR "ann@example.org"
static const char *const addresses[] = { "bob@example.org", ISSUED_FOR };

/* The key of the first vector in tests/unit/sent-log/test-serial.c, and what it issued. */
static struct serial_keys keys;
static char issued[SERIAL_TEXT_SIZE];

static enum serial_status verify(const char *text)
{
	struct serial_check check;

	serial_verify(&keys, text, addresses, N_ELEMENTS(addresses), 0, &check);
	i_assert(check.status != SERIAL_EXPIRED);
	i_assert(check.status != SERIAL_VALID || check.address == 1);
	i_assert(check.status != SERIAL_BAD_FORM || check.issued == 0);
	return check.status;
}

/* Any text: one form for each serial, and only what the key issued is valid. */
static void check_text(const char *text)
{
	char normal[SERIAL_TEXT_SIZE], again[SERIAL_TEXT_SIZE];
	enum serial_status status = verify(text);

	if (!serial_normalise(text, normal)) {
		i_assert(status == SERIAL_BAD_FORM);
		return;
	}
	i_assert(status != SERIAL_BAD_FORM);
	i_assert(strlen(text) == SERIAL_TEXT_SIZE - 1);
	i_assert(strcasecmp(text, normal) == 0);
	i_assert(serial_normalise(normal, again));
	i_assert(strcmp(normal, again) == 0);
	i_assert(verify(normal) == status);
	i_assert((status == SERIAL_VALID) == (strcmp(normal, issued) == 0));
}

/* The issued serial, with pairs of bytes as place and new character. */
static void check_mutated(const uint8_t *data, size_t size)
{
	char text[SERIAL_TEXT_SIZE];

	memcpy(text, issued, sizeof(text));
	for (size_t i = 0; i + 1 < size; i += 2)
		text[data[i] % (SERIAL_TEXT_SIZE - 1)] = (char)data[i + 1];
	check_text(text);
	i_assert(strcasecmp(text, issued) == 0 || verify(text) != SERIAL_VALID);
}

/* The issued serial, a bit of the input for the case of each character. */
static void check_case(const uint8_t *data, size_t size)
{
	char text[SERIAL_TEXT_SIZE];

	memcpy(text, issued, sizeof(text));
	for (size_t i = 0; i < SERIAL_TEXT_SIZE - 1 && i / 8 < size; i++) {
		if ((data[i / 8] >> (i % 8) & 1) != 0)
			text[i] = i_tolower(text[i]);
	}
	i_assert(verify(text) == SERIAL_VALID);
}

/* Issued for this address, it verifies for this address. */
static void check_issued(const char *address)
{
	static const unsigned char random[SERIAL_RANDOM_SIZE];
	char text[SERIAL_TEXT_SIZE];
	struct serial_check check;

	i_assert(serial_issue_with(&keys.keys[0], address, NOW, random,
				   text) == 0);
	serial_verify(&keys, text, &address, 1, NOW, &check);
	i_assert(check.status == SERIAL_VALID);
}

static void check_tag(const char *address, const char *delimiters)
{
	const char *serial = tag_get_serial(address, delimiters);
	const char *tagged = tag_add(address, issued, delimiters);

	if (serial != NULL)
		i_assert(verify(serial) != SERIAL_BAD_FORM);
	if (tagged == NULL)
		return;
	i_assert(serial == NULL);
	serial = tag_get_serial(tagged, delimiters);
	i_assert(serial != NULL && verify(serial) == SERIAL_VALID);
	i_assert(strrchr(tagged, '@') - tagged <= 64);
	/* never twice */
	i_assert(tag_add(tagged, issued, delimiters) == NULL);
}

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	static const unsigned char random[SERIAL_RANDOM_SIZE] = {
		0x01, 0x23, 0x45, 0x67, 0x89, 0xab
	};

	lib_init();
	for (unsigned int i = 0; i < SERIAL_SECRET_SIZE; i++)
		keys.keys[0].secret[i] = i;
	keys.count = 1;
	i_assert(serial_key_set_id(&keys.keys[0]) == 0);
	i_assert(serial_issue_with(&keys.keys[0], ISSUED_FOR, NOW, random,
				   issued) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	T_BEGIN {
		const char *text = t_strndup(data, size);

		check_text(text);
		check_mutated(data, size);
		check_case(data, size);
		check_issued(text);
		check_tag(text, "+");
		check_tag(text, "-+");
	} T_END;
	return 0;
}
