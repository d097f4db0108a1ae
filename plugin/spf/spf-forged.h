#ifndef SPF_FORGED_H
#define SPF_FORGED_H

/* Fields that speak in our name although we haven't written any yet: whoever sent
   the message did, or another host under our id. */

struct spf_own_names {
	/* of our Authentication-Results; NULL: none of them is ours */
	const char *authserv_id;
	/* of our Received-SPF; NULL: we write none, and remove none */
	const char *received_spf_host;
};

/* Asks about one field, for who has no header block in memory. Neither the name nor
   the value needs to end in NUL; what some readers skip in a name doesn't count. value:
   what follows the colon, with all its lines, folded or not: the claim may stand in the
   last one. */
bool spf_forged_is(const void *name, size_t name_size,
		   const void *value, size_t value_size,
		   const struct spf_own_names *own);
/* Only for fields of these names spf_forged_is() may say TRUE, whatever the value. */
bool spf_forged_may_be(const void *name, size_t name_size);

/* Is there one in this header block? */
bool spf_forged_find(const void *header, size_t size,
		     const struct spf_own_names *own);

/* Inside the room: what they are found by. */

/* Returns TRUE if an Authentication-Results field has authserv_id anywhere: in its
   place, in a comment, a quoted reason, an encoded word, as a part of a longer id, or
   torn apart by what some readers skip. A Sieve script that asks whether
   the field contains our id and a result doesn't care where. value: what follows the
   colon, as it came, with all its lines. */
bool spf_results_claim_id(const unsigned char *value, size_t size,
			  const char *authserv_id);
/* The same for Received-SPF: no two readers agree where the receiver's name is to
   be found, so it is a field that names the host anywhere as a word of its own, but in
   an address or as HELO's name: there other hosts write it who got mail from us. */
bool spf_received_spf_claims_host(const unsigned char *value, size_t size,
				  const char *host);

#endif
