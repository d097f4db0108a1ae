#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

/* Inside the room: lines of a text, and the header blocks in it. */

struct text_line {
	/* without line end and trailing white space */
	const unsigned char *start, *end;
	/* start of the following line */
	const unsigned char *next;
};

/* Cuts the line off that starts at pos. FALSE at the end. */
bool text_line_get(const unsigned char *pos, const unsigned char *end,
		   struct text_line *line_r);

/* Reads all header blocks in [text, end). Returns where the returned message
   starts, or the end. */
const unsigned char *
report_text_blocks_read(struct report_reader *reader, const unsigned char *text,
			const unsigned char *end, enum report_text_kind kind);

#endif
