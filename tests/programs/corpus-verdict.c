/* What would become of each report if it were forged: judged with a null sender for a
   mailbox whose log is complete and has nothing in it. Own addresses are what a
   forger has to use: the report's To: and the returned From:.

   Standard input: file names, one a line. Standard output: file, shape, "proof" (one
   original with a whole Message-ID in a part of its own) or "-", row and reason of
   the verdict table, separated by tabs. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "istream-concat.h"
#include "report/report.h"
#include "judging/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DAY (24 * 60 * 60)

struct forged_check {
	struct sent_log *log;
	struct facts_policy policy;
	time_t now;
};

static const char *const shapes[] = {
	[REPORT_SHAPE_WORDED] = "worded",
	[REPORT_SHAPE_DAEMON] = "daemon",
	[REPORT_SHAPE_STRUCTURED] = "structured",
};

static void forged_check_init(struct forged_check *check, const char *path)
{
	static const char *const no_names[] = { NULL };
	const struct sent_log_settings set = {
		.path = path, .deadline_msecs = 10000,
		.retention_secs = 90 * DAY,
		.listed_sources = SENT_LOG_SOURCE_SUBMISSION,
	};
	const char *error;

	check->now = time(NULL);
	check->log = sent_log_init(&set);
	check->policy.coverage.listed_sources = SENT_LOG_SOURCE_SUBMISSION;
	check->policy.coverage.report_age = 14 * DAY;
	check->policy.coverage.retention = 90 * DAY;
	check->policy.host_names = no_names;
	if (sent_log_set_coverage(check->log, check->now - 365 * DAY,
				  SENT_LOG_COVERAGE_SET, check->now,
				  &error) < 0)
		i_fatal("%s: %s", path, error);
}

static struct own_addresses *own_addresses_of(const struct report *report)
{
	struct own_addresses *own =
		own_addresses_init(pool_datastack_create(), "+");
	const struct report_original *original;
	const char *address;

	array_foreach_elem(&report->to, address)
		own_addresses_add(own, address);
	array_foreach(&report->originals, original) {
		array_foreach_elem(&original->from, address)
			own_addresses_add(own, address);
	}
	return own;
}

static bool has_proof_in_part(const struct report *report)
{
	const struct report_original *original;

	if (array_count(&report->originals) != 1)
		return FALSE;
	original = array_front(&report->originals);
	return original->in_part && original->message_id_proves;
}

static void
check_report(struct forged_check *check, const char *path,
	     const struct report *report)
{
	static const char *const no_recipients[] = { NULL };
	static const struct serial_keys no_keys;
	const struct facts_keyed keyed = {
		.keys = &no_keys, .mailbox_keys = &no_keys,
		.envelope_recipients = no_recipients, .delimiters = "+",
	};
	struct verdict_result result;
	struct facts facts;

	sent_log_begin(check->log);
	facts_gather(report, check->log, own_addresses_of(report), &keyed,
		     &check->policy, check->now, &facts);
	verdict_decide(&facts.verdict, &result);
	printf("%s\t%s\t%s\t%u\t%s\n", path, shapes[facts.verdict.shape],
	       has_proof_in_part(report) ? "proof" : "-", result.row,
	       verdict_reason_name(result.reason));
}

/* As lmtp hands it on: with its own line on top, which names our host. */
static struct istream *open_delivered(const char *path)
{
	static const char line[] =
		"Received: from mx.invalid by delivery.invalid with LMTP\r\n";
	struct istream *inputs[] = {
		i_stream_create_from_data(line, sizeof(line) - 1),
		i_stream_create_file(path, 64 * 1024),
		NULL
	};
	struct istream *input = i_stream_create_concat(inputs);

	i_stream_unref(&inputs[0]);
	i_stream_unref(&inputs[1]);
	return input;
}

static void check_file(struct forged_check *check, const char *path)
{
	struct istream *input = open_delivered(path);
	pool_t pool = pool_alloconly_create("report", 8192);
	struct report report;
	const char *error;
	int ret;

	ret = report_read(pool, input, REPORT_SENDER_NULL, &report, &error);
	if (ret < 0)
		i_fatal("%s: %s", path, error);
	if (ret > 0)
		check_report(check, path, &report);
	else
		printf("%s\tnone\t-\t0\tno-report\n", path);
	pool_unref(&pool);
	i_stream_unref(&input);
}

int main(void)
{
	char folder[] = "/tmp/corpus-verdict.XXXXXX", line[4096];
	struct forged_check check;
	const char *path, *command;

	lib_init();
	if (mkdtemp(folder) == NULL)
		i_fatal("mkdtemp: %m");
	path = i_strconcat(folder, "/log", NULL);
	forged_check_init(&check, path);
	while (fgets(line, sizeof(line), stdin) != NULL) T_BEGIN {
		line[strcspn(line, "\n")] = '\0';
		check_file(&check, line);
	} T_END;
	sent_log_deinit(&check.log);
	command = t_strconcat("rm -rf ", folder, NULL);
	if (system(command) != 0)
		i_fatal("%s failed", command);
	lib_deinit();
	return 0;
}
