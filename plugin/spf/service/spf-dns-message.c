/* Reads answers of DNS servers with libc's parser. c-ares' own readers differ
   between its versions, refuse names that SPF has to be able to ask for, and tell
   no TTL of most types. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "spf-dns-message.h"
#include "spf/spf-limits.h"

/* What belongs to the name at the end of the CNAMEs so far. */
struct message_reader {
	pool_t pool;
	ns_msg msg;
	enum spf_dns_type type;
	/* as libc writes names: with escapes */
	const char *owner;
	struct spf_dns_answer *answer;

	ARRAY(struct ip_addr) addresses;
	ARRAY_TYPE(const_string) names;
	ARRAY(struct spf_dns_text) texts;
};

size_t spf_dns_name_write_wire(const char *name,
			       unsigned char wire[NS_MAXCDNAME + 1])
{
	unsigned char *p = wire;
	size_t size;

	for (;;) {
		size = strcspn(name, ".");
		*p++ = size;
		memcpy(p, name, size);
		p += size;
		if (name[size] == '\0')
			break;
		name += size + 1;
	}
	*p++ = 0;
	return p - wire;
}

/* As libc writes names, to compare with ns_rr_name(). */
static const char *name_as_libc_writes(const char *name)
{
	unsigned char wire[NS_MAXCDNAME + 1];
	char *text = t_malloc_no0(NS_MAXDNAME);

	(void)spf_dns_name_write_wire(name, wire);
	if (ns_name_ntop(wire, text, NS_MAXDNAME) < 0)
		return "";
	return text;
}

/* Text without escapes, or "" if a label can't be expressed so. */
static const char *name_read_wire(pool_t pool, const unsigned char *wire)
{
	string_t *name = t_str_new(64);
	unsigned int i;

	for (; *wire != 0; wire += *wire + 1) {
		if (str_len(name) > 0)
			str_append_c(name, '.');
		for (i = 1; i <= *wire; i++) {
			if (wire[i] < 0x20 || wire[i] > 0x7e || wire[i] == '.')
				return "";
			str_append_c(name, wire[i]);
		}
	}
	return p_strdup(pool, str_c(name));
}

/* The name that is a record's data, behind skip bytes. Returns NULL if it is
   broken. */
static const char *
reader_read_name(struct message_reader *reader, ns_rr *rr, unsigned int skip)
{
	unsigned char wire[NS_MAXCDNAME + 1];

	if (ns_rr_rdlen(*rr) < skip ||
	    ns_name_unpack(ns_msg_base(reader->msg), ns_msg_end(reader->msg),
			   ns_rr_rdata(*rr) + skip, wire, sizeof(wire)) < 0)
		return NULL;
	return name_read_wire(reader->pool, wire);
}

static int reader_read_address(struct message_reader *reader, ns_rr *rr)
{
	struct ip_addr *ip = array_append_space(&reader->addresses);
	bool ip4 = reader->type == SPF_DNS_A;
	size_t size = ip4 ? sizeof(ip->u.ip4) : sizeof(ip->u.ip6);

	if (ns_rr_rdlen(*rr) != size)
		return -1;
	ip->family = ip4 ? AF_INET : AF_INET6;
	memcpy(ip4 ? (void *)&ip->u.ip4 : (void *)&ip->u.ip6, ns_rr_rdata(*rr),
	       size);
	return 0;
}

/* The strings of a TXT record, joined (RFC 7208, 3.3). */
static int reader_read_text(struct message_reader *reader, ns_rr *rr)
{
	const unsigned char *data = ns_rr_rdata(*rr);
	const unsigned char *end = data + ns_rr_rdlen(*rr);
	struct spf_dns_text *text = array_append_space(&reader->texts);
	unsigned char *joined = p_malloc(reader->pool, ns_rr_rdlen(*rr) + 1);

	text->data = joined;
	while (data < end) {
		size_t size = *data++;

		if (size > (size_t)(end - data))
			return -1;
		memcpy(joined + text->size, data, size);
		text->size += size;
		data += size;
	}
	return 0;
}

/* A record of the type that was asked for. */
static int reader_read_record(struct message_reader *reader, ns_rr *rr)
{
	const char *name;

	reader->answer->count++;
	switch (reader->type) {
	case SPF_DNS_A:
	case SPF_DNS_AAAA:
		return reader_read_address(reader, rr);
	case SPF_DNS_TXT:
		return reader_read_text(reader, rr);
	case SPF_DNS_MX:
	case SPF_DNS_PTR:
		name = reader_read_name(reader, rr,
			reader->type == SPF_DNS_MX ? NS_INT16SZ : 0);
		if (name == NULL)
			return -1;
		array_push_back(&reader->names, &name);
		return 0;
	}
	i_unreached();
}

/* One pass over the answer section: takes the owner's records. *cname_r: where the
   owner is an alias, NULL if it isn't. */
static int
reader_read_owner(struct message_reader *reader, const char **cname_r)
{
	int i, count = ns_msg_count(reader->msg, ns_s_an);
	ns_rr rr;

	*cname_r = NULL;
	for (i = 0; i < count; i++) {
		if (ns_parserr(&reader->msg, ns_s_an, i, &rr) < 0)
			return -1;
		if (ns_rr_class(rr) != ns_c_in ||
		    strcasecmp(ns_rr_name(rr), reader->owner) != 0)
			continue;
		if ((int)ns_rr_type(rr) == (int)reader->type) {
			if (reader_read_record(reader, &rr) < 0)
				return -1;
		} else if (ns_rr_type(rr) == ns_t_cname) {
			*cname_r = reader_read_name(reader, &rr, 0);
			if (*cname_r == NULL)
				return -1;
		} else {
			continue;
		}
		reader->answer->ttl = I_MIN(reader->answer->ttl,
					    ns_rr_ttl(rr));
	}
	return 0;
}

/* How long "nothing" may be believed (RFC 2308, section 5). */
static unsigned int reader_void_ttl(struct message_reader *reader)
{
	int i, count = ns_msg_count(reader->msg, ns_s_ns);
	unsigned int minimum;
	ns_rr rr;

	for (i = 0; i < count; i++) {
		if (ns_parserr(&reader->msg, ns_s_ns, i, &rr) < 0)
			break;
		if (ns_rr_type(rr) != ns_t_soa ||
		    ns_rr_rdlen(rr) < NS_INT32SZ)
			continue;
		minimum = ns_get32(ns_rr_rdata(rr) + ns_rr_rdlen(rr) -
				   NS_INT32SZ);
		return I_MIN(minimum, ns_rr_ttl(rr));
	}
	return SPF_DNS_VOID_TTL;
}

static void answer_set_error(struct spf_dns_answer *answer, const char *error)
{
	i_zero(answer);
	answer->status = SPF_DNS_ERROR;
	answer->error = error;
}

static void reader_finish(struct message_reader *reader)
{
	struct spf_dns_answer *answer = reader->answer;
	unsigned int count;

	if (answer->count == 0) {
		answer->status = SPF_DNS_VOID;
		answer->ttl = I_MIN(answer->ttl, reader_void_ttl(reader));
		return;
	}
	answer->status = SPF_DNS_FOUND;
	answer->addresses = array_get(&reader->addresses, &count);
	answer->names = array_get(&reader->names, &count);
	answer->texts = array_get(&reader->texts, &count);
}

/* Follows the CNAMEs. Each costs a pass over the records: few are believed. */
static int
reader_follow(struct message_reader *reader, const char *name,
	      const char **next_r)
{
	const char *cname;
	unsigned int i;

	for (i = 0; i <= SPF_DNS_MAX_CNAMES; i++) {
		reader->owner = name_as_libc_writes(name);
		if (reader_read_owner(reader, &cname) < 0)
			return -1;
		if (cname == NULL || reader->answer->count > 0) {
			if (i > 0 && reader->answer->count == 0)
				*next_r = name;
			return 0;
		}
		/* "CNAME .": nothing there */
		if (!spf_dns_name_is_valid(cname))
			return 0;
		name = cname;
	}
	return -1;
}

void spf_dns_message_read(pool_t pool, const unsigned char *data, size_t size,
			  const char *name, enum spf_dns_type type,
			  struct spf_dns_answer *answer_r, const char **next_r)
{
	struct message_reader reader = {
		.pool = pool, .type = type, .answer = answer_r
	};
	int rcode;

	*next_r = NULL;
	i_zero(answer_r);
	answer_r->ttl = SPF_DNS_MAX_TTL;
	if (size > INT_MAX || ns_initparse(data, size, &reader.msg) < 0 ||
	    ns_msg_getflag(reader.msg, ns_f_qr) == 0) {
		answer_set_error(answer_r, "unreadable answer");
		return;
	}
	rcode = ns_msg_getflag(reader.msg, ns_f_rcode);
	if (rcode != ns_r_noerror && rcode != ns_r_nxdomain) {
		answer_set_error(answer_r, "server failure");
		return;
	}
	p_array_init(&reader.addresses, pool, 8);
	p_array_init(&reader.names, pool, 8);
	p_array_init(&reader.texts, pool, 8);
	if (reader_follow(&reader, name, next_r) < 0) {
		answer_set_error(answer_r, "unreadable answer");
		return;
	}
	/* of a CNAME to a name that doesn't exist the answer is NXDOMAIN */
	if (rcode == ns_r_nxdomain)
		*next_r = NULL;
	reader_finish(&reader);
}
