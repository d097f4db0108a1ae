#ifndef SPF_DNS_H
#define SPF_DNS_H

/* Questions to DNS, one at a time: the cache and the deadline. Who answers stands
   behind struct spf_dns_source: servers (spf-dns-client.c), or a zone in a test. */

#include "net.h"

struct spf_dns;
struct spf_dns_servers;
struct spf_waiting;

/* One for each process: it holds the cache (bounded) and remembers whether the
   servers answer. Leaves no socket open between evaluations. Who waits longer than
   SPF_DNS_SILENT_WAIT_MSECS takes a place, see spf-waiting.h; whoever evaluates gives
   it back. Not for several threads. */
struct spf_dns *spf_dns_init(const struct spf_dns_servers *servers,
			     struct spf_waiting *waiting);
void spf_dns_deinit(struct spf_dns **dns);

enum spf_dns_type {
	SPF_DNS_A = 1,
	SPF_DNS_PTR = 12,
	SPF_DNS_MX = 15,
	SPF_DNS_TXT = 16,
	SPF_DNS_AAAA = 28
};

enum spf_dns_status {
	/* at least one record */
	SPF_DNS_FOUND,
	/* no such name, or no such record there ("void", RFC 7208, 4.6.4) */
	SPF_DNS_VOID,
	/* no answer, or one that says nothing: temperror */
	SPF_DNS_ERROR
};

struct spf_dns_text {
	/* the strings of one TXT record, joined; may contain any byte */
	const unsigned char *data;
	size_t size;
};

struct spf_dns_answer {
	enum spf_dns_status status;
	/* seconds; with void and error too. 0: not to be kept. */
	unsigned int ttl;
	/* with error: why, in our own words */
	const char *error;
	/* with error: nobody has answered in time, now or when this was asked */
	bool late:1;

	/* found: records of the type that was asked for, CNAMEs followed. Names
	   have no final dot; one that text can't express (a dot or a byte that
	   isn't printable ASCII in a label) is "". */
	unsigned int count;
	const struct ip_addr *addresses;
	const char *const *names;
	const struct spf_dns_text *texts;
};

struct spf_dns_source {
	/* An evaluation begins, which may take this long. */
	void (*begin)(struct spf_dns_source *source, unsigned int timeout_msecs);
	/* Fills answer_r, allocated from pool, before the evaluation's time is
	   over. The name is valid, lower-case, and has no final dot. */
	void (*lookup)(struct spf_dns_source *source, pool_t pool,
		       const char *name, enum spf_dns_type type,
		       struct spf_dns_answer *answer_r);
	/* Frees the source. */
	void (*deinit)(struct spf_dns_source *source);
};

/* At least one server. */
struct spf_dns_source *
spf_dns_source_init_client(const struct spf_dns_servers *servers,
			   struct spf_waiting *waiting);

/* Owns the source. */
struct spf_dns *spf_dns_init_source(struct spf_dns_source *source);

/* Around every evaluation. */
void spf_dns_begin(struct spf_dns *dns, unsigned int timeout_msecs);
void spf_dns_end(struct spf_dns *dns);
/* The evaluation's time is over. */
bool spf_dns_is_late(struct spf_dns *dns);

/* Between begin and end. The name must be valid. The answer lives until the next
   spf_dns_begin(). */
const struct spf_dns_answer *
spf_dns_lookup(struct spf_dns *dns, const char *name, enum spf_dns_type type);

const char *spf_dns_type_name(enum spf_dns_type type);

/* May be asked for (RFC 1035, 2.3.4): labels of 1 to 63 bytes, at most 253 in all
   and without final dot, printable ASCII or spaces. */
bool spf_dns_name_is_valid(const char *name);

#endif
