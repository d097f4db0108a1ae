#ifndef SPF_H
#define SPF_H

/* The door to SPF's evaluation: check_host() of RFC 7208 (section 4) for one message.
   It is done by another process, the service backscatter-spf (service/), so that who
   reads what name servers say is nobody who may read mail. Everything comes from the
   net and may be hostile: the client, HELO, MAIL FROM and all of DNS. */

#include "net.h"
#include "spf-result.h"

/* One line for each step of an evaluation: questions and answers, records,
   terms, limits. The text is printable ASCII and shorter than 1024 bytes. */
typedef void spf_check_trace_t(const char *line, void *context);

struct spf_check_request {
	/* IPv4-mapped IPv6 counts as IPv4 */
	struct ip_addr client_ip;
	/* as the client sent it; NULL if unknown */
	const char *helo;
	/* without angle brackets; "" or NULL: null sender */
	const char *mail_from;
	/* our host's name, for %{r} in explanations; NULL: "unknown" */
	const char *receiver;
	/* for all of it, SPF_MAX_TIMEOUT_MSECS at most */
	unsigned int timeout_msecs;
	/* since when, on spf_clock_msecs(); 0: since it is looked at */
	uint64_t asked_msecs;
	/* Servers to ask, separated by spaces or commas: "127.0.0.1:5353",
	   "192.0.2.53", "[2001:db8::53]:5353", "fe80::53%eth0", at most 8. "":
	   those of /etc/resolv.conf. */
	const char *dns_servers;

	/* NULL: no trace */
	spf_check_trace_t *trace;
	void *trace_context;
};

struct spf_check_reply {
	enum spf_check_result result;
	/* helo for the null sender: postmaster@HELO stands for MAIL FROM */
	enum spf_identity identity;
	/* The domain that was checked, in lower case, "" if there is none. With
	   result none it may be malformed. At most SPF_MAX_NAME bytes of
	   printable ASCII; "?" stands for whatever else was there, and for spaces
	   and RFC 5322's specials. */
	const char *domain;
	/* With fail only: what the domain's owner says (exp=), in printable
	   ASCII, at most SPF_MAX_EXPLANATION bytes. Else NULL. It is hostile
	   text: never say it in our own name. */
	const char *explanation;
	/* With none, temperror and permerror: why, in printable ASCII, for the
	   log or Received-SPF's problem=. May quote what came from the net.
	   Else NULL. */
	const char *problem;
	/* With pass, fail, softfail and neutral: the directive that matched, of
	   the domain's own record or the one that this redirects to, as written
	   there but without qualifier ("ip4:192.0.2.0/24",
	   "include:example.net"), in printable ASCII, cut at SPF_MAX_PROBLEM
	   bytes. "default" where none did. Else NULL. */
	const char *mechanism;
};

/* Asks the service, whose socket is in Dovecot's base_dir. Takes no longer than the
   timeout. Returns 0, or -1 where it gave no answer, and an error for the log that says
   what could be done: the reply is temperror then. The reply is allocated from pool. */
int spf_ask(const char *base_dir, const struct spf_check_request *request,
	    pool_t pool, struct spf_check_reply *reply_r, const char **error_r);

#endif
