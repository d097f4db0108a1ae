/* libFuzzer target for what the milter reads of its own: requests and answers of the line
   socket, and the configuration. Built with clang -fsanitize=fuzzer,address,undefined together
   with milter/'s line-request.c, message*.c and config.c; the seeds are in line-seeds/.

   Beside what the sanitizers find it checks what line-request.h, message.h and config.h
   promise. */

#include "milter/config.h"
#include "milter/line-request.h"
#include "milter/spool/spool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1700000000

static struct serial_key key;

static char *to_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	assert(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static void check_bounds(const struct message *message)
{
	assert(message->recipient_count <= MESSAGE_MAX_RECIPIENTS);
	for (size_t i = 0; i < message->recipient_count; i++) {
		assert(strlen(message->recipients[i]) <= MESSAGE_MAX_RECIPIENT);
	}
	assert(message->message_id == NULL ||
	       (*message->message_id != '\0' &&
		strlen(message->message_id) <= MESSAGE_MAX_MESSAGE_ID &&
		strpbrk(message->message_id, "\r\n") == NULL));
	assert(message->sender_bytes <= MESSAGE_MAX_SENDER_BYTES);
	assert(message->date >= 0);
}

/* Nothing that a client writes may break out of the field or the command that it gets into. */
static void check_marks(const struct message *message, bool tag)
{
	const struct message_settings set = {
		.key = &key, .envid = true, .tag = tag,
		.recipient_delimiter = "+-", .hostname = "mx.example.org",
	};
	struct message_marks marks;
	struct sent_message row;

	assert(message_mark(message, &set, NOW, &marks) == 0);
	assert(serial_is_well_formed(marks.serial));
	assert(marks.logged_id != NULL);
	assert((marks.message_id == NULL) == message->has_message_id);
	assert(marks.message_id == NULL ||
	       strpbrk(marks.message_id, " \t\r\n") == NULL);
	if (marks.sender != NULL) {
		assert(tag && strstr(marks.sender, marks.serial) != NULL);
		assert(strchr(marks.sender, '@') != NULL);
	}
	message_get_row(message, &marks, NOW, &row);
	assert(row.user == message->user);
	message_marks_clear(&marks);
}

static void check_request(const uint8_t *data, size_t size)
{
	char *text = to_text(data, size);
	struct message message = { .user = NULL };
	enum line_command command;
	const char *error;

	if (line_request_read(text, &message, &command, &error) == 0) {
		assert(*message.user != '\0');
		check_bounds(&message);
		check_marks(&message, false);
		check_marks(&message, true);
	} else {
		assert(error != NULL);
	}
	message_clear(&message);
	free(text);
}

static void check_answer(const uint8_t *data, size_t size)
{
	char *text = to_text(data, size), *parts[5], *answer, *again[5];
	size_t count = line_answer_read(text, parts, 5);

	if (count > 1) {
		answer = line_answer("ok", (const char *const *)parts + 1,
				     count - 1);
		assert(strchr(answer, '\n') == answer + strlen(answer) - 1);
		assert(line_answer_read(answer, again, 5) == count);
		for (size_t i = 1; i < count; i++)
			assert(strcmp(again[i], parts[i]) == 0);
		free(answer);
	}
	free(text);
}

static void check_config(const uint8_t *data, size_t size)
{
	struct config config;
	char *error = NULL;

	if (config_parse("fuzz", (const char *)data, size, &config, &error) < 0) {
		assert(error != NULL && config.user == NULL);
		free(error);
		return;
	}
	assert(config.spool[0] == '/' && config.site_key[0] == '/');
	assert((config.socket_mode & 07) == 0);
	assert(config.doveadm_connections > 0 && config.spool_max_rows > 0);
	config_free(&config);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return serial_key_make(&key, NOW);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_request(data, size);
	check_answer(data, size);
	check_config(data, size);
	return 0;
}
