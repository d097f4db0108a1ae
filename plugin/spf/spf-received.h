#ifndef SPF_RECEIVED_H
#define SPF_RECEIVED_H

/* Inside the room: what one Received field (RFC 5321, 4.4) says about the session
   in which its host got the message. No grammar is kept to by all MTAs, so it
   knows the shapes that they write, and what each of them does to a HELO name.
   A field that is none of them says nothing at all. */

#include "net.h"

enum spf_received_kind {
	/* not understood */
	SPF_RECEIVED_UNKNOWN,
	/* over the net from ip */
	SPF_RECEIVED_CLIENT,
	/* over the net, and the client has proved who it is */
	SPF_RECEIVED_AUTHENTICATED,
	/* by a process or user of that host */
	SPF_RECEIVED_SUBMITTED,
	/* with POP3, IMAP or HTTP: the host took it from somebody's mailbox or
	   web form */
	SPF_RECEIVED_FETCHED,
	/* inside that host, over a socket without an address: who handed it in
	   says the next field */
	SPF_RECEIVED_HANDED_ON,
	/* that host put it into its queue again (an alias), or wrote it (a
	   bounce): says the next field, if there is one */
	SPF_RECEIVED_REQUEUED
};

struct spf_received {
	enum spf_received_kind kind;
	/* Only for SPF_RECEIVED_CLIENT. IPv4-mapped ones are IPv4. */
	struct ip_addr ip;
	/* The name that the client gave, NULL if the field doesn't say. Printable
	   ASCII without white space, comment or quote, at most SPF_MAX_DOMAIN
	   bytes; not necessarily a domain name. */
	const char *helo;
	/* The peer spoke LMTP: never a foreign client. */
	bool lmtp:1;
};

/* value: what follows the colon, folding included. helo lives in pool,
   which must not be the data stack's. */
void spf_received_parse(pool_t pool, const unsigned char *value, size_t size,
			struct spf_received *received_r);

/* Returns helo if it may stand in struct spf_received, else NULL. */
const char *spf_received_helo(const char *helo);

#endif
