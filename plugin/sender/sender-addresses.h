#ifndef SENDER_ADDRESSES_H
#define SENDER_ADDRESSES_H

/* Who a user may send as: his login, backscatter_addresses and the dict of
   backscatter_sender_dict. The bridge from mail_user and Dovecot's dict to
   verdict/own-addresses.h. */

#include "user/backscatter-user.h"

struct sender_addresses;

struct sender_address {
	/* user@domain, @domain, or a pattern */
	const char *address;
	/* "login", "backscatter_addresses", "backscatter_sender_dict" */
	const char *source;
};

/* log: has to outlive it; only its user, event and settings are used. The dict is
   opened when it is first needed, and then kept open. */
struct sender_addresses *
sender_addresses_init(struct backscatter_user *buser);
void sender_addresses_deinit(struct sender_addresses **senders);
struct backscatter_user *
sender_addresses_user(const struct sender_addresses *senders);

/* May the user send as address (local@domain, in any case, with any detail, any
   string)? Asks the dict, synchronously, only if login and setting don't say so.
   Returns 1 and the source's name, 0 if he may not, -1 if the dict can't be asked:
   then don't ask for another address of the same message, each may take as long as
   the dict's timeout. *error_r doesn't name the setting; it is on the data stack,
   *source_r is static. */
int sender_addresses_own(struct sender_addresses *senders, const char *address,
			 const char **source_r, const char **error_r);

/* "alice@example.org, @example.net, ..., addresses in backscatter_sender_dict":
   what a refused user is told; short, one line, printable ASCII. On the data
   stack. NULL: there is nothing, and no dict either. */
const char *sender_addresses_describe(struct sender_addresses *senders);

/* Everything that he may send as: login, setting, then the dict's, sorted. Returns
   1, 0 if the dict's are missing because its driver can't list its keys, -1 if they
   are missing, or some of them, because of an error; both with *error_r, as
   sender_addresses_own() has it. *addresses_r is allocated from pool. */
int sender_addresses_list(struct sender_addresses *senders, pool_t pool,
			  const struct sender_address **addresses_r,
			  unsigned int *count_r, const char **error_r);

#endif
