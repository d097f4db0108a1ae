/* What the report reader sees in a message, without any user, log or verdict.

   Standard input: file names, one a line. Standard output: a line for each file that
   could be read, of the columns that tests/tools/inspect names, tab-escaped. Exit code: 0, or 1
   if a file could not be read. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "strescape.h"
#include "iso8601-date.h"
#include "report/report.h"
#include "report/report-scan.h"

#include <stdio.h>
#include <time.h>

#define INSPECT_BLOCK_SIZE 8192

/* NULL = "" */
static void inspect_print(const char *value)
{
	printf("%s\t", value == NULL ? "" : str_tabescape(value));
}

/* Values of a list are separated by spaces, a recipient's by commas as well:
   what an address has of them (it is quoted then) is written as %XX. */
static void inspect_append_escaped(string_t *dest, const char *value)
{
	for (; *value != '\0'; value++) {
		if (strchr(" ,%", *value) != NULL)
			str_printfa(dest, "%%%02X", *value);
		else
			str_append_c(dest, *value);
	}
}

static void inspect_print_list(const ARRAY_TYPE(const_string) *list)
{
	string_t *str = t_str_new(256);
	const char *value;

	array_foreach_elem(list, value) {
		if (str_len(str) > 0)
			str_append_c(str, ' ');
		inspect_append_escaped(str, value);
	}
	inspect_print(str_c(str));
}

static void inspect_print_message_ids(const struct report *report)
{
	const struct report_message_id *message_id;
	string_t *str = t_str_new(256);

	array_foreach(&report->message_ids, message_id) {
		if (str_len(str) > 0)
			str_append_c(str, ' ');
		str_append(str, message_id->id);
	}
	inspect_print(str_c(str));
}

static void
inspect_append_recipient(string_t *str, const struct report_recipient *rcpt)
{
	const char *address = rcpt->original_recipient;

	if (address == NULL)
		address = rcpt->final_recipient;
	if (address == NULL)
		return;
	if (str_len(str) > 0)
		str_append(str, ", ");
	inspect_append_escaped(str, address);
	if (rcpt->action != NULL) {
		str_append_c(str, ' ');
		inspect_append_escaped(str, rcpt->action);
	}
	if (rcpt->status != NULL) {
		str_append_c(str, ' ');
		inspect_append_escaped(str, rcpt->status);
	}
}

static void inspect_print_recipients(const struct report *report)
{
	const struct report_recipient *rcpt;
	string_t *str = t_str_new(256);

	array_foreach(&report->recipients, rcpt)
		inspect_append_recipient(str, rcpt);
	inspect_print(str_c(str));
}

static const char *inspect_shape(enum report_shape shape)
{
	static const char *const names[] = {
		[REPORT_SHAPE_WORDED] = "worded",
		[REPORT_SHAPE_DAEMON] = "daemon",
		[REPORT_SHAPE_STRUCTURED] = "structured",
	};

	return names[shape];
}

static void
inspect_append_named(string_t *str, const char *name,
		     const ARRAY_TYPE(const_string) *list)
{
	const char *value;

	array_foreach_elem(list, value) {
		str_printfa(str, " %s=", name);
		inspect_append_escaped(str, value);
	}
}

/* "hop=HOST;ADDRESS;submitted" for each: what is absent is empty. No value has a ";":
   in a Received line it is followed by the date. */
static void
inspect_append_hops(string_t *str, const struct report_original *original)
{
	const struct report_hop *hop;

	array_foreach(&original->hops, hop) {
		str_append(str, " hop=");
		if (hop->by != NULL)
			inspect_append_escaped(str, hop->by);
		str_append_c(str, ';');
		if (hop->for_address != NULL)
			inspect_append_escaped(str, hop->for_address);
		str_append(str, hop->submitted ? ";submitted" : ";");
	}
}

/* "ID word word name=value, ID ...", "-" for an original without Message-ID */
static void inspect_print_originals(const struct report *report)
{
	const struct report_original *original;
	string_t *str = t_str_new(256);

	array_foreach(&report->originals, original) {
		if (str_len(str) > 0)
			str_append(str, ", ");
		inspect_append_escaped(str, original->message_id == NULL ?
				       "-" : original->message_id);
		if (original->message_id_proves)
			str_append(str, " proves");
		if (original->in_part)
			str_append(str, " part");
		if (original->automatic)
			str_append(str, " automatic");
		inspect_append_named(str, "from", &original->from);
		inspect_append_named(str, "return-path",
				     &original->return_paths);
		inspect_append_named(str, "for", &original->recipients);
		inspect_append_named(str, "resent-from",
				     &original->resent_from);
		inspect_append_hops(str, original);
	}
	inspect_print(str_c(str));
}

static void inspect_print_date(time_t date)
{
	struct tm *tm = date == (time_t)-1 ? NULL : gmtime(&date);

	inspect_print(tm == NULL ? NULL : iso8601_date_create_tm(tm, 0));
}

static void inspect_print_report(const char *path, const struct report *report)
{
	inspect_print(path);
	inspect_print("yes");
	inspect_print(report_class_name(report->class));
	inspect_print_message_ids(report);
	inspect_print_list(&report->serials);
	inspect_print(report->envelope_id);
	inspect_print_recipients(report);
	inspect_print_list(&report->references);
	inspect_print_date(report->original_date);
	inspect_print_date(report->arrival_date);
	inspect_print_list(&report->to);
	inspect_print_list(&report->original_to);
	inspect_print(inspect_shape(report->shape));
	inspect_print(report->null_sender ? "yes" : "no");
	inspect_print_originals(report);
	inspect_print_list(&report->original_senders);
	inspect_print(report->received_by);
	putchar('\n');
}

static void inspect_print_unmarked(const char *path)
{
	inspect_print(path);
	inspect_print("no");
	inspect_print(report_class_name(REPORT_CLASS_NONE));
	putchar('\n');
}

static int
inspect_stream(pool_t pool, const char *path, struct istream *input,
	       const char **error_r)
{
	struct report_scan scan;
	struct report report;

	report_scan_header(input, FALSE, &scan);
	if (input->stream_errno != 0) {
		*error_r = i_stream_get_error(input);
		return -1;
	}
	if (!scan.marked) {
		inspect_print_unmarked(path);
		return 0;
	}
	if (report_read(pool, input, REPORT_SENDER_UNKNOWN, &report,
			error_r) < 0)
		return -1;
	inspect_print_report(path, &report);
	return 0;
}

static int inspect_file(const char *path, const char **error_r)
{
	struct istream *input;
	pool_t pool;
	int ret;

	pool = pool_alloconly_create("inspect", 4096);
	input = i_stream_create_file(path, INSPECT_BLOCK_SIZE);
	ret = inspect_stream(pool, path, input, error_r);
	if (ret < 0)
		*error_r = t_strdup(*error_r);
	i_stream_unref(&input);
	pool_unref(&pool);
	return ret;
}

int main(void)
{
	char line[4096];
	const char *error;
	int status = 0;

	lib_init();
	while (fgets(line, sizeof(line), stdin) != NULL) T_BEGIN {
		line[strcspn(line, "\n")] = '\0';
		if (inspect_file(line, &error) < 0) {
			i_error("%s: %s", line, error);
			status = 1;
		}
	} T_END;
	lib_deinit();
	return status;
}
