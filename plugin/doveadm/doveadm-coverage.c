/* doveadm backscatter coverage [show|restart|adopt|--since DATE] */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "sender/sender-addresses.h"
#include "sent-log/site-key.h"
#include "sent/sent-copy.h"
#include "sent/sent-mailboxes.h"
#include "doveadm-backscatter.h"

#include <stdlib.h>

/* What the log says, and what stands beside it. */
struct coverage_report {
	struct coverage_view view;
	/* there is a log */
	bool exists;
	uint64_t rows[DOVEADM_SOURCE_COUNT];
	/* the mail that view.unlisted_copy stands for; NULL = not found */
	const char *unlisted_mail;
	/* Sent mailboxes that are there, and those that are listed and are not: "a, b",
	   NULL = none */
	unsigned int sent_mailboxes;
	const char *sent_mailboxes_missing;
	/* what a delivery can't read of them: a sentence's end each, NULL = nothing */
	const char *unread;
	/* but for what an envelope names him as */
	bool has_address;
};

/* What is wrong with this one; NULL = nothing. */
static const char *coverage_unread_mailbox(const struct sent_mailbox_state *state)
{
	if (state->why_not != NULL) {
		return t_strdup_printf("the Sent mailbox %s %s", state->name,
				       state->why_not);
	}
	if (state->error != NULL) {
		return t_strdup_printf("the Sent mailbox %s can't be read: %s",
				       state->name, state->error);
	}
	if (state->unreadable == 0)
		return NULL;
	return t_strdup_printf("%u copies in the Sent mailbox %s can't be read",
			       state->unreadable, state->name);
}

/* For as long as a delivery can't read all of them, it condemns nothing. */
static void
coverage_add_mailbox(struct coverage_report *report,
		     const struct sent_mailbox_state *state)
{
	const char *unread = coverage_unread_mailbox(state);

	if (state->exists)
		report->sent_mailboxes++;
	if (unread == NULL || !report->exists)
		return;
	report->view.facts.unread_copies = TRUE;
	report->unread = report->unread == NULL ? unread :
		t_strconcat(report->unread, ", ", unread, NULL);
}

/* name: in backscatter_sent_mailboxes */
static void
coverage_check_listed(struct backscatter_user *buser, const char *name,
		      const ARRAY_TYPE(sent_mailbox_state) *states,
		      struct coverage_report *report)
{
	const struct sent_mailbox_state *state;

	array_foreach(states, state) {
		if (strcmp(state->name, name) != 0)
			continue;
		if (!state->exists && state->why_not == NULL) {
			report->sent_mailboxes_missing =
				report->sent_mailboxes_missing == NULL ? name :
				t_strconcat(report->sent_mailboxes_missing,
					    ", ", name, NULL);
		}
		return;
	}
	e_error(buser->event, "backscatter_sent_mailboxes has the wrong value "
		"'%s': allowed: the user's own mailboxes, and this is none: "
		"public or shared, or an alias of another one", name);
}

static int coverage_look_at_mailboxes(struct backscatter_user *buser,
				      struct coverage_report *report,
				      const char **error_r)
{
	const char *const *name = buser->set->sent_mailboxes;
	ARRAY_TYPE(sent_mailbox_state) states;
	const struct sent_mailbox_state *state;

	if (sent_mailboxes_get_state(buser, report->exists ? buser->log : NULL,
				     pool_datastack_create(), &states,
				     error_r) < 0)
		return -1;
	array_foreach(&states, state)
		coverage_add_mailbox(report, state);
	for (; *name != NULL; name++)
		coverage_check_listed(buser, *name, &states, report);
	return 0;
}

static bool coverage_has_address(struct backscatter_user *buser)
{
	unsigned int count;

	(void)own_addresses_get(backscatter_user_own_addresses(buser, NULL,
			pool_datastack_create()), &count);
	return count > 0;
}

static int coverage_report_read(struct backscatter_user *buser, time_t now,
				bool exists, struct coverage_report *report_r,
				const char **error_r)
{
	const struct coverage_policy policy = backscatter_user_coverage_policy(buser);
	struct coverage_view *view = &report_r->view;

	i_zero(report_r);
	report_r->exists = exists;
	if (coverage_view_read(exists ? buser->log : NULL, &policy, now, view,
			       error_r) < 0 ||
	    doveadm_log_count(buser, exists, report_r->rows, error_r) < 0 ||
	    coverage_look_at_mailboxes(buser, report_r, error_r) < 0)
		return -1;
	if (view->facts.unlisted_copy) {
		report_r->unlisted_mail =
			sent_copy_find(buser, &view->unlisted_copy);
	}
	report_r->has_address = coverage_has_address(buser);
	return 0;
}

/* "yes", "no", or "dated": only for a report that returns a Date of after the
   start. */
static const char *coverage_answer(const struct coverage_report *report)
{
	const struct coverage_facts *facts = &report->view.facts;
	enum coverage_state state = coverage_decide(facts);

	if (!report->exists || report->view.sources_changed)
		return "no";
	if (state == COVERAGE_COVERED)
		return "yes";
	return state == COVERAGE_TOO_YOUNG && coverage_dated_from(facts) <=
		facts->now + COVERAGE_DATE_FUTURE_SECS ? "dated" : "no";
}

static const char *coverage_cause(const struct coverage_report *report)
{
	if (!report->exists)
		return "no-log";
	return report->view.sources_changed ? "sources-changed" :
		sent_log_coverage_cause_name(report->view.log.cause);
}

static const char *coverage_word(const struct coverage_report *report)
{
	const struct sent_log_coverage *log = &report->view.log;
	bool given = log->word_given != 0;

	if (!given && log->word == 0)
		return "";
	if (log->word == 0 || report->view.sources_changed) {
		return !given ? "ended" : t_strdup_printf("ended (given %s)",
			doveadm_show_time(log->word_given));
	}
	return t_strconcat(log->word == SENT_LOG_COVERAGE_SET ?
			   "--since" : "import --complete",
			   !given ? NULL : " of ",
			   doveadm_show_time(log->word_given), NULL);
}

static const char *coverage_rows(const struct coverage_report *report)
{
	string_t *rows = t_str_new(64);

	for (unsigned int i = 0; i < DOVEADM_SOURCE_COUNT; i++) {
		if (report->rows[i] == 0)
			continue;
		str_printfa(rows, "%s%s=%"PRIu64, str_len(rows) > 0 ? " " : "",
			    sent_log_source_name(doveadm_sources[i]),
			    report->rows[i]);
	}
	return str_len(rows) > 0 ? str_c(rows) : "none";
}

static const char *coverage_until_when(const struct coverage_report *report)
{
	const struct coverage_facts *facts = &report->view.facts;

	return t_strdup_printf("until %s a report is judged only if it returns "
		"its message's Date, and that is %s or later: wait, or tell "
		"since when the log is complete with 'doveadm backscatter "
		"coverage --since DATE' or 'import --complete'",
		doveadm_show_time(coverage_complete_at(facts)),
		doveadm_show_time(coverage_dated_from(facts)));
}

static const char *coverage_whose_word(const struct coverage_report *report)
{
	const struct sent_log_coverage *buser = &report->view.log;

	if (buser->word == 0)
		return "every message sent since then is in the log";
	return t_strdup_printf("covered since %s, on your word%s%s (%s)",
		doveadm_show_time(report->view.facts.log_start),
		buser->word_given == 0 ? "" : " of ",
		doveadm_show_time(buser->word_given),
		buser->word == SENT_LOG_COVERAGE_SET ?
		"coverage --since" : "import --complete");
}

static const char *
coverage_unlisted_copy(const struct coverage_report *report)
{
	const struct sent_log_row *copy = &report->view.unlisted_copy;

	return t_strdup_printf("%s (%s, logged %s)",
		coverage_state_explanation(COVERAGE_UNLISTED_COPY),
		report->unlisted_mail != NULL ? report->unlisted_mail :
		t_strdup_printf("a copy that is gone, hash %s",
				copy->identity_hash),
		doveadm_show_time(copy->logged_at));
}

static const char *coverage_reason(const struct coverage_report *report)
{
	enum coverage_state state = coverage_decide(&report->view.facts);

	if (state == COVERAGE_NO_SOURCES)
		return coverage_state_explanation(state);
	if (!report->exists)
		return "the log is made by the first sent message or report";
	if (report->view.sources_changed) {
		return t_strdup_printf("sources were '%s': coverage restarts "
			"with the next delivered report",
			doveadm_show_sources(report->view.log.listed_sources));
	}
	switch (state) {
	case COVERAGE_COVERED:
		return coverage_whose_word(report);
	case COVERAGE_UNLISTED_COPY:
		return coverage_unlisted_copy(report);
	case COVERAGE_TOO_YOUNG:
		return coverage_until_when(report);
	default:
		return coverage_state_explanation(state);
	}
}

/* What coverage started anew for; NULL = it didn't. */
static const char *coverage_break(const struct coverage_report *report)
{
	if (!report->exists || report->view.sources_changed)
		return NULL;
	return sent_log_coverage_cause_why(report->view.log.cause);
}

static const char *
coverage_explanation(const struct coverage_report *report, unsigned int sources)
{
	string_t *text = t_str_new(256);

	str_append(text, coverage_reason(report));
	if (coverage_break(report) != NULL) {
		str_printfa(text, "; coverage started anew: %s",
			    coverage_break(report));
	}
	if (report->unread != NULL)
		str_printfa(text, "; %s", report->unread);
	if ((sources & SENT_LOG_SOURCE_SENT) != 0 &&
	    report->sent_mailboxes == 0)
		str_append(text, "; no Sent mailbox found");
	if (!report->has_address) {
		str_append(text, "; this user has no address of its own: set "
			   "backscatter_addresses");
	}
	if (report->sent_mailboxes_missing != NULL) {
		str_printfa(text, "; in backscatter_sent_mailboxes, but not "
			    "there: %s", report->sent_mailboxes_missing);
	}
	return str_c(text);
}

int doveadm_coverage_get_objection(struct backscatter_user *buser, time_t start,
				   time_t now, const char **objection_r,
				   const char **error_r)
{
	struct coverage_report report;

	if (coverage_report_read(buser, now, TRUE, &report, error_r) < 0)
		return -1;
	report.view.facts.log_start = start;
	report.view.sources_changed = FALSE;
	*objection_r = strcmp(coverage_answer(&report), "no") != 0 ? NULL :
		coverage_explanation(&report, buser->set->sources);
	return 0;
}

static void coverage_report_print(const struct coverage_report *report,
				  unsigned int sources)
{
	doveadm_print(coverage_answer(report));
	doveadm_print(!report->exists ? "" :
		      doveadm_show_time(report->view.facts.log_start));
	doveadm_print(coverage_cause(report));
	doveadm_print(coverage_word(report));
	doveadm_print(doveadm_show_sources(sources));
	doveadm_print(coverage_rows(report));
	doveadm_print(coverage_explanation(report, sources));
}

/* Nobody is left out of the list. Returns -1. */
static int coverage_print_unavailable(struct doveadm_run *run)
{
	doveadm_print("no");
	doveadm_print("");
	doveadm_print("log-unavailable");
	doveadm_print("");
	doveadm_print(doveadm_show_sources(run->buser->set->sources));
	doveadm_print("");
	doveadm_print(run->error);
	return -1;
}

/* Whoever sends would be the first to find out. */
static bool coverage_check_site_key(struct doveadm_run *run)
{
	const char *path = run->buser->set->site_key;
	struct serial_keys keys = { .count = 0 };
	char *error;
	bool right = path == NULL || site_key_read(path, &keys, &error) == 0;

	if (!right) {
		e_error(run->buser->event, "backscatter_site_key: %s", error);
		free(error);
	}
	serial_keys_clear(&keys);
	return right;
}

static bool coverage_check_sender_dict(struct doveadm_run *run)
{
	struct sender_addresses *senders = sender_addresses_init(run->buser);
	const char *source, *error;
	bool right = sender_addresses_own(senders, "nobody@backscatter.invalid",
					  &source, &error) >= 0;

	if (!right)
		e_error(run->buser->event, "backscatter_sender_dict: %s", error);
	sender_addresses_deinit(&senders);
	return right;
}

/* The settings of SPF are logged here; the others were when they were read. Returns 0,
   or -1 if one is wrong. */
static int coverage_check_settings(struct doveadm_run *run)
{
	pool_t pool = pool_alloconly_create("backscatter spf settings", 1024);
	const struct spf_settings *spf = spf_settings_get(run->buser->user, pool);
	bool right = *run->buser->set->errors == NULL && *spf->errors == NULL;

	for (const char *const *error = spf->errors; *error != NULL; error++)
		e_error(run->buser->event, "%s", *error);
	pool_unref(&pool);
	right = coverage_check_site_key(run) && right;
	right = coverage_check_sender_dict(run) && right;
	return right ? 0 : doveadm_run_not_possible(run);
}

/* Prints what holds now. */
static int coverage_print(struct doveadm_run *run, bool exists)
{
	struct coverage_report report;
	const char *error;

	if (coverage_report_read(run->buser, run->now, exists, &report,
				 &error) < 0) {
		(void)doveadm_run_failed(run, error);
		return coverage_print_unavailable(run);
	}
	coverage_report_print(&report, run->buser->set->sources);
	return coverage_check_settings(run);
}

static int
coverage_set(struct doveadm_run *run, time_t start,
	     enum sent_log_coverage_cause cause)
{
	if (doveadm_log_open(run, DOVEADM_LOG_CREATE) < 0 ||
	    doveadm_log_set_coverage(run, start, cause) < 0)
		return coverage_print_unavailable(run);
	return coverage_print(run, TRUE);
}

static int coverage_open(struct doveadm_run *run, enum doveadm_log_open how)
{
	int ret = doveadm_log_open(run, how);

	return ret < 0 ? coverage_print_unavailable(run) :
		coverage_print(run, ret > 0);
}

/* A date, or a time before now ("14 days"). Returns 0 or -1. */
static int coverage_parse_since(const char *since, time_t *start_r)
{
	bool utc;

	/* Dovecot's parser takes any two figures for month and day */
	if (strchr(since, '-') != NULL)
		return backscatter_date_parse(since, start_r);
	return mail_parse_human_timestamp(since, start_r, &utc);
}

/* "show" (also where none is given), "restart" or "adopt" */
static const char *coverage_command_word(struct doveadm_cmd_context *cctx)
{
	const char *word = doveadm_argument(cctx, "command");

	return word != NULL ? word : "show";
}

static int coverage_run(struct doveadm_run *run)
{
	const char *since = doveadm_argument(run->cctx, "since");
	const char *word = coverage_command_word(run->cctx);
	time_t start;

	if (since != NULL) {
		if (coverage_parse_since(since, &start) < 0)
			i_unreached();
		return coverage_set(run, start, SENT_LOG_COVERAGE_SET);
	}
	if (strcmp(word, "restart") == 0) {
		return coverage_set(run, run->now,
				    SENT_LOG_COVERAGE_RESTARTED);
	}
	return coverage_open(run, strcmp(word, "adopt") == 0 ?
			     DOVEADM_LOG_ADOPT : DOVEADM_LOG_EXISTING);
}

static int coverage_check_since(struct doveadm_mail_cmd_context *ctx,
				const char *since)
{
	time_t start;

	/* the next option was taken for it */
	if (*since == '-')
		return doveadm_wrong_argument(ctx, "--since needs a date");
	if (coverage_parse_since(since, &start) < 0) {
		return doveadm_wrong_argument(ctx, "--since has the wrong value "
			"'%.200s': allowed: a date as YYYY-MM-DD and a time as "
			"'14 days'", since);
	}
	return start <= time(NULL) ? 0 : doveadm_wrong_argument(ctx,
		"--since %s lies in the future", since);
}

static int coverage_check(struct doveadm_mail_cmd_context *ctx)
{
	static const char *const words[] = { "show", "restart", "adopt", NULL };
	const char *since = doveadm_argument(ctx->cctx, "since");

	if (since != NULL && coverage_check_since(ctx, since) < 0)
		return -1;
	if ((since != NULL && doveadm_argument(ctx->cctx, "command") != NULL) ||
	    !str_array_find(words, coverage_command_word(ctx->cctx)))
		return doveadm_wrong_usage(ctx);
	return 0;
}

static const struct doveadm_column coverage_columns[] = {
	{ .name = "covered" },
	{ .name = "since" },
	{ .name = "cause" },
	{ .name = "word" },
	{ .name = "sources" },
	{ .name = "rows" },
	{ .name = "explanation", .flags = DOVEADM_PRINT_HEADER_FLAG_EXPAND },
	{ .name = NULL }
};

static const struct doveadm_user_command coverage_command = {
	.columns = coverage_columns,
	.check = coverage_check,
	.run = coverage_run,
};

DOVEADM_USER_COMMAND(coverage, "coverage", "[show|restart|adopt|--since <date>]",
DOVEADM_CMD_PARAM('s', "since", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "command", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
);
