/* The header scan: the only thing that ordinary mail pays for. It looks at each
   header field once, in the stream's own buffer, and only says "have a closer
   look"; what the message really is decides report.c. */

#include "lib.h"
#include <ctype.h>
#include "istream.h"
#include "text/text.h"
#include "report-limits.h"
#include "report-scan.h"
#include "report-words.h"

/* Lower-case for letters. Others may become something else, so this only finds
   candidates. */
#define SCAN_LOWER(c) ((unsigned char)((c) | 0x20))

static bool scan_field_is_forged(const struct header_field *field)
{
	return header_field_is(field, REPORT_VERDICT_HEADER);
}

static void
scan_field(const unsigned char *data, const unsigned char *end, bool first,
	   struct report_scan *scan)
{
	struct header_field field;
	const unsigned char *name;
	size_t name_size;

	if (!first && strchr(REPORT_MARKING_LETTERS, SCAN_LOWER(*data)) == NULL)
		return;
	if (!header_field_split(data, end, &field))
		return;
	if (scan_field_is_forged(&field))
		scan->forged = TRUE;
	if (scan->marked)
		return;
	name = header_field_name(&field, &name_size);
	scan->marked = report_field_marks(name, name_size, field.value,
					  field.value + field.value_size);
}

/* Where the scan stands, as offsets, since the buffer may move. */
struct scan_position {
	/* start of the first field that was not seen whole */
	size_t field;
	/* start of the line in it where the search for its end goes on */
	size_t line;
};

/* Returns TRUE if the end of the header block was reached. */
static bool
scan_more(const unsigned char *data, size_t size, bool at_eof,
	  struct scan_position *pos, struct report_scan *scan)
{
	const unsigned char *end = data + size;
	const unsigned char *field = data + pos->field;
	const unsigned char *line = data + pos->line;
	const unsigned char *next;

	while (field < end) {
		if (!at_eof && end - field < 2)
			break;
		if (header_is_empty_line(field, end)) {
			scan->header_size = field - data;
			return TRUE;
		}
		next = header_field_end(&line, end, at_eof);
		if (next == NULL)
			break;
		scan_field(field, next, field == data, scan);
		field = line = next;
	}
	pos->field = field - data;
	pos->line = line - data;
	scan->header_size = size;
	return at_eof;
}

/* The buffer is full: makes it larger, if it may be. */
static bool scan_enlarge_buffer(struct istream *input, size_t size)
{
	if (size >= REPORT_SCAN_MAX_HEADER)
		return FALSE;
	i_stream_set_max_buffer_size(input, I_MIN(I_MAX(size, 4096) * 2,
						  REPORT_SCAN_MAX_HEADER));
	return TRUE;
}

/* JSON has nothing in its header. More than this much white space before it isn't
   waited for. */
#define SCAN_MAX_SPACE 256

static void scan_body(struct istream *input, struct report_scan *scan)
{
	const unsigned char *data, *body;
	size_t size;

	while (!scan->marked) {
		data = i_stream_get_data(input, &size);
		body = data + scan->header_size;
		for (; body < data + size && i_isspace(*body); body++) ;
		if (data + size - body >= 2) {
			scan->marked = report_body_marks(body,
							 data + size - body);
			break;
		}
		if (size > scan->header_size + SCAN_MAX_SPACE ||
		    i_stream_read(input) <= 0)
			break;
	}
}

void report_scan_header(struct istream *input, bool null_sender,
			struct report_scan *scan_r)
{
	struct scan_position pos = { 0, 0 };
	const unsigned char *data;
	size_t size;
	ssize_t ret;

	i_zero(scan_r);
	scan_r->marked = null_sender;

	data = i_stream_get_data(input, &size);
	if (size > 0 && scan_more(data, size, FALSE, &pos, scan_r)) {
		scan_r->complete = TRUE;
		scan_body(input, scan_r);
		return;
	}
	for (;;) {
		ret = i_stream_read(input);
		data = i_stream_get_data(input, &size);
		if (ret == -1 && input->stream_errno != 0)
			break;
		if (ret == -2 && scan_enlarge_buffer(input, size))
			continue;
		if (ret == -2 || ret == 0)
			break;
		if (scan_more(data, size, ret == -1, &pos, scan_r)) {
			scan_r->complete = TRUE;
			scan_body(input, scan_r);
			return;
		}
	}
	/* too long, unreadable, or (never for a mail) not there yet: nobody
	   knows what is in the rest */
	scan_r->marked = TRUE;
	scan_r->forged = TRUE;
	scan_r->header_size = 0;
}

bool report_scan_is_forged(const void *name, size_t size)
{
	const struct header_field field = { .name = name, .name_size = size };

	return scan_field_is_forged(&field);
}
