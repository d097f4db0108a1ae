/* Calls to Dovecot: what fails before it is asked. */

#include "test-spool-common.h"
#include "test-door-common.h"

#include "milter/doveadm/sender-question.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <openssl/evp.h>

static struct door door;
static bool no_handle, no_hash;

/* In place of the libraries': there may be no memory. */

CURL *curl_easy_init(void)
{
	CURL *(*real)(void) =
		(CURL *(*)(void))dlsym(RTLD_NEXT, "curl_easy_init");

	return no_handle ? NULL : real();
}

EVP_MD_CTX *EVP_MD_CTX_new(void)
{
	EVP_MD_CTX *(*real)(void) =
		(EVP_MD_CTX *(*)(void))dlsym(RTLD_NEXT, "EVP_MD_CTX_new");

	return no_hash ? NULL : real();
}

static int setup_client(void **state)
{
	struct doveadm_client_settings set = { .connections = 1 };
	struct fixture *f;

	if (setup(state) != 0)
		return -1;
	f = *state;
	(void)snprintf(f->socket_path, sizeof(f->socket_path), "%s/door",
		       f->folder);
	door_open(&door, f->socket_path);
	set.socket = f->socket_path;
	set.api_key_file = f->key_path;
	return doveadm_client_init(&set, &f->client, &f->error);
}

static int teardown_client(void **state)
{
	int ret = teardown(state);

	door_close(&door);
	return ret;
}

/* A message whose sender isn't known is accepted, and others go on. */
static void test_no_memory(void **state)
{
	static const char *const fields[] = { "From: bob@example.com" };
	struct fixture *f = *state;
	struct sender_question *question = sender_question_init(f->client);
	struct sender_answer answer;
	char *error;

	door_answers(&door, "\"doveadmResponse\",[{\"sender\":\"allowed\"}]");
	no_hash = true;
	assert_int_equal(sender_question_ask(question, "bob", fields, 1, &answer,
					     &error), -1);
	assert_non_null(strstr(error, "SHA-256"));
	free(error);
	no_hash = false;
	no_handle = true;
	assert_int_equal(sender_question_ask(question, "bob", fields, 1, &answer,
					     &error), -1);
	assert_non_null(strstr(error, "libcurl"));
	free(error);
	no_handle = false;
	assert_int_equal(atomic_load(&door.calls), 0);
	assert_int_equal(sender_question_ask(question, "bob", fields, 1, &answer,
					     &error), 0);
	assert_true(answer.allowed);
	sender_question_deinit(&question);
}

#undef TEST
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_client, teardown_client)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
