#ifndef HMAC_H
#define HMAC_H

/* What this room needs of OpenSSL: HMAC-SHA256 and SHA-256. libcrypto is loaded by the
   first call, and not with the module: of a thousand messages that lda delivers one is
   a report, and loading it costs as much as delivering a message. A library that can't
   be loaded is a function that fails. */

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

#define SHA256_SIZE 32

/* Returns false if it can't be. */
bool hmac_load(void);

/* To be freed with hmac_sha256_free(). NULL if OpenSSL can't. */
EVP_MAC_CTX *hmac_sha256_new(const unsigned char *key, size_t key_size);
/* NULL is allowed. */
void hmac_sha256_free(EVP_MAC_CTX *mac);

/* One after the other, as often as wanted. Each returns 0, or -1 if OpenSSL fails. */
int hmac_sha256_begin(EVP_MAC_CTX *mac, const unsigned char *key, size_t key_size);
int hmac_sha256_add(EVP_MAC_CTX *mac, const void *bytes, size_t size);
int hmac_sha256_end(EVP_MAC_CTX *mac, unsigned char digest_r[SHA256_SIZE]);

/* Returns 0, or -1 if OpenSSL fails. */
int sha256(const void *bytes, size_t size, unsigned char digest_r[SHA256_SIZE]);

/* The time that it takes doesn't tell where they differ. */
bool bytes_are_equal(const unsigned char *bytes, const unsigned char *others,
		     size_t size);

#endif
