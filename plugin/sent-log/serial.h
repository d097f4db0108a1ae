#ifndef SERIAL_H
#define SERIAL_H

/* Serials (docs/design.md, section 8): what a message takes along when it leaves, and
   a report brings back. They verify by themselves, with the key alone. Knows
   libc and OpenSSL; touches no file.

   23 bytes, written as 37 characters of base32 (RFC 4648, section 6, without
   padding; issued in upper case, read in any): short enough for ENVID (RFC 3461,
   4.4) and for the local part of an address.

     1  version, SERIAL_VERSION
     2  key id: the first 16 bits of SHA-256(secret)
     2  day of issue: days since the epoch, UTC, big-endian
     6  random
    12  MAC: the first 96 bits of HMAC-SHA256(secret, the 11 bytes before, and
        the return address)

   The return address is the sender's in MAIL FROM, lower-case and without
   +detail. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define SERIAL_VERSION 1
/* with the NUL */
#define SERIAL_TEXT_SIZE 38
#define SERIAL_SECRET_SIZE 32
/* More than anybody rotates within a retention; the oldest are left out. */
#define SERIAL_KEYS_MAX 64

struct serial_key {
	uint16_t id;
	unsigned char secret[SERIAL_SECRET_SIZE];
	time_t created;
	/* when another took its place; 0 = in use */
	time_t retired;
};

/* Keys that one mailbox can verify with. */
struct serial_keys {
	struct serial_key keys[SERIAL_KEYS_MAX];
	size_t count;
};

/* In this order: of several candidates the best one counts. */
enum serial_status {
	/* not a serial at all, or of another version */
	SERIAL_BAD_FORM = 0,
	SERIAL_UNKNOWN_KEY,
	/* forged, or issued for another address */
	SERIAL_WRONG_MAC,
	/* verifies, but was issued before the retention */
	SERIAL_EXPIRED,
	SERIAL_VALID,
};

/* A new random key, in use from now on. Returns 0, or -1 if OpenSSL fails. */
int serial_key_make(struct serial_key *key_r, time_t now);
/* Sets key->id from key->secret. Returns 0, or -1 if OpenSSL fails. */
int serial_key_set_id(struct serial_key *key);
/* Adds the keys of another set, as far as there is room. */
void serial_keys_add(struct serial_keys *keys, const struct serial_keys *more);
/* Overwrites the secrets. */
void serial_keys_clear(struct serial_keys *keys);

/* Issues a serial for a message that is sent now with this return address (any
   case, without detail). Returns 0, or -1 if OpenSSL fails. */
int serial_issue(const struct serial_key *key, const char *address, time_t now,
		 char text_r[SERIAL_TEXT_SIZE]);

/* The length and alphabet of a serial, of whatever version: a later one may be as long
   as ENVID has room for. */
bool serial_is_well_formed(const char *text);

/* Writes the serial in its one canonical form (upper case), as it is logged.
   Returns false if text is no serial of ours. */
bool serial_normalise(const char *text, char text_r[SERIAL_TEXT_SIZE]);

struct serial_check {
	enum serial_status status;
	/* the first second of the day of issue; 0 if the form is bad */
	time_t issued;
	uint16_t key_id;
	/* index into addresses of the one that it was issued for, if it verifies */
	size_t address;
};

/* Verifies text against every address, with every key of its id; the time that
   it takes doesn't tell which of them came close. Rows of the sent log are not
   looked at. since: serials issued before that day are expired. What can't be
   compared (no address, OpenSSL fails) counts as of an unknown key. */
void serial_verify(const struct serial_keys *keys, const char *text,
		   const char *const *addresses, size_t address_count,
		   time_t since, struct serial_check *check_r);

/* "bad-form", "unknown-key", ... as doveadm prints it */
const char *serial_status_name(enum serial_status status);

/* For tests: serial_issue() with these bytes in place of random ones. */
#define SERIAL_RANDOM_SIZE 6
int serial_issue_with(const struct serial_key *key, const char *address,
		      time_t now,
		      const unsigned char random[SERIAL_RANDOM_SIZE],
		      char text_r[SERIAL_TEXT_SIZE]);

#endif
