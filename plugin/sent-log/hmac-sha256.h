#ifndef HMAC_SHA256_H
#define HMAC_SHA256_H

/* HMAC-SHA256 as OpenSSL has it, for the hashes of the log and the MAC of
   serials. */

#include <openssl/evp.h>

/* To be freed with EVP_MAC_CTX_free(). NULL if OpenSSL can't. */
EVP_MAC_CTX *hmac_sha256_new(const unsigned char *key, size_t key_size);

#endif
