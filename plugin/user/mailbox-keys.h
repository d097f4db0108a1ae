#ifndef MAILBOX_KEYS_H
#define MAILBOX_KEYS_H

/* The serial keys of a Dovecot user: those of his log and, where
   backscatter_site_key names a file, the site's. */

#include "backscatter-user.h"
#include "sent-log/serial.h"

/* The key that his messages are sent with: the site's newest, or else his log's
   own. A site key that can't be read is logged as an error, and his own taken.
   Returns 0, or -1 and an error. */
int mailbox_keys_get_issuing(struct backscatter_user *buser, time_t now,
			     struct serial_key *key_r, const char **error_r);

/* All that can verify a serial for him; *own_r: those of them that are his log's own.
   A site key that can't be read is logged as an error and missing in *keys_r: then
   its serials are of an unknown key. A log that doesn't answer becomes unavailable.
   Clear both. */
void mailbox_keys_get(struct backscatter_user *buser, time_t now,
		      struct serial_keys *keys_r, struct serial_keys *own_r);

#endif
