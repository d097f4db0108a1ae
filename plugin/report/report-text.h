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

/* What of a text the reporter himself wrote. */
struct text_notice {
	/* from the text's start up to the first header block of a message */
	const unsigned char *end;
	/* goes on here, where that block was only a summary */
	const unsigned char *rest, *rest_end;
};

/* Reads all header blocks in [text, end). */
void report_text_blocks_read(struct report_reader *reader,
			     const unsigned char *text,
			     const unsigned char *end,
			     enum report_text_kind kind,
			     struct text_notice *notice_r);

#endif
