/* The room's door: reads a message and says which report it is. */

#include "lib.h"
#include "istream.h"
#include "report-private.h"

static void report_init(struct report *report, pool_t pool)
{
	i_zero(report);
	p_array_init(&report->to, pool, 4);
	p_array_init(&report->references, pool, 4);
	p_array_init(&report->message_ids, pool, 4);
	p_array_init(&report->serials, pool, 1);
	p_array_init(&report->originals, pool, 1);
	p_array_init(&report->original_senders, pool, 1);
	p_array_init(&report->recipients, pool, 4);
	p_array_init(&report->original_to, pool, 4);
	report->original_date = (time_t)-1;
	report->arrival_date = (time_t)-1;
}

static bool report_names_recipient(const struct report *report)
{
	const struct report_recipient *rcpt;

	array_foreach(&report->recipients, rcpt) {
		if (rcpt->final_recipient != NULL ||
		    rcpt->original_recipient != NULL)
			return TRUE;
	}
	return FALSE;
}

/* Recipients that were only named in the header or the text. */
static void
report_add_recipients(struct report_reader *reader,
		      const ARRAY_TYPE(const_string) *addresses)
{
	struct report_recipient *rcpt;
	const char *address;

	array_foreach_elem(addresses, address) {
		if (report_strings_have(&reader->own_addresses, address))
			continue;
		rcpt = array_append_space(&reader->report->recipients);
		rcpt->final_recipient = address;
	}
}

static bool report_is_structured(const struct report_reader *reader)
{
	if (report_trait_has(reader, REPORT_TRAIT_NULL_SENDER)) {
		return reader->status_is_certain ||
			report_trait_has(reader, REPORT_TRAIT_FAILED_RECIPIENTS);
	}
	return reader->status_is_certain &&
		report_trait_has(reader, REPORT_TRAIT_REPORT);
}

static enum report_shape report_shape(const struct report_reader *reader)
{
	if (report_is_structured(reader))
		return REPORT_SHAPE_STRUCTURED;
	if (report_trait_has(reader, REPORT_TRAIT_NULL_SENDER) &&
	    report_trait_has(reader, REPORT_TRAIT_MAILER_DAEMON) &&
	    !array_is_empty(&reader->report->originals))
		return REPORT_SHAPE_DAEMON;
	return REPORT_SHAPE_WORDED;
}

/* Text blocks are originals only where no part is one. */
static void report_finish_originals(struct report *report)
{
	const struct report_original *original;
	unsigned int i;
	bool in_part = FALSE;

	array_foreach(&report->originals, original)
		in_part = in_part || original->in_part;
	if (!in_part)
		return;
	for (i = 0; i < array_count(&report->originals); ) {
		original = array_idx(&report->originals, i);
		if (original->in_part)
			i++;
		else
			array_delete(&report->originals, i, 1);
	}
}

/* The report's own Message-ID: a reporter that keeps the original's, or a text
   about the report itself. Nobody knows. */
static void report_finish_proofs(struct report *report)
{
	struct report_original *original;

	if (report->message_id == NULL)
		return;
	array_foreach_modifiable(&report->originals, original) {
		if (original->message_id != NULL &&
		    strcmp(original->message_id, report->message_id) == 0)
			original->message_id_proves = FALSE;
	}
}

static void report_finish(struct report_reader *reader)
{
	struct report *report = reader->report;

	if (!report_names_recipient(report))
		report_add_recipients(reader, &reader->failed_field);
	if (!report_names_recipient(report))
		report_add_recipients(reader, &reader->failed_addresses);
	if (!array_is_empty(&reader->failed_addresses))
		report_trait_add(reader, REPORT_TRAIT_TEXT_ADDRESS);
	report_message_ids_finish(reader);
	report_finish_originals(report);
	report_finish_proofs(report);
	report->class = report_class_of(reader);
	report->shape = report_shape(reader);
	report->null_sender =
		report_trait_has(reader, REPORT_TRAIT_NULL_SENDER);
}

static int
reader_read(struct report_reader *reader, struct istream *input,
	    const char **error_r)
{
	p_array_init(&reader->ids, reader->scratch, 4);
	p_array_init(&reader->failed_addresses, reader->scratch, 4);
	p_array_init(&reader->failed_field, reader->scratch, 4);
	p_array_init(&reader->own_addresses, reader->scratch, 4);
	report_init(reader->report, reader->pool);
	if (report_mime_read(reader, input, error_r) < 0)
		return -1;
	report_finish(reader);
	return 0;
}

static bool reader_wraps(const struct report_reader *reader)
{
	if (!report_is_asked_for(reader))
		return FALSE;
	/* a mail system that reports, and happens to have kept the ID */
	return reader->wrapped.found &&
		!report_trait_has(reader, REPORT_TRAIT_DSN_PART) &&
		!report_trait_has(reader, REPORT_TRAIT_MDN_PART);
}

/* Reads the report that was wrapped in another message, in its stead. Its envelope
   is the outer one's. */
static void
report_unwrap(const struct report_reader *outer, struct istream *input)
{
	struct report report;
	struct report_reader reader = {
		.sender = outer->sender,
		.pool = outer->pool,
		.scratch = outer->scratch,
		.report = &report,
		.action = REPORT_ACTION_NONE,
		.is_unwrapped = TRUE,
	};
	struct istream *inner = report_wrapped_open(&outer->wrapped, input);
	const char *error;
	int ret;

	if (outer->report->null_sender)
		reader.sender = REPORT_SENDER_NULL;
	else if (outer->return_path_seen)
		reader.sender = REPORT_SENDER_ADDRESS;
	ret = reader_read(&reader, inner, &error);
	i_stream_unref(&inner);
	if (ret < 0 || report.class == REPORT_CLASS_NONE)
		return;
	/* a mail system returns the user's own answer */
	if (report.class == REPORT_CLASS_AUTO_REPLY &&
	    !outer->wrapped.same_from)
		return;
	if (outer->report->received_by != NULL)
		report.received_by = outer->report->received_by;
	if (outer->report->truncated)
		report.truncated = TRUE;
	if (outer->report->body_truncated)
		report.body_truncated = TRUE;
	if (outer->wrapped.forwarded) {
		/* who sent the inner one is not known */
		report.null_sender = FALSE;
		report.shape = REPORT_SHAPE_WORDED;
	}
	*outer->report = report;
}

int report_read(pool_t pool, struct istream *input, enum report_sender sender,
		struct report *report_r, const char **error_r)
{
	pool_t scratch = pool_alloconly_create("report reader", 2048);
	struct report_reader reader = {
		.sender = sender,
		.pool = pool,
		.scratch = scratch,
		.report = report_r,
		.action = REPORT_ACTION_NONE,
	};
	int ret = reader_read(&reader, input, error_r);

	if (ret == 0) {
		if (reader_wraps(&reader))
			report_unwrap(&reader, input);
		ret = report_r->class == REPORT_CLASS_NONE ? 0 : 1;
	}
	pool_unref(&scratch);
	return ret;
}
