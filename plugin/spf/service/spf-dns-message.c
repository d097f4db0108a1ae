/* DNS messages. Answers are hostile: every size is checked, a name ends after so many
   pointers, and no more CNAMEs are followed than SPF_DNS_MAX_CNAMES, each of which
   costs a pass over the records. (libc's reader would take a chain of thousands of
   pointers in each record.) */

#include "lib.h"
#include "array.h"
#include "byteorder.h"
#include "randgen.h"
#include "str.h"
#include "spf-dns-message.h"
#include "spf/spf-limits.h"

/* RFC 1035: a name with the lengths of its labels and the final 0; the header; a
   record's type, class, TTL and size */
#define WIRE_NAME_SIZE 255
#define HEADER_SIZE 12
#define RECORD_SIZE 10
/* a name has no more labels */
#define WIRE_NAME_POINTERS 127

#define FLAG_RESPONSE 0x8000
#define FLAG_TRUNCATED 0x0200
#define FLAG_RECURSION_DESIRED 0x0100
#define FLAGS_OPCODE 0x7800
#define FLAGS_RCODE 0x000f
#define RCODE_NXDOMAIN 3

#define CLASS_IN 1
#define TYPE_CNAME 5
#define TYPE_SOA 6
#define TYPE_OPT 41

/* What we take over UDP: it crosses every network in one piece. */
#define EDNS_PAYLOAD_SIZE 1232

struct wire_name {
	unsigned char data[WIRE_NAME_SIZE];
	size_t size;
};

struct message_record {
	struct wire_name owner;
	unsigned int type, class, ttl;
	/* its data: where, and how much */
	size_t pos, size;
};

struct message_reader {
	pool_t pool;
	const unsigned char *data;
	size_t size;
	/* what is read next, and where the answer section begins */
	size_t pos, answers_pos;
	enum spf_dns_type type;
	struct spf_dns_answer *answer;

	ARRAY(struct ip_addr) addresses;
	ARRAY_TYPE(const_string) names;
	ARRAY(struct spf_dns_text) texts;
};

/* Names */

static void wire_name_write(struct wire_name *wire, const char *name)
{
	size_t size;

	wire->size = 0;
	do {
		size = strcspn(name, ".");
		i_assert(wire->size + 1 + size < sizeof(wire->data));
		wire->data[wire->size] = size;
		memcpy(wire->data + wire->size + 1, name, size);
		wire->size += 1 + size;
		name += size;
	} while (*name++ == '.');
	wire->data[wire->size++] = 0;
}

/* Text without escapes, or "" if a label can't be expressed so. */
static const char *wire_name_text(pool_t pool, const struct wire_name *wire)
{
	const unsigned char *p = wire->data;
	string_t *name = t_str_new(64);
	unsigned int i;

	for (; *p != 0; p += *p + 1) {
		if (str_len(name) > 0)
			str_append_c(name, '.');
		for (i = 1; i <= *p; i++) {
			if (p[i] < 0x20 || p[i] > 0x7e || p[i] == '.')
				return "";
			str_append_c(name, p[i]);
		}
	}
	return p_strdup(pool, str_c(name));
}

/* The lengths in it are no letters. */
static bool
wire_name_equals(const struct wire_name *name1, const struct wire_name *name2)
{
	return name1->size == name2->size &&
		i_memcasecmp(name1->data, name2->data, name1->size) == 0;
}

/* Questions */

void spf_dns_question_write(struct spf_dns_question *question, const char *name,
			    enum spf_dns_type type, bool edns)
{
	unsigned char *p = question->data;
	struct wire_name wire;

	i_zero(question);
	wire_name_write(&wire, name);
	random_fill(p, 2);
	cpu16_to_be_unaligned(FLAG_RECURSION_DESIRED, p + 2);
	cpu16_to_be_unaligned(1, p + 4);
	cpu16_to_be_unaligned(edns ? 1 : 0, p + 10);
	p += HEADER_SIZE;
	memcpy(p, wire.data, wire.size);
	p += wire.size;
	cpu16_to_be_unaligned(type, p);
	cpu16_to_be_unaligned(CLASS_IN, p + 2);
	p += 4;
	question->plain_size = p - question->data;
	if (edns) {
		/* a record of the root, whose class is the size */
		cpu16_to_be_unaligned(TYPE_OPT, p + 1);
		cpu16_to_be_unaligned(EDNS_PAYLOAD_SIZE, p + 3);
		p += 1 + RECORD_SIZE;
	}
	question->size = p - question->data;
}

static unsigned int message_number(const unsigned char *data, size_t pos)
{
	return be16_to_cpu_unaligned(data + pos);
}

bool spf_dns_message_answers(const unsigned char *data, size_t size,
			     const struct spf_dns_question *question)
{
	size_t asked_size = question->plain_size - HEADER_SIZE;

	if (size < HEADER_SIZE || memcmp(data, question->data, 2) != 0 ||
	    (message_number(data, 2) & (FLAG_RESPONSE | FLAGS_OPCODE)) !=
	    FLAG_RESPONSE)
		return FALSE;
	/* who can't read the question doesn't repeat it */
	if (message_number(data, 4) == 0)
		return spf_dns_message_rcode(data) == SPF_DNS_RCODE_FORMERR;
	/* a server may change letters' case */
	return message_number(data, 4) == 1 && size >= question->plain_size &&
		i_memcasecmp(data + HEADER_SIZE, question->data + HEADER_SIZE,
			     asked_size) == 0;
}

bool spf_dns_message_is_cut(const unsigned char *data)
{
	return (message_number(data, 2) & FLAG_TRUNCATED) != 0;
}

unsigned int spf_dns_message_rcode(const unsigned char *data)
{
	return message_number(data, 2) & FLAGS_RCODE;
}

/* Reading: -1 and FALSE mean that the message is broken. */

/* Moves *pos behind the name. */
static bool reader_name(const struct message_reader *reader, size_t *pos,
			struct wire_name *name_r)
{
	unsigned int label, pointers = 0;
	size_t p = *pos;

	name_r->size = 0;
	do {
		if (p >= reader->size)
			return FALSE;
		label = reader->data[p];
		if ((label & 0xc0) == 0xc0) {
			if (reader->size - p < 2 ||
			    pointers == WIRE_NAME_POINTERS)
				return FALSE;
			if (pointers++ == 0)
				*pos = p + 2;
			p = message_number(reader->data, p) & 0x3fff;
			continue;
		}
		if (label > SPF_MAX_LABEL || reader->size - p < 1 + label ||
		    sizeof(name_r->data) - name_r->size < 1 + label)
			return FALSE;
		memcpy(name_r->data + name_r->size, reader->data + p, 1 + label);
		name_r->size += 1 + label;
		p += 1 + label;
	} while (label > 0);
	if (pointers == 0)
		*pos = p;
	return TRUE;
}

static bool
reader_record(struct message_reader *reader, struct message_record *record_r)
{
	const unsigned char *p;

	if (!reader_name(reader, &reader->pos, &record_r->owner) ||
	    reader->size - reader->pos < RECORD_SIZE)
		return FALSE;
	p = reader->data + reader->pos;
	record_r->type = be16_to_cpu_unaligned(p);
	record_r->class = be16_to_cpu_unaligned(p + 2);
	record_r->ttl = be32_to_cpu_unaligned(p + 4);
	/* RFC 2181, 8 */
	if (record_r->ttl > INT32_MAX)
		record_r->ttl = 0;
	record_r->size = be16_to_cpu_unaligned(p + 8);
	record_r->pos = reader->pos + RECORD_SIZE;
	reader->pos = record_r->pos + record_r->size;
	return reader->pos <= reader->size;
}

static bool reader_address(struct message_reader *reader,
			   const struct message_record *record)
{
	struct ip_addr *ip = array_append_space(&reader->addresses);
	bool ip4 = reader->type == SPF_DNS_A;

	if (record->size != (ip4 ? sizeof(ip->u.ip4) : sizeof(ip->u.ip6)))
		return FALSE;
	ip->family = ip4 ? AF_INET : AF_INET6;
	memcpy(ip4 ? (void *)&ip->u.ip4 : (void *)&ip->u.ip6,
	       reader->data + record->pos, record->size);
	return TRUE;
}

/* The name that is a record's data, behind skip bytes. */
static bool reader_record_name(const struct message_reader *reader,
			       const struct message_record *record, size_t skip,
			       struct wire_name *name_r)
{
	size_t pos = record->pos + skip;

	return record->size > skip && reader_name(reader, &pos, name_r) &&
		pos <= record->pos + record->size;
}

/* The strings of a TXT record, joined (RFC 7208, 3.3). */
static bool reader_text(struct message_reader *reader,
			const struct message_record *record)
{
	const unsigned char *p = reader->data + record->pos;
	const unsigned char *end = p + record->size;
	struct spf_dns_text *text = array_append_space(&reader->texts);
	unsigned char *joined = p_malloc(reader->pool, record->size + 1);

	text->data = joined;
	for (; p < end; p += 1 + *p) {
		if (*p >= end - p)
			return FALSE;
		memcpy(joined + text->size, p + 1, *p);
		text->size += *p;
	}
	return TRUE;
}

/* A record of the type that was asked for. */
static bool reader_take(struct message_reader *reader,
			const struct message_record *record)
{
	struct wire_name wire;
	const char *name;

	reader->answer->count++;
	switch (reader->type) {
	case SPF_DNS_A:
	case SPF_DNS_AAAA:
		return reader_address(reader, record);
	case SPF_DNS_TXT:
		return reader_text(reader, record);
	case SPF_DNS_MX:
	case SPF_DNS_PTR:
		if (!reader_record_name(reader, record,
					reader->type == SPF_DNS_MX ? 2 : 0,
					&wire))
			return FALSE;
		name = wire_name_text(reader->pool, &wire);
		array_push_back(&reader->names, &name);
		return TRUE;
	}
	i_unreached();
}

/* One pass over the answer section: takes the owner's records. Returns 1 if it is an
   alias, of cname_r. */
static int reader_owner(struct message_reader *reader,
			const struct wire_name *owner, unsigned int *ttl,
			struct wire_name *cname_r)
{
	unsigned int i, count = message_number(reader->data, 6);
	struct message_record record;
	int ret = 0;

	reader->pos = reader->answers_pos;
	for (i = 0; i < count; i++) {
		if (!reader_record(reader, &record))
			return -1;
		if (record.class != CLASS_IN ||
		    !wire_name_equals(&record.owner, owner))
			continue;
		if (record.type == (unsigned int)reader->type) {
			if (!reader_take(reader, &record))
				return -1;
		} else if (record.type == TYPE_CNAME) {
			if (!reader_record_name(reader, &record, 0, cname_r))
				return -1;
			ret = 1;
		} else {
			continue;
		}
		*ttl = I_MIN(*ttl, record.ttl);
	}
	return ret;
}

/* Behind the answers: how long "nothing" may be believed (RFC 2308, 5). Returns
   FALSE if that isn't said. */
static bool reader_void_ttl(struct message_reader *reader, unsigned int *ttl)
{
	unsigned int i, count = message_number(reader->data, 8);
	struct message_record record;

	for (i = 0; i < count && reader_record(reader, &record); i++) {
		if (record.type != TYPE_SOA || record.size < sizeof(uint32_t))
			continue;
		*ttl = I_MIN(*ttl, record.ttl);
		*ttl = I_MIN(*ttl, be32_to_cpu_unaligned(reader->data +
			record.pos + record.size - sizeof(uint32_t)));
		return TRUE;
	}
	*ttl = I_MIN(*ttl, SPF_DNS_VOID_TTL);
	return FALSE;
}

/* Returns 1, 0 or -1 as spf_dns_message_read(). */
static int
reader_follow(struct message_reader *reader, struct spf_dns_chain *chain)
{
	struct wire_name owner, cname;
	struct spf_dns_chain end = *chain;
	unsigned int answer_ttl;
	int ret;

	wire_name_write(&owner, chain->name);
	while ((ret = reader_owner(reader, &owner, &end.ttl, &cname)) > 0 &&
	       reader->answer->count == 0) {
		owner = cname;
		if (++end.cnames > SPF_DNS_MAX_CNAMES)
			return -1;
	}
	if (ret < 0)
		return -1;
	answer_ttl = end.ttl;
	ret = 1;
	if (reader->answer->count == 0 &&
	    !reader_void_ttl(reader, &answer_ttl) &&
	    end.cnames > chain->cnames &&
	    spf_dns_message_rcode(reader->data) != RCODE_NXDOMAIN) {
		end.name = wire_name_text(reader->pool, &owner);
		/* "CNAME .": nothing there */
		ret = spf_dns_name_is_valid(end.name) ? 0 : 1;
	}
	if (ret == 0)
		*chain = end;
	reader->answer->ttl = answer_ttl;
	return ret;
}

static int
reader_read(struct message_reader *reader, struct spf_dns_chain *chain)
{
	struct spf_dns_answer *answer = reader->answer;
	struct wire_name asked;
	unsigned int count;
	int ret;

	if (reader->size < HEADER_SIZE ||
	    message_number(reader->data, 4) != 1 ||
	    !reader_name(reader, &reader->pos, &asked) ||
	    reader->size - reader->pos < 4)
		return -1;
	reader->answers_pos = reader->pos + 4;
	ret = reader_follow(reader, chain);
	if (ret <= 0)
		return ret;
	answer->status = answer->count > 0 ? SPF_DNS_FOUND : SPF_DNS_VOID;
	answer->addresses = array_get(&reader->addresses, &count);
	answer->names = array_get(&reader->names, &count);
	answer->texts = array_get(&reader->texts, &count);
	return 1;
}

int spf_dns_message_read(pool_t pool, const unsigned char *data, size_t size,
			 enum spf_dns_type type, struct spf_dns_chain *chain,
			 struct spf_dns_answer *answer_r)
{
	struct message_reader reader = {
		.pool = pool, .data = data, .size = size, .pos = HEADER_SIZE,
		.type = type, .answer = answer_r
	};
	const char *error = "server failure";
	unsigned int rcode = size < HEADER_SIZE ? 0 : spf_dns_message_rcode(data);
	int ret = -1;

	i_zero(answer_r);
	p_array_init(&reader.addresses, pool, 4);
	p_array_init(&reader.names, pool, 4);
	p_array_init(&reader.texts, pool, 4);
	if (rcode == 0 || rcode == RCODE_NXDOMAIN) {
		error = "unreadable answer";
		ret = reader_read(&reader, chain);
	}
	if (ret < 0) {
		i_zero(answer_r);
		answer_r->status = SPF_DNS_ERROR;
		answer_r->error = error;
	}
	return ret;
}
