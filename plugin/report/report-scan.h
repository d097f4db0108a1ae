#ifndef REPORT_SCAN_H
#define REPORT_SCAN_H

/* The one look that ordinary mail gets: a scan of the header block in the
   stream's own buffer. It decides whether report_read() is worth its time, and
   sees headers that only we may write. No system call for a message that lies in
   memory, and no allocation but for encoded words. */

struct istream;

/* The header that carries our verdict (docs/design.md, section 7). */
#define REPORT_VERDICT_HEADER "X-Backscatter"

struct report_scan {
	/* Bytes of the header block, without the empty line that ends it.
	   Valid only if complete. */
	size_t header_size;
	/* The whole header block was seen and lies in the stream's buffer. If it
	   is longer than REPORT_SCAN_MAX_HEADER, marked and forged are TRUE
	   without having been looked for. */
	bool complete:1;
	/* May be a report: report_read() has to decide. What isn't marked, nor has
	   a null sender, report_read() takes for none, so that it makes no
	   difference who asks. */
	bool marked:1;
	/* A header of the name X-Backscatter is there, which somebody else
	   wrote. */
	bool forged:1;
};

/* Scans from the stream's current offset, which must be the message's first
   byte and stays where it is. A null envelope sender (MAIL FROM:<>) marks the
   message, whatever its header says. May raise the stream's maximum buffer size
   up to REPORT_SCAN_MAX_HEADER. A read error leaves complete FALSE and the error
   in the stream. */
void report_scan_header(struct istream *input, bool null_sender,
			struct report_scan *scan_r);

/* Is a field of this name one of those that forged stands for? What some readers skip in
   front of the name doesn't count. */
bool report_scan_is_forged(const void *name, size_t size);

#endif
