/* The cache in front of the servers, the deadline of an evaluation, and how long an error
   is worth keeping.

   It can't be told whether it is a name's servers that say nothing or our own. So
   after an evaluation in which no server said anything the next ones wait shorter,
   for a while, or until any server says something. */

#include "lib.h"
#include "hash.h"
#include "llist.h"
#include "str.h"
#include "spf-dns.h"
#include "spf-dns-socket.h"
#include "spf/spf-limits.h"
#include "spf/spf-protocol.h"

/* One answer; its pool holds the entry too. */
struct spf_dns_entry {
	pool_t pool;
	/* linked from the oldest to the newest */
	struct spf_dns_entry *prev, *next;
	/* "16 example.com" */
	char *key;
	/* 0: of use to this evaluation only */
	uint64_t expires_msecs;
	struct spf_dns_answer answer;
};

struct spf_dns {
	struct spf_dns_servers servers;
	struct spf_waiting *waiting;
	/* instead of servers; NULL: none */
	spf_dns_lookup_t *lookup;
	void *lookup_context;

	spf_dns_asking_t *asking;
	void *asking_context;

	HASH_TABLE(char *, struct spf_dns_entry *) cache;
	struct spf_dns_entry *oldest, *newest;

	/* no server answers: until then nobody waits long; 0: they do */
	uint64_t silent_until_msecs;
	/* when a server said something; 0: not yet, or not since */
	uint64_t answered_msecs;

	/* this evaluation */
	uint64_t started_msecs, deadline_msecs;
	bool answered:1;
	/* the last question found no server that could be reached */
	bool unreachable:1;
};

struct spf_dns *spf_dns_init_lookup(spf_dns_lookup_t *lookup, void *context)
{
	struct spf_dns *dns = i_new(struct spf_dns, 1);

	dns->lookup = lookup;
	dns->lookup_context = context;
	hash_table_create(&dns->cache, default_pool, 0, str_hash, strcmp);
	return dns;
}

struct spf_dns *spf_dns_init(const struct spf_dns_servers *servers,
			     struct spf_waiting *waiting)
{
	struct spf_dns *dns = spf_dns_init_lookup(NULL, NULL);

	dns->servers = *servers;
	dns->waiting = waiting;
	return dns;
}

/* What has expired by then, and the oldest of too many. */
static void spf_dns_expire(struct spf_dns *dns, uint64_t now)
{
	struct spf_dns_entry *entry, *next;

	for (entry = dns->oldest; entry != NULL; entry = next) {
		next = entry->next;
		if (entry->expires_msecs > now &&
		    hash_table_count(dns->cache) <= SPF_DNS_MAX_CACHED)
			continue;
		hash_table_remove(dns->cache, entry->key);
		DLLIST2_REMOVE(&dns->oldest, &dns->newest, entry);
		pool_unref(&entry->pool);
	}
}

void spf_dns_deinit(struct spf_dns **_dns)
{
	struct spf_dns *dns = *_dns;

	*_dns = NULL;
	spf_dns_expire(dns, UINT64_MAX);
	hash_table_destroy(&dns->cache);
	i_free(dns);
}

bool spf_dns_is_unreachable(const struct spf_dns *dns)
{
	return dns->unreachable;
}

void spf_dns_before_asking(struct spf_dns *dns, spf_dns_asking_t *asking, void *context)
{
	dns->asking = asking;
	dns->asking_context = context;
}

void spf_dns_begin(struct spf_dns *dns, unsigned int timeout_msecs)
{
	dns->started_msecs = spf_clock_msecs();
	/* never later: somebody may hold an answer */
	spf_dns_expire(dns, dns->started_msecs);
	dns->deadline_msecs = dns->started_msecs + timeout_msecs;
	dns->answered = FALSE;
}

bool spf_dns_is_late(struct spf_dns *dns)
{
	return spf_clock_msecs() >= dns->deadline_msecs;
}

static void spf_dns_remember(struct spf_dns *dns, struct spf_dns_entry *entry)
{
	unsigned int ttl = I_MIN(entry->answer.ttl, SPF_DNS_MAX_TTL);

	if (ttl > 0 && pool_alloconly_get_total_used_size(entry->pool) <=
	    SPF_DNS_MAX_CACHED_SIZE)
		entry->expires_msecs = spf_clock_msecs() + ttl * 1000ULL;
	hash_table_insert(dns->cache, entry->key, entry);
	DLLIST2_APPEND(&dns->oldest, &dns->newest, entry);
}

static struct spf_dns_deadline spf_dns_deadline(const struct spf_dns *dns)
{
	struct spf_dns_deadline deadline = {
		.last_msecs = dns->deadline_msecs,
		.free_msecs = dns->started_msecs + SPF_DNS_SILENT_WAIT_MSECS,
		.waiting = dns->waiting
	};

	if (dns->started_msecs < dns->silent_until_msecs) {
		deadline.last_msecs = I_MIN(deadline.last_msecs,
					    deadline.free_msecs);
	}
	return deadline;
}

/* Returns how many seconds an error is worth keeping: if a server said so, it is the
   name's fault. Silence is if a server has answered lately, and there was time
   enough, which is not for who asks to say: he may be any user of this host. */
static unsigned int
spf_dns_error_ttl(const struct spf_dns *dns, uint64_t asked_msecs, bool late)
{
	uint64_t lately = dns->answered_msecs +
		(late ? SPF_DNS_SILENT_MSECS : 0);

	if (dns->answered_msecs == 0 || lately < asked_msecs ||
	    (late && spf_clock_msecs() <
	     asked_msecs + SPF_DNS_SILENT_WAIT_MSECS))
		return 0;
	return SPF_DNS_ERROR_TTL;
}

static void spf_dns_silent(struct spf_dns *dns)
{
	if (dns->answered || spf_clock_msecs() <
	    dns->started_msecs + SPF_DNS_SILENT_WAIT_MSECS)
		return;
	dns->answered_msecs = 0;
	if (dns->started_msecs >= dns->silent_until_msecs) {
		dns->silent_until_msecs = spf_clock_msecs() +
			SPF_DNS_SILENT_MSECS;
	}
}

static void
spf_dns_ask(struct spf_dns *dns, pool_t pool, const char *name,
	    enum spf_dns_type type, struct spf_dns_answer *answer_r)
{
	struct spf_dns_chain chain = { .name = name, .ttl = SPF_DNS_MAX_TTL };
	struct spf_dns_deadline deadline;
	uint64_t asked_msecs;
	bool answered;
	int ret;

	/* A recursive server follows CNAMEs itself; this is for others. */
	do T_BEGIN {
		asked_msecs = spf_clock_msecs();
		deadline = spf_dns_deadline(dns);
		ret = spf_dns_socket_ask(&dns->servers, pool, type,
					 &deadline, &chain,
					 answer_r, &answered);
		if (answered) {
			dns->answered = TRUE;
			dns->answered_msecs = spf_clock_msecs();
			dns->silent_until_msecs = 0;
		}
	} T_END; while (ret == 0);
	dns->unreachable = ret < 0 && !answered && !answer_r->late;
	if (ret < 0) {
		answer_r->ttl = spf_dns_error_ttl(dns, asked_msecs,
						 answer_r->late);
		if (answer_r->late)
			spf_dns_silent(dns);
	}
}

const struct spf_dns_answer *
spf_dns_lookup(struct spf_dns *dns, const char *name, enum spf_dns_type type)
{
	const char *key, *lower = t_str_lcase(name);
	struct spf_dns_entry *entry;
	pool_t pool;

	i_assert(spf_dns_name_is_valid(name));
	key = t_strdup_printf("%d %s", type, lower);
	entry = hash_table_lookup(dns->cache, key);
	if (entry != NULL)
		return &entry->answer;

	pool = pool_alloconly_create("spf dns answer", 512);
	entry = p_new(pool, struct spf_dns_entry, 1);
	entry->pool = pool;
	entry->key = p_strdup(pool, key);
	if (spf_dns_is_late(dns) ||
	    (dns->asking != NULL && !dns->asking(dns->asking_context))) {
		entry->answer.status = SPF_DNS_ERROR;
		entry->answer.late = TRUE;
		entry->answer.error = "no time left";
	} else if (dns->lookup != NULL) {
		dns->lookup(dns->lookup_context, pool, lower, type, &entry->answer);
	} else {
		spf_dns_ask(dns, pool, lower, type, &entry->answer);
	}
	spf_dns_remember(dns, entry);
	return &entry->answer;
}
