#ifndef SPF_RECEIVED_PRIVATE_H
#define SPF_RECEIVED_PRIVATE_H

/* Inside the room: spf-received-parts.c splits the field, spf-received-peer.c reads
   what it says about the peer, spf-received.c decides what that means. */

#include "spf-received.h"

enum received_peer_kind {
	RECEIVED_PEER_UNKNOWN,
	/* came from ip */
	RECEIVED_PEER_ADDRESS,
	/* the field has a name where others have an address too */
	RECEIVED_PEER_NAME,
	/* a process of the same host */
	RECEIVED_PEER_PROCESS,
	/* "localhost (localhost)": where there was no session, Sendmail's own
	   bounce */
	RECEIVED_PEER_LOCALHOST,
	/* a socket without an address */
	RECEIVED_PEER_SOCKET
};

struct received_peer {
	enum received_peer_kind kind;
	struct ip_addr ip;
	/* as it stands there; data stack */
	const char *helo;
	/* "[address]" and nothing else: Exim's address, others' HELO name */
	bool lone:1;
};

/* What the field says behind "by". */
struct received_session {
	/* the word behind "with" or "via", "" if there is none */
	const char *protocol;
	/* the first comment behind the host's name */
	const char *comment;
	/* the line ends behind that comment */
	bool comment_ends_line:1;
	bool by_exim:1;
};

enum received_start {
	/* something else */
	RECEIVED_START_OTHER,
	RECEIVED_START_FROM,
	/* no peer at all */
	RECEIVED_START_BY,
	/* a comment and nothing else */
	RECEIVED_START_COMMENT
};

/* Strings on the data stack. */
struct received_parts {
	enum received_start start;
	/* with RECEIVED_START_FROM */
	struct received_peer peer;
	/* with RECEIVED_START_FROM and RECEIVED_START_BY */
	struct received_session session;
	/* with RECEIVED_START_COMMENT */
	const char *comment;
	/* behind the peer it says that the client was authenticated */
	bool authenticated:1;
};

/* Returns FALSE if the field can't be split, or in more than one way. */
bool received_parts_parse(const unsigned char *value, size_t size,
			  struct received_parts *parts_r);

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
