#ifndef DELIVERY_SPF_H
#define DELIVERY_SPF_H

/* The SPF result of a message at delivery: once for all its recipients. */

#include "net.h"
#include "settings/spf-settings.h"
#include "spf/spf-forged.h"

struct mail_user;

struct delivery_spf_message {
	/* its header block, as it came, or what was read of a very long one */
	const unsigned char *header;
	size_t header_size;
	/* What XCLIENT said, see struct spf_origin_source. */
	struct ip_addr xclient_ip;
	const char *xclient_helo;
	/* of the envelope; "" = null sender, NULL = unknown */
	const char *mail_from;
};

/* The settings as they are without any user: of the raw storage's user. Wrong ones
   are logged as errors. Allocated from pool, which must not be the data
   stack's. */
const struct spf_settings *
delivery_spf_settings(struct mail_user *raw_user, pool_t pool,
		      struct event *event);

/* Under which names we write: nobody else may, also where we don't. */
void delivery_spf_own_names(const struct spf_settings *set,
			    struct spf_own_names *names_r);

/* The header fields to be put in front of the message, with CRLF; "" = none. From
   the data stack. Never fails. event: for log lines. */
const char *
delivery_spf_header(const struct spf_settings *set,
		    const struct delivery_spf_message *message,
		    struct event *event);

/* Frees the name servers' cache. */
void delivery_spf_deinit(void);

#endif
