#ifndef OUTGOING_SENDERS_H
#define OUTGOING_SENDERS_H

/* Who a field says it is from, read so that no mail client can see somebody else in it:
   what could be read in two ways is not read at all. */

/* addresses looked at in one field */
#define OUTGOING_MAX_ADDRESSES 1000

/* An address that the message claims as its sender (RFC 5322, 3.6.2, 3.6.6). */
struct outgoing_sender {
	/* "From", "Sender", "Resent-From" or "Resent-Sender" */
	const char *field;
	/* user@domain, without quotes; also what an encoded word shows as one */
	const char *address;
};
ARRAY_DEFINE_TYPE(outgoing_sender, struct outgoing_sender);

/* Appends the addresses of a From, Sender, Resent-From or Resent-Sender field (RFC 5322,
   3.4 and RFC 6532), and those that its encoded words show. field: its name, which has to
   live as long as pool. value: unfolded.
   Returns NULL, or in a few words why it can't be read; nothing is appended then. */
const char *
outgoing_senders_read(pool_t pool, const char *field,
		      const unsigned char *value, size_t size,
		      ARRAY_TYPE(outgoing_sender) *senders);

#endif
