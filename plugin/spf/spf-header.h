#ifndef SPF_HEADER_H
#define SPF_HEADER_H

/* The texts of the fields that say what came out: Authentication-Results (RFC
   8601) and Received-SPF (RFC 7208, 9.1). For a message that isn't checked (struct
   spf_origin: local, fetched) write neither: "spf=none" would say that its domain
   has no record. */

#include "net.h"
#include "spf-result.h"

/* What came out. Strings may be hostile: they are cut to their bounds and changed
   so that none can end a value, a comment or the field. NULL or "" where there is
   nothing to say. */
struct spf_header {
	enum spf_check_result result;
	enum spf_identity identity;
	/* the domain that was checked, for mailfrom without local part */
	const char *domain;
	/* why it is none, temperror or permerror: words of our own, nothing that
	   came from the net */
	const char *reason;

	/* The rest is only for Received-SPF. No family: unknown. */
	struct ip_addr client_ip;
	const char *helo;
	/* without angle brackets; "" is the null sender, NULL unknown */
	const char *mail_from;
	/* the directive that matched, see struct spf_check_reply */
	const char *mechanism;
};

/* Both append the whole field, the newline at its end too. newline: "\r\n" or
   "\n", what the message has. Lines are folded with a tab; they are shorter than
   998 bytes (RFC 5322, 2.1.1), whatever stands in them. */
void spf_header_write_results(string_t *dest, const struct spf_header *header,
			      const char *authserv_id, const char *newline);
/* host: our own name. */
void spf_header_write_received_spf(string_t *dest,
				   const struct spf_header *header,
				   const char *host, const char *newline);

#endif
