/* The returned header block of the original, wherever it stood: what may acquit
   (Message-IDs, serial, recipients), and what the original itself claims, which
   convicts or keeps from it. */

#include "lib.h"
#include "message-date.h"
#include "report-private.h"

/* Sieve's redirect, vacation and notify make such IDs (RFC 5230, 5435). */
#define SIEVE_MESSAGE_ID_PREFIX "dovecot-sieve-"

/* From, To, Subject, Date, Received: a message's header has two of them, a MIME
   part's hardly any. */
#define ORIGINAL_MIN_FIELDS 2

/* A returned header while it is read. */
struct original_header {
	enum report_rank rank;
	/* what it says comes before what others said */
	bool stronger;
	bool date_seen;
	bool to_seen;
	/* NULL = nothing that could convict */
	struct report_original *original;
	/* "from" of the Received line above, which a newer host wrote */
	const char *received_from;
};

/* The first look: whose header it is. */
struct original_outline {
	const char *message_id;
	unsigned int message_id_fields;
	/* of any header */
	unsigned int known_fields;
	/* of From, To, Subject, Date, Received */
	unsigned int message_fields;
	bool message_id_proves;
	bool is_report;
};

/*
 * Whose header
 */

static void
outline_message_id(struct report_reader *reader,
		   const struct report_field *field,
		   struct original_outline *outline)
{
	if (++outline->message_id_fields > 1) {
		outline->message_id_proves = FALSE;
		return;
	}
	reader->field_is_cut = field->is_cut;
	outline->message_id =
		report_message_id_first(reader->pool, field->value);
	outline->message_id_proves = !field->is_cut &&
		report_message_id_is_grammar(field->value);
}

/* Does the field stand only in reports, or say that this is one? */
static bool outline_field_is_reports(const struct report_field *field)
{
	const char *value = field->value;

	if (report_field_is(field, "From") || report_field_is(field, "Sender")) {
		return *value == '\0' || strcmp(value, "<>") == 0 ||
			(report_speakers_read(value) &
			 TRAIT(MAILER_DAEMON)) != 0;
	}
	if (report_field_is(field, "Return-Path"))
		return strcmp(value, "<>") == 0;
	if (report_field_is(field, "Content-Type"))
		return strncasecmp(value, "multipart/report", 16) == 0;
	return report_field_is(field, "X-Failed-Recipients");
}

static void
outline_read(struct report_reader *reader, const struct report_fields *fields,
	     struct original_outline *outline_r)
{
	const struct report_field *field;
	const struct report_known_field *known;

	i_zero(outline_r);
	array_foreach(&fields->fields, field) T_BEGIN {
		known = report_known_field((const unsigned char *)field->name,
					   strlen(field->name));
		if (known != NULL && known->kind == REPORT_BLOCK_MESSAGE)
			outline_r->known_fields++;
		if (report_field_is(field, "Date") ||
		    report_field_is(field, "From") ||
		    report_field_is(field, "Received") ||
		    report_field_is(field, "Subject") ||
		    report_field_is(field, "To"))
			outline_r->message_fields++;
		if (report_field_is(field, "Message-ID"))
			outline_message_id(reader, field, outline_r);
		else if (outline_field_is_reports(field))
			outline_r->is_report = TRUE;
	} T_END;
	if (fields->is_cut) {
		/* nobody knows what followed */
		outline_r->message_id_proves = FALSE;
	}
}

/*
 * The original
 */

static struct report_original *
original_find(struct report *report, const char *message_id, bool in_part)
{
	struct report_original *original;

	if (message_id == NULL)
		return NULL;
	array_foreach_modifiable(&report->originals, original) {
		if (original->message_id != NULL &&
		    original->in_part == in_part &&
		    strcmp(original->message_id, message_id) == 0)
			return original;
	}
	return NULL;
}

static struct report_original *
original_append(struct report_reader *reader, const char *message_id,
		bool in_part)
{
	struct report_original *original;
	unsigned int count = 0;

	array_foreach_modifiable(&reader->report->originals, original) {
		if (original->in_part == in_part)
			count++;
	}
	if (count >= REPORT_MAX_ORIGINALS) {
		report_body_truncated(reader->report);
		return NULL;
	}
	original = array_append_space(&reader->report->originals);
	original->message_id = message_id;
	original->in_part = in_part;
	original->message_id_proves = TRUE;
	p_array_init(&original->from, reader->pool, 1);
	p_array_init(&original->return_paths, reader->pool, 1);
	p_array_init(&original->recipients, reader->pool, 1);
	p_array_init(&original->resent_from, reader->pool, 1);
	p_array_init(&original->hops, reader->pool, 1);
	return original;
}

/* What the outline says of the original that the block belongs to. NULL = it is
   none. */
static struct report_original *
original_get(struct report_reader *reader,
	     const struct original_outline *outline,
	     const struct report_source *source)
{
	struct report_original *original;

	if (source->original == REPORT_ORIGINAL_NONE)
		return NULL;
	if (!source->in_part && (outline->message_id == NULL ||
				 outline->message_fields < ORIGINAL_MIN_FIELDS))
		return NULL;
	original = original_find(reader->report, outline->message_id,
				 source->in_part);
	if (original == NULL) {
		original = original_append(reader, outline->message_id,
					   source->in_part);
	}
	if (original == NULL)
		return NULL;
	if (!outline->message_id_proves || outline->is_report ||
	    source->original != REPORT_ORIGINAL_PROVES)
		original->message_id_proves = FALSE;
	if (outline->is_report ||
	    (outline->message_id != NULL &&
	     strncmp(outline->message_id, SIEVE_MESSAGE_ID_PREFIX,
		     strlen(SIEVE_MESSAGE_ID_PREFIX)) == 0))
		original->automatic = TRUE;
	return original;
}

/*
 * Fields of an original
 */

/* Those that are address lists. */
static const struct {
	const char *name;
	size_t list;
} original_lists[] = {
	{ "Cc", offsetof(struct report_original, recipients) },
	{ "Delivered-To", offsetof(struct report_original, recipients) },
	{ "Errors-To", offsetof(struct report_original, return_paths) },
	{ "From", offsetof(struct report_original, from) },
	{ "Resent-From", offsetof(struct report_original, resent_from) },
	{ "Return-Path", offsetof(struct report_original, return_paths) },
	{ "Sender", offsetof(struct report_original, from) },
	{ "To", offsetof(struct report_original, recipients) },
	{ "X-Original-To", offsetof(struct report_original, recipients) },
	{ "X-Sieve-Redirected-From",
	  offsetof(struct report_original, resent_from) },
};

static void
original_read_lists(struct report_reader *reader,
		    const struct report_fields *fields,
		    struct report_original *original)
{
	const struct report_field *field;
	unsigned int i;

	array_foreach(&fields->fields, field) T_BEGIN {
		for (i = 0; i < N_ELEMENTS(original_lists); i++) {
			if (report_field_is(field, original_lists[i].name)) {
				report_addresses_read(reader->pool, field->value,
					PTR_OFFSET(original,
						   original_lists[i].list));
			}
		}
	} T_END;
}

static const char *
original_name(struct report_reader *reader, const char *name)
{
	return name == NULL ? NULL :
		report_address_normalize(reader->pool, name, strlen(name));
}

static void
original_read_received(struct report_reader *reader, const char *value)
{
	struct report_original *original = reader->header->original;
	struct report_received received;
	struct report_hop *hop;

	if (array_count(&original->hops) >= REPORT_MAX_HOPS) {
		reader->report->truncated = TRUE;
		return;
	}
	report_received_read(value, &received);
	if (received.by == NULL && received.submitted) {
		/* qmail doesn't say which host it is; the next one does */
		received.by = reader->header->received_from;
	}
	hop = array_append_space(&original->hops);
	hop->by = original_name(reader, received.by);
	hop->for_address = original_name(reader, received.recipient);
	hop->submitted = received.submitted;
	if (received.from != NULL) {
		reader->header->received_from =
			p_strdup(reader->scratch, received.from);
	}
}

static void
original_read_auto_submitted(struct report_reader *reader, const char *value)
{
	if (report_is_auto_submitted(value))
		reader->header->original->automatic = TRUE;
}

/* Groupware sends invitations, and answers to them, in its user's name. */
static void
original_note_type(struct report_original *original, const char *type)
{
	if (strncasecmp(type, "text/calendar", 13) == 0)
		original->automatic = TRUE;
}

static void
original_read_content_type(struct report_reader *reader, const char *value)
{
	original_note_type(reader->header->original, value);
}

static const struct report_field_reader original_fields[] = {
	{ "Auto-Submitted", original_read_auto_submitted },
	{ "Content-Type", original_read_content_type },
	{ "Received", original_read_received },
};

/*
 * Fields of any returned header
 */

static void
returned_read_message_id(struct report_reader *reader, const char *value)
{
	report_message_ids_read(reader, value, reader->header->rank);
}

static void
returned_read_date(struct report_reader *reader, const char *value)
{
	struct original_header *header = reader->header;
	time_t date;
	int timezone_offset;

	if (header->date_seen || header->rank == REPORT_RANK_NESTED)
		return;
	header->date_seen = TRUE;
	if ((header->stronger || reader->report->original_date == (time_t)-1) &&
	    message_date_parse((const unsigned char *)value, strlen(value),
			       &date, &timezone_offset))
		reader->report->original_date = date;
}

static void returned_read_to(struct report_reader *reader, const char *value)
{
	struct original_header *header = reader->header;

	if (header->rank == REPORT_RANK_NESTED)
		return;
	if (!header->to_seen && header->stronger)
		array_clear(&reader->report->original_to);
	header->to_seen = TRUE;
	report_addresses_read(reader->pool, value,
			      &reader->report->original_to);
}

static void returned_read_serial(struct report_reader *reader, const char *value)
{
	ARRAY_TYPE(const_string) *serials = &reader->report->serials;
	const char *p, *serial;

	if (*value == '\0' || strlen(value) > REPORT_MAX_SERIAL_SIZE ||
	    array_count(serials) == REPORT_MAX_SERIALS)
		return;
	for (p = value; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f)
			return;
	}
	if (report_strings_have(serials, value))
		return;
	serial = p_strdup(reader->pool, value);
	array_push_back(serials, &serial);
}

static const struct report_field_reader returned_fields[] = {
	{ "Cc", returned_read_to },
	{ "Date", returned_read_date },
	{ "Message-ID", returned_read_message_id },
	{ "Original-Message-ID", returned_read_message_id },
	{ "To", returned_read_to },
	{ REPORT_SERIAL_HEADER, returned_read_serial },
	/* the ID that a relay replaced by its own */
	{ "X-Google-Original-Message-ID", returned_read_message_id },
	{ "X-Microsoft-Original-Message-ID", returned_read_message_id },
	{ "X-Original-Message-ID", returned_read_message_id },
};

bool report_original_read_fields(struct report_reader *reader,
				 const struct report_fields *fields,
				 const struct report_source *source,
				 bool *is_report_r)
{
	struct original_outline outline;
	struct original_header header = {
		.rank = source->rank,
		.stronger = source->rank > reader->original_rank,
	};

	outline_read(reader, fields, &outline);
	*is_report_r = outline.is_report;
	reader->original_read = UINT_MAX;
	if (source->is_mime_header &&
	    outline.message_fields < ORIGINAL_MIN_FIELDS)
		return FALSE;
	if (outline.known_fields >= 2 || !source->in_part)
		header.original = original_get(reader, &outline, source);
	reader->header = &header;
	if (header.original != NULL) {
		reader->original_read =
			array_ptr_to_idx(&reader->report->originals,
					 header.original);
		original_read_lists(reader, fields, header.original);
		report_fields_read(reader, fields, original_fields,
				   N_ELEMENTS(original_fields));
	}
	report_fields_read(reader, fields, returned_fields,
			   N_ELEMENTS(returned_fields));
	reader->header = NULL;
	if (outline.known_fields < 2)
		return FALSE;
	if (header.stronger)
		reader->original_rank = source->rank;
	return TRUE;
}

bool report_original_read(struct report_reader *reader, const void *header,
			  size_t size, const struct report_source *source)
{
	struct report_fields fields;
	bool is_report, ret;

	T_BEGIN {
		report_fields_parse(reader, header, size, &fields);
		ret = report_original_read_fields(reader, &fields, source,
						  &is_report);
	} T_END;
	return ret;
}

void report_original_has_part(struct report_reader *reader,
			      unsigned int original, const char *type)
{
	if (original < array_count(&reader->report->originals)) {
		original_note_type(
			array_idx_modifiable(&reader->report->originals,
					     original), type);
	}
}
