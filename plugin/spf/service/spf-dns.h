#ifndef SPF_DNS_H
#define SPF_DNS_H

/* Questions to DNS, one at a time: the cache and the deadline. */

#include "spf-dns-message.h"

struct spf_dns;
struct spf_dns_servers;
struct spf_waiting;

/* One for each process: it holds the cache (bounded) and remembers whether the
   servers, of which there is at least one, answer. Leaves no socket open between
   evaluations. Who waits longer than SPF_DNS_SILENT_WAIT_MSECS takes a place, see
   spf-waiting.h; whoever evaluates gives it back. Not for several threads. */
struct spf_dns *spf_dns_init(const struct spf_dns_servers *servers,
			     struct spf_waiting *waiting);
/* With somebody else to ask, a zone in a test: fills answer_r, allocated from pool. The
   name is valid, lower-case, and has no final dot. */
typedef void spf_dns_lookup_t(void *context, pool_t pool, const char *name,
			      enum spf_dns_type type, struct spf_dns_answer *answer_r);
struct spf_dns *spf_dns_init_lookup(spf_dns_lookup_t *lookup, void *context);
void spf_dns_deinit(struct spf_dns **dns);

/* Called before a server is asked, which may take time: FALSE says that nobody waits for
   an answer any more. */
typedef bool spf_dns_asking_t(void *context);
void spf_dns_before_asking(struct spf_dns *dns, spf_dns_asking_t *asking, void *context);

/* Before every evaluation. */
void spf_dns_begin(struct spf_dns *dns, unsigned int timeout_msecs);
/* The evaluation's time is over. */
bool spf_dns_is_late(struct spf_dns *dns);

/* No server could be reached when one was asked last: perhaps these are not the ones that
   the host has now. */
bool spf_dns_is_unreachable(const struct spf_dns *dns);

/* The name must be valid. The answer lives until the next
   spf_dns_begin(). */
const struct spf_dns_answer *
spf_dns_lookup(struct spf_dns *dns, const char *name, enum spf_dns_type type);

#endif
