#ifndef SPF_FORGED_H
#define SPF_FORGED_H

/* Fields that speak in our name although we haven't written any yet: whoever sent
   the message did, or another host under our id. */

struct spf_own_names {
	/* of our Authentication-Results */
	const char *authserv_id;
	/* of our Received-SPF; NULL: we write none, and remove none */
	const char *received_spf_host;
};

/* One field, of which only the first line may be at hand: then one that doesn't say
   there in whose name it speaks counts as forged. */
bool spf_forged_is(const char *name, size_t name_size,
		   const unsigned char *value, size_t value_size,
		   const struct spf_own_names *own);
bool spf_forged_find(const void *header, size_t size,
		     const struct spf_own_names *own);
/* Appends the header block to dest without them. */
void spf_forged_remove(buffer_t *dest, const void *header, size_t size,
		       const struct spf_own_names *own);

#endif
