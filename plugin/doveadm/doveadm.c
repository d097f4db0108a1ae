/* Entry points of lib10_doveadm_backscatter_plugin.so, the life of a command about a
   user, and the words in which all commands show times and sources. */

#include "lib.h"
#include "str.h"
#include "str-sanitize.h"
#include "time-util.h"
#include "mail-user.h"
#include "module-dir.h"
#include "doveadm-backscatter.h"
#include "doveadm-compat.h"

#include <unistd.h>

/* of a line about wrong arguments */
#define WRONG_ARGUMENT_MAX 1000

const char *doveadm_backscatter_plugin_version = DOVECOT_ABI_VERSION;

struct doveadm_user_context {
	struct doveadm_mail_cmd_context ctx;
	const struct doveadm_user_command *command;
};

void doveadm_backscatter_plugin_init(struct module *module ATTR_UNUSED)
{
	struct doveadm_cmd_ver2 *const commands[] = {
		&doveadm_backscatter_sent_add,
		&doveadm_backscatter_sent_gap,
		&doveadm_backscatter_sent_find,
		&doveadm_backscatter_sent_count,
		&doveadm_backscatter_import,
		&doveadm_backscatter_coverage,
		&doveadm_backscatter_addresses,
		&doveadm_backscatter_sender,
		&doveadm_backscatter_key_list,
		&doveadm_backscatter_key_rotate,
		&doveadm_backscatter_key_generate,
		&doveadm_backscatter_verify,
		&doveadm_backscatter_spf,
		&doveadm_backscatter_explain,
	};

	for (unsigned int i = 0; i < N_ELEMENTS(commands); i++)
		doveadm_cmd_register_ver2(commands[i]);
}

void doveadm_backscatter_plugin_deinit(void)
{
}

/*
 * A command about a user
 */

void doveadm_print_columns(const struct doveadm_column *columns)
{
	for (; columns->name != NULL; columns++) {
		doveadm_print_header(columns->name, columns->title == NULL ?
				     columns->name : columns->title,
				     columns->flags);
	}
}

static const struct doveadm_user_command *
doveadm_user_command(struct doveadm_mail_cmd_context *ctx)
{
	const struct doveadm_user_context *uctx =
		container_of(ctx, struct doveadm_user_context, ctx);

	return uctx->command;
}

int doveadm_wrong_argument(struct doveadm_mail_cmd_context *ctx,
			   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	/* what was given may be from the net */
	i_error("%s: %s", ctx->cmd->name,
		str_sanitize(t_strdup_vprintf(format, args), WRONG_ARGUMENT_MAX));
	va_end(args);
	ctx->exit_code = EX_USAGE;
	return -1;
}

int doveadm_wrong_usage(struct doveadm_mail_cmd_context *ctx)
{
	return doveadm_wrong_argument(ctx, "usage: doveadm %s %s",
				      ctx->cmd->name, ctx->cctx->cmd->usage);
}

const char *doveadm_argument(const struct doveadm_cmd_context *cctx,
			     const char *name)
{
	const char *value;

	return doveadm_cmd_param_str(cctx, name, &value) ? value : NULL;
}

static bool doveadm_names_a_user(const struct doveadm_cmd_context *cctx)
{
	struct istream *file;
	bool all;

	return cctx->username != NULL ||
		doveadm_argument(cctx, "user") != NULL ||
		(doveadm_cmd_param_bool(cctx, "all-users", &all) && all) ||
		doveadm_cmd_param_istream(cctx, "user-file", &file);
}

static void doveadm_user_command_preinit(struct doveadm_mail_cmd_context *ctx)
{
	compat_doveadm_regain_rights();
	if (doveadm_names_a_user(ctx->cctx))
		return;
	(void)doveadm_wrong_argument(ctx, "user is missing: -u USER, or -A for all");
	/* without a name Dovecot ends the process next, in a server too; nobody is
	   called "" */
	if (ctx->cctx->conn_type == DOVEADM_CONNECTION_TYPE_CLI)
		lib_exit(ctx->exit_code);
	ctx->cctx->username = "";
}

static int
doveadm_no_next_user(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED,
		     const char **username_r ATTR_UNUSED)
{
	return 0;
}

static int doveadm_not_run(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED,
			   struct mail_user *user ATTR_UNUSED)
{
	return -1;
}

static void
doveadm_user_command_init(struct doveadm_mail_cmd_context *ctx
			  COMPAT_DOVEADM_INIT_ARGS)
{
	const struct doveadm_user_command *command = doveadm_user_command(ctx);

	if (ctx->exit_code == 0 && command->check != NULL &&
	    command->check(ctx) < 0)
		i_assert(ctx->exit_code != 0);
	if (ctx->exit_code != 0) {
		/* 2.4 stops at the exit code, 2.3 goes on */
		ctx->v.get_next_user = doveadm_no_next_user;
		ctx->v.run = doveadm_not_run;
	} else if (command->columns != NULL) {
		doveadm_print_columns(command->columns);
	}
}

static int
doveadm_user_command_run(struct doveadm_mail_cmd_context *ctx,
			 struct mail_user *user)
{
	const struct doveadm_user_command *command = doveadm_user_command(ctx);
	struct doveadm_run run = {
		.ctx = ctx, .cctx = ctx->cctx,
		.buser = backscatter_user_init(user, user->event),
		.now = time(NULL),
	};
	int ret = command->run(&run);

	backscatter_user_deinit(&run.buser);
	return ret;
}

struct doveadm_mail_cmd_context *
doveadm_user_command_alloc(const struct doveadm_user_command *command)
{
	struct doveadm_user_context *uctx =
		doveadm_mail_cmd_alloc(struct doveadm_user_context);

	uctx->command = command;
	uctx->ctx.v.preinit = doveadm_user_command_preinit;
	uctx->ctx.v.init = doveadm_user_command_init;
	uctx->ctx.v.run = doveadm_user_command_run;
	COMPAT_DOVEADM_ACCEPT_OPTIONS(&uctx->ctx);
	if (command->columns != NULL)
		doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return &uctx->ctx;
}

int doveadm_run_failed(struct doveadm_run *run, const char *error)
{
	run->error = p_strdup(run->buser->pool, error);
	e_error(run->buser->event, "%s", error);
	doveadm_mail_failed_error(run->ctx, MAIL_ERROR_TEMP);
	return -1;
}

int doveadm_run_not_possible(struct doveadm_run *run)
{
	doveadm_mail_failed_error(run->ctx, MAIL_ERROR_NOTPOSSIBLE);
	return -1;
}

/*
 * His log
 */

int doveadm_log_open(struct doveadm_run *run, enum doveadm_log_open how)
{
	struct backscatter_user *buser = run->buser;
	const char *error;
	int ret;

	if (buser->log == NULL)
		return doveadm_run_failed(run, buser->error);
	if (how == DOVEADM_LOG_EXISTING &&
	    access(buser->path, F_OK) < 0 && errno == ENOENT) {
		return backscatter_user_check_place(buser, &error) == 0 ? 0 :
			doveadm_run_failed(run, error);
	}
	backscatter_user_make_home(buser);
	ret = how == DOVEADM_LOG_ADOPT ?
		sent_log_adopt_owner(buser->log, run->now, &error) :
		sent_log_open(buser->log, run->now, &error);
	return ret > 0 ? 1 : doveadm_run_failed(run, t_strdup_printf(
		"sent log %s: %s", buser->path, error));
}

int doveadm_log_set_coverage(struct doveadm_run *run, time_t start,
			     enum sent_log_coverage_cause cause)
{
	struct sent_log *log = run->buser->log;
	const char *error;
	int ret = 0;

	/* or the next delivery would find another list than the one stored, and
	   start coverage anew */
	if (run->buser->set->sources_valid)
		ret = sent_log_set_listed_sources(log, run->now, &error);
	if (ret >= 0) {
		ret = sent_log_set_coverage(log, start, cause, run->now, &error);
		if (ret == 0) {
			error = "a message left without being logged "
				"meanwhile, so coverage starts anew: try again";
		}
	}
	return ret > 0 ? 0 : doveadm_run_failed(run, error);
}

const enum sent_log_source doveadm_sources[DOVEADM_SOURCE_COUNT] = {
	SENT_LOG_SOURCE_SUBMISSION,
	SENT_LOG_SOURCE_MILTER,
	SENT_LOG_SOURCE_SENT,
	SENT_LOG_SOURCE_ADMIN,
};

int doveadm_log_count(struct backscatter_user *buser, bool exists,
		      uint64_t counts_r[DOVEADM_SOURCE_COUNT],
		      const char **error_r)
{
	for (unsigned int i = 0; i < DOVEADM_SOURCE_COUNT; i++) {
		counts_r[i] = 0;
		if (exists && sent_log_count(buser->log, doveadm_sources[i],
					     &counts_r[i], error_r) < 0)
			return -1;
	}
	return 0;
}

const char *doveadm_show_time(time_t time)
{
	return time == 0 ? "" : t_strflocaltime("%Y-%m-%d %H:%M:%S", time);
}

const char *doveadm_show_sources(unsigned int sources)
{
	string_t *names = t_str_new(64);

	for (unsigned int i = 0; i < DOVEADM_SOURCE_COUNT; i++) {
		if ((sources & doveadm_sources[i]) == 0)
			continue;
		str_printfa(names, "%s%s", str_len(names) > 0 ? " " : "",
			    sent_log_source_name(doveadm_sources[i]));
	}
	return str_c(names);
}
