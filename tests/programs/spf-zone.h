#ifndef SPF_ZONE_H
#define SPF_ZONE_H

/* A zone in memory instead of DNS, for the suite, unit tests, fuzzing and the
   bench. */

struct spf_dns;

struct spf_zone;

struct spf_zone *spf_zone_init(struct spf_dns **dns_r);
void spf_zone_deinit(struct spf_zone **zone, struct spf_dns **dns);

/* type: A, AAAA, MX, PTR, TXT or CNAME; "error" if nothing answers for what has no
   record, "error A" for that type only. A and AAAA records have text as value; one
   that is no address is ignored. The name "*" stands for every name that has no
   record of its own. */
void spf_zone_add(struct spf_zone *zone, const char *name, const char *type,
		  const void *value, size_t size);

#endif
