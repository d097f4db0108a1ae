/* What stands in the file instead of Message-IDs and addresses: the first bits
   of HMAC-SHA256 under the key of this file, over the kind and the value. */

#include "sent-log-private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Part of the file format: they keep a Message-ID that looks like an address
   from being taken for one. */
static const char *const hash_kind_names[] = {
	[SENT_LOG_IDENTITY_MESSAGE_ID] = "message-id",
	[SENT_LOG_IDENTITY_ENVELOPE_ID] = "envelope-id",
	[SENT_LOG_IDENTITY_SERIAL] = "serial",
	[SENT_LOG_IDENTITY_COPY] = "copy",
	[SENT_LOG_HASH_ADDRESS] = "address",
	[SENT_LOG_HASH_DOMAIN] = "domain",
	[SENT_LOG_HASH_OWNER_NAME] = "owner-name",
	[SENT_LOG_HASH_OWNER_MAIL] = "owner-mail",
	[SENT_LOG_HASH_MAILBOX] = "mailbox",
};

int sent_log_hash_init(struct sent_log *log)
{
	sent_log_hash_deinit(log);
	log->mac = hmac_sha256_new(log->key, sizeof(log->key));
	if (log->mac == NULL)
		return store_fail(log->store, "OpenSSL has no HMAC-SHA256");
	return 0;
}

void sent_log_hash_deinit(struct sent_log *log)
{
	hmac_sha256_free(log->mac);
	log->mac = NULL;
}

int sent_log_hash(struct sent_log *log, unsigned int kind, const char *value,
		  struct sent_log_hash *hash_r)
{
	const char *name = hash_kind_names[kind];
	unsigned char digest[SHA256_SIZE];

	/* with its NUL, so that no name and value run into each other */
	if (hmac_sha256_begin(log->mac, log->key, sizeof(log->key)) < 0 ||
	    hmac_sha256_add(log->mac, name, strlen(name) + 1) < 0 ||
	    hmac_sha256_add(log->mac, value, strlen(value)) < 0 ||
	    hmac_sha256_end(log->mac, digest) < 0)
		return store_fail(log->store, "HMAC-SHA256 failed in OpenSSL");

	memcpy(hash_r->bytes, digest, sizeof(hash_r->bytes));
	return 0;
}

/* What fits an integer of SQLite's. Two that collide make a report find what is
   not its own, so at worst it is delivered: with a million rows that happens once
   in 10^12 lookups. Nobody without the key can bring it about. */
#define IDENTITY_BITS 61
#define DOMAIN_BITS 48

static int hash_int(struct sent_log *log, unsigned int kind, const char *value,
		    unsigned int bits, int64_t *hash_r)
{
	struct sent_log_hash hash;
	uint64_t number = 0;

	if (sent_log_hash(log, kind, value, &hash) < 0)
		return -1;
	for (unsigned int i = 0; i < sizeof(number); i++)
		number = number << 8 | hash.bytes[i];
	number >>= 64 - bits;
	/* 0 stands for none */
	*hash_r = number == 0 ? 1 : (int64_t)number;
	return 0;
}

int sent_log_hash_identity(struct sent_log *log,
			   const struct sent_log_identity *identity,
			   int64_t *hash_r)
{
	if (hash_int(log, identity->kind, identity->value, IDENTITY_BITS,
		     hash_r) < 0)
		return -1;
	*hash_r |= (int64_t)identity->kind << IDENTITY_BITS;
	return 0;
}

int sent_log_hash_identities(struct sent_log *log,
			     const struct sent_log_identity *identities,
			     size_t identity_count, int64_t *hashes_r)
{
	int count = 0;

	for (size_t i = 0; i < identity_count &&
			   count < SENT_LOG_MAX_IDENTITIES; i++) {
		if (identities[i].value == NULL ||
		    identities[i].value[0] == '\0')
			continue;
		if (sent_log_hash_identity(log, &identities[i],
					   &hashes_r[count]) < 0)
			return -1;
		count++;
	}
	return count;
}

int sent_log_hash_address(struct sent_log *log, const char *address,
			  int64_t *hash_r)
{
	return hash_int(log, SENT_LOG_HASH_ADDRESS, address, 64, hash_r);
}

int sent_log_hash_domain(struct sent_log *log, const char *address,
			 int64_t *hash_r)
{
	const char *at = strrchr(address, '@');

	*hash_r = 0;
	if (at == NULL || at[1] == '\0')
		return 0;
	return hash_int(log, SENT_LOG_HASH_DOMAIN, at + 1, DOMAIN_BITS, hash_r);
}

void sent_log_hash_text(int64_t hash, char text_r[SENT_LOG_HASH_TEXT_SIZE])
{
	(void)snprintf(text_r, SENT_LOG_HASH_TEXT_SIZE, "%016" PRIx64,
		       (uint64_t)hash);
}
