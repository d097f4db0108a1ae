/* A stream that keeps the beginning of what passes through it. What is made of it is
   for sent-copy.c, and when for imap.c. */

#include "lib.h"
#include "buffer.h"
#include "istream-private.h"
#include "save-header.h"

struct save_header_istream {
	struct istream_private istream;
	/* NULL = nothing is kept any more */
	struct save_header *header;
};

/* Returns the size up to and with the empty line, or 0 if it isn't there. */
static size_t header_block_size(const buffer_t *block, size_t from)
{
	const unsigned char *data = block->data;
	size_t i, size = block->used;

	for (i = from; i < size; i++) {
		if (data[i] != '\n')
			continue;
		/* in front of an LF that ends no line: LF, or CR LF */
		if (i == 0 || data[i - 1] == '\n' ||
		    (data[i - 1] == '\r' && (i == 1 || data[i - 2] == '\n')))
			return i + 1;
	}
	return 0;
}

static void save_header_add(struct save_header *header,
			    const unsigned char *data, size_t size)
{
	size_t end, from = header->block->used;

	size = I_MIN(size, SAVE_HEADER_MAX_SIZE - from);
	buffer_append(header->block, data, size);
	end = header_block_size(header->block, from);
	if (end > 0) {
		buffer_set_used_size(header->block, end);
		header->state = SAVE_HEADER_COMPLETE;
	} else if (header->block->used == SAVE_HEADER_MAX_SIZE)
		header->state = SAVE_HEADER_GIVEN_UP;
}

/* What lies in the stream's buffer begins at its offset: who seeks back reads some of
   it once more. */
static void save_header_look(struct save_header_istream *hstream)
{
	const struct istream_private *stream = &hstream->istream;
	struct save_header *header = hstream->header;
	uoff_t known, offset = stream->istream.v_offset;
	size_t size = stream->pos - stream->skip;

	if (header == NULL || header->state != SAVE_HEADER_READING)
		return;
	known = header->block->used;
	if (offset > known)
		header->state = SAVE_HEADER_GIVEN_UP;
	else if (size > known - offset) {
		save_header_add(header, stream->buffer + stream->skip +
				(known - offset), size - (known - offset));
	}
}

static ssize_t save_header_read(struct istream_private *stream)
{
	struct save_header_istream *hstream =
		container_of(stream, struct save_header_istream, istream);
	ssize_t ret;

	i_stream_seek(stream->parent, stream->parent_start_offset +
		      stream->istream.v_offset);
	ret = i_stream_read_copy_from_parent(&stream->istream);
	if (ret > 0)
		save_header_look(hstream);
	return ret;
}

struct istream *
save_header_begin(struct save_header *header, struct istream *input)
{
	struct save_header_istream *hstream;

	save_header_end(header);
	if (header->block == NULL)
		header->block = buffer_create_dynamic(default_pool, 2048);
	buffer_set_used_size(header->block, 0);
	header->state = SAVE_HEADER_READING;

	hstream = i_new(struct save_header_istream, 1);
	hstream->header = header;
	hstream->istream.max_buffer_size = input->real_stream->max_buffer_size;
	hstream->istream.stream_size_passthrough = TRUE;
	hstream->istream.read = save_header_read;
	hstream->istream.istream.readable_fd = input->readable_fd;
	hstream->istream.istream.blocking = input->blocking;
	hstream->istream.istream.seekable = input->seekable;
	header->stream = i_stream_create(&hstream->istream, input,
					 i_stream_get_fd(input), 0);
	return header->stream;
}

void save_header_end(struct save_header *header)
{
	struct save_header_istream *hstream;

	if (header->stream == NULL)
		return;
	hstream = container_of(header->stream->real_stream,
			       struct save_header_istream, istream);
	hstream->header = NULL;
	i_stream_unref(&header->stream);
}

void save_header_deinit(struct save_header *header)
{
	save_header_end(header);
	buffer_free(&header->block);
}
