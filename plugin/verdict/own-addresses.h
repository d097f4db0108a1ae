#ifndef OWN_ADDRESSES_H
#define OWN_ADDRESSES_H

/* The addresses of one mailbox: whose reports are ours to judge (docs/design.md,
   section 2). Compared in lower case (ASCII only; the rest byte by byte), with and
   without +detail. */

struct own_addresses;

enum own_address_source {
	OWN_ADDRESS_LOGIN = 0x01,
	/* backscatter_addresses */
	OWN_ADDRESS_SETTING = 0x02,
	/* the envelope's RCPT TO: holds for one delivery, and gives no right to
	   send */
	OWN_ADDRESS_RECIPIENT = 0x04,
};

struct own_address {
	/* lower-case: user@domain, @domain, or a pattern */
	const char *address;
	enum own_address_source source;
};

/* recipient_delimiter: the characters that start a detail, as Dovecot's setting
   of that name; "" = addresses have none. Allocated from pool. */
struct own_addresses *
own_addresses_init(pool_t pool, const char *recipient_delimiter);

/* Adds user@domain. A login without domain is nothing that a report could be
   addressed to, or a message sent as, and is left out. */
void own_addresses_add_login(struct own_addresses *own, const char *login);

/* Adds user@domain, @domain for every address of a domain, or a pattern: '*' stands
   for any number of characters on its side of the last @ and nothing else is
   special. What has no domain is left out. */
void own_addresses_add(struct own_addresses *own, const char *address);

/* Adds the address of an envelope (RCPT TO), without its detail. */
void own_addresses_add_recipient(struct own_addresses *own, const char *address);

/* Never TRUE for postmaster, abuse, mailer-daemon and root: they speak for a
   domain, not for a mailbox. */
bool own_addresses_match(const struct own_addresses *own, const char *address);

/* The same, by an entry that is one address: no @domain and no pattern, which stand for
   other people's addresses as well. */
bool own_addresses_match_written_out(const struct own_addresses *own,
				     const char *address);

/* The same for the From: of what was sent: of a login without domain the local part
   counts, whatever its domain. Nobody knows what addresses such a user sends as. */
bool own_addresses_match_from(const struct own_addresses *own,
			      const char *address);

/* An own address lies in the domain of this address. */
bool own_addresses_have_domain_of(const struct own_addresses *own,
				  const char *address);

/* All entries, in the order they were added. */
const struct own_address *
own_addresses_get(const struct own_addresses *own, unsigned int *count_r);

/* The addresses that are written out (no pattern, no @domain), without detail, each
   once; NULL-terminated, allocated from pool. For what is bound to an address and
   can only be tried with each: the return address of a serial. */
const char *const *
own_addresses_list(const struct own_addresses *own, pool_t pool);

/* "User+Detail@Example.org" -> "user@example.org", on the data stack. A local part
   that begins with the delimiter has no detail. */
const char *
own_addresses_without_detail(const struct own_addresses *own,
			     const char *address);

/*
 * Who may send as what (docs/design.md, section 2): what the administrator has given to
 * a user, roles such as postmaster@ among them; own_addresses_match() is stricter.
 */

/* RFC 5321, 4.5.3.1.3: 256 octets with the angle brackets. */
#define OWNERSHIP_ADDRESS_MAX_LEN 254
/* What ownership_describe() returns has at most so many entries and octets. */
#define OWNERSHIP_DESCRIPTION_MAX_COUNT 5
#define OWNERSHIP_DESCRIPTION_MAX_LEN 200

/* FALSE for what nobody can own: without local part or domain, with control
   characters, longer than an address can be. address may be any string. */
bool ownership_is_address(const char *address);

/* The first entry by which a user may send as address (with any detail), roles included;
   NULL if none says so. address may be any string. */
const struct own_address *
ownership_find(const struct own_addresses *own, const char *address);

/* "login", "backscatter_addresses" */
const char *ownership_source_name(enum own_address_source source);

/* "alice@example.org, @example.net, ...": what a refused user is told, in printable
   ASCII, bounded as said above. other: what else is allowed (short), named last;
   NULL = nothing. "none" if nothing is allowed. On the data stack. */
const char *
ownership_describe(const struct own_addresses *own, const char *other);

#endif
