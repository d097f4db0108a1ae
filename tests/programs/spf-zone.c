/* A zone in memory, as a source of answers for plugin/spf/. */

#include "lib.h"
#include "array.h"
#include "spf-zone.h"
#include "spf/service/spf-dns.h"

#define ZONE_MAX_CNAMES 10
#define ZONE_TTL 60

struct zone_record {
	const char *name;
	const char *type;
	const unsigned char *value;
	size_t size;
};

struct spf_zone {
	pool_t pool;
	ARRAY(struct zone_record) records;
};

struct zone_reader {
	pool_t pool;
	enum spf_dns_type type;
	ARRAY(struct spf_dns_record) records;
	struct spf_dns_answer *answer;
};

/* Without final dot. */
static const char *zone_name(pool_t pool, const void *name, size_t size)
{
	const char *text = p_strndup(pool, name, size);

	size = strlen(text);
	return size > 0 && text[size - 1] == '.' ?
		p_strndup(pool, text, size - 1) : text;
}

static void
zone_reader_add(struct zone_reader *reader, const struct zone_record *record)
{
	struct spf_dns_record add = { .text = "" };

	switch (reader->type) {
	case SPF_DNS_A:
	case SPF_DNS_AAAA:
		if (net_addr2ip(t_strndup(record->value, record->size), &add.ip) < 0 ||
		    IPADDR_IS_V4(&add.ip) != (reader->type == SPF_DNS_A))
			return;
		break;
	case SPF_DNS_MX:
	case SPF_DNS_PTR:
		add.text = zone_name(reader->pool, record->value, record->size);
		break;
	case SPF_DNS_TXT:
		add.text = (const char *)record->value;
		add.size = record->size;
		break;
	}
	array_push_back(&reader->records, &add);
}

/* Returns the name that a CNAME leads to, NULL if there is none. */
static const char *
zone_lookup_name(struct spf_zone *zone, struct zone_reader *reader,
		 const char *owner)
{
	const char *type = spf_dns_type_name(reader->type), *cname = NULL;
	const struct zone_record *record;
	bool error = FALSE;

	array_foreach(&zone->records, record) {
		if (strcasecmp(record->name, owner) != 0)
			continue;
		if (strcmp(record->type, type) == 0)
			zone_reader_add(reader, record);
		else if (strcmp(record->type, "CNAME") == 0) {
			cname = zone_name(reader->pool, record->value,
					  record->size);
		} else if (strcmp(record->type, "error") == 0 ||
			   strcmp(record->type,
				  t_strconcat("error ", type, NULL)) == 0)
			error = TRUE;
	}
	if (array_count(&reader->records) > 0) {
		reader->answer->status = SPF_DNS_FOUND;
		return NULL;
	}
	if (cname == NULL && error) {
		reader->answer->status = SPF_DNS_ERROR;
		reader->answer->error = "no answer in the zone";
	} else if (cname == NULL && strcmp(owner, "*") != 0) {
		return zone_lookup_name(zone, reader, "*");
	}
	return cname;
}

static void
zone_lookup(void *context, pool_t pool, const char *name,
	    enum spf_dns_type type, struct spf_dns_answer *answer_r)
{
	struct spf_zone *zone = context;
	struct zone_reader reader = {
		.pool = pool, .type = type, .answer = answer_r
	};
	unsigned int i;

	p_array_init(&reader.records, pool, 4);
	answer_r->ttl = ZONE_TTL;
	answer_r->status = SPF_DNS_VOID;
	for (i = 0; name != NULL && *name != '\0'; i++) {
		if (i > ZONE_MAX_CNAMES) {
			answer_r->status = SPF_DNS_ERROR;
			answer_r->error = "CNAMEs in a loop";
			return;
		}
		name = zone_lookup_name(zone, &reader, name);
	}
	answer_r->records = array_get(&reader.records, &answer_r->count);
}

struct spf_zone *spf_zone_init(struct spf_dns **dns_r)
{
	pool_t pool = pool_alloconly_create("zone", 16384);
	struct spf_zone *zone = p_new(pool, struct spf_zone, 1);

	zone->pool = pool;
	p_array_init(&zone->records, pool, 64);
	*dns_r = spf_dns_init_lookup(zone_lookup, zone);
	return zone;
}

void spf_zone_deinit(struct spf_zone **_zone, struct spf_dns **dns)
{
	pool_t pool = (*_zone)->pool;

	spf_dns_deinit(dns);
	*_zone = NULL;
	pool_unref(&pool);
}

void spf_zone_add(struct spf_zone *zone, const char *name, const char *type,
		  const void *value, size_t size)
{
	struct zone_record *record = array_append_space(&zone->records);
	unsigned char *copy = p_malloc(zone->pool, size + 1);

	memcpy(copy, value, size);
	record->name = zone_name(zone->pool, name, strlen(name));
	record->type = p_strdup(zone->pool, type);
	record->value = copy;
	record->size = size;
}
