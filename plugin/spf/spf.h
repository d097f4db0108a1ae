#ifndef SPF_H
#define SPF_H

/* The door to SPF evaluation: check_host() of RFC 7208 (section 4) for one
   message. It knows Dovecot's lib, but no mail, user or setting. Everything comes
   from the net and may be hostile: the client, HELO, MAIL FROM and all of DNS. */

#include "net.h"
#include "spf-result.h"

struct spf_dns;

struct spf_dns_settings {
	/* Servers to ask, separated by spaces or commas: "127.0.0.1:5353",
	   "192.0.2.53", "[2001:db8::53]:5353", "fe80::53%eth0", at most 8. NULL
	   or "": those of /etc/resolv.conf. */
	const char *servers;
};

/* One for each process: it holds the cache (bounded) and remembers whether the
   servers answer. Reads resolv.conf at once, and never again; leaves no socket open
   between evaluations. Returns 0, or -1 and an error that names what is
   wrong in servers. Not for several threads. */
int spf_dns_init(const struct spf_dns_settings *set, struct spf_dns **dns_r,
		 const char **error_r);
void spf_dns_deinit(struct spf_dns **dns);

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
	/* for the whole evaluation; 0: SPF_CHECK_TIMEOUT_MSECS */
	unsigned int timeout_msecs;

	/* NULL: no trace */
	spf_check_trace_t *trace;
	void *trace_context;
};

#define SPF_CHECK_TIMEOUT_MSECS 5000

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

/* Evaluates one message. Never fails and takes no longer than the timeout; what
   goes wrong is temperror (try again: DNS) or permerror (the record is broken).
   The reply is allocated from pool. */
void spf_check_host(struct spf_dns *dns, const struct spf_check_request *request,
		    pool_t pool, struct spf_check_reply *reply_r);

#endif
