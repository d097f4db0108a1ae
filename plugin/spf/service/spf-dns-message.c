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
#define RCODE_FORMERR 1
#define RCODE_NXDOMAIN 3
#define RCODE_NOTIMP 4
/* the part of it that stands in EDNS' record, in place of a TTL (RFC 6891, 6.1.3) */
#define RCODE_BADVERS 16
#define OPT_RCODE(ttl) ((ttl) >> 24 << 4)

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

	ARRAY(struct spf_dns_record) records;
};

/* Names */

const char *spf_dns_type_name(enum spf_dns_type type)
{
	switch (type) {
	case SPF_DNS_A:
		return "A";
	case SPF_DNS_AAAA:
		return "AAAA";
	case SPF_DNS_MX:
		return "MX";
	case SPF_DNS_PTR:
		return "PTR";
	case SPF_DNS_TXT:
		return "TXT";
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

static unsigned int message_rcode(const unsigned char *data)
{
	return message_number(data, 2) & FLAGS_RCODE;
}

static bool message_has_not_understood(const unsigned char *data)
{
	return message_rcode(data) == RCODE_FORMERR ||
		message_rcode(data) == RCODE_NOTIMP;
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
		return message_has_not_understood(data);
	/* a server may change letters' case */
	return message_number(data, 4) == 1 && size >= question->plain_size &&
		i_memcasecmp(data + HEADER_SIZE, question->data + HEADER_SIZE,
			     asked_size) == 0;
}

bool spf_dns_message_is_cut(const unsigned char *data)
{
	return (message_number(data, 2) & FLAG_TRUNCATED) != 0;
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

/* Moves behind the header and the question. */
static bool reader_question(struct message_reader *reader)
{
	struct wire_name asked;

	reader->pos = HEADER_SIZE;
	if (reader->size < HEADER_SIZE ||
	    !reader_name(reader, &reader->pos, &asked) ||
	    reader->size - reader->pos < 4)
		return FALSE;
	reader->pos += 4;
	reader->answers_pos = reader->pos;
	return TRUE;
}

bool spf_dns_message_refuses_edns(const unsigned char *data, size_t size)
{
	struct message_reader reader = { .data = data, .size = size };
	struct message_record record;
	unsigned int count = message_number(data, 6) + message_number(data, 8) +
		message_number(data, 10);

	if (message_has_not_understood(data))
		return TRUE;
	if (message_rcode(data) != (RCODE_BADVERS & FLAGS_RCODE) ||
	    !reader_question(&reader))
		return FALSE;
	while (count-- > 0 && reader_record(&reader, &record)) {
		if (record.type == TYPE_OPT)
			return OPT_RCODE(record.ttl) == RCODE_BADVERS;
	}
	return FALSE;
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
static bool reader_text(const struct message_reader *reader,
			const struct message_record *record,
			struct spf_dns_record *dest)
{
	const unsigned char *p = reader->data + record->pos;
	const unsigned char *end = p + record->size;
	char *joined = p_malloc(reader->pool, record->size + 1);

	dest->text = joined;
	for (; p < end; p += 1 + *p) {
		if (*p >= end - p)
			return FALSE;
		memcpy(joined + dest->size, p + 1, *p);
		dest->size += *p;
	}
	return TRUE;
}

/* A record of the type that was asked for. */
static bool reader_take(struct message_reader *reader,
			const struct message_record *record)
{
	struct spf_dns_record *dest = array_append_space(&reader->records);
	const unsigned char *data = reader->data + record->pos;
	struct wire_name wire;

	switch (reader->type) {
	case SPF_DNS_A:
		dest->ip.family = AF_INET;
		if (record->size == sizeof(dest->ip.u.ip4))
			memcpy(&dest->ip.u.ip4, data, record->size);
		return record->size == sizeof(dest->ip.u.ip4);
	case SPF_DNS_AAAA:
		dest->ip.family = AF_INET6;
		if (record->size == sizeof(dest->ip.u.ip6))
			memcpy(&dest->ip.u.ip6, data, record->size);
		return record->size == sizeof(dest->ip.u.ip6);
	case SPF_DNS_TXT:
		return reader_text(reader, record, dest);
	case SPF_DNS_MX:
	case SPF_DNS_PTR:
		if (!reader_record_name(reader, record,
					reader->type == SPF_DNS_MX ? 2 : 0,
					&wire))
			return FALSE;
		dest->text = wire_name_text(reader->pool, &wire);
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
	       array_count(&reader->records) == 0) {
		owner = cname;
		if (++end.cnames > SPF_DNS_MAX_CNAMES)
			return -1;
	}
	if (ret < 0)
		return -1;
	answer_ttl = end.ttl;
	ret = 1;
	if (array_count(&reader->records) == 0 &&
	    !reader_void_ttl(reader, &answer_ttl) &&
	    end.cnames > chain->cnames &&
	    message_rcode(reader->data) != RCODE_NXDOMAIN) {
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
	int ret;

	if (!reader_question(reader) || message_number(reader->data, 4) != 1)
		return -1;
	ret = reader_follow(reader, chain);
	if (ret <= 0)
		return ret;
	answer->records = array_get(&reader->records, &answer->count);
	answer->status = answer->count > 0 ? SPF_DNS_FOUND : SPF_DNS_VOID;
	return 1;
}

int spf_dns_message_read(pool_t pool, const unsigned char *data, size_t size,
			 enum spf_dns_type type, struct spf_dns_chain *chain,
			 struct spf_dns_answer *answer_r)
{
	struct message_reader reader = {
		.pool = pool, .data = data, .size = size,
		.type = type, .answer = answer_r
	};
	const char *error = "server failure";
	unsigned int rcode = size < HEADER_SIZE ? 0 : message_rcode(data);
	int ret = -1;

	i_zero(answer_r);
	p_array_init(&reader.records, pool, 4);
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
