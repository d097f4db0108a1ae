/* The milter's spool by itself: adds what standard input says, and says what became of it. A line
   is a command, its words separated by tabs:

     add USER MESSAGE-ID SENT-AT [RECIPIENT ...]   "added RET ID ERROR"
     burst USER PREFIX COUNT THREADS SENT-AT       "in MESSAGE-ID" for each that is in, then "burst FAILED"
     wait ID MSECS                                 "settled" or "waits"
     idle                                          "idle" once no row and no gap is left
     sender USER FIELD ...                         "allowed", "refused REASON" or "unknown ERROR"

   It ends with its input. Arguments: SPOOL SOCKET KEY-FILE MAX-ROWS CONNECTIONS. Built with
   sanitizers: a leak is an error at its end. */

#include "milter/doveadm/doveadm-client.h"
#include "milter/doveadm/sender-question.h"
#include "milter/spool/spool-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_WORDS 64
#define MAX_THREADS 64
#define LOOK_NSECS 2000000

static struct spool *spool;
static struct sender_question *question;

static void say(const char *word, const char *more)
{
	(void)flockfile(stdout);
	(void)printf("%s %s\n", word, more);
	(void)fflush(stdout);
	(void)funlockfile(stdout);
}

static int add_message(const char *user, const char *message_id, time_t sent_at,
		       const char *const *recipients, size_t count, int64_t *id_r,
		       char **error_r)
{
	const struct sent_message message = {
		.user = user, .message_id = message_id, .sent_at = sent_at,
		.recipients = recipients, .recipient_count = count,
	};

	*error_r = NULL;
	return spool_add(spool, &message, id_r, error_r);
}

static void add(char **words, size_t count)
{
	char text[1024], *error;
	int64_t id;
	int ret = add_message(words[1], words[2], atol(words[3]),
			      (const char *const *)words + 4, count - 4, &id,
			      &error);

	(void)snprintf(text, sizeof(text), "%d %lld %s", ret, (long long)id,
		       error != NULL ? error : "");
	say("added", text);
	free(error);
}

struct burst {
	char **words;
	int first, last, step, failed;
};

static void *burst_main(void *context)
{
	struct burst *burst = context;
	char message_id[256], *error;
	int64_t id;

	for (int i = burst->first; i < burst->last; i += burst->step) {
		(void)snprintf(message_id, sizeof(message_id),
			       "<%s-%d@client.example.test>", burst->words[2], i);
		if (add_message(burst->words[1], message_id,
				atol(burst->words[5]), NULL, 0, &id,
				&error) == 0)
			say("in", message_id);
		else
			burst->failed++;
		free(error);
	}
	return NULL;
}

static void run_burst(char **words)
{
	int count = atoi(words[3]), threads = atoi(words[4]), failed = 0;
	struct burst bursts[MAX_THREADS];
	pthread_t ids[MAX_THREADS];
	char text[16];

	for (int i = 0; i < threads; i++) {
		bursts[i] = (struct burst){
			.words = words, .first = i, .last = count,
			.step = threads,
		};
		(void)pthread_create(&ids[i], NULL, burst_main, &bursts[i]);
	}
	for (int i = 0; i < threads; i++) {
		(void)pthread_join(ids[i], NULL);
		failed += bursts[i].failed;
	}
	(void)snprintf(text, sizeof(text), "%d", failed);
	say("burst", text);
}

static void wait_until_idle(void)
{
	const struct timespec pause = { .tv_nsec = LOOK_NSECS };
	bool idle = false;

	while (!idle) {
		(void)pthread_mutex_lock(&spool->lock);
		idle = spool->queue.waiting == 0 && spool->gaps.count == 0;
		(void)pthread_mutex_unlock(&spool->lock);
		if (!idle)
			(void)nanosleep(&pause, NULL);
	}
	say("idle", "");
}

static void ask(char **words, size_t count)
{
	struct sender_answer answer;
	char *error;

	if (sender_question_ask(question, words[1],
				(const char *const *)words + 2, count - 2,
				&answer, &error) < 0) {
		say("unknown", error);
		free(error);
	} else
		say(answer.allowed ? "allowed" : "refused", answer.reason);
}

static void run(char *line)
{
	char *words[MAX_WORDS], *rest = line;
	size_t count = 0;

	line[strcspn(line, "\n")] = '\0';
	while (rest != NULL && count < MAX_WORDS)
		words[count++] = strsep(&rest, "\t");
	if (strcmp(words[0], "add") == 0 && count >= 4)
		add(words, count);
	else if (strcmp(words[0], "burst") == 0 && count == 6)
		run_burst(words);
	else if (strcmp(words[0], "wait") == 0 && count == 3) {
		say(spool_wait(spool, atoll(words[1]),
			       (unsigned int)atoi(words[2])) ?
			    "settled" : "waits", "");
	} else if (strcmp(words[0], "idle") == 0)
		wait_until_idle();
	else if (strcmp(words[0], "sender") == 0 && count >= 3)
		ask(words, count);
	else
		say("unknown", "command");
}

int main(int argc, char **argv)
{
	struct doveadm_client_settings client_set;
	struct spool_settings set;
	struct doveadm_client *client;
	char *error, *line = NULL;
	size_t size = 0;

	if (argc != 6)
		return 64;
	client_set = (struct doveadm_client_settings){
		.socket = argv[2], .api_key_file = argv[3],
		.connections = (unsigned int)atoi(argv[5]),
	};
	if (doveadm_client_init(&client_set, &client, &error) < 0) {
		say("failed", error);
		free(error);
		return 1;
	}
	set = (struct spool_settings){
		.path = argv[1], .max_rows = (unsigned int)atoi(argv[4]),
		.connections = client_set.connections, .client = client,
	};
	if (spool_open(&set, &spool, &error) < 0) {
		say("failed", error);
		free(error);
		doveadm_client_deinit(&client);
		return 1;
	}
	question = sender_question_init(client);
	say("open", "");
	while (getline(&line, &size, stdin) > 0)
		run(line);
	free(line);
	spool_close(&spool);
	sender_question_deinit(&question);
	doveadm_client_deinit(&client);
	say("closed", "");
	return 0;
}
