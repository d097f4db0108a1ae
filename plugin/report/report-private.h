#ifndef REPORT_PRIVATE_H
#define REPORT_PRIVATE_H

/* Inside the room: what the readers of the several parts of a report share. */

#include <ctype.h>
#include "buffer.h"
#include "str.h"
#include "array.h"
#include "message-decoder.h"
#include "message-parser.h"
#include "report.h"
#include "report-limits.h"
#include "report-words.h"

/* How much a Message-ID's place tells: those of a stronger place are tried
   first. */
enum report_rank {
	/* somewhere in the running text */
	REPORT_RANK_TEXT,
	/* returned by a report that is itself what is returned, or quoted in the
	   body of what is returned */
	REPORT_RANK_NESTED,
	/* a header block in a text */
	REPORT_RANK_TEXT_BLOCK,
	/* Original-Message-ID of a machine-readable part */
	REPORT_RANK_FIELD,
	/* the part that returns the original or its header */
	REPORT_RANK_PART,
};

/* Where a block of header fields stands, and so what it is good for. */
struct report_source {
	enum report_rank rank;
	enum {
		/* only looked up */
		REPORT_ORIGINAL_NONE,
		/* an original, but its ID proves nothing */
		REPORT_ORIGINAL_LOOKED_UP,
		REPORT_ORIGINAL_PROVES,
	} original;
	/* in a MIME part that returns the original */
	bool in_part;
	/* the header of a MIME part: an original only if it looks like a
	   message's */
	bool is_mime_header;
};

/* Actions of RFC 3464, 2.3.3, the strongest first. */
enum report_action {
	REPORT_ACTION_FAILED,
	REPORT_ACTION_DELAYED,
	REPORT_ACTION_SUCCESS,
	REPORT_ACTION_NONE,
};

struct report_ranked_id {
	struct report_message_id id;
	enum report_rank rank;
};

/* By what a wrapped message and the one around it are known to be the same. */
struct report_identity {
	/* NULL = absent */
	const char *message_id;
	const char *subject;
	const char *date;
	ARRAY_TYPE(const_string) from;
	ARRAY_TYPE(const_string) to;
};

/* The message that the one being read was wrapped around. */
struct report_wrapped {
	bool found;
	/* ends where the part does; valid while the message is read */
	const struct message_part *part;
	uoff_t offset, size;
	enum message_cte cte;
	bool same_from;
	/* perhaps by a person: it may acquit, never convict */
	bool forwarded;
};

/* One report_read(). */
struct report_reader {
	enum report_sender sender;
	/* for what is returned */
	pool_t pool;
	/* for as long as is read */
	pool_t scratch;
	struct report *report;

	/* of enum report_trait */
	uint64_t traits;
	/* strongest action of all recipients */
	enum report_action action;
	/* recipient that the fields read now belong to */
	struct report_recipient *recipient;

	ARRAY(struct report_ranked_id) ids;
	/* what is known only from text or header; counts if no part names
	   recipients */
	ARRAY_TYPE(const_string) failed_addresses;
	/* X-Failed-Recipients */
	ARRAY_TYPE(const_string) failed_field;
	/* addresses that the report's own header names: no failed ones */
	ARRAY_TYPE(const_string) own_addresses;
	/* the original whose header was read last, counted from 0 in
	   report->originals; UINT_MAX = it is none */
	unsigned int original_read;
	/* the rank that original_to and the rest come from */
	enum report_rank original_rank;
	/* the returned header that is read now */
	struct original_header *header;
	/* bytes of text read so far */
	size_t text_size;
	struct report_identity identity;
	struct report_wrapped wrapped;

	/* the field that is read now was not seen to its end, or has a NUL */
	bool field_is_cut:1;
	/* the delivery-status or disposition-notification part has all that
	   makes a report certain */
	bool status_is_certain:1;
	/* header or body have what the scan looks for */
	bool is_marked:1;
	/* the message has a Return-Path, a Received line */
	bool return_path_seen:1;
	bool received_seen:1;
	/* the block of fields read now has a Disposition */
	bool disposition_seen:1;
	/* what is read now was wrapped: done once only */
	bool is_unwrapped:1;
	/* MDN: Disposition says deleted by an automatic action (a rejection
	   by RFC 5429 looks so too) */
	bool mdn_deleted:1;
};

static inline void
report_trait_add(struct report_reader *reader, enum report_trait trait)
{
	reader->traits |= 1ULL << trait;
}

static inline void report_body_truncated(struct report *report)
{
	report->truncated = TRUE;
	report->body_truncated = TRUE;
}

static inline bool
report_trait_has(const struct report_reader *reader, enum report_trait trait)
{
	return (reader->traits & (1ULL << trait)) != 0;
}

/* Otherwise the scan would not have asked. Whatever else the message may be, it must
   not depend on who asks. */
static inline bool report_is_asked_for(const struct report_reader *reader)
{
	return reader->is_marked ||
		report_trait_has(reader, REPORT_TRAIT_NULL_SENDER);
}

/* report-fields.c: header fields of one block */

struct report_field {
	/* without colon */
	const char *name;
	/* on one line, without leading and trailing white space */
	const char *value;
	/* not seen to its end, or has a NUL */
	bool is_cut;
};

/* Those of a block, in its order. */
struct report_fields {
	ARRAY(struct report_field) fields;
	/* the block ended in the middle of a line */
	bool is_cut;
};

static inline bool
report_field_is(const struct report_field *field, const char *name)
{
	/* most differ in their first letter already */
	return ((field->name[0] ^ name[0]) & ~0x20) == 0 &&
		strcasecmp(field->name, name) == 0;
}

/* The fields of [block, block + size), up to the first empty line, on the data
   stack. */
void report_fields_parse(struct report_reader *reader, const void *block,
			 size_t size, struct report_fields *fields_r);

/* What reads the fields of one name. value is gone after the call. */
struct report_field_reader {
	const char *name;
	void (*read)(struct report_reader *reader, const char *value);
};
/* Each field by the reader of its name, in the order of the fields. */
void report_fields_read(struct report_reader *reader,
			const struct report_fields *fields,
			const struct report_field_reader *readers,
			unsigned int count);

/* Kinds of header blocks, by the fields that they have */
enum report_block {
	/* RFC 5322: somebody's message */
	REPORT_BLOCK_MESSAGE,
	/* RFC 3464, RFC 8098, RFC 5965: a machine-readable report */
	REPORT_BLOCK_REPORT,
};
struct report_known_field {
	/* lower-case */
	const char *name;
	/* the kind of block that it usually stands in */
	enum report_block kind;
	/* found in real header blocks, hardly in prose or in a summary for humans */
	bool identifies;
	/* what mail systems write, and nobody repeats for humans */
	bool technical;
};
/* NULL = it is of no known kind. name: size bytes. */
const struct report_known_field *
report_known_field(const unsigned char *name, size_t size);

/* report-class.c: what the traits make of it, once all was read */
enum report_class report_class_of(const struct report_reader *reader);

/* report-values.c */

/* Appends the Message-IDs in a field's value, normalised. */
void report_message_ids_read(struct report_reader *reader, const char *value,
			     enum report_rank rank);
/* The same for In-Reply-To and References of the report itself: nearest: the
   last one comes first. */
void report_references_read(struct report_reader *reader, const char *value,
			    bool nearest_last);
/* Fills report->message_ids from reader->ids, best first. */
void report_message_ids_finish(struct report_reader *reader);

/* Is the value one Message-ID as RFC 5322, 3.6.4 wants it, without the obsolete
   forms, and nothing else? */
bool report_message_id_is_grammar(const char *value);

/* As report_message_id_first(), in the case that it came in. */
const char *report_message_id_first_written(pool_t pool, const char *value);

/* Addresses of an address list field, lower-case, appended to dest. */
void report_addresses_read(pool_t pool, const char *value,
			   ARRAY_TYPE(const_string) *dest);
/* Address of a DSN field ("rfc822; user@example.com", RFC 6533 too), lower-case
   and decoded; NULL if there is none. */
const char *report_typed_address(pool_t pool, const char *value);
/* What lies in [data, data + size), lower-case; NULL if it is empty, too long or has
   control characters. */
const char *
report_address_normalize(pool_t pool, const void *data, size_t size);
/* Appends one address, unless dest has it or is full. Takes what lies in
   [data, data + size) as it is, but for case. */
void report_address_add(pool_t pool, const void *data, size_t size,
			ARRAY_TYPE(const_string) *dest, unsigned int max);
bool report_strings_have(const ARRAY_TYPE(const_string) *strings,
			 const char *string);

/* report-sender.c: the report's own header */
void report_sender_read(struct report_reader *reader,
			const struct report_fields *fields);

/* Auto-Submitted (RFC 3834, 5): does it say that no human wrote it? */
bool report_is_auto_submitted(const char *value);

/* report-original.c: the returned header block */

/* Returns TRUE if at least two fields of a message header were there.
   *is_report_r: it is the header of a report. */
bool report_original_read_fields(struct report_reader *reader,
				 const struct report_fields *fields,
				 const struct report_source *source,
				 bool *is_report_r);
bool report_original_read(struct report_reader *reader, const void *header,
			  size_t size, const struct report_source *source);

/* The part of that type stands in the original, counted from 0 in report->originals
   (UINT_MAX = none). */
void report_original_has_part(struct report_reader *reader,
			      unsigned int original, const char *type);

/* report-dsn.c: fields of message/delivery-status, disposition-notification
   and feedback-report. A block is what stands between empty lines. in_part: of
   such a part, not of a text. */
void report_dsn_read(struct report_reader *reader, const void *block,
		     size_t size, bool in_part);
/* The action or status that value starts with, lower-case; NULL = none. */
const char *report_keyword(pool_t pool, const char *value);

/* report-text.c: a text for humans, decoded to UTF-8 */
enum report_text_kind {
	/* what the reporter says */
	REPORT_TEXT_NOTICE,
	/* consists of header blocks: the first field is one */
	REPORT_TEXT_FIELDS,
	/* the same, of a type that only software writes */
	REPORT_TEXT_STATUS,
	/* a returned header */
	REPORT_TEXT_HEADER,
	/* body of the returned message, whose header was unreadable */
	REPORT_TEXT_RETURNED,
	/* header of a MIME part: at times the returned one took its place */
	REPORT_TEXT_MIME_HEADER,
	/* of a report that is itself returned */
	REPORT_TEXT_NESTED,
};
void report_text_read(struct report_reader *reader, const void *text,
		      size_t size, enum report_text_kind kind);

/* an HTML part, decoded to UTF-8 */
void report_html_read(struct report_reader *reader, const buffer_t *html);

/* report-json.c: a notification service's JSON. Returns FALSE if text is
   something else. */
bool report_json_read(struct report_reader *reader, const void *text,
		      size_t size, unsigned int depth);

/* report-mime.c: walks through the message's parts. Returns 0, or -1 if the
   stream failed. */
int report_mime_read(struct report_reader *reader, struct istream *input,
		     const char **error_r);

/* report-wrapped.c */

/* The message's own header; what is inside is compared with it. */
void report_wrapped_outer(struct report_reader *reader,
			  const struct report_fields *fields);
/* The header of a message in it, which starts at offset and ends with the part's
   body; cte: how it is encoded. Notes in reader->wrapped if it is the same. */
void report_wrapped_inner(struct report_reader *reader,
			  const struct report_fields *fields,
			  const struct message_part *part, uoff_t offset,
			  enum message_cte cte);
/* Appends data, decoded (RFC 2045, 6), to dest; what is not encoded, as it is. */
void report_decode(enum message_cte cte, const void *data, size_t size,
		   buffer_t *dest);
/* The wrapped message as a stream of its own, at its first byte. */
struct istream *report_wrapped_open(const struct report_wrapped *wrapped,
				    struct istream *input);

/* A Received line (RFC 5321, 4.4). Strings are on the data stack,
   lower-case; NULL = absent. */
struct report_received {
	/* host that handed the message over, as it called itself */
	const char *from;
	/* host that took it in */
	const char *by;
	/* address behind "for" */
	const char *recipient;
	/* It was taken in locally or with a login: from one of the host's own
	   users. */
	bool submitted;
};

/* Anybody can write such a line: it may keep from convicting, nothing else. */
void report_received_read(const char *value, struct report_received *received_r);

/* Lines of a text, and the header blocks in it. */

struct text_line {
	/* without line end and trailing white space */
	const unsigned char *start, *end;
	/* start of the following line */
	const unsigned char *next;
};

/* Cuts the line off that starts at pos. FALSE at the end. */
bool text_line_get(const unsigned char *pos, const unsigned char *end,
		   struct text_line *line_r);

/* What of a text the reporter himself wrote. */
struct text_notice {
	/* from the text's start up to the first header block of a message */
	const unsigned char *end;
	/* goes on here, where that block was only a summary */
	const unsigned char *rest, *rest_end;
};

/* Reads all header blocks in [text, end). */
void report_text_blocks_read(struct report_reader *reader,
			     const unsigned char *text,
			     const unsigned char *end,
			     enum report_text_kind kind,
			     struct text_notice *notice_r);

#endif
