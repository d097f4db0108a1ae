#ifndef MESSAGE_H
#define MESSAGE_H

/* One message on its way out: what the MTA says of it, collected until its end, and what
   it gets then. Pure but for random numbers and the time: touches no file, asks nobody.
   Everything that comes in was written by a client, and has a bound here. */

#include "sent-log/serial.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct sent_message;

/* The header that a message takes along; the returned headers of a report bring it back. */
#define MESSAGE_SERIAL_HEADER "X-Backscatter-Serial"

/* Further recipients are not logged: a report about them finds a row that names others. */
#define MESSAGE_MAX_RECIPIENTS 10000
/* RFC 5321, 4.5.3.1, has 320 octets; a longer one is not logged */
#define MESSAGE_MAX_RECIPIENT 1000
/* of Message-ID, Date and ENVID; a longer one is there, but can't be read */
#define MESSAGE_MAX_VALUE 1000
/* with its brackets: Dovecot takes no longer one */
#define MESSAGE_MAX_MESSAGE_ID 1000
/* Fields that name a sender, and their size together; the plugin refuses as many. */
#define MESSAGE_MAX_SENDER_FIELDS 101
#define MESSAGE_MAX_SENDER_BYTES (256 * 1024)

struct message {
	/* the login */
	char *user;
	/* MAIL FROM without brackets; "" = null sender */
	char *sender;
	/* the client's ENVID, decoded; NULL = none, or none that can be read */
	char *envelope_id;
	char **recipients;
	size_t recipient_count, recipient_room;
	/* the first one's value, unfolded; NULL = none that can be read */
	char *message_id;
	/* 0 = unreadable */
	time_t date;
	/* whole fields, as they were written */
	char *sender_fields[MESSAGE_MAX_SENDER_FIELDS];
	size_t sender_field_count, sender_bytes;
	bool has_envelope_id, has_message_id, has_date;
	/* some of sender_fields had no room */
	bool too_many_senders;
	/* "" = not issued yet */
	char serial[SERIAL_TEXT_SIZE];
};

/* Begins a new one, in one that was zeroed or used before. sender: with or without
   brackets. */
void message_begin(struct message *message, const char *user,
		   const char *sender);
/* Frees what is in it, and zeroes it. */
void message_clear(struct message *message);

/* ENVID's value as it was written (xtext). */
void message_set_envelope_id(struct message *message, const char *xtext);
void message_add_recipient(struct message *message, const char *address);
/* One field of the header, with its folds as CRLF or LF. */
void message_add_field(struct message *message, const char *name,
		       const char *value);

/* What the settings say that a message gets. */
struct message_settings {
	const struct serial_key *key;
	/* ENVID where the client gave none; the sub-address tag */
	bool envid, tag;
	const char *recipient_delimiter;
	/* for a Message-ID where the sender has no domain */
	const char *hostname;
};

/* What it gets. */
struct message_marks {
	/* "" = OpenSSL fails */
	char serial[SERIAL_TEXT_SIZE];
	/* Fields that it lacks, malloced; NULL = it has them. With brackets. */
	char *message_id, *date;
	/* What its row is found by: its Message-ID, or one of ours that nobody else sees where
	   its own can't be read. Malloced; NULL = it can't be logged (OpenSSL fails). */
	char *logged_id;
	/* What MAIL FROM is to become, without brackets, malloced; NULL = as it is. */
	char *sender;
	/* ENVID is to be the serial */
	bool envid;
};

/* message->serial is taken, or a new one is issued. Returns 0, or -1 if none can be: the
   rest is filled in all the same. */
int message_mark(const struct message *message,
		 const struct message_settings *set, time_t now,
		 struct message_marks *marks_r);
void message_marks_clear(struct message_marks *marks);

/* The serial alone: as message_mark() issues it. Returns 0 or -1. */
int message_issue_serial(const struct message *message,
			 const struct message_settings *set, time_t now,
			 char text_r[SERIAL_TEXT_SIZE]);

/* The row, with its texts in message and marks, which has a logged_id. */
void message_get_row(const struct message *message,
		     const struct message_marks *marks, time_t now,
		     struct sent_message *row_r);

/* The parts: as the plugin has them, and a test compares. */

/* user+detail@domain -> user@domain in lower case; malloced */
char *message_address_without_detail(const char *address,
				     const char *delimiters);
/* plugin/sent-log/serial-tag.h says which; malloced, or NULL if it must stay as it is */
char *message_tagged(const char *address, const char *serial,
		     const char *delimiters);
/* RFC 5322, 3.3. Returns 0 if it can't be read. */
time_t message_parse_date(const char *text);
/* malloced */
char *message_format_date(time_t date);

#endif
