/* The cache in front of whoever answers, and the deadline of an evaluation. */

#include "lib.h"
#include "hash.h"
#include "llist.h"
#include "str.h"
#include "spf-dns.h"
#include "spf/spf-limits.h"
#include "spf/spf-wire.h"

#include <ctype.h>

/* One answer; its pool holds the entry too. */
struct spf_dns_entry {
	pool_t pool;
	/* linked from the oldest to the newest */
	struct spf_dns_entry *prev, *next;
	/* "16 example.com" */
	char *key;
	uint64_t expires_msecs;
	struct spf_dns_answer answer;
};

struct spf_dns {
	struct spf_dns_source *source;
	HASH_TABLE(char *, struct spf_dns_entry *) cache;
	struct spf_dns_entry *oldest, *newest;
	/* answers of this evaluation that aren't worth keeping, and those that
	   expired in it */
	struct spf_dns_entry *spent;

	uint64_t deadline_msecs;
	bool evaluating:1;
};

static const struct {
	enum spf_dns_type type;
	const char *name;
} dns_types[] = {
	{ SPF_DNS_A, "A" },
	{ SPF_DNS_AAAA, "AAAA" },
	{ SPF_DNS_MX, "MX" },
	{ SPF_DNS_PTR, "PTR" },
	{ SPF_DNS_TXT, "TXT" },
};

const char *spf_dns_type_name(enum spf_dns_type type)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(dns_types); i++) {
		if (dns_types[i].type == type)
			return dns_types[i].name;
	}
	i_unreached();
}

bool spf_dns_name_is_valid(const char *name)
{
	const char *label = name, *p;

	if (strlen(name) > SPF_MAX_NAME)
		return FALSE;
	for (p = name; ; p++) {
		if (*p == '.' || *p == '\0') {
			if (p == label || p - label > SPF_MAX_LABEL)
				return FALSE;
			if (*p == '\0')
				return TRUE;
			label = p + 1;
		} else if ((unsigned char)*p < 0x20 ||
			   (unsigned char)*p > 0x7e) {
			return FALSE;
		}
	}
}

struct spf_dns *spf_dns_init(const struct spf_dns_servers *servers,
			     struct spf_waiting *waiting)
{
	return spf_dns_init_source(spf_dns_source_init_client(servers, waiting));
}

struct spf_dns *spf_dns_init_source(struct spf_dns_source *source)
{
	struct spf_dns *dns = i_new(struct spf_dns, 1);

	dns->source = source;
	hash_table_create(&dns->cache, default_pool, 0, str_hash, strcmp);
	return dns;
}

static void spf_dns_free_spent(struct spf_dns *dns)
{
	struct spf_dns_entry *entry;

	while (dns->spent != NULL) {
		entry = dns->spent;
		DLLIST_REMOVE(&dns->spent, entry);
		pool_unref(&entry->pool);
	}
}

/* Out of the cache, but not yet freed: somebody may hold the answer. */
static void spf_dns_forget(struct spf_dns *dns, struct spf_dns_entry *entry)
{
	hash_table_remove(dns->cache, entry->key);
	DLLIST2_REMOVE(&dns->oldest, &dns->newest, entry);
	DLLIST_PREPEND(&dns->spent, entry);
}

void spf_dns_deinit(struct spf_dns **_dns)
{
	struct spf_dns *dns = *_dns;

	*_dns = NULL;
	i_assert(!dns->evaluating);
	while (dns->oldest != NULL)
		spf_dns_forget(dns, dns->oldest);
	spf_dns_free_spent(dns);
	hash_table_destroy(&dns->cache);
	dns->source->deinit(dns->source);
	i_free(dns);
}

void spf_dns_begin(struct spf_dns *dns, unsigned int timeout_msecs)
{
	i_assert(!dns->evaluating);
	dns->evaluating = TRUE;
	while (hash_table_count(dns->cache) > SPF_DNS_MAX_CACHED)
		spf_dns_forget(dns, dns->oldest);
	spf_dns_free_spent(dns);
	dns->deadline_msecs = spf_clock_msecs() + timeout_msecs;
	dns->source->begin(dns->source, timeout_msecs);
}

void spf_dns_end(struct spf_dns *dns)
{
	i_assert(dns->evaluating);
	dns->evaluating = FALSE;
}

bool spf_dns_is_late(struct spf_dns *dns)
{
	return spf_clock_msecs() >= dns->deadline_msecs;
}

static struct spf_dns_entry *
spf_dns_find(struct spf_dns *dns, const char *key)
{
	struct spf_dns_entry *entry = hash_table_lookup(dns->cache, key);

	if (entry == NULL || entry->expires_msecs > spf_clock_msecs())
		return entry;
	spf_dns_forget(dns, entry);
	return NULL;
}

static void spf_dns_remember(struct spf_dns *dns, struct spf_dns_entry *entry)
{
	const struct spf_dns_answer *answer = &entry->answer;
	unsigned int ttl = I_MIN(answer->ttl, SPF_DNS_MAX_TTL);

	if (ttl == 0 ||
	    pool_alloconly_get_total_used_size(entry->pool) >
	    SPF_DNS_MAX_CACHED_SIZE) {
		DLLIST_PREPEND(&dns->spent, entry);
		return;
	}
	entry->expires_msecs = spf_clock_msecs() + ttl * 1000ULL;
	hash_table_insert(dns->cache, entry->key, entry);
	DLLIST2_APPEND(&dns->oldest, &dns->newest, entry);
}

const struct spf_dns_answer *
spf_dns_lookup(struct spf_dns *dns, const char *name, enum spf_dns_type type)
{
	const char *key, *lower = t_str_lcase(name);
	struct spf_dns_entry *entry;
	pool_t pool;

	i_assert(dns->evaluating && spf_dns_name_is_valid(name));
	key = t_strdup_printf("%d %s", type, lower);
	entry = spf_dns_find(dns, key);
	if (entry != NULL)
		return &entry->answer;

	pool = pool_alloconly_create("spf dns answer", 512);
	entry = p_new(pool, struct spf_dns_entry, 1);
	entry->pool = pool;
	entry->key = p_strdup(pool, key);
	if (spf_dns_is_late(dns)) {
		entry->answer.status = SPF_DNS_ERROR;
		entry->answer.late = TRUE;
		entry->answer.error = "no time left";
	} else {
		dns->source->lookup(dns->source, pool, lower, type,
				    &entry->answer);
	}
	spf_dns_remember(dns, entry);
	return &entry->answer;
}
