#ifndef SPF_DNS_MESSAGE_H
#define SPF_DNS_MESSAGE_H

/* Answers of DNS servers as they come from the wire. Inside plugin/spf/service/ only. */

#include "spf-dns.h"

#include <arpa/nameser.h>

/* Writes a valid name as it stands in messages. Returns its size. */
size_t spf_dns_name_write_wire(const char *name,
			       unsigned char wire[NS_MAXCDNAME + 1]);

/* Reads a whole answer to this question. Follows CNAMEs in it; where they lead to a
   name that it says nothing about, *next_r is that name, to be asked next, else
   NULL. A message that can't be read is an error in answer_r. Allocated from
   pool. */
void spf_dns_message_read(pool_t pool, const unsigned char *data, size_t size,
			  const char *name, enum spf_dns_type type,
			  struct spf_dns_answer *answer_r, const char **next_r);

#endif
