/* Where serial keys come from; what they are is plugin/sent-log/'s. */

#include "lib.h"
#include "sent-log/site-key.h"
#include "mailbox-keys.h"

#include <stdlib.h>

/* Returns 1, 0 if the site has none, -1 after an error line. */
static int site_keys_get(struct backscatter_user *buser, struct serial_keys *keys_r)
{
	char *error;

	keys_r->count = 0;
	if (buser->set->site_key == NULL)
		return 0;
	if (site_key_read(buser->set->site_key, keys_r, &error) == 0)
		return keys_r->count > 0 ? 1 : 0;
	e_error(buser->event, "backscatter_site_key: %s", error);
	free(error);
	return -1;
}

int mailbox_keys_get_issuing(struct backscatter_user *buser, time_t now,
			     struct serial_key *key_r, const char **error_r)
{
	struct serial_keys site;

	if (site_keys_get(buser, &site) > 0) {
		*key_r = site.keys[site.count - 1];
		serial_keys_clear(&site);
		return 0;
	}
	if (buser->log == NULL) {
		*error_r = buser->error;
		return -1;
	}
	return sent_log_get_issuing_key(buser->log, now, key_r, error_r) < 0 ?
		-1 : 0;
}

void mailbox_keys_get(struct backscatter_user *buser, time_t now,
		      struct serial_keys *keys_r, struct serial_keys *own_r)
{
	const char *error;

	own_r->count = 0;
	(void)site_keys_get(buser, keys_r);
	if (buser->log == NULL)
		return;
	if (sent_log_get_serial_keys(buser->log, now, own_r, &error) < 0) {
		own_r->count = 0;
		backscatter_user_set_unavailable(buser, error);
		return;
	}
	serial_keys_add(keys_r, own_r);
}
