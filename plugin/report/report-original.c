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

struct original_context {
	enum report_rank rank;
	/* NULL = nothing that could convict */
	struct report_original *original;
	/* what this block says comes before what others said */
	bool stronger;
	bool date_seen;
	bool to_seen;
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
outline_message_id(struct report_reader *reader, const char *value,
		   struct original_outline *outline)
{
	if (++outline->message_id_fields > 1) {
		outline->message_id_proves = FALSE;
		return;
	}
	outline->message_id = report_message_id_first(reader->pool, value);
	outline->message_id_proves = !reader->field_is_cut &&
		report_message_id_is_grammar(value);
}

static void
outline_speaker(struct report_reader *reader ATTR_UNUSED, const char *value,
		struct original_outline *outline)
{
	if (*value == '\0' || strcmp(value, "<>") == 0 ||
	    report_speaker_is_daemon(value))
		outline->is_report = TRUE;
}

static void
outline_return_path(struct report_reader *reader ATTR_UNUSED, const char *value,
		    struct original_outline *outline)
{
	if (strcmp(value, "<>") == 0)
		outline->is_report = TRUE;
}

static void
outline_content_type(struct report_reader *reader ATTR_UNUSED,
		     const char *value, struct original_outline *outline)
{
	if (strncasecmp(value, "multipart/report", 16) == 0)
		outline->is_report = TRUE;
}

static void
outline_failed_recipients(struct report_reader *reader ATTR_UNUSED,
			  const char *value ATTR_UNUSED,
			  struct original_outline *outline)
{
	outline->is_report = TRUE;
}

static const struct {
	const char *name;
	/* of From, To, Subject, Date, Received */
	bool counts;
	void (*read)(struct report_reader *reader, const char *value,
		     struct original_outline *outline);
} outline_fields[] = {
	{ "Content-Type", FALSE, outline_content_type },
	{ "Date", TRUE, NULL },
	{ "From", TRUE, outline_speaker },
	{ "Message-ID", FALSE, outline_message_id },
	{ "Received", TRUE, NULL },
	{ "Return-Path", FALSE, outline_return_path },
	{ "Sender", FALSE, outline_speaker },
	{ "Subject", TRUE, NULL },
	{ "To", TRUE, NULL },
	{ "X-Failed-Recipients", FALSE, outline_failed_recipients },
};

static void
outline_field(struct report_reader *reader, const char *name,
	      const char *value, void *context)
{
	struct original_outline *outline = context;
	bool identifies;
	unsigned int i;

	if (report_field_kind((const unsigned char *)name, strlen(name),
			      &identifies) == REPORT_BLOCK_MESSAGE)
		outline->known_fields++;
	for (i = 0; i < N_ELEMENTS(outline_fields); i++) {
		if (strcasecmp(name, outline_fields[i].name) != 0)
			continue;
		if (outline_fields[i].counts)
			outline->message_fields++;
		if (outline_fields[i].read != NULL)
			outline_fields[i].read(reader, value, outline);
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
	if (outline->is_report)
		original->automatic = TRUE;
	return original;
}

static void
original_addresses(struct report_reader *reader, const char *value,
		   ARRAY_TYPE(const_string) *dest)
{
	report_addresses_read(reader->pool, value, dest);
}

/*
 * Fields
 */

static void
original_read_message_id(struct report_reader *reader, const char *value,
		struct original_context *ctx)
{
	report_message_ids_read(reader, value, ctx->rank);
}

static void
read_own_message_id(struct report_reader *reader, const char *value,
		    struct original_context *ctx)
{
	original_read_message_id(reader, value, ctx);
	if (ctx->original != NULL && ctx->original->message_id != NULL &&
	    strncmp(ctx->original->message_id, SIEVE_MESSAGE_ID_PREFIX,
		    strlen(SIEVE_MESSAGE_ID_PREFIX)) == 0)
		ctx->original->automatic = TRUE;
}

static void
original_read_date(struct report_reader *reader, const char *value,
	  struct original_context *ctx)
{
	time_t date;
	int timezone_offset;

	if (ctx->date_seen || ctx->rank == REPORT_RANK_NESTED)
		return;
	ctx->date_seen = TRUE;
	if ((ctx->stronger || reader->report->original_date == (time_t)-1) &&
	    message_date_parse((const unsigned char *)value, strlen(value),
			       &date, &timezone_offset))
		reader->report->original_date = date;
}

static void
original_read_to(struct report_reader *reader, const char *value,
	struct original_context *ctx)
{
	if (ctx->original != NULL) {
		original_addresses(reader, value,
				   &ctx->original->recipients);
	}
	if (ctx->rank == REPORT_RANK_NESTED)
		return;
	if (!ctx->to_seen && ctx->stronger)
		array_clear(&reader->report->original_to);
	ctx->to_seen = TRUE;
	original_addresses(reader, value, &reader->report->original_to);
}

static void
read_delivered_to(struct report_reader *reader, const char *value,
		  struct original_context *ctx)
{
	if (ctx->original != NULL)
		original_addresses(reader, value, &ctx->original->recipients);
}

static void
original_read_from(struct report_reader *reader, const char *value,
	  struct original_context *ctx)
{
	if (ctx->original != NULL)
		original_addresses(reader, value, &ctx->original->from);
}

static void
original_read_return_path(struct report_reader *reader, const char *value,
		 struct original_context *ctx)
{
	if (ctx->original != NULL)
		original_addresses(reader, value, &ctx->original->return_paths);
}

static void
read_resent_from(struct report_reader *reader, const char *value,
		 struct original_context *ctx)
{
	if (ctx->original != NULL)
		original_addresses(reader, value, &ctx->original->resent_from);
}

static const char *
original_name(struct report_reader *reader, const char *name)
{
	return name == NULL ? NULL :
		report_address_normalize(reader->pool, name, strlen(name));
}

static void
original_read_received(struct report_reader *reader, const char *value,
	      struct original_context *ctx)
{
	struct report_original *original = ctx->original;
	struct report_received received;
	struct report_hop *hop;

	if (original == NULL)
		return;
	if (array_count(&original->hops) >= REPORT_MAX_HOPS) {
		reader->report->truncated = TRUE;
		return;
	}
	report_received_read(value, &received);
	if (received.by == NULL && received.submitted) {
		/* qmail doesn't say which host it is; the next one does */
		received.by = ctx->received_from;
	}
	hop = array_append_space(&original->hops);
	hop->by = original_name(reader, received.by);
	hop->for_address = original_name(reader, received.recipient);
	hop->submitted = received.submitted;
	if (received.from != NULL)
		ctx->received_from = p_strdup(reader->scratch, received.from);
}

static void
original_read_auto_submitted(struct report_reader *reader ATTR_UNUSED,
		    const char *value, struct original_context *ctx)
{
	if (ctx->original != NULL && report_is_auto_submitted(value))
		ctx->original->automatic = TRUE;
}

/* Groupware sends invitations, and answers to them, in its user's name. */
static void
original_note_type(struct report_original *original, const char *type)
{
	if (strncasecmp(type, "text/calendar", 13) == 0)
		original->automatic = TRUE;
}

static void
original_read_content_type(struct report_reader *reader ATTR_UNUSED, const char *value,
		  struct original_context *ctx)
{
	if (ctx->original != NULL)
		original_note_type(ctx->original, value);
}

static void
read_serial(struct report_reader *reader, const char *value,
	    struct original_context *ctx ATTR_UNUSED)
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
	array_foreach_elem(serials, serial) {
		if (strcmp(serial, value) == 0)
			return;
	}
	serial = p_strdup(reader->pool, value);
	array_push_back(serials, &serial);
}

static const struct {
	const char *name;
	void (*read)(struct report_reader *reader, const char *value,
		     struct original_context *ctx);
} original_fields[] = {
	{ "Auto-Submitted", original_read_auto_submitted },
	{ "Cc", original_read_to },
	{ "Content-Type", original_read_content_type },
	{ "Date", original_read_date },
	{ "Delivered-To", read_delivered_to },
	{ "Errors-To", original_read_return_path },
	{ "From", original_read_from },
	{ "Message-ID", read_own_message_id },
	{ "Original-Message-ID", original_read_message_id },
	{ "Received", original_read_received },
	{ "Resent-From", read_resent_from },
	{ "Return-Path", original_read_return_path },
	{ "Sender", original_read_from },
	{ "To", original_read_to },
	{ REPORT_SERIAL_HEADER, read_serial },
	/* the ID that a relay replaced by its own */
	{ "X-Google-Original-Message-ID", original_read_message_id },
	{ "X-Microsoft-Original-Message-ID", original_read_message_id },
	{ "X-Original-Message-ID", original_read_message_id },
	{ "X-Original-To", read_delivered_to },
	{ "X-Sieve-Redirected-From", read_resent_from },
};

static void
original_field(struct report_reader *reader, const char *name,
	       const char *value, void *context)
{
	struct original_context *ctx = context;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(original_fields); i++) {
		if (strcasecmp(name, original_fields[i].name) == 0)
			original_fields[i].read(reader, value, ctx);
	}
}

bool report_original_read(struct report_reader *reader, const void *header,
			  size_t size, const struct report_source *source,
			  bool *is_report_r)
{
	struct original_outline outline;
	struct original_context ctx = {
		.rank = source->rank,
		.stronger = source->rank > reader->original_rank,
	};

	i_zero(&outline);
	reader->original_read = UINT_MAX;
	report_fields_read(reader, header, size, outline_field, &outline);
	if (reader->block_is_cut) {
		/* nobody knows what followed */
		outline.message_id_proves = FALSE;
	}
	*is_report_r = outline.is_report;
	if (source->is_mime_header &&
	    outline.message_fields < ORIGINAL_MIN_FIELDS)
		return FALSE;
	if (outline.known_fields >= 2 || !source->in_part)
		ctx.original = original_get(reader, &outline, source);
	if (ctx.original != NULL) {
		reader->original_read =
			array_ptr_to_idx(&reader->report->originals,
					 ctx.original);
	}
	report_fields_read(reader, header, size, original_field, &ctx);
	if (outline.known_fields < 2)
		return FALSE;
	if (ctx.stronger)
		reader->original_rank = source->rank;
	return TRUE;
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
