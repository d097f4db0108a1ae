/* OpenSSL's functions, found in libcrypto when the first of them is called. */

#include "hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <dlfcn.h>
#include <pthread.h>

#define FUNCTIONS(function) \
	function(EVP_MAC_fetch) \
	function(EVP_MAC_free) \
	function(EVP_MAC_CTX_new) \
	function(EVP_MAC_CTX_free) \
	function(EVP_MAC_init) \
	function(EVP_MAC_update) \
	function(EVP_MAC_final) \
	function(EVP_Q_digest) \
	function(CRYPTO_memcmp)

#define MEMBER(name) typeof(&name) name;
static struct {
	FUNCTIONS(MEMBER)
} openssl;

static bool openssl_loaded;

/* The library stays: others hold pointers into it, too. */
static void openssl_load_once(void)
{
	void *library = dlopen(LIBCRYPTO_SONAME, RTLD_NOW | RTLD_LOCAL);

	openssl_loaded = library != NULL;
#define FIND(name) \
	if (openssl_loaded) \
		openssl_loaded = (openssl.name = dlsym(library, #name)) != NULL;
	FUNCTIONS(FIND)
}

/* A milter has threads. */
bool hmac_load(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	return pthread_once(&once, openssl_load_once) == 0 && openssl_loaded;
}

EVP_MAC_CTX *hmac_sha256_new(const unsigned char *key, size_t key_size)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
				       sizeof(digest) - 1),
		OSSL_PARAM_END,
	};
	EVP_MAC *hmac;
	EVP_MAC_CTX *mac;

	if (!hmac_load())
		return NULL;
	hmac = openssl.EVP_MAC_fetch(NULL, "HMAC", NULL);
	/* OpenSSL would look into it */
	if (hmac == NULL)
		return NULL;
	mac = openssl.EVP_MAC_CTX_new(hmac);
	/* the context holds its own reference */
	openssl.EVP_MAC_free(hmac);
	if (mac != NULL &&
	    openssl.EVP_MAC_init(mac, key, key_size, params) != 1) {
		openssl.EVP_MAC_CTX_free(mac);
		mac = NULL;
	}
	return mac;
}

void hmac_sha256_free(EVP_MAC_CTX *mac)
{
	if (mac != NULL)
		openssl.EVP_MAC_CTX_free(mac);
}

int hmac_sha256_begin(EVP_MAC_CTX *mac, const unsigned char *key, size_t key_size)
{
	return openssl.EVP_MAC_init(mac, key, key_size, NULL) == 1 ? 0 : -1;
}

int hmac_sha256_add(EVP_MAC_CTX *mac, const void *bytes, size_t size)
{
	return openssl.EVP_MAC_update(mac, bytes, size) == 1 ? 0 : -1;
}

int hmac_sha256_end(EVP_MAC_CTX *mac, unsigned char digest_r[SHA256_SIZE])
{
	size_t size;

	return openssl.EVP_MAC_final(mac, digest_r, &size, SHA256_SIZE) == 1 ?
		0 : -1;
}

int sha256(const void *bytes, size_t size, unsigned char digest_r[SHA256_SIZE])
{
	return hmac_load() &&
		openssl.EVP_Q_digest(NULL, "SHA256", NULL, bytes, size, digest_r,
				     NULL) == 1 ? 0 : -1;
}

bool bytes_are_equal(const unsigned char *bytes, const unsigned char *others,
		     size_t size)
{
	return hmac_load() && openssl.CRYPTO_memcmp(bytes, others, size) == 0;
}
