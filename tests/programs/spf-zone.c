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
	struct spf_dns_source source;
	pool_t pool;
	ARRAY(struct zone_record) records;
};

struct zone_reader {
	pool_t pool;
	enum spf_dns_type type;
	ARRAY(struct ip_addr) addresses;
	ARRAY_TYPE(const_string) names;
	ARRAY(struct spf_dns_text) texts;
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
	struct spf_dns_text *text;
	struct ip_addr ip;
	const char *name;

	switch (reader->type) {
	case SPF_DNS_A:
	case SPF_DNS_AAAA:
		if (net_addr2ip(t_strndup(record->value, record->size), &ip) < 0 ||
		    IPADDR_IS_V4(&ip) != (reader->type == SPF_DNS_A))
			return;
		array_push_back(&reader->addresses, &ip);
		break;
	case SPF_DNS_MX:
	case SPF_DNS_PTR:
		name = zone_name(reader->pool, record->value, record->size);
		array_push_back(&reader->names, &name);
		break;
	case SPF_DNS_TXT:
		text = array_append_space(&reader->texts);
		text->data = record->value;
		text->size = record->size;
		break;
	}
	reader->answer->count++;
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
	if (reader->answer->count > 0) {
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
zone_lookup(struct spf_dns_source *source, pool_t pool, const char *name,
	    enum spf_dns_type type, struct spf_dns_answer *answer_r)
{
	struct spf_zone *zone = container_of(source, struct spf_zone, source);
	struct zone_reader reader = {
		.pool = pool, .type = type, .answer = answer_r
	};
	unsigned int i, count;

	p_array_init(&reader.addresses, pool, 4);
	p_array_init(&reader.names, pool, 4);
	p_array_init(&reader.texts, pool, 4);
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
	answer_r->addresses = array_get(&reader.addresses, &count);
	answer_r->names = array_get(&reader.names, &count);
	answer_r->texts = array_get(&reader.texts, &count);
}

static void zone_begin(struct spf_dns_source *source ATTR_UNUSED,
		       unsigned int timeout_msecs ATTR_UNUSED)
{
}

static void zone_deinit(struct spf_dns_source *source)
{
	struct spf_zone *zone = container_of(source, struct spf_zone, source);
	pool_t pool = zone->pool;

	pool_unref(&pool);
}

struct spf_zone *spf_zone_init(struct spf_dns **dns_r)
{
	pool_t pool = pool_alloconly_create("zone", 16384);
	struct spf_zone *zone = p_new(pool, struct spf_zone, 1);

	zone->pool = pool;
	p_array_init(&zone->records, pool, 64);
	zone->source.begin = zone_begin;
	zone->source.lookup = zone_lookup;
	zone->source.deinit = zone_deinit;
	*dns_r = spf_dns_init_source(&zone->source);
	return zone;
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
