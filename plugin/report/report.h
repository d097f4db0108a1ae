#ifndef REPORT_H
#define REPORT_H

/* Reads a report: what kind of report a message is, and which earlier message
   (the original) it is about.

   This room knows lib-mail and nothing else: no settings, no users, no log, no
   verdict. Everything it returns was written by strangers: addresses and
   Message-IDs are normalised, but never believed. */

struct istream;

/* The header that a message takes along when we send it; the returned headers
   bring it back (docs/design.md, section 7). */
#define REPORT_SERIAL_HEADER "X-Backscatter-Serial"

enum report_class {
	REPORT_CLASS_NONE = 0,
	/* RFC 3464, by Action: the strongest of a report wins, in this order */
	REPORT_CLASS_DSN_FAILED,
	REPORT_CLASS_DSN_DELAYED,
	REPORT_CLASS_DSN_SUCCESS,
	/* says that a message was not delivered, but not as RFC 3464 wants it */
	REPORT_CLASS_BOUNCE,
	/* RFC 8098 */
	REPORT_CLASS_MDN,
	/* RFC 3834 */
	REPORT_CLASS_AUTO_REPLY,
	REPORT_CLASS_CHALLENGE,
	REPORT_CLASS_VIRUS_NOTICE,
	/* RFC 5965 */
	REPORT_CLASS_ARF,

	REPORT_CLASS_COUNT
};

/* What a class means to the other rooms. */
struct report_class_info {
	/* as it stands in headers, logs and settings; "none" for
	   REPORT_CLASS_NONE */
	const char *name;
	/* Says what became of a message that was sent: backscatter_action holds
	   for it. The other classes are annotated by default. */
	bool bounce;
	/* people and filters answer whatever they like: may acquit only */
	bool never_convicted;
	/* comes when the recipient reads his mail, not within
	   backscatter_report_age */
	bool late;
	/* Genuine reports for each original and recipient, each time that the
	   original was sent. A message that failed is reported once; the rest is
	   for relays that report twice. */
	unsigned int budget;
};
const struct report_class_info *report_class_info(enum report_class class);
/* its name */
const char *report_class_name(enum report_class class);

/* What the envelope says of the report's sender. */
enum report_sender {
	/* no envelope at hand (a file): Return-Path is looked at instead */
	REPORT_SENDER_UNKNOWN = 0,
	/* MAIL FROM:<> */
	REPORT_SENDER_NULL,
	REPORT_SENDER_ADDRESS,
};

struct report_message_id {
	/* Without brackets, white space and comments, all lower-case: for
	   comparing. */
	const char *id;
	/* The same in the case that it came in: for log lines. */
	const char *written;
	/* left@right, and not cut off by the reporter. Only a whole one may
	   count as "not in the log". */
	bool whole:1;
	/* From a part that returns the original, or a machine-readable field;
	   not from a text for humans. */
	bool returned:1;
};
ARRAY_DEFINE_TYPE(report_message_id, struct report_message_id);

struct report_recipient {
	/* Addresses are lower-case and without the address type. NULL = absent.
	   RFC 3464, 2.3.1 and 2.3.2; RFC 6533 forms are decoded to UTF-8. */
	const char *original_recipient;
	const char *final_recipient;
	/* lower-case; NULL = absent. RFC 3464, 2.3.3 and 2.3.4. */
	const char *action;
	const char *status;
};
ARRAY_DEFINE_TYPE(report_recipient, struct report_recipient);

/* How certain it is that the message is a report (docs/design.md, section 3). A worded
   one may acquit, never convict. */
enum report_shape {
	/* phrases, speakers and replies weigh up to a report */
	REPORT_SHAPE_WORDED = 0,
	/* null sender, a mailer daemon as From or Sender (or From: <>), and a
	   returned part or text block of header fields */
	REPORT_SHAPE_DAEMON,
	/* Fields that only software writes: a delivery-status part with a
	   recipient that has Action or Status, or a disposition-notification with
	   Final-Recipient and Disposition, outside any message/rfc822, in a
	   multipart/report or with a null sender; or X-Failed-Recipients with a
	   null sender. */
	REPORT_SHAPE_STRUCTURED,
};

/* A Received line of an original: a host that took it in. Strings are lower-case;
   NULL = absent. */
struct report_hop {
	/* the host, as it calls itself; where it doesn't (qmail), as the next one
	   calls it */
	const char *by;
	/* of "for": whom it was taken in for */
	const char *for_address;
	/* It says that it came in locally or with a login (RFC 3848: ESMTPA,
	   ESMTPSA). */
	bool submitted:1;
};
ARRAY_DEFINE_TYPE(report_hop, struct report_hop);

/* One original that the report returns: a MIME part that has its header, outside any
   other message/rfc822; only where there is no such part, a block of header fields in
   a text (Message-ID and at least two of From, To, Subject, Date and Received).
   Those of the same Message-ID are one. Addresses are lower-case; arrays are always
   created. */
struct report_original {
	/* its first Message-ID field, normalised; NULL = none */
	const char *message_id;
	/* of From and Sender */
	ARRAY_TYPE(const_string) from;
	/* of Return-Path and Errors-To: they name whoever passed it on */
	ARRAY_TYPE(const_string) return_paths;
	/* whom it was delivered to: To, Cc, Delivered-To, X-Original-To */
	ARRAY_TYPE(const_string) recipients;
	/* of X-Sieve-Redirected-From and Resent-From */
	ARRAY_TYPE(const_string) resent_from;
	/* its Received lines */
	ARRAY_TYPE(report_hop) hops;
	/* There is exactly one Message-ID field, and it is RFC 5322's msg-id in
	   its brackets, seen to its end: only such an ID proves that something was
	   not sent. Never set where the header is itself a report's. */
	bool message_id_proves:1;
	/* returned in a MIME part of its own */
	bool in_part:1;
	/* Software sent it: Auto-Submitted other than no, a Message-ID that Sieve
	   makes, text/calendar (in a part returned whole, any of its parts),
	   or itself a report. */
	bool automatic:1;
};
ARRAY_DEFINE_TYPE(report_original, struct report_original);

struct report {
	enum report_class class;
	enum report_shape shape;
	/* MAIL FROM:<> of the envelope, or where that is unknown, of
	   Return-Path */
	bool null_sender:1;

	/* The report itself. Arrays are always created, perhaps empty. */

	/* its own Message-ID, normalised and as written; NULL = none */
	const char *message_id;
	const char *message_id_written;
	/* addresses of its To: header, lower-case */
	ARRAY_TYPE(const_string) to;
	/* Message-IDs of its own In-Reply-To and References, normalised,
	   In-Reply-To first, then References from the last (nearest) on */
	ARRAY_TYPE(const_string) references;

	/* The original, as the report shows it. */

	/* All that may acquit, best evidence first. */
	ARRAY_TYPE(report_message_id) message_ids;
	/* what may convict, in the order of the message */
	ARRAY_TYPE(report_original) originals;
	/* addresses of fields that name the sender of the original
	   (X-Postfix-Sender and its like), lower-case */
	ARRAY_TYPE(const_string) original_senders;
	/* "by" host of the report's own topmost Received line, lower-case; NULL =
	   none */
	const char *received_by;
	/* Original-Envelope-Id, decoded from xtext (RFC 3461, 4); NULL = none */
	const char *envelope_id;
	/* X-Backscatter-Serial of the returned headers, each once */
	ARRAY_TYPE(const_string) serials;
	/* the recipients that the report is about */
	ARRAY_TYPE(report_recipient) recipients;
	/* addresses of the returned To: and Cc:, lower-case */
	ARRAY_TYPE(const_string) original_to;
	/* Date: of the returned headers and Arrival-Date of the report, seconds
	   since the epoch; (time_t)-1 = absent or unreadable */
	time_t original_date;
	time_t arrival_date;

	/* a limit of report-limits.h was reached: judged on what was read */
	bool truncated:1;
	/* It kept parts from being read: another one that returns an original, or a
	   Message-ID that would acquit, may be among them. (In a text that was cut
	   only a block of header fields may stand: it is no original beside a
	   part.) */
	bool body_truncated:1;
};

/* The first Message-ID in a header field's value, normalised as those of a report:
   what is logged and what is looked up must be the same. NULL = none; allocated
   from pool. */
const char *report_message_id_first(pool_t pool, const char *value);

/* What a local part stands for (RFC 2142; RFC 5321, 4.5.1). */
enum report_role {
	/* speaks for a site, and isn't written to by its users */
	REPORT_ROLE_SITE = 0x1,
	/* read by whoever runs the domain, not by the owner of a mailbox */
	REPORT_ROLE_DOMAIN = 0x2,
};
bool report_address_has_role(const char *address, enum report_role role);

/* Reads the message in input from its first byte (input is sought there) and
   tells what report it is. All its parts are looked at, since a second original
   may follow, but no more than REPORT_MAX_BYTES. Everything in *report_r is allocated from pool (not the
   data stack's: arrays grow in inner frames); it is filled also for a message
   that is no report (class none).
   Returns 1 if it is a report, 0 if it is not, -1 if the message couldn't be
   read (*error_r says why, for the log). */
int report_read(pool_t pool, struct istream *input, enum report_sender sender,
		struct report *report_r, const char **error_r);

#endif
