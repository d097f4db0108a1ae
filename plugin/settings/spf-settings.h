#ifndef SPF_SETTINGS_H
#define SPF_SETTINGS_H

/* The settings of SPF, parsed and checked (docs/design.md, section 9). They belong to
   the message: no userdb field overrides them. */

#include "backscatter-settings.h"

struct spf_networks;

struct spf_settings {
	/* results are written at all */
	bool enabled;
	/* for one evaluation */
	unsigned int timeout_msecs;
	/* as spf_dns_init() takes it; "" = resolv.conf */
	const char *dns;
	bool received_spf;
	/* see struct spf_origin_source */
	const struct spf_networks *trusted_relays;
	const struct spf_networks *trusted_networks;
	/* NULL = none */
	const char *trusted_authserv;
	/* ours */
	const char *authserv_id;

	/* As in struct backscatter_settings. In place of a wrong value stands the
	   default. */
	const char *const *errors;
};

/* Never fails: see errors. Allocated from pool, which must not be the data
   stack's. */
const struct spf_settings *
spf_settings_parse(pool_t pool, backscatter_setting_get_t *get, void *context);

/* As they are for this user. */
const struct spf_settings *
spf_settings_get(struct mail_user *user, pool_t pool);

#endif
