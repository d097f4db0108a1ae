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
	report->class = report_evidence_class(reader);
}

int report_read(pool_t pool, struct istream *input, enum report_sender sender,
		struct report *report_r, const char **error_r)
{
	struct report_reader reader = {
		.pool = pool,
		.report = report_r,
		.action = REPORT_ACTION_NONE,
	};
	pool_t array_pool = pool_alloconly_create("report reader", 2048);
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
