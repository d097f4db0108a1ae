#ifndef SPF_DNS_MESSAGE_H
#define SPF_DNS_MESSAGE_H

/* DNS messages as they are on the wire (RFC 1035, 4), and what they say. Inside
   plugin/spf/service/ only. */

#include "net.h"

/* header, name, type, class, and EDNS' record */
#define SPF_DNS_QUESTION_SIZE (12 + 255 + 4 + 11)
#define SPF_DNS_MESSAGE_SIZE 65535

enum spf_dns_type {
	SPF_DNS_A = 1,
	SPF_DNS_PTR = 12,
	SPF_DNS_MX = 15,
	SPF_DNS_TXT = 16,
	SPF_DNS_AAAA = 28
};

enum spf_dns_status {
	/* at least one record */
	SPF_DNS_FOUND,
	/* no such name, or no such record there ("void", RFC 7208, 4.6.4) */
	SPF_DNS_VOID,
	/* no answer, or one that says nothing: temperror */
	SPF_DNS_ERROR
};

struct spf_dns_record {
	/* A, AAAA */
	struct ip_addr ip;
	/* MX, PTR: the name, without final dot; one that text can't express (a dot or a
	   byte that isn't printable ASCII in a label) is "". TXT: its strings, joined;
	   may contain any byte. */
	const char *text;
	size_t size;
};

struct spf_dns_answer {
	enum spf_dns_status status;
	/* seconds; with void and error too. 0: not to be kept. */
	unsigned int ttl;
	/* with error: why, in our own words */
	const char *error;
	/* with error: nobody has answered in time, now or when this was asked */
	bool late:1;

	/* found: of the type that was asked for, CNAMEs followed */
	unsigned int count;
	const struct spf_dns_record *records;
};

const char *spf_dns_type_name(enum spf_dns_type type);

/* May be asked for (RFC 1035, 2.3.4): labels of 1 to 63 bytes, at most 253 in all
   and without final dot, printable ASCII or spaces. */
bool spf_dns_name_is_valid(const char *name);

struct spf_dns_question {
	unsigned char data[SPF_DNS_QUESTION_SIZE];
	size_t size;
	/* without what EDNS adds */
	size_t plain_size;
};

/* Where the CNAMEs have led so far: at first the name that was looked up, 0, and
   SPF_DNS_MAX_TTL. */
struct spf_dns_chain {
	const char *name;
	unsigned int cnames;
	/* the smallest one */
	unsigned int ttl;
};

/* A question about a valid name, with a random id. edns: it says that the answer
   may be larger than 512 bytes (RFC 6891). */
void spf_dns_question_write(struct spf_dns_question *question, const char *name,
			    enum spf_dns_type type, bool edns);

/* It is an answer to just this question. Only then the next two may be called. */
bool spf_dns_message_answers(const unsigned char *data, size_t size,
			     const struct spf_dns_question *question);
bool spf_dns_message_is_cut(const unsigned char *data);
/* It says that a question with EDNS can't be read, in one of three ways (RFC 6891, 6.1.3
   and 7): FORMERR, NOTIMP, BADVERS. */
bool spf_dns_message_refuses_edns(const unsigned char *data, size_t size);

/* Reads a whole message, with the CNAMEs in it. Returns 1 with what was found, or
   that there is nothing, in answer_r; 0 if the message doesn't say: chain->name
   is to be asked for next; -1, and the chain is as it was, if the server says that
   it failed, or nothing readable (answer_r->error). Allocated from pool. */
int spf_dns_message_read(pool_t pool, const unsigned char *data, size_t size,
			 enum spf_dns_type type, struct spf_dns_chain *chain,
			 struct spf_dns_answer *answer_r);

#endif
