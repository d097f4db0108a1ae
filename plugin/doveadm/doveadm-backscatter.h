#ifndef DOVEADM_BACKSCATTER_H
#define DOVEADM_BACKSCATTER_H

/* "doveadm backscatter": what the files of this room share. A command about a user is a
   struct doveadm_user_command; its life, from the arguments to the exit code, is in
   doveadm.c. May read mailboxes, and change the log and keys; mail is moved only by
   quarantine/rejudge.h. Knows neither delivery, submission nor saving. */

#include "doveadm-mail.h"
#include "doveadm-print.h"
#include "compat/plugin-export.h"
#include "user/backscatter-user.h"

#include <sysexits.h>
#include <time.h>

struct module;

extern PLUGIN_EXPORT const char *doveadm_backscatter_plugin_version;
PLUGIN_EXPORT void doveadm_backscatter_plugin_init(struct module *module);
PLUGIN_EXPORT void doveadm_backscatter_plugin_deinit(void);

extern struct doveadm_cmd_ver2 doveadm_backscatter_sent_add,
	doveadm_backscatter_sent_gap,
	doveadm_backscatter_sent_find, doveadm_backscatter_sent_count,
	doveadm_backscatter_import, doveadm_backscatter_coverage,
	doveadm_backscatter_addresses, doveadm_backscatter_sender,
	doveadm_backscatter_key_list,
	doveadm_backscatter_key_rotate, doveadm_backscatter_key_generate,
	doveadm_backscatter_verify, doveadm_backscatter_spf,
	doveadm_backscatter_explain;

/* A column of the table that a command prints; title: NULL = as its name. */
struct doveadm_column {
	const char *name, *title;
	enum doveadm_print_header_flags flags;
};

/* One user's turn. */
struct doveadm_run {
	struct doveadm_mail_cmd_context *ctx;
	struct doveadm_cmd_context *cctx;
	/* his log is not opened yet */
	struct backscatter_user *buser;
	time_t now;
	/* the last error that was logged; allocated from buser->pool */
	const char *error;
};

struct doveadm_user_command {
	/* ended by one without a name; NULL = it prints nothing */
	const struct doveadm_column *columns;
	/* Looks at the arguments before any user's turn. Returns 0, or -1 after
	   doveadm_wrong_argument() or another exit code: then nobody has his. NULL =
	   nothing can be wrong. */
	int (*check)(struct doveadm_mail_cmd_context *ctx);
	/* Returns 0, or -1 after doveadm_run_failed() or another exit code. */
	int (*run)(struct doveadm_run *run);
};

/* Defines doveadm_backscatter_ID, which runs ID_command; then come its parameters. */
#define DOVEADM_USER_COMMAND(id, cmd_name, arguments, ...) \
static struct doveadm_mail_cmd_context *id##_alloc(void) \
{ \
	return doveadm_user_command_alloc(&id##_command); \
} \
struct doveadm_cmd_ver2 doveadm_backscatter_##id = { \
	.name = "backscatter " cmd_name, \
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX arguments, \
	.mail_cmd = id##_alloc, \
	DOVEADM_CMD_PARAMS_START \
	DOVEADM_CMD_MAIL_COMMON \
	__VA_ARGS__ \
	DOVEADM_CMD_PARAMS_END \
}
struct doveadm_mail_cmd_context *
doveadm_user_command_alloc(const struct doveadm_user_command *command);

/* Arguments come from a command line or from doveadm's HTTP API, whose process serves
   others, too: whatever is wrong, it goes on. */

/* Logs what is wrong and sets EX_USAGE. Returns -1. */
int doveadm_wrong_argument(struct doveadm_mail_cmd_context *ctx,
			   const char *format, ...) ATTR_FORMAT(2, 3);
/* The same, with what the command may be given. */
int doveadm_wrong_usage(struct doveadm_mail_cmd_context *ctx);
/* NULL if it wasn't given, or given as JSON's null. */
const char *doveadm_argument(const struct doveadm_cmd_context *cctx,
			     const char *name);

/* Opens the user's log. EXISTING makes none, CREATE does, as everything that writes;
   ADOPT makes it this user's, whosever it was, and starts its coverage anew. Returns 1,
   0 if there is none yet but there can be one (EXISTING), or -1 after
   doveadm_run_failed(). */
enum doveadm_log_open {
	DOVEADM_LOG_EXISTING,
	DOVEADM_LOG_CREATE,
	DOVEADM_LOG_ADOPT,
};
int doveadm_log_open(struct doveadm_run *run, enum doveadm_log_open how);

/* Logs the error and sets the exit code of what may be better the next time. Returns
   -1. */
int doveadm_run_failed(struct doveadm_run *run, const char *error);
/* Sets the exit code of what will not be: EX_DATAERR. Returns -1. */
int doveadm_run_not_possible(struct doveadm_run *run);

/* Moves the start of coverage on the administrator's word, which is about the sources
   that are listed now. Returns 0, or -1 after doveadm_run_failed(). */
int doveadm_log_set_coverage(struct doveadm_run *run, time_t start,
			     enum sent_log_coverage_cause cause);

/* Messages in the log per source, in the order of doveadm_sources; exists: there is a
   log. Returns 0, or -1 and the log's error. */
#define DOVEADM_SOURCE_COUNT 4
extern const enum sent_log_source doveadm_sources[DOVEADM_SOURCE_COUNT];
int doveadm_log_count(struct backscatter_user *buser, bool exists,
		      uint64_t counts_r[DOVEADM_SOURCE_COUNT],
		      const char **error_r);

void doveadm_print_columns(const struct doveadm_column *columns);
/* "2026-11-24 18:03:12" in local time, "" for 0 */
const char *doveadm_show_time(time_t time);
/* "sent submission", "" for none */
const char *doveadm_show_sources(unsigned int sources);

/* What "coverage" would say against a log that is complete since start: *objection_r,
   on the data stack, NULL = nothing. Returns 0, or -1 and the log's error. */
int doveadm_coverage_get_objection(struct backscatter_user *buser, time_t start,
				   time_t now, const char **objection_r,
				   const char **error_r);

#endif
