#ifndef SPF_LIMITS_H
#define SPF_LIMITS_H

/* Every bound of the room, in one place: first on an evaluation, and on asking for
   one. */

/* A delivery doesn't wait longer for an evaluation. */
#define SPF_MAX_TIMEOUT_MSECS (60 * 1000)

/* RFC 7208, 4.6.4: terms that ask DNS, and how many of them may find nothing */
#define SPF_MAX_TERMS 10
#define SPF_MAX_VOID_TERMS 2
/* ... names of one mx or ptr term */
#define SPF_MAX_MX_NAMES 10
#define SPF_MAX_PTR_NAMES 10

/* RFC 1035: a name as text, without final dot, and one label */
#define SPF_MAX_NAME 253
#define SPF_MAX_LABEL 63

/* bytes of one SPF record; what is longer is a permerror. (The longest that were
   ever seen have 2 KiB.) */
#define SPF_MAX_RECORD (16 * 1024)
/* bytes of HELO and MAIL FROM */
#define SPF_MAX_IDENTITY 998
/* a macro's value may repeat as often as it fits into a record: of an expanded
   name only the right end counts (7.3), of an explanation the left */
#define SPF_MAX_EXPANSION 4096
#define SPF_MAX_EXPLANATION 500
/* bytes of a reply's problem and mechanism, and of a trace line */
#define SPF_MAX_PROBLEM 200
#define SPF_MAX_TRACE 1000

/* The cache: answers, bytes of one, and seconds that it may be believed */
#define SPF_DNS_MAX_CACHED 1000
#define SPF_DNS_MAX_CACHED_SIZE (8 * 1024)
#define SPF_DNS_MAX_TTL 3600
#define SPF_DNS_VOID_TTL 60
/* ... an error: a slow or broken domain costs once in this time (RFC 2308, 7) */
#define SPF_DNS_ERROR_TTL 60
/* CNAMEs on the way to one answer */
#define SPF_DNS_MAX_CNAMES 10
/* no server has answered: for so long evaluations wait no longer than this */
#define SPF_DNS_SILENT_MSECS (60 * 1000)
#define SPF_DNS_SILENT_WAIT_MSECS 1000

/* RFC 5322's specials and quotes: in no domain, but in address literals, and
   dangerous in a header */
#define SPF_NO_DOMAIN_CHARACTERS " \"(),:;<>@[]\\"

/* What is read from and written into headers. What is longer counts as not
   understood. */

/* Received lines that are followed */
#define SPF_MAX_HOPS 100
/* bytes of one Received, Authentication-Results or Received-SPF field */
#define SPF_MAX_FIELD 8192

/* RFC 1035, 2.3.4, as text */
#define SPF_MAX_DOMAIN 255
/* RFC 5321, 4.5.3.1: local part and domain; MTAs know longer ones */
#define SPF_MAX_ADDRESS 320
/* our own words */
#define SPF_MAX_REASON 200
/* a directive of an SPF record (RFC 7208, 9.1: mechanism=) */
#define SPF_MAX_MECHANISM 300

/* Lines that we write are folded here, where there is a place for it. */
#define SPF_HEADER_WIDTH 78

#endif
