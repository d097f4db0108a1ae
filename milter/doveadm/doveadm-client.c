/* Calls over HTTP: libcurl's part, and whose turn it is. What an answer says is
   read in doveadm-answer.c. */

#include "doveadm-client.h"
#include "milter/clock.h"
#include "doveadm-answer.h"
#include "doveadm-key.h"
#include "milter/log.h"
#include "milter/text.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#define API_PATH "/doveadm/v1"
/* The host is not looked at on a unix socket. */
#define UNIX_URL "http://localhost" API_PATH
/* of what it says to that */
#define MAX_QUOTED 200
#define HTTP_OK 200
#define HTTP_BAD_REQUEST 400
#define HTTP_UNAUTHORIZED 401

struct doveadm_client {
	/* of the unix socket, or NULL */
	char *path;
	char *url;
	char *key_file;
	unsigned int max_calls;
	atomic_bool stopped;

	pthread_mutex_t lock;
	/* whose turn it is may have changed */
	pthread_cond_t turn;
	/* calls that wait: those that are not urgent, and those that are */
	unsigned int calls, waiting[2];
	/* the last that had its turn was urgent */
	bool last_urgent;
	/* a line of the request's header */
	char *authorization;
};

/* What came of one request. */
struct exchange {
	struct doveadm_client *client;
	CURL *curl;
	char *body;
	size_t size, allocated;
	bool too_long;
	long status;
};

/* Settings */

/* http://HOST:PORT and nothing else; "/" may follow. */
static bool is_http_address(const char *text)
{
	static const CURLUPart others[] = { CURLUPART_USER, CURLUPART_QUERY,
					    CURLUPART_FRAGMENT };
	char *scheme = NULL, *port = NULL, *path = NULL, *other = NULL;
	CURLU *url = curl_url();
	bool valid;

	if (url == NULL)
		abort();
	valid = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		strcmp(scheme, "http") == 0 &&
		curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
		strcmp(path, "/") == 0;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (curl_url_get(url, others[i], &other, 0) == CURLUE_OK)
			valid = false;
		curl_free(other);
		other = NULL;
	}
	curl_free(scheme);
	curl_free(port);
	curl_free(path);
	curl_url_cleanup(url);
	return valid;
}

static int set_address(struct doveadm_client *client, const char *socket,
		       char **error_r)
{
	struct sockaddr_un address;

	if (*socket == '/' && strlen(socket) < sizeof(address.sun_path)) {
		client->path = text_copy(socket);
		client->url = text_copy(UNIX_URL);
		return 0;
	}
	if (is_http_address(socket)) {
		size_t size = strlen(socket);

		if (socket[size - 1] == '/')
			size--;
		client->url = text_format("%.*s" API_PATH, (int)size, socket);
		return 0;
	}
	*error_r = text_format("doveadm_socket = %s: neither the whole path of a "
			       "unix socket (at most %zu characters) nor "
			       "http://HOST:PORT", socket,
			       sizeof(address.sun_path) - 1);
	return -1;
}

int doveadm_client_init(const struct doveadm_client_settings *set,
			struct doveadm_client **client_r, char **error_r)
{
	struct doveadm_client *client = memory_new(sizeof(*client));
	pthread_condattr_t attributes;

	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	(void)pthread_mutex_init(&client->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&client->turn, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	client->max_calls = set->connections > 0 ? set->connections : 1;
	client->key_file = text_copy(set->api_key_file);
	*client_r = client;
	if (set_address(client, set->socket, error_r) == 0 &&
	    doveadm_key_read(set->api_key_file, &client->authorization,
			       error_r) == 0)
		return 0;
	doveadm_client_deinit(client_r);
	return -1;
}

static void forget_authorization(struct doveadm_client *client)
{
	if (client->authorization == NULL)
		return;
	OPENSSL_cleanse(client->authorization, strlen(client->authorization));
	free(client->authorization);
	client->authorization = NULL;
}

void doveadm_client_deinit(struct doveadm_client **_client)
{
	struct doveadm_client *client = *_client;

	if (client == NULL)
		return;
	*_client = NULL;
	forget_authorization(client);
	(void)pthread_cond_destroy(&client->turn);
	(void)pthread_mutex_destroy(&client->lock);
	free(client->path);
	free(client->url);
	free(client->key_file);
	free(client);
	curl_global_cleanup();
}

void doveadm_client_stop(struct doveadm_client *client)
{
	(void)pthread_mutex_lock(&client->lock);
	atomic_store(&client->stopped, true);
	(void)pthread_cond_broadcast(&client->turn);
	(void)pthread_mutex_unlock(&client->lock);
}

/* Turns */

/* Neither kind waits for all of the other: rows would never come to their turn where messages
   come as fast as Dovecot answers. */
static bool is_my_turn(const struct doveadm_client *client, bool urgent)
{
	return client->calls < client->max_calls &&
	       (client->waiting[!urgent] == 0 || client->last_urgent != urgent);
}

/* Returns false if it didn't come before the deadline. */
static bool turn_begin(struct doveadm_client *client, bool urgent,
		       int64_t deadline)
{
	const struct timespec until = {
		.tv_sec = deadline / 1000,
		.tv_nsec = deadline % 1000 * 1000000,
	};
	bool mine;
	int ret = 0;

	(void)pthread_mutex_lock(&client->lock);
	client->waiting[urgent]++;
	while (!is_my_turn(client, urgent) && ret == 0 &&
	       !atomic_load(&client->stopped))
		ret = pthread_cond_timedwait(&client->turn, &client->lock,
					     &until);
	client->waiting[urgent]--;
	mine = is_my_turn(client, urgent) && !atomic_load(&client->stopped);
	if (mine) {
		client->calls++;
		client->last_urgent = urgent;
	}
	/* the other kind's may have come: it had to let this one go first, or needn't
	   wait for its kind any more */
	(void)pthread_cond_broadcast(&client->turn);
	(void)pthread_mutex_unlock(&client->lock);
	return mine;
}

static void turn_end(struct doveadm_client *client)
{
	(void)pthread_mutex_lock(&client->lock);
	client->calls--;
	(void)pthread_cond_broadcast(&client->turn);
	(void)pthread_mutex_unlock(&client->lock);
}

/* The request */

/* [["NAME", {ARGUMENTS}, "TAG"], ...] */
static struct json_object *request_new(const struct doveadm_call *call)
{
	struct json_object *request = json_object_new_array();
	char tag[DOVEADM_TAG_SIZE];

	for (size_t i = 0; i < call->count; i++) {
		struct json_object *command = json_object_new_array();

		doveadm_tag(i, tag);
		(void)json_object_array_add(
			command, json_object_new_string(call->commands[i].name));
		(void)json_object_array_add(
			command, json_object_get(call->commands[i].arguments));
		(void)json_object_array_add(command,
					    json_object_new_string(tag));
		(void)json_object_array_add(request, command);
	}
	return request;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;

	size *= count;
	if (size > DOVEADM_ANSWER_MAX_SIZE - exchange->size) {
		exchange->too_long = true;
		return 0;
	}
	if (exchange->size + size > exchange->allocated) {
		exchange->allocated = (exchange->size + size) * 2;
		exchange->body = realloc(exchange->body, exchange->allocated);
		if (exchange->body == NULL)
			abort();
	}
	memcpy(exchange->body + exchange->size, data, size);
	exchange->size += size;
	return size;
}

/* libcurl asks at least once a second. */
static int look_whether_stopped(void *context, curl_off_t download_total,
				curl_off_t downloaded, curl_off_t upload_total,
				curl_off_t uploaded)
{
	const struct exchange *exchange = context;

	(void)download_total, (void)downloaded;
	(void)upload_total, (void)uploaded;
	return atomic_load(&exchange->client->stopped) ? 1 : 0;
}

static struct curl_slist *header_new(struct doveadm_client *client)
{
	struct curl_slist *header;

	(void)pthread_mutex_lock(&client->lock);
	header = curl_slist_append(NULL, client->authorization);
	(void)pthread_mutex_unlock(&client->lock);
	header = curl_slist_append(header, "Content-Type: application/json");
	/* Dovecot needs no question whether a long request may come */
	return curl_slist_append(header, "Expect:");
}

static CURLcode exchange_run(struct exchange *exchange, const char *request,
			     long timeout_msecs)
{
	struct doveadm_client *client = exchange->client;
	struct curl_slist *header = header_new(client);
	CURL *curl = exchange->curl;
	CURLcode code;

	curl_easy_setopt(curl, CURLOPT_URL, client->url);
	if (client->path != NULL)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->path);
	/* of the environment */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_msecs);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, header);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_whether_stopped);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
	code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &exchange->status);
	curl_slist_free_all(header);
	return code;
}

/* What it means */

static void set_all(struct doveadm_call *call, enum doveadm_result result)
{
	for (size_t i = 0; i < call->count; i++)
		call->commands[i].result_r = result;
}

static bool was_connected(CURL *curl)
{
	curl_off_t usecs = 0;

	/* 0 until it is */
	(void)curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &usecs);
	return usecs > 0;
}

static void explain_failure(struct doveadm_call *call,
			    const struct exchange *exchange, CURLcode code)
{
	const char *where = exchange->client->path != NULL ?
				    exchange->client->path :
				    exchange->client->url;
	long error = 0;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_OS_ERRNO, &error);
	if (atomic_load(&exchange->client->stopped)) {
		set_all(call, DOVEADM_NO_CONNECTION);
		call->error_r = text_copy("the milter ends");
		return;
	}
	if (!was_connected(exchange->curl)) {
		set_all(call, DOVEADM_NO_CONNECTION);
		call->error_r = text_format("can't connect to %s: %s", where,
					    error != 0 ? strerror((int)error) :
							 curl_easy_strerror(code));
		return;
	}
	set_all(call, DOVEADM_NO_ANSWER);
	call->error_r = text_format("no answer from %s: %s", where,
				    exchange->too_long ?
					    "it is too long" :
					    curl_easy_strerror(code));
}

/* The key may be a new one. */
static void read_key_again(struct doveadm_client *client)
{
	char *line, *error;

	if (doveadm_key_read(client->key_file, &line, &error) < 0) {
		log_warning("%s", error);
		free(error);
		return;
	}
	(void)pthread_mutex_lock(&client->lock);
	forget_authorization(client);
	client->authorization = line;
	(void)pthread_mutex_unlock(&client->lock);
}

static void explain_status(struct doveadm_call *call,
			   const struct exchange *exchange)
{
	if (exchange->status == HTTP_BAD_REQUEST) {
		set_all(call, DOVEADM_NOT_UNDERSTOOD);
		call->error_r = text_format(
			"Dovecot: not a request (HTTP 400): %.*s",
			exchange->size < MAX_QUOTED ? (int)exchange->size :
						      MAX_QUOTED,
			exchange->size > 0 ? exchange->body : "");
		return;
	}
	set_all(call, DOVEADM_NOT_ALLOWED);
	if (exchange->status != HTTP_UNAUTHORIZED) {
		call->error_r = text_format("Dovecot: HTTP status %ld",
					    exchange->status);
		return;
	}
	call->error_r = text_format("Dovecot takes another key (HTTP 401): "
				    "doveadm_api_key must be the same as the "
				    "first line of %s (Dovecot takes a line end "
				    "for a part of it)",
				    exchange->client->key_file);
	read_key_again(exchange->client);
}

static void exchange_call(struct doveadm_client *client,
			  struct doveadm_call *call, int64_t deadline)
{
	struct exchange exchange = {
		.client = client,
		.curl = curl_easy_init(),
	};
	int64_t left = deadline - clock_msecs();
	struct json_object *request;
	CURLcode code;

	if (exchange.curl == NULL) {
		/* of all sessions' messages none is lost for this one's sake */
		set_all(call, DOVEADM_NO_CONNECTION);
		call->error_r = text_format("can't make a call: libcurl has no "
					    "handle");
		return;
	}
	request = request_new(call);
	code = exchange_run(&exchange, json_object_to_json_string_ext(
					       request, JSON_C_TO_STRING_PLAIN),
			    left > 0 ? (long)left : 1);
	if (code != CURLE_OK)
		explain_failure(call, &exchange, code);
	else if (exchange.status != HTTP_OK)
		explain_status(call, &exchange);
	else {
		doveadm_answer_read(exchange.body, exchange.size,
				    call->commands, call->count,
				    &call->error_r);
	}
	curl_easy_cleanup(exchange.curl);
	json_object_put(request);
	free(exchange.body);
}

static void make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void doveadm_client_ask(struct doveadm_client *client,
			struct doveadm_call *call)
{
	int64_t deadline = clock_msecs() + call->timeout_msecs;

	call->error_r = NULL;
	for (size_t i = 0; i < call->count; i++) {
		call->commands[i].output_r = NULL;
		call->commands[i].error_r[0] = '\0';
	}
	if (!turn_begin(client, call->urgent, deadline)) {
		bool stopped = atomic_load(&client->stopped);

		set_all(call, stopped ? DOVEADM_NO_CONNECTION : DOVEADM_NO_TURN);
		call->error_r = text_copy(stopped ?
				"the milter ends" :
				"all doveadm_connections are busy");
		return;
	}
	exchange_call(client, call, deadline);
	turn_end(client);
	if (call->error_r != NULL)
		make_printable(call->error_r);
	for (size_t i = 0; i < call->count; i++)
		make_printable(call->commands[i].error_r);
}

void doveadm_call_clear(struct doveadm_call *call)
{
	for (size_t i = 0; i < call->count; i++) {
		json_object_put(call->commands[i].output_r);
		call->commands[i].output_r = NULL;
	}
	free(call->error_r);
	call->error_r = NULL;
}
