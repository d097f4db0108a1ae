/* What a message gets, by the rules of the submission plugin, and its row. */

#include "message.h"
#include "milter/spool/spool.h"
#include "text.h"
#include "sent-log/serial-tag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DATE_SIZE 64
#define RANDOM_SIZE 16

static char lower(char c)
{
	/* whatever the locale */
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void lowercase(char *text)
{
	for (; *text != '\0'; text++)
		*text = lower(*text);
}

static bool is_alnum(char c)
{
	c = lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Serial and tag */

char *message_address_without_detail(const char *address, const char *delimiters)
{
	const char *domain = strrchr(address, '@');
	size_t size = strcspn(address, delimiters);
	char *without;

	if (domain == NULL || size == 0 || size >= (size_t)(domain - address))
		without = text_copy(address);
	else
		without = text_format("%.*s%s", (int)size, address, domain);
	lowercase(without);
	return without;
}

char *message_tagged(const char *address, const char *serial,
		     const char *delimiters)
{
	const char *at = strrchr(address, '@');

	if (!serial_tag_fits(address, serial, delimiters))
		return NULL;
	return text_format("%.*s%c" SERIAL_TAG_PREFIX "%s%s",
			   (int)(at - address), address, *delimiters, serial,
			   at);
}

int message_issue_serial(const struct message *message,
			 const struct message_settings *set, time_t now,
			 char text_r[SERIAL_TEXT_SIZE])
{
	/* No report comes back to a null sender, but its message may be answered. */
	char *address = *message->sender == '\0' ? text_copy(message->user) :
		message_address_without_detail(message->sender,
					       set->recipient_delimiter);
	int ret = serial_issue(set->key, address, now, text_r);

	if (ret < 0)
		text_r[0] = '\0';
	free(address);
	return ret;
}

/* Fields that are missing */

/* RFC 1123's letters, so that it needs no quotes anywhere. */
static bool is_hostname(const char *name)
{
	if (*name == '\0')
		return false;
	for (; *name != '\0'; name++) {
		if (!is_alnum(*name) && *name != '-' && *name != '.')
			return false;
	}
	return true;
}

/* Returns NULL if the system has no random numbers. */
static char *new_message_id(const char *sender, const char *hostname)
{
	const char *at = strrchr(sender, '@');
	unsigned char random[RANDOM_SIZE];
	char hex[2 * RANDOM_SIZE + 1];

	if (getentropy(random, sizeof(random)) < 0)
		return NULL;
	for (size_t i = 0; i < RANDOM_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", random[i]);
	return text_format("<%s@%s>", hex, at != NULL && is_hostname(at + 1) ?
			   at + 1 : hostname);
}

char *message_format_date(time_t date)
{
	char text[DATE_SIZE];
	struct tm tm;

	(void)localtime_r(&date, &tm);
	(void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", &tm);
	return text_copy(text);
}

/* A row needs one. */
static char *new_logged_id(const struct message *message,
			   const struct message_marks *marks)
{
	if (marks->message_id != NULL)
		return text_copy(marks->message_id);
	if (message->message_id != NULL)
		return text_copy(message->message_id);
	return *marks->serial == '\0' ? NULL :
		text_format("<%s@backscatter.invalid>", marks->serial);
}

int message_mark(const struct message *message,
		 const struct message_settings *set, time_t now,
		 struct message_marks *marks_r)
{
	int ret = 0;

	memset(marks_r, 0, sizeof(*marks_r));
	if (!message->has_message_id)
		marks_r->message_id = new_message_id(message->sender,
						     set->hostname);
	if (!message->has_date)
		marks_r->date = message_format_date(now);
	if (*message->serial != '\0')
		memcpy(marks_r->serial, message->serial, SERIAL_TEXT_SIZE);
	else
		ret = message_issue_serial(message, set, now, marks_r->serial);
	marks_r->logged_id = new_logged_id(message, marks_r);
	if (ret < 0)
		return -1;
	marks_r->envid = set->envid && !message->has_envelope_id;
	if (set->tag) {
		marks_r->sender = message_tagged(message->sender, marks_r->serial,
						 set->recipient_delimiter);
	}
	return 0;
}

void message_marks_clear(struct message_marks *marks)
{
	free(marks->message_id);
	free(marks->date);
	free(marks->logged_id);
	free(marks->sender);
	memset(marks, 0, sizeof(*marks));
}

/* The row */

void message_get_row(const struct message *message,
		     const struct message_marks *marks, time_t now,
		     struct sent_message *row_r)
{
	memset(row_r, 0, sizeof(*row_r));
	row_r->user = message->user;
	row_r->message_id = marks->logged_id;
	row_r->serial = *marks->serial == '\0' ? NULL : marks->serial;
	row_r->envelope_id = message->envelope_id;
	row_r->recipients = (const char *const *)message->recipients;
	row_r->recipient_count = message->recipient_count;
	row_r->sent_at = now;
	row_r->date = message->has_date ? message->date : now;
}
