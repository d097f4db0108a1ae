#ifndef REPORT_DECODE_H
#define REPORT_DECODE_H

/* Inside the room, for scan and reader: a value with its encoded words (RFC 2047)
   decoded. Other character sets than UTF-8 are taken for ISO-8859-1, which leaves the
   letters of ASCII as they are: iconv may need half a millisecond to load one, and a
   message has room for a hundred thousand of them. Data stack. */
const char *report_words_decode(const char *value);

#endif
