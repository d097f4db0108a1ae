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

bool spf_forged_find(const void *header, size_t size,
		     const struct spf_own_names *own);
/* Appends the header block to dest without them. */
void spf_forged_remove(buffer_t *dest, const void *header, size_t size,
		       const struct spf_own_names *own);

#endif
