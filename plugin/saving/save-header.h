#ifndef SAVE_HEADER_H
#define SAVE_HEADER_H

/* The header block of a message that is being saved, as far as it has come: a save
   that is cut off or refused leaves no mail behind to read it from. */

/* No header block of a mail client's comes near it; of a longer one nothing is kept. */
#define SAVE_HEADER_MAX_SIZE (64 * 1024)

struct save_header {
	/* what is being saved; NULL = nothing is */
	struct istream *stream;
	/* NULL = not needed so far */
	buffer_t *block;
	enum {
		SAVE_HEADER_READING,
		/* up to and with the empty line */
		SAVE_HEADER_COMPLETE,
		SAVE_HEADER_GIVEN_UP
	} state;
};

/* Returns a stream that passes on exactly what it reads from input, and keeps the
   header block of it in *header; it is valid until save_header_end(). */
struct istream *
save_header_begin(struct save_header *header, struct istream *input);

/* No more is kept. Somebody may hold the stream for longer than *header lives. */
void save_header_end(struct save_header *header);
void save_header_deinit(struct save_header *header);

#endif
