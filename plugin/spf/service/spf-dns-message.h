#ifndef SPF_DNS_MESSAGE_H
#define SPF_DNS_MESSAGE_H

/* DNS messages as they are on the wire (RFC 1035, 4). Inside plugin/spf/ only. */

#include "spf-dns.h"

/* header, name, type, class, and EDNS' record */
#define SPF_DNS_QUESTION_SIZE (12 + 255 + 4 + 11)
#define SPF_DNS_MESSAGE_SIZE 65535

/* RFC 1035, 4.1.1 */
#define SPF_DNS_RCODE_FORMERR 1

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
unsigned int spf_dns_message_rcode(const unsigned char *data);

/* Reads a whole message, with the CNAMEs in it. Returns 1 with what was found, or
   that there is nothing, in answer_r; 0 if the message doesn't say: chain->name
   is to be asked for next; -1, and the chain is as it was, if the server says that
   it failed, or nothing readable (answer_r->error). Allocated from pool. */
int spf_dns_message_read(pool_t pool, const unsigned char *data, size_t size,
			 enum spf_dns_type type, struct spf_dns_chain *chain,
			 struct spf_dns_answer *answer_r);

#endif
