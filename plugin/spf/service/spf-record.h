#ifndef SPF_RECORD_H
#define SPF_RECORD_H

/* What libspf2 is kept from: one SPF record against the grammar of RFC 7208 (section 12).
   Whatever passes it is right in every letter, whatever doesn't is a permerror
   (4.6), and libspf2 never sees it. */

#include "net.h"
#include "spf/spf-result.h"

enum spf_term_type {
	SPF_TERM_ALL,
	SPF_TERM_INCLUDE,
	SPF_TERM_A,
	SPF_TERM_MX,
	SPF_TERM_PTR,
	SPF_TERM_IP4,
	SPF_TERM_IP6,
	SPF_TERM_EXISTS,
	SPF_TERM_REDIRECT
};

/* a directive, or redirect= */
struct spf_term {
	enum spf_term_type type;
	/* what a match means: pass, fail, softfail or neutral */
	enum spf_check_result qualifier;
	char qualifier_letter;
	/* as written, without qualifier */
	const char *text;
	/* domain-spec, macros not expanded; NULL: none, the current domain */
	const char *domain_spec;
	/* ip4, ip6: the network */
	struct ip_addr ip;
	/* prefix lengths: 32 and 128 if none are given */
	unsigned int ip4_bits, ip6_bits;
};

struct spf_record {
	/* directives in their order */
	ARRAY(struct spf_term) terms;
	/* NULL: none */
	const struct spf_term *redirect;
	/* domain-spec of exp=; NULL: none */
	const char *explanation;
};

/* The text is an SPF record at all (4.5): "v=spf1", then a space or nothing. */
bool spf_record_has_version(const char *text, size_t size);

/* Reads a record that has the version. Returns 0, or -1 and an error that says
   which term is wrong (it quotes the record: hostile text). Allocated from pool. */
int spf_record_parse(pool_t pool, const char *text, size_t size,
		     struct spf_record *record_r, const char **error_r);

#endif
