/* libFuzzer target for the header scan and the report reader. Built with
   clang -fsanitize=fuzzer,address,undefined together with plugin/report/, linked
   with -ldovecot; the seeds are in report-seeds/.

   Beside what the sanitizers find it checks what report.h and report-scan.h
   promise. */

#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "istream.h"
#include "report/report.h"
#include "report/report-limits.h"
#include "report/report-scan.h"
#include "text/text.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const char *str, size_t max)
{
	if (str == NULL)
		return;
	i_assert(*str != '\0' && strlen(str) <= max);
	for (; *str != '\0'; str++) {
		i_assert((unsigned char)*str >= ' ');
		i_assert(*str < 'A' || *str > 'Z');
	}
}

static void
check_strings(const ARRAY_TYPE(const_string) *strings, unsigned int max_count,
	      size_t max)
{
	const char *str;

	i_assert(array_count(strings) <= max_count);
	array_foreach_elem(strings, str) {
		i_assert(str != NULL);
		check_string(str, max);
	}
}

static void check_original(const struct report_original *original)
{
	const struct report_hop *hop;

	check_string(original->message_id, REPORT_MAX_MESSAGE_ID_SIZE);
	i_assert(!original->message_id_proves || original->message_id != NULL);
	check_strings(&original->from, REPORT_MAX_ADDRESSES,
		      REPORT_MAX_ADDRESS_SIZE);
	check_strings(&original->return_paths, REPORT_MAX_ADDRESSES,
		      REPORT_MAX_ADDRESS_SIZE);
	check_strings(&original->recipients, REPORT_MAX_ADDRESSES,
		      REPORT_MAX_ADDRESS_SIZE);
	check_strings(&original->resent_from, REPORT_MAX_ADDRESSES,
		      REPORT_MAX_ADDRESS_SIZE);
	i_assert(array_count(&original->hops) <= REPORT_MAX_HOPS);
	array_foreach(&original->hops, hop) {
		check_string(hop->by, REPORT_MAX_ADDRESS_SIZE);
		check_string(hop->for_address, REPORT_MAX_ADDRESS_SIZE);
	}
}

/* What convicts must be looked up, too, and be one kind of place. */
static void check_originals(const struct report *report)
{
	const struct report_original *original, *first;
	const struct report_message_id *id;
	bool found;

	i_assert(array_count(&report->originals) <= REPORT_MAX_ORIGINALS);
	array_foreach(&report->originals, original) {
		check_original(original);
		first = array_front(&report->originals);
		i_assert(original->in_part == first->in_part);
		if (!original->message_id_proves || report->truncated)
			continue;
		found = FALSE;
		array_foreach(&report->message_ids, id)
			found = found || strcmp(id->id, original->message_id) == 0;
		i_assert(found);
	}
}

static void check_report(const struct report *report)
{
	const struct report_message_id *id;
	const struct report_recipient *rcpt;

	i_assert(report_class_name(report->class) != NULL);
	check_string(report->message_id, REPORT_MAX_MESSAGE_ID_SIZE);
	check_strings(&report->to, REPORT_MAX_ADDRESSES,
		      REPORT_MAX_ADDRESS_SIZE);
	check_strings(&report->references, REPORT_MAX_REFERENCES,
		      REPORT_MAX_MESSAGE_ID_SIZE);
	check_strings(&report->original_to, REPORT_MAX_ADDRESSES,
		      REPORT_MAX_ADDRESS_SIZE);
	check_strings(&report->original_senders, REPORT_MAX_ADDRESSES,
		      REPORT_MAX_ADDRESS_SIZE);
	check_string(report->received_by, REPORT_MAX_ADDRESS_SIZE);
	check_originals(report);
	i_assert(report->shape != REPORT_SHAPE_DAEMON || report->null_sender);
	i_assert(array_count(&report->message_ids) <= REPORT_MAX_MESSAGE_IDS);
	array_foreach(&report->message_ids, id) {
		check_string(id->id, REPORT_MAX_MESSAGE_ID_SIZE);
		i_assert(strpbrk(id->id, " \t<>") == NULL || !id->whole);
		i_assert(!id->whole || strchr(id->id, '@') != NULL);
	}
	i_assert(array_count(&report->recipients) <=
		 REPORT_MAX_RECIPIENTS * 2);
	array_foreach(&report->recipients, rcpt) {
		check_string(rcpt->original_recipient, REPORT_MAX_ADDRESS_SIZE);
		check_string(rcpt->final_recipient, REPORT_MAX_ADDRESS_SIZE);
		check_string(rcpt->action, SIZE_MAX);
		check_string(rcpt->status, SIZE_MAX);
	}
}

static void check_copy(const unsigned char *header, size_t size)
{
	buffer_t *copy = buffer_create_dynamic(default_pool, size + 1);
	const unsigned char *field, *line, *next, *end = header + size;
	struct header_field split;
	struct report_scan scan;
	struct istream *input;

	for (field = header; field < end; field = next) {
		line = field;
		next = header_field_end(&line, end, TRUE);
		if (!header_field_split(field, next, &split) ||
		    !report_scan_is_forged(split.name, split.name_size))
			buffer_append(copy, field, next - field);
	}
	input = i_stream_create_from_data(copy->data, copy->used);
	report_scan_header(input, FALSE, &scan);
	i_assert(scan.complete && !scan.forged);
	i_stream_unref(&input);
	buffer_free(&copy);
}

static bool check_scan(struct istream *input, size_t message_size)
{
	struct report_scan scan;
	const unsigned char *data;
	size_t size;

	report_scan_header(input, FALSE, &scan);
	i_assert(input->v_offset == 0);
	if (!scan.complete) {
		i_assert(scan.marked && scan.forged);
		return TRUE;
	}
	i_assert(scan.header_size <= message_size);
	data = i_stream_get_data(input, &size);
	i_assert(size >= scan.header_size);
	check_copy(data, scan.header_size);
	return scan.marked;
}

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct istream *input = i_stream_create_from_data(data, size);
	pool_t pool = pool_alloconly_create("fuzz report", 1024);
	struct report report;
	const char *error;
	enum report_sender sender;
	bool marked;
	int ret;

	marked = check_scan(input, size);
	sender = size % 3;
	T_BEGIN {
		ret = report_read(pool, input, sender, &report, &error);
		i_assert(ret >= 0);
		i_assert((ret == 1) == (report.class != REPORT_CLASS_NONE));
		check_report(&report);
		i_assert(ret == 0 || marked || report.null_sender);
	} T_END;
	i_stream_unref(&input);
	pool_unref(&pool);
	return 0;
}
