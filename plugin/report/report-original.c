/* The returned header block of the original, wherever it stood. */

#include "lib.h"
#include "message-date.h"
#include "report-private.h"

struct original_context {
	enum report_rank rank;
	/* what this block says comes before what others said */
	bool stronger;
	bool date_seen;
	bool to_seen;
	unsigned int known_fields;
};

static void
read_message_id(struct report_reader *reader, const char *value,
		struct original_context *ctx)
{
	report_message_ids_read(reader, value, ctx->rank);
}

static void
read_date(struct report_reader *reader, const char *value,
	  struct original_context *ctx)
{
	time_t date;
	int timezone_offset;

	if (ctx->date_seen)
		return;
	ctx->date_seen = TRUE;
	if ((ctx->stronger || reader->report->original_date == (time_t)-1) &&
	    message_date_parse((const unsigned char *)value, strlen(value),
			       &date, &timezone_offset))
		reader->report->original_date = date;
}

static void
read_to(struct report_reader *reader, const char *value,
	struct original_context *ctx)
{
	if (!ctx->to_seen && ctx->stronger)
		array_clear(&reader->report->original_to);
	ctx->to_seen = TRUE;
	report_addresses_read(reader->pool, value,
			      &reader->report->original_to);
}

static void
read_redirected(struct report_reader *reader, const char *value,
		struct original_context *ctx ATTR_UNUSED)
{
	report_addresses_read(reader->pool, value,
			      &reader->report->redirected_from);
}

static void
read_serial(struct report_reader *reader, const char *value,
	    struct original_context *ctx ATTR_UNUSED)
{
	const char *p;

	if (reader->report->serial != NULL || *value == '\0' ||
	    strlen(value) > REPORT_MAX_SERIAL_SIZE)
		return;
	for (p = value; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f)
			return;
	}
	reader->report->serial = p_strdup(reader->pool, value);
}

static const struct {
	const char *name;
	void (*read)(struct report_reader *reader, const char *value,
		     struct original_context *ctx);
} original_fields[] = {
	{ "Cc", read_to },
	{ "Date", read_date },
	{ "Message-ID", read_message_id },
	{ "Original-Message-ID", read_message_id },
	{ "To", read_to },
	{ REPORT_SERIAL_HEADER, read_serial },
	/* the ID that a relay replaced by its own */
	{ "X-Google-Original-Message-ID", read_message_id },
	{ "X-Microsoft-Original-Message-ID", read_message_id },
	{ "X-Original-Message-ID", read_message_id },
	{ "X-Sieve-Redirected-From", read_redirected },
};

static void
original_field(struct report_reader *reader, const char *name,
	       const char *value, void *context)
{
	struct original_context *ctx = context;
	bool identifies;
	unsigned int i;

	if (report_field_kind((const unsigned char *)name, strlen(name),
			      &identifies) == REPORT_BLOCK_MESSAGE)
		ctx->known_fields++;
	for (i = 0; i < N_ELEMENTS(original_fields); i++) {
		if (strcasecmp(name, original_fields[i].name) == 0)
			original_fields[i].read(reader, value, ctx);
	}
}

bool report_original_read(struct report_reader *reader, const void *header,
			  size_t size, enum report_rank rank)
{
	struct original_context ctx = {
		.rank = rank,
		.stronger = rank > reader->original_rank,
	};

	report_fields_read(reader, header, size, original_field, &ctx);
	if (ctx.known_fields < 2)
		return FALSE;
	if (ctx.stronger)
		reader->original_rank = rank;
	return TRUE;
}
