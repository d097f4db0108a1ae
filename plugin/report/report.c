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
	p_array_init(&report->originals, pool, 1);
	p_array_init(&report->original_senders, pool, 1);
	p_array_init(&report->recipients, pool, 4);
	p_array_init(&report->original_to, pool, 4);
	p_array_init(&report->redirected_from, pool, 1);
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

static bool
report_address_is_own(struct report_reader *reader, const char *address)
{
	const char *own;

	array_foreach_elem(&reader->own_addresses, own) {
		if (strcmp(own, address) == 0)
			return TRUE;
	}
	return FALSE;
}

static bool report_text_names_address(struct report_reader *reader)
{
	const char *address;

	array_foreach_elem(&reader->failed_addresses, address) {
		if (!report_address_is_own(reader, address))
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
		if (report_address_is_own(reader, address))
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
	    reader->mailer_daemon && !array_is_empty(&reader->report->originals))
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
	if (report_text_names_address(reader))
		report_trait_add(reader, REPORT_TRAIT_TEXT_ADDRESS);
	report_message_ids_finish(reader);
	report_finish_originals(report);
	report_finish_proofs(report);
	report->class = report_evidence_class(reader);
	report->shape = report_shape(reader);
	report->null_sender =
		report_trait_has(reader, REPORT_TRAIT_NULL_SENDER);
}

int report_read(pool_t pool, struct istream *input, enum report_sender sender,
		struct report *report_r, const char **error_r)
{
	pool_t array_pool = pool_alloconly_create("report reader", 2048);
	struct report_reader reader = {
		.pool = pool,
		.scratch = array_pool,
		.report = report_r,
		.action = REPORT_ACTION_NONE,
	};
	int ret;

	report_init(report_r, pool);
	p_array_init(&reader.ids, array_pool, 4);
	p_array_init(&reader.failed_addresses, array_pool, 4);
	p_array_init(&reader.failed_field, array_pool, 4);
	p_array_init(&reader.own_addresses, array_pool, 4);

	ret = report_mime_read(&reader, input, sender, error_r);
	if (ret == 0) {
		report_finish(&reader);
		ret = report_r->class == REPORT_CLASS_NONE ? 0 : 1;
	}
	pool_unref(&array_pool);
	return ret;
}
