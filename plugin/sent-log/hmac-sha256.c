/* The one place that asks OpenSSL for HMAC-SHA256. */

#include "hmac-sha256.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

EVP_MAC_CTX *hmac_sha256_new(const unsigned char *key, size_t key_size)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
						 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);

	/* the context holds its own reference */
	EVP_MAC_free(hmac);
	if (mac != NULL && EVP_MAC_init(mac, key, key_size, params) != 1) {
		EVP_MAC_CTX_free(mac);
		mac = NULL;
	}
	return mac;
}
