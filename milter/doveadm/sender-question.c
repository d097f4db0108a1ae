/* Asking Dovecot who may write what, and remembering the answers. */

#include "sender-question.h"
#include "doveadm-client.h"
#include "milter/text.h"
#include "milter/utf8.h"

#include <json-c/json.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_SIZE 32

/* An answer, where the key's first bytes say. */
struct cache_entry {
	/* SHA-256 of the user and the fields */
	unsigned char key[KEY_SIZE];
	/* 0 = none is here */
	time_t expires;
	struct sender_answer answer;
};

struct sender_question {
	struct doveadm_client *client;
	pthread_mutex_t lock;
	struct cache_entry cache[SENDER_QUESTION_CACHE_SIZE];
};

struct sender_question *sender_question_init(struct doveadm_client *client)
{
	struct sender_question *question = memory_new(sizeof(*question));

	question->client = client;
	(void)pthread_mutex_init(&question->lock, NULL);
	return question;
}

void sender_question_deinit(struct sender_question **_question)
{
	struct sender_question *question = *_question;

	if (question == NULL)
		return;
	*_question = NULL;
	(void)pthread_mutex_destroy(&question->lock);
	free(question);
}

/* The cache */

static time_t monotonic_secs(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Returns false if OpenSSL can't. */
static bool make_key(const char *user, const char *const *fields, size_t count,
		     unsigned char key_r[KEY_SIZE])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool made;

	made = hash != NULL &&
	       EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
	       /* with their NULs: no two questions look alike */
	       EVP_DigestUpdate(hash, user, strlen(user) + 1) == 1;
	for (size_t i = 0; i < count && made; i++) {
		made = EVP_DigestUpdate(hash, fields[i],
					strlen(fields[i]) + 1) == 1;
	}
	made = made && EVP_DigestFinal_ex(hash, key_r, NULL) == 1;
	EVP_MD_CTX_free(hash);
	return made;
}

static struct cache_entry *cache_place(struct sender_question *question,
				       const unsigned char key[KEY_SIZE])
{
	return &question->cache[((unsigned int)key[0] << 8 | key[1]) %
				SENDER_QUESTION_CACHE_SIZE];
}

static bool cache_find(struct sender_question *question,
		       const unsigned char key[KEY_SIZE],
		       struct sender_answer *answer_r)
{
	const struct cache_entry *entry = cache_place(question, key);
	bool found;

	(void)pthread_mutex_lock(&question->lock);
	found = entry->expires > monotonic_secs() &&
		memcmp(entry->key, key, KEY_SIZE) == 0;
	if (found)
		*answer_r = entry->answer;
	(void)pthread_mutex_unlock(&question->lock);
	return found;
}

static void cache_keep(struct sender_question *question,
		       const unsigned char key[KEY_SIZE],
		       const struct sender_answer *answer)
{
	struct cache_entry *entry = cache_place(question, key);

	(void)pthread_mutex_lock(&question->lock);
	memcpy(entry->key, key, KEY_SIZE);
	entry->expires = monotonic_secs() + SENDER_QUESTION_CACHE_SECS;
	entry->answer = *answer;
	(void)pthread_mutex_unlock(&question->lock);
}

/* The question */

/* JSON is UTF-8, a header need not be. An address that isn't ASCII is nobody's then. */
static struct json_object *field_new(const char *field)
{
	char *ascii = text_copy(field);
	struct json_object *object;

	if (!text_is_utf8(ascii)) {
		for (char *p = ascii; *p != '\0'; p++) {
			if ((unsigned char)*p > 0x7f)
				*p = '?';
		}
	}
	object = json_object_new_string(ascii);
	free(ascii);
	return object;
}

static struct json_object *arguments_new(const char *user,
					 const char *const *fields, size_t count)
{
	struct json_object *arguments = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		(void)json_object_array_add(list, field_new(fields[i]));
	(void)json_object_object_add(arguments, "user",
				     json_object_new_string(user));
	(void)json_object_object_add(arguments, "field", list);
	return arguments;
}

static const char *column(struct json_object *row, const char *name)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(row, json_type_object) ||
	    !json_object_object_get_ex(row, name, &value) ||
	    !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

/* [{"sender": "allowed"|"refused", "reason": TEXT}]. Returns 0, or -1 if it is none of them. */
static int read_output(struct json_object *output,
		       struct sender_answer *answer_r)
{
	struct json_object *row = json_object_array_get_idx(output, 0);
	const char *word = column(row, "sender");

	memset(answer_r, 0, sizeof(*answer_r));
	if (json_object_array_length(output) != 1)
		return -1;
	if (strcmp(word, "allowed") == 0) {
		answer_r->allowed = true;
		return 0;
	}
	if (strcmp(word, "refused") != 0)
		return -1;
	(void)snprintf(answer_r->reason, sizeof(answer_r->reason), "%s",
		       column(row, "reason"));
	for (char *p = answer_r->reason; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	return 0;
}

static int ask_dovecot(struct sender_question *question,
		       struct json_object *arguments,
		       struct sender_answer *answer_r, char **error_r)
{
	struct doveadm_command command = {
		.name = "backscatterSender",
		.arguments = arguments,
	};
	struct doveadm_call call = {
		.commands = &command,
		.count = 1,
		.timeout_msecs = SENDER_QUESTION_TIMEOUT_MSECS,
		.urgent = true,
	};
	int ret = -1;

	doveadm_client_ask(question->client, &call);
	if (command.result_r != DOVEADM_DONE) {
		*error_r = call.error_r;
		call.error_r = NULL;
	} else {
		ret = read_output(command.output_r, answer_r);
		if (ret < 0)
			*error_r = text_format("an answer that can't be read");
	}
	doveadm_call_clear(&call);
	return ret;
}

int sender_question_ask(struct sender_question *question, const char *user,
			const char *const *fields, size_t field_count,
			struct sender_answer *answer_r, char **error_r)
{
	struct json_object *arguments;
	unsigned char key[KEY_SIZE];
	int ret;

	if (!text_is_utf8(user)) {
		*error_r = text_format("the user's name is not UTF-8");
		return -1;
	}
	if (!make_key(user, fields, field_count, key)) {
		*error_r = text_format("OpenSSL can't make a SHA-256");
		return -1;
	}
	if (cache_find(question, key, answer_r))
		return 0;
	arguments = arguments_new(user, fields, field_count);
	ret = ask_dovecot(question, arguments, answer_r, error_r);
	json_object_put(arguments);
	if (ret == 0)
		cache_keep(question, key, answer_r);
	return ret;
}
