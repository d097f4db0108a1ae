/* What stands in the file instead of Message-IDs and addresses: the first 128
   bits of HMAC-SHA256 under the key of this file, over the kind and the value. */

#include "sent-log-private.h"
#include "hmac-sha256.h"

#include <stdio.h>
#include <string.h>

/* Part of the file format: they keep a Message-ID that looks like an address
   from being taken for one. */
static const char *const hash_kind_names[] = {
	[SENT_LOG_HASH_MESSAGE_ID] = "message-id",
	[SENT_LOG_HASH_ENVELOPE_ID] = "envelope-id",
	[SENT_LOG_HASH_SERIAL] = "serial",
	[SENT_LOG_HASH_COPY] = "copy",
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
		return sent_log_fail(log, "OpenSSL has no HMAC-SHA256");
	return 0;
}

void sent_log_hash_deinit(struct sent_log *log)
{
	EVP_MAC_CTX_free(log->mac);
	log->mac = NULL;
}

static int hash_bytes(struct sent_log *log, enum sent_log_hash_kind kind,
		      const char *value, size_t size,
		      struct sent_log_hash *hash_r)
{
	const char *name = hash_kind_names[kind];
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t digest_size;

	/* with its NUL, so that no name and value run into each other */
	if (EVP_MAC_init(log->mac, log->key, sizeof(log->key), NULL) != 1 ||
	    EVP_MAC_update(log->mac, (const unsigned char *)name,
			   strlen(name) + 1) != 1 ||
	    EVP_MAC_update(log->mac, (const unsigned char *)value, size) != 1 ||
	    EVP_MAC_final(log->mac, digest, &digest_size, sizeof(digest)) != 1)
		return sent_log_fail(log, "HMAC-SHA256 failed in OpenSSL");

	memcpy(hash_r->bytes, digest, sizeof(hash_r->bytes));
	return 0;
}

int sent_log_hash(struct sent_log *log, enum sent_log_hash_kind kind,
		  const char *value, struct sent_log_hash *hash_r)
{
	return hash_bytes(log, kind, value, strlen(value), hash_r);
}

int sent_log_hash_identity(struct sent_log *log,
			   const struct sent_log_identity *identity,
			   struct sent_log_hash *hash_r)
{
	static const enum sent_log_hash_kind kinds[] = {
		[SENT_LOG_IDENTITY_MESSAGE_ID] = SENT_LOG_HASH_MESSAGE_ID,
		[SENT_LOG_IDENTITY_ENVELOPE_ID] = SENT_LOG_HASH_ENVELOPE_ID,
		[SENT_LOG_IDENTITY_SERIAL] = SENT_LOG_HASH_SERIAL,
		[SENT_LOG_IDENTITY_COPY] = SENT_LOG_HASH_COPY,
	};

	return sent_log_hash(log, kinds[identity->kind], identity->value,
			     hash_r);
}

int sent_log_hash_identities(struct sent_log *log,
			     const struct sent_log_identity *identities,
			     size_t identity_count,
			     struct sent_log_hash *hashes_r,
			     enum sent_log_identity_kind *kinds_r)
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
		if (kinds_r != NULL)
			kinds_r[count] = identities[i].kind;
		count++;
	}
	return count;
}

int sent_log_hash_domain(struct sent_log *log, const char *address,
			 struct sent_log_hash *hash_r)
{
	const char *at = strrchr(address, '@');

	if (at == NULL || at[1] == '\0')
		return 0;
	if (sent_log_hash(log, SENT_LOG_HASH_DOMAIN, at + 1, hash_r) < 0)
		return -1;
	return 1;
}

void sent_log_hash_text(const void *bytes, size_t size,
			char text_r[SENT_LOG_HASH_TEXT_SIZE])
{
	const unsigned char *hash = bytes;

	text_r[0] = '\0';
	for (size_t i = 0; i < size && i < SENT_LOG_HASH_SIZE; i++)
		(void)snprintf(text_r + 2 * i, 3, "%02x", hash[i]);
}

static int identity_hash(struct sent_log *log,
			 const struct sent_log_identity *identity,
			 char text_r[SENT_LOG_HASH_TEXT_SIZE])
{
	struct sent_log_hash hash;

	if (sent_log_file_open(log) < 0 ||
	    sent_log_hash_identity(log, identity, &hash) < 0)
		return -1;
	sent_log_hash_text(hash.bytes, sizeof(hash.bytes), text_r);
	return 1;
}

int sent_log_identity_hash(struct sent_log *log,
			   const struct sent_log_identity *identity,
			   char text_r[SENT_LOG_HASH_TEXT_SIZE],
			   const char **error_r)
{
	text_r[0] = '\0';
	sent_log_call_begin(log, 0);
	return sent_log_call_end(log, identity_hash(log, identity, text_r),
				 error_r);
}
