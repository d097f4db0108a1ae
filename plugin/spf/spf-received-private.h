#ifndef SPF_RECEIVED_PRIVATE_H
#define SPF_RECEIVED_PRIVATE_H

/* Inside the room: what a Received field says about the peer. */

#include "spf-received.h"

struct received_peer {
	/* where the rest of the field doesn't say otherwise */
	enum spf_received_kind kind;
	struct ip_addr ip;
	/* as it stands there; data stack */
	const char *helo;
	/* Nothing but a name where others have an address too, or "[address]": Exim's
	   address, others' HELO name. */
	bool lone:1;
	/* "localhost (localhost)": where there was no session, Sendmail's own bounce */
	bool localhost:1;
};

/* name: the word behind "from", "" if there is none. comment: the first comment
   behind it, without its parentheses, NULL if there is none; more: the comment
   behind that, where it is one of the shape "(HELO name) (address)". */
void received_peer_parse(const char *name, const char *comment,
			 const char *more, struct received_peer *peer_r);
/* "HELO name": what follows is where the address is. */
bool received_peer_is_helo(const char *comment);
/* The text in "(from text)", which Sendmail writes for a client without HELO and
   for its own users. */
void received_peer_parse_nameless(const char *text,
				  struct received_peer *peer_r);

#endif
