#ifndef SPF_HEADER_LIMITS_H
#define SPF_HEADER_LIMITS_H

/* Every bound on what is read from and written into headers, in one place.
   What is longer counts as not understood. */

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
