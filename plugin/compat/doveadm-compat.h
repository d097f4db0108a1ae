#ifndef DOVEADM_COMPAT_H
#define DOVEADM_COMPAT_H

/* doveadm's commands for mail users, in both versions. Arguments are read with
   doveadm_cmd_param_*(ctx->cctx, name, ...), which both have. */

#include "doveadm-mail.h"

#if DOVECOT_VERSION_MINOR >= 4
/* init(ctx) */
#define COMPAT_DOVEADM_INIT_ARGS
#define COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx, options)
#else
/* init(ctx, args): the positional arguments */
#define COMPAT_DOVEADM_INIT_ARGS , const char *const args[] ATTR_UNUSED
/* Options have to be accepted one by one, too. */
static inline bool
compat_doveadm_parse_arg(struct doveadm_mail_cmd_context *ctx, int c)
{
	return strchr(ctx->getopt_args, c) != NULL;
}
#define COMPAT_DOVEADM_ACCEPT_OPTIONS(ctx, options) \
	STMT_START { \
		(ctx)->getopt_args = options; \
		(ctx)->v.parse_arg = compat_doveadm_parse_arg; \
	} STMT_END
#endif

#endif
