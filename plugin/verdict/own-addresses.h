#ifndef OWN_ADDRESSES_H
#define OWN_ADDRESSES_H

/* The addresses of one mailbox: whose reports are ours to judge (DESIGN.md,
   section 2). Compared in lower case, with and without +detail. */

struct own_addresses;

/* recipient_delimiter: the characters that start a detail, as Dovecot's setting
   of that name; "" = addresses have none. Allocated from pool. */
struct own_addresses *
own_addresses_init(pool_t pool, const char *recipient_delimiter);

/* Adds user@domain, or @domain for every address of a domain. Anything else (a
   login without domain) is nothing that a report could be addressed to and is
   left out. */
void own_addresses_add(struct own_addresses *own, const char *address);

/* Adds the address of an envelope (RCPT TO), without its detail. */
void own_addresses_add_recipient(struct own_addresses *own, const char *address);

/* Never TRUE for postmaster, abuse, mailer-daemon and root: they speak for a
   domain, not for a mailbox. */
bool own_addresses_match(const struct own_addresses *own, const char *address);

#endif
