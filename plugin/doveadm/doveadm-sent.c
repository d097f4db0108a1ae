/* doveadm backscatter sent add|gap|find|count */

#include "lib.h"
#include "array.h"
#include "report/report.h"
#include "report/report-limits.h"
#include "doveadm-backscatter.h"
#include "quarantine/rejudge.h"

#include <unistd.h>

/* The identity of the Message-ID that was given, on the data stack. Returns 0 or -1. */
static int sent_read_message_id(struct doveadm_mail_cmd_context *ctx,
				struct sent_log_identity *identity_r)
{
	const char *text = doveadm_argument(ctx->cctx, "message-id");

	if (text == NULL)
		return doveadm_wrong_usage(ctx);
	identity_r->kind = SENT_LOG_IDENTITY_MESSAGE_ID;
	identity_r->value = report_message_id_first(pool_datastack_create(),
						    text);
	if (identity_r->value == NULL) {
		return doveadm_wrong_argument(ctx, "'%.200s' is no Message-ID: it is "
			"empty, has other than printable characters, or more "
			"than %u", text, REPORT_MAX_MESSAGE_ID_SIZE);
	}
	/* as a name typed in its place */
	return strpbrk(text, "<@") != NULL ? 0 : doveadm_wrong_argument(ctx,
		"'%.200s' is no Message-ID: it has neither brackets nor an @", text);
}

/* allowed: enum sent_log_source bits. *source_r stays as it is where none is given. */
static int sent_read_source(struct doveadm_mail_cmd_context *ctx,
			    unsigned int allowed, unsigned int *source_r)
{
	const char *name = doveadm_argument(ctx->cctx, "source");

	if (name == NULL)
		return 0;
	*source_r = sent_log_source_parse(name) & allowed;
	return *source_r != 0 ? 0 : doveadm_wrong_argument(ctx,
		"--source has the wrong value '%.200s': allowed: %s", name,
		doveadm_show_sources(allowed));
}

/*
 * sent add
 */

/* The others see for themselves what they log. */
#define SENT_ADD_SOURCES (SENT_LOG_SOURCE_MILTER | SENT_LOG_SOURCE_ADMIN)

/* A message as the arguments tell of it. */
struct sent_add {
	struct sent_log_message message;
	struct sent_log_identity identities[3];
	char serial[SERIAL_TEXT_SIZE];
};

static void sent_add_identity(struct sent_add *add,
			      enum sent_log_identity_kind kind, const char *value)
{
	struct sent_log_identity *identity =
		&add->identities[add->message.identity_count++];

	identity->kind = kind;
	identity->value = value;
}

static int sent_add_read_serial(struct doveadm_mail_cmd_context *ctx,
				struct sent_add *add)
{
	const char *text = doveadm_argument(ctx->cctx, "serial");

	if (text == NULL)
		return 0;
	if (!serial_normalise(text, add->serial)) {
		return doveadm_wrong_argument(ctx, "'%.200s' is no serial: length or "
			"alphabet is another", text);
	}
	sent_add_identity(add, SENT_LOG_IDENTITY_SERIAL, add->serial);
	return 0;
}

/* As the client gave it, before xtext (RFC 3461, 4.4). */
static int sent_add_read_envelope_id(struct doveadm_mail_cmd_context *ctx,
				     struct sent_add *add)
{
	const char *text = doveadm_argument(ctx->cctx, "envelope-id");

	if (text == NULL)
		return 0;
	if (*text == '\0' || strlen(text) > REPORT_MAX_ENVELOPE_ID_SIZE) {
		return doveadm_wrong_argument(ctx, "'%.200s' is no envelope id: it is "
			"empty or has more than %u characters", text,
			REPORT_MAX_ENVELOPE_ID_SIZE);
	}
	for (const char *p = text; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~') {
			return doveadm_wrong_argument(ctx, "'%.200s' is no envelope "
				"id: it has other than printable characters",
				text);
		}
	}
	sent_add_identity(add, SENT_LOG_IDENTITY_ENVELOPE_ID, text);
	return 0;
}

/* *time_r stays as it is where the option isn't given, or is 0. */
static int sent_read_time(struct doveadm_mail_cmd_context *ctx,
			      const char *option, time_t *time_r)
{
	const char *text = doveadm_argument(ctx->cctx, option);
	time_t time;

	if (text == NULL)
		return 0;
	if (str_to_time(text, &time) < 0 || time < 0) {
		return doveadm_wrong_argument(ctx, "--%s has the wrong value '%.200s': "
			"allowed: seconds since 1970", option, text);
	}
	if (time != 0)
		*time_r = time;
	return 0;
}

/* Returns NULL, or why no MTA would send to it. A local part alone it would: postmaster
   (RFC 5321, 4.1.1.3), or a user of its own host. */
static const char *sent_recipient_problem(const char *address)
{
	const char *at = strrchr(address, '@');

	if (*address == '\0')
		return "it is empty";
	if (strlen(address) > REPORT_MAX_ADDRESS_SIZE)
		return "it is too long";
	if (at == address || (at != NULL && at[1] == '\0'))
		return "its local part or domain is missing";
	for (const char *p = address; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == '\x7f')
			return "it has control characters";
	}
	/* in quotes a local part may have them */
	return strpbrk(at == NULL ? address : at, " <>,;") == NULL &&
		*address != '<' ? NULL :
		"it has blanks, brackets or separators";
}

static int sent_add_read_recipients(struct doveadm_mail_cmd_context *ctx,
				    struct sent_add *add)
{
	const char *const *recipients, *address, *problem;
	ARRAY_TYPE(const_string) addresses;
	unsigned int count;

	if (!doveadm_cmd_param_array(ctx->cctx, "recipient", &recipients))
		return 0;
	t_array_init(&addresses, 4);
	for (; *recipients != NULL; recipients++) {
		problem = sent_recipient_problem(*recipients);
		if (problem != NULL) {
			return doveadm_wrong_argument(ctx, "'%.200s' is no address: %s",
						      *recipients, problem);
		}
		address = t_str_lcase(*recipients);
		array_push_back(&addresses, &address);
	}
	add->message.recipients = array_get(&addresses, &count);
	add->message.recipient_count = count;
	return 0;
}

/* What it points to is on the data stack. Returns 0 or -1. */
static int sent_add_read(struct doveadm_mail_cmd_context *ctx, time_t now,
			 struct sent_add *add_r)
{
	unsigned int source = SENT_LOG_SOURCE_ADMIN;

	i_zero(add_r);
	if (sent_read_source(ctx, SENT_ADD_SOURCES, &source) < 0)
		return -1;
	add_r->message.source = source;
	add_r->message.identities = add_r->identities;
	add_r->message.identity_count = 1;
	add_r->message.logged_at = now;
	return sent_read_message_id(ctx, &add_r->identities[0]) < 0 ||
		sent_add_read_serial(ctx, add_r) < 0 ||
		sent_add_read_envelope_id(ctx, add_r) < 0 ||
		sent_read_time(ctx, "date", &add_r->message.date) < 0 ||
		sent_read_time(ctx, "sent-at",
				   &add_r->message.logged_at) < 0 ||
		sent_add_read_recipients(ctx, add_r) < 0 ? -1 : 0;
}

static int sent_add_check(struct doveadm_mail_cmd_context *ctx)
{
	struct sent_add add;

	return sent_add_read(ctx, time(NULL), &add);
}

/* Once more for the same message changes nothing: its row is found by what identifies
   it, and how often it was sent is told by its serials. */
static int sent_add_run(struct doveadm_run *run)
{
	struct sent_add add;
	const char *error;

	if (doveadm_log_open(run, DOVEADM_LOG_CREATE) < 0)
		return -1;
	if (sent_add_read(run->ctx, run->now, &add) < 0)
		i_unreached();
	if (sent_log_add(run->buser->log, &add.message, 1, run->now,
			 &error) < 0)
		return doveadm_run_failed(run, error);
	rejudge_due_reports(run->buser);
	return 0;
}

static const struct doveadm_user_command sent_add_command = {
	.check = sent_add_check,
	.run = sent_add_run,
};

DOVEADM_USER_COMMAND(sent_add, "sent add", "[--source milter|admin] "
	"[--serial <serial>] [--envelope-id <id>] [--date <seconds>] "
	"[--sent-at <seconds>] <message-id> [<recipient> ...]",
/* 2.3 knows no option without its letter */
DOVEADM_CMD_PARAM('o', "source", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('n', "serial", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('e', "envelope-id", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('d', "date", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('t', "sent-at", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "message-id", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "recipient", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
);

/*
 * sent gap
 */

#define SENT_GAP_SOURCES \
	(SENT_LOG_SOURCE_SUBMISSION | SENT_LOG_SOURCE_MILTER | SENT_LOG_SOURCE_SENT)

static int sent_gap_check(struct doveadm_mail_cmd_context *ctx)
{
	unsigned int source;
	time_t until = 0;

	return sent_read_source(ctx, SENT_GAP_SOURCES, &source) < 0 ||
		sent_read_time(ctx, "until", &until) < 0 ? -1 : 0;
}

/* Does it concern this user what the source missed? */
static bool sent_gap_concerns(struct doveadm_run *run)
{
	const struct backscatter_settings *set = run->buser->set;
	unsigned int source = 0;

	if (sent_read_source(run->ctx, SENT_GAP_SOURCES, &source) < 0)
		i_unreached();
	/* of a list that can't be read nobody knows */
	return source == 0 || !set->sources_valid || (set->sources & source) != 0;
}

/* When the gap ended: coverage starts there. */
static time_t sent_gap_until(struct doveadm_run *run)
{
	time_t until = run->now;

	if (sent_read_time(run->ctx, "until", &until) < 0)
		i_unreached();
	return I_MIN(until, run->now);
}

/* Told again, the same gap changes nothing, nor what the administrator has said since.
   Returns 0, or -1 and the log's error. */
static int sent_gap_write(struct doveadm_run *run, const char **error_r)
{
	struct sent_log *log = run->buser->log;
	struct sent_log_coverage coverage;
	time_t until = sent_gap_until(run);

	if (sent_log_get_coverage(log, run->now, &coverage, error_r) < 0)
		return -1;
	if (until < run->now && (coverage.start >= until ||
	    (coverage.word != 0 && coverage.word_given > until)))
		return 0;
	return sent_log_set_coverage(log, until, SENT_LOG_COVERAGE_GAP, run->now,
				     error_r) < 0 ? -1 : 0;
}

/* Where the log can't be written, the mark beside it will do; where that can't either,
   the administrator has been told. A log that isn't there has no coverage, but the
   directory has to be, or it will come back with what it said (a home that isn't
   mounted). */
static int sent_gap_run(struct doveadm_run *run)
{
	struct backscatter_user *buser = run->buser;
	const char *error = buser->error;

	if (!sent_gap_concerns(run))
		return 0;
	if (buser->log != NULL && access(buser->path, F_OK) < 0 &&
	    errno == ENOENT) {
		return backscatter_user_check_place(buser, &error) == 0 ? 0 :
			doveadm_run_failed(run, error);
	}
	if (buser->log != NULL && sent_gap_write(run, &error) == 0)
		return 0;
	return backscatter_user_not_logged(buser, "gap", error) ? 0 :
		doveadm_run_not_possible(run);
}

static const struct doveadm_user_command sent_gap_command = {
	.check = sent_gap_check,
	.run = sent_gap_run,
};

DOVEADM_USER_COMMAND(sent_gap, "sent gap", "[--source submission|milter|sent] "
	"[--until <seconds>]",
DOVEADM_CMD_PARAM('o', "source", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('t', "until", CMD_PARAM_STR, 0)
);

/*
 * sent find
 */

static const struct doveadm_column sent_find_columns[] = {
	{ .name = "known" },
	{ .name = "sources" },
	{ .name = "logged" },
	{ .name = "recipients", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = NULL }
};

static int sent_find_check(struct doveadm_mail_cmd_context *ctx)
{
	struct sent_log_identity identity;

	return sent_read_message_id(ctx, &identity);
}

static int sent_find_run(struct doveadm_run *run)
{
	struct sent_log_identity identity;
	struct sent_log_entry entry;
	const char *error;
	int ret = doveadm_log_open(run, DOVEADM_LOG_EXISTING);

	if (ret < 0)
		return -1;
	if (sent_read_message_id(run->ctx, &identity) < 0)
		i_unreached();
	i_zero(&entry);
	if (ret > 0) {
		ret = sent_log_find(run->buser->log, &identity, NULL, 0,
				    run->now, &entry, &error);
	}
	if (ret < 0)
		return doveadm_run_failed(run, error);
	doveadm_print(ret > 0 ? "yes" : "no");
	doveadm_print(doveadm_show_sources(entry.sources));
	doveadm_print(doveadm_show_time(entry.logged_at));
	doveadm_print_num(entry.recipient_count);
	return 0;
}

static const struct doveadm_user_command sent_find_command = {
	.columns = sent_find_columns,
	.check = sent_find_check,
	.run = sent_find_run,
};

DOVEADM_USER_COMMAND(sent_find, "sent find", "<message-id>",
DOVEADM_CMD_PARAM('\0', "message-id", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
);

/*
 * sent count
 */

/* as doveadm_sources */
static const struct doveadm_column sent_count_columns[] = {
	{ .name = "submission", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "milter", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "sent", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = "admin", .flags = DOVEADM_PRINT_HEADER_FLAG_RIGHT_JUSTIFY },
	{ .name = NULL }
};

static int sent_count_run(struct doveadm_run *run)
{
	uint64_t counts[DOVEADM_SOURCE_COUNT];
	const char *error;
	int ret = doveadm_log_open(run, DOVEADM_LOG_EXISTING);

	if (ret < 0)
		return -1;
	if (doveadm_log_count(run->buser, ret > 0, counts, &error) < 0)
		return doveadm_run_failed(run, error);
	for (unsigned int i = 0; i < DOVEADM_SOURCE_COUNT; i++)
		doveadm_print_num(counts[i]);
	return 0;
}

static const struct doveadm_user_command sent_count_command = {
	.columns = sent_count_columns,
	.run = sent_count_run,
};

DOVEADM_USER_COMMAND(sent_count, "sent count", "");
