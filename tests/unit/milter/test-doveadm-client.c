/* Calls to Dovecot: whose turn it is, and what fails before it is asked. */

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

/* Turns: of one connection */

#define CROWD 4
#define ANSWER_MSECS 20

static enum doveadm_result ask(struct doveadm_client *client, bool urgent,
			       unsigned int timeout_msecs)
{
	struct doveadm_command command = { .name = "backscatterSentFind" };
	struct doveadm_call call = {
		.commands = &command, .count = 1, .urgent = urgent,
		.timeout_msecs = timeout_msecs,
	};

	command.arguments = json_object_new_object();
	doveadm_client_ask(client, &call);
	json_object_put(command.arguments);
	doveadm_call_clear(&call);
	return command.result_r;
}

/* Those who ask one call after the other, of one kind. */
struct crowd {
	struct doveadm_client *client;
	bool urgent;
	atomic_bool enough;
	pthread_t threads[CROWD];
};

static void *crowd_main(void *context)
{
	struct crowd *crowd = context;

	while (!atomic_load(&crowd->enough))
		(void)ask(crowd->client, crowd->urgent, 10000);
	return NULL;
}

static void check_turns(struct doveadm_client *client, bool urgent)
{
	struct crowd crowd = { .client = client, .urgent = !urgent };
	unsigned int calls;

	for (unsigned int i = 0; i < CROWD; i++) {
		assert_int_equal(pthread_create(&crowd.threads[i], NULL,
						crowd_main, &crowd), 0);
	}
	while (atomic_load(&door.calls) < CROWD)
		(void)sched_yield();
	calls = atomic_load(&door.calls);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(ask(client, urgent, 10000), DOVEADM_DONE);
	calls = atomic_load(&door.calls) - calls;
	atomic_store(&crowd.enough, true);
	for (unsigned int i = 0; i < CROWD; i++)
		(void)pthread_join(crowd.threads[i], NULL);
	/* the crowd had turns, too: every second one, but that this host may be slow */
	assert_true(calls >= 13);
}

/* Messages that wait for an answer don't keep rows away, however fast they come. */
static void test_turns(void **state)
{
	struct fixture *f = *state;

	atomic_store(&door.msecs, ANSWER_MSECS);
	check_turns(f->client, false);
	atomic_store(&door.calls, 0);
	check_turns(f->client, true);
}

/* That isn't a Dovecot that isn't there. */
static void test_no_turn(void **state)
{
	struct fixture *f = *state;
	struct crowd crowd = { .client = f->client };

	atomic_store(&door.held, true);
	assert_int_equal(pthread_create(&crowd.threads[0], NULL, crowd_main,
					&crowd), 0);
	while (atomic_load(&door.asked) == 0)
		(void)sched_yield();
	assert_int_equal(ask(f->client, true, 100), DOVEADM_NO_TURN);
	atomic_store(&crowd.enough, true);
	atomic_store(&door.held, false);
	(void)pthread_join(crowd.threads[0], NULL);
	doveadm_client_stop(f->client);
	assert_int_equal(ask(f->client, true, 100), DOVEADM_NO_CONNECTION);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_client, teardown_client)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_memory),
		TEST(test_turns),
		TEST(test_no_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
