/* Where serial keys come from; what they are is plugin/sent-log/'s. */

#include "lib.h"
#include "sent-log/site-key.h"
#include "mailbox-keys.h"

#include <stdlib.h>

/* Returns 1, 0 if the site has none, -1 after an error line. */
static int site_keys_get(struct mailbox_log *log, struct serial_keys *keys_r)
{
	char *error;

	keys_r->count = 0;
	if (log->set->site_key == NULL)
		return 0;
	if (site_key_read(log->set->site_key, keys_r, &error) == 0)
		return keys_r->count > 0 ? 1 : 0;
	e_error(log->event, "backscatter: backscatter_site_key: %s", error);
	free(error);
	return -1;
}

int mailbox_keys_get_issuing(struct mailbox_log *log, time_t now,
			     struct serial_key *key_r, const char **error_r)
{
	struct serial_keys site;

	if (site_keys_get(log, &site) > 0) {
		*key_r = site.keys[site.count - 1];
		serial_keys_clear(&site);
		return 0;
	}
	if (log->log == NULL) {
		*error_r = log->error;
		return -1;
	}
	return sent_log_get_issuing_key(log->log, now, key_r, error_r) < 0 ?
		-1 : 0;
}

void mailbox_keys_get(struct mailbox_log *log, time_t now,
		      struct serial_keys *keys_r, struct serial_keys *own_r)
{
	const char *error;

	own_r->count = 0;
	(void)site_keys_get(log, keys_r);
	if (log->log == NULL)
		return;
	if (sent_log_get_serial_keys(log->log, now, own_r, &error) < 0) {
		own_r->count = 0;
		mailbox_log_set_unavailable(log, error);
		return;
	}
	serial_keys_add(keys_r, own_r);
}
