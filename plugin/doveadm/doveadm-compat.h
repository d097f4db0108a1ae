#ifndef DOVEADM_COMPAT_H
#define DOVEADM_COMPAT_H

/* doveadm's commands for mail users, in both versions. Arguments are read with
   doveadm_cmd_param_*(ctx->cctx, name, ...), which both have. */

#include "doveadm-mail.h"
#include "settings/backscatter-settings.h"

/* compat_doveadm_spf_settings(cctx, pool): the settings that belong to the
   message, for a command that has no user.
   compat_doveadm_regain_rights(): behind its HTTP API 2.3 goes on with the rights of the
   last user until it takes up another, and auth lists no users to him. */

#if DOVECOT_VERSION_MINOR >= 4
static inline const struct spf_settings *
compat_doveadm_spf_settings(struct doveadm_cmd_context *cctx, pool_t pool)
{
	return spf_settings_get_for_event(cctx->event, pool);
}

static inline void compat_doveadm_regain_rights(void)
{
}

/* init(ctx) */
#define COMPAT_DOVEADM_INIT_ARGS
#define COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx)
#else
#include "doveadm-util.h"

#include <unistd.h>

static inline const char *
compat_doveadm_plugin_setting(const char *name, void *context ATTR_UNUSED)
{
	return doveadm_plugin_getenv(name);
}

static inline const struct spf_settings *
compat_doveadm_spf_settings(struct doveadm_cmd_context *cctx ATTR_UNUSED,
			    pool_t pool)
{
	return spf_settings_parse(pool, compat_doveadm_plugin_setting, NULL);
}

static inline void compat_doveadm_regain_rights(void)
{
	if (geteuid() != getuid() && seteuid(getuid()) < 0)
		i_error("seteuid(%u): %m", (unsigned int)getuid());
}

/* init(ctx, args): the positional arguments */
#define COMPAT_DOVEADM_INIT_ARGS , const char *const args[] ATTR_UNUSED
/* It asks for each option; which there are is in the command's parameters. */
static inline bool
compat_doveadm_parse_arg(struct doveadm_mail_cmd_context *ctx ATTR_UNUSED,
			 int c ATTR_UNUSED)
{
	return TRUE;
}
#define COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx) \
	((ctx)->v.parse_arg = compat_doveadm_parse_arg)
#endif

#endif
