/* Bytes that a message takes in the sent log: the file's size after a checkpoint, with
   10,000 messages of one recipient each: copies in Sent, and what leaves through
   submission, with a serial. Usage: log-size FOLDER */

#include "sent-log/sent-log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES 10000
#define NOW ((time_t)1700000000)

static const char *add_one(struct sent_log *log, const struct serial_key *key,
			   unsigned int number)
{
	char message_id[64], address[64], serial[SERIAL_TEXT_SIZE];
	const char *recipient = address, *error = NULL;
	const struct sent_log_identity identities[] = {
		{ SENT_LOG_IDENTITY_MESSAGE_ID, message_id },
		{ SENT_LOG_IDENTITY_SERIAL, serial },
	};
	struct sent_log_message message = {
		.source = key != NULL ? SENT_LOG_SOURCE_SUBMISSION :
					SENT_LOG_SOURCE_SENT,
		.identities = identities,
		.identity_count = key != NULL ? 2 : 1,
		.recipients = &recipient,
		.recipient_count = 1,
		.logged_at = NOW + number,
		.date = NOW + number,
		.from_own_address = true,
	};

	snprintf(message_id, sizeof(message_id), "%u@client.example", number);
	snprintf(address, sizeof(address), "%u@d%u.example", number, number % 500);
	if (key != NULL && serial_issue(key, "a@example.org", NOW, serial) < 0)
		return "no serial";
	sent_log_begin(log);
	return sent_log_add(log, &message, 1, NOW + number, &error) < 0 ?
		       error : NULL;
}

static const char *fill(const char *path, bool serials)
{
	const struct sent_log_settings set = {
		.path = path,
		.deadline_msecs = 60000,
		.retention_secs = 90 * 24 * 3600,
	};
	struct sent_log *log = sent_log_init(&set);
	struct serial_key key;
	const char *error = NULL;

	if (sent_log_get_issuing_key(log, NOW, &key, &error) > 0)
		error = NULL;
	for (unsigned int i = 0; i < MESSAGES && error == NULL; i++)
		error = add_one(log, serials ? &key : NULL, i);
	if (error != NULL)
		fprintf(stderr, "%s: %s\n", path, error);
	sent_log_deinit(&log);
	return error;
}

/* Whoever closes it last has checkpointed it. */
static bool measure(const char *path, bool serials)
{
	struct stat st;

	if (fill(path, serials) != NULL || stat(path, &st) < 0)
		return false;
	printf("%s: %lld bytes a message\n",
	       serials ? "submission, with a serial" : "a copy in Sent",
	       (long long)st.st_size / MESSAGES);
	return true;
}

int main(int argc, char *argv[])
{
	char path[4096];
	bool ok = argc == 2;

	for (int serials = 0; serials < 2 && ok; serials++) {
		snprintf(path, sizeof(path), "%s/size%d.db", argv[1], serials);
		ok = measure(path, serials != 0);
	}
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
