/* Issuing and verifying serials. Which keys and addresses a mailbox has, and what
   a serial that doesn't verify means, is left to others. */

#include "serial.h"
#include "hmac.h"

#include <string.h>
#include <unistd.h>

#define DAY_SECS (24 * 3600)
#define DAY_MAX 0xffff

/* The parts of a serial, in this order. */
#define VERSION_OFFSET 0
#define KEY_ID_OFFSET 1
#define DAY_OFFSET 3
#define RANDOM_OFFSET 5
#define MAC_OFFSET (RANDOM_OFFSET + SERIAL_RANDOM_SIZE)
#define MAC_SIZE 12
#define SERIAL_SIZE (MAC_OFFSET + MAC_SIZE)
#define TEXT_LENGTH (SERIAL_TEXT_SIZE - 1)

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static const char *const status_names[] = {
	[SERIAL_BAD_FORM] = "bad-form",
	[SERIAL_UNKNOWN_KEY] = "unknown-key",
	[SERIAL_WRONG_MAC] = "wrong-address",
	[SERIAL_EXPIRED] = "expired",
	[SERIAL_VALID] = "valid",
};

/* Bytes and text */

static uint16_t get_uint16(const unsigned char *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void put_uint16(unsigned char *bytes, uint16_t value)
{
	bytes[0] = (unsigned char)(value >> 8);
	bytes[1] = (unsigned char)value;
}

static void encode(const unsigned char bytes[SERIAL_SIZE],
		   char text_r[SERIAL_TEXT_SIZE])
{
	unsigned int pending = 0, bits = 0, next = 0;

	for (unsigned int i = 0; i < TEXT_LENGTH; i++) {
		if (bits < 5) {
			pending <<= 8;
			pending |= next < SERIAL_SIZE ? bytes[next++] : 0;
			bits += 8;
		}
		bits -= 5;
		text_r[i] = base32[pending >> bits & 0x1f];
	}
	text_r[TEXT_LENGTH] = '\0';
}

/* Returns -1 if it is none of base32's. */
static int digit_value(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a';
	if (digit >= '2' && digit <= '7')
		return digit - '2' + 26;
	return -1;
}

/* The one bit too many is zero, so a serial has a single text. */
static bool decode(const char *text, unsigned char bytes_r[SERIAL_SIZE])
{
	unsigned int pending = 0, bits = 0, next = 0;

	for (unsigned int i = 0; i < TEXT_LENGTH; i++) {
		int value = digit_value(text[i]);

		if (value < 0)
			return false;
		pending = pending << 5 | (unsigned int)value;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			bytes_r[next++] = (unsigned char)(pending >> bits);
		}
	}
	return text[TEXT_LENGTH] == '\0' &&
	       (pending & ((1U << bits) - 1)) == 0 &&
	       bytes_r[VERSION_OFFSET] == SERIAL_VERSION;
}

/* docs/design.md, section 8: at least a version, a key id, a day and 80 bits of MAC. */
#define SERIAL_LENGTH_MIN 32
#define SERIAL_LENGTH_MAX 38

bool serial_is_well_formed(const char *text)
{
	size_t length;

	for (length = 0; text[length] != '\0'; length++) {
		if (length == SERIAL_LENGTH_MAX || digit_value(text[length]) < 0)
			return false;
	}
	return length >= SERIAL_LENGTH_MIN;
}

bool serial_normalise(const char *text, char text_r[SERIAL_TEXT_SIZE])
{
	unsigned char bytes[SERIAL_SIZE];

	if (!decode(text, bytes))
		return false;
	encode(bytes, text_r);
	return true;
}

/* Keys */

int serial_key_set_id(struct serial_key *key)
{
	unsigned char digest[SHA256_SIZE];

	if (sha256(key->secret, sizeof(key->secret), digest) < 0)
		return -1;
	key->id = get_uint16(digest);
	return 0;
}

int serial_key_make(struct serial_key *key_r, time_t now)
{
	memset(key_r, 0, sizeof(*key_r));
	key_r->created = now;
	if (getentropy(key_r->secret, sizeof(key_r->secret)) < 0)
		return -1;
	return serial_key_set_id(key_r);
}

void serial_keys_add(struct serial_keys *keys, const struct serial_keys *more)
{
	for (size_t i = 0; i < more->count && keys->count < SERIAL_KEYS_MAX;
	     i++)
		keys->keys[keys->count++] = more->keys[i];
}

void serial_keys_clear(struct serial_keys *keys)
{
	explicit_bzero(keys, sizeof(*keys));
}

/* The MAC */

static int update_lower(EVP_MAC_CTX *mac, const char *address)
{
	unsigned char lower[256];
	size_t size;

	for (; *address != '\0'; address += size) {
		for (size = 0; size < sizeof(lower) && address[size] != '\0';
		     size++) {
			char c = address[size];

			/* whatever the locale */
			lower[size] = (unsigned char)(c >= 'A' && c <= 'Z' ?
							      c - 'A' + 'a' :
							      c);
		}
		if (hmac_sha256_add(mac, lower, size) < 0)
			return -1;
	}
	return 0;
}

static int make_mac(EVP_MAC_CTX *mac, const struct serial_key *key,
		    const unsigned char bytes[SERIAL_SIZE],
		    const char *address, unsigned char mac_r[MAC_SIZE])
{
	unsigned char digest[SHA256_SIZE];

	if (hmac_sha256_begin(mac, key->secret, sizeof(key->secret)) < 0 ||
	    hmac_sha256_add(mac, bytes, MAC_OFFSET) < 0 ||
	    update_lower(mac, address) < 0 ||
	    hmac_sha256_end(mac, digest) < 0)
		return -1;
	memcpy(mac_r, digest, MAC_SIZE);
	explicit_bzero(digest, sizeof(digest));
	return 0;
}

/* Issuing */

static uint16_t day_of(time_t now)
{
	if (now < 0)
		return 0;
	return now / DAY_SECS > DAY_MAX ? DAY_MAX : (uint16_t)(now / DAY_SECS);
}

int serial_issue_with(const struct serial_key *key, const char *address,
		      time_t now,
		      const unsigned char random[SERIAL_RANDOM_SIZE],
		      char text_r[SERIAL_TEXT_SIZE])
{
	EVP_MAC_CTX *mac = hmac_sha256_new(key->secret, sizeof(key->secret));
	unsigned char bytes[SERIAL_SIZE];
	int ret;

	if (mac == NULL)
		return -1;
	bytes[VERSION_OFFSET] = SERIAL_VERSION;
	put_uint16(bytes + KEY_ID_OFFSET, key->id);
	put_uint16(bytes + DAY_OFFSET, day_of(now));
	memcpy(bytes + RANDOM_OFFSET, random, SERIAL_RANDOM_SIZE);
	ret = make_mac(mac, key, bytes, address, bytes + MAC_OFFSET);
	if (ret == 0)
		encode(bytes, text_r);
	hmac_sha256_free(mac);
	return ret;
}

int serial_issue(const struct serial_key *key, const char *address, time_t now,
		 char text_r[SERIAL_TEXT_SIZE])
{
	unsigned char random[SERIAL_RANDOM_SIZE];

	if (getentropy(random, sizeof(random)) < 0)
		return -1;
	return serial_issue_with(key, address, now, random, text_r);
}

/* Verifying */

/* Compares with all addresses, found or not. Returns 1 and the first of them, 0,
   or -1 if OpenSSL fails. */
static int find_address(const struct serial_key *key,
			const unsigned char bytes[SERIAL_SIZE],
			const char *const *addresses, size_t count,
			size_t *address_r)
{
	EVP_MAC_CTX *mac = hmac_sha256_new(key->secret, sizeof(key->secret));
	unsigned char expected[MAC_SIZE];
	int ret = 0;

	if (mac == NULL)
		return -1;
	for (size_t i = 0; i < count && ret >= 0; i++) {
		if (make_mac(mac, key, bytes, addresses[i], expected) < 0)
			ret = -1;
		else if (bytes_are_equal(expected, bytes + MAC_OFFSET,
					 MAC_SIZE) && ret == 0) {
			*address_r = i;
			ret = 1;
		}
	}
	explicit_bzero(expected, sizeof(expected));
	hmac_sha256_free(mac);
	return ret;
}

/* Two keys may have the same id. */
static enum serial_status find_key(const struct serial_keys *keys,
				   const unsigned char bytes[SERIAL_SIZE],
				   const char *const *addresses, size_t count,
				   struct serial_check *check)
{
	bool found = false, wrong = false, failed = false;

	for (size_t i = 0; i < keys->count; i++) {
		size_t address = 0;
		int ret;

		if (keys->keys[i].id != check->key_id)
			continue;
		ret = find_address(&keys->keys[i], bytes, addresses, count,
				   &address);
		if (ret > 0 && !found)
			check->address = address;
		found = found || ret > 0;
		wrong = wrong || ret == 0;
		failed = failed || ret < 0;
	}
	if (found)
		return SERIAL_VALID;
	/* what could not be compared is not called forged */
	return wrong && !failed ? SERIAL_WRONG_MAC : SERIAL_UNKNOWN_KEY;
}

void serial_verify(const struct serial_keys *keys, const char *text,
		   const char *const *addresses, size_t address_count,
		   time_t since, struct serial_check *check_r)
{
	unsigned char bytes[SERIAL_SIZE];
	uint16_t day;

	memset(check_r, 0, sizeof(*check_r));
	check_r->status = SERIAL_BAD_FORM;
	if (!decode(text, bytes))
		return;

	day = get_uint16(bytes + DAY_OFFSET);
	check_r->issued = (time_t)day * DAY_SECS;
	check_r->key_id = get_uint16(bytes + KEY_ID_OFFSET);
	check_r->status = SERIAL_UNKNOWN_KEY;
	if (address_count > 0) {
		check_r->status = find_key(keys, bytes, addresses,
					   address_count, check_r);
	}
	if (check_r->status == SERIAL_VALID && day < day_of(since))
		check_r->status = SERIAL_EXPIRED;
}

const char *serial_status_name(enum serial_status status)
{
	return (size_t)status < sizeof(status_names) / sizeof(status_names[0]) ?
		       status_names[status] : "unknown";
}
