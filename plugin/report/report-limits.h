#ifndef REPORT_LIMITS_H
#define REPORT_LIMITS_H

/* Every bound on what is read from the net, in one place. Over a limit a report
   is judged on what was read so far (struct report.truncated). */

/* bytes of the header block that report_scan_header() looks at */
#define REPORT_SCAN_MAX_HEADER (1024 * 1024)

/* bytes of a message that report_read() looks at */
#define REPORT_MAX_BYTES (4 * 1024 * 1024)
/* MIME parts, and how deep they may be nested; what is beyond is one blob */
#define REPORT_MAX_PARTS 100
#define REPORT_MAX_DEPTH 16
/* bytes of one part's header block */
#define REPORT_MAX_HEADER (128 * 1024)
/* bytes of one part's decoded text, and of all texts of a message */
#define REPORT_MAX_TEXT (256 * 1024)
#define REPORT_MAX_TEXTS (1024 * 1024)
/* bytes of one header field's value */
#define REPORT_MAX_FIELD (32 * 1024)
/* JSON texts inside the strings of JSON texts */
#define REPORT_MAX_JSON_DEPTH 3

/* how many of each are kept */
#define REPORT_MAX_MESSAGE_IDS 16
#define REPORT_MAX_REFERENCES 32
/* several convict no more than two */
#define REPORT_MAX_ORIGINALS 8
/* Received lines of an original; mail systems return mail before it has so many */
#define REPORT_MAX_HOPS 100
#define REPORT_MAX_RECIPIENTS 100
#define REPORT_MAX_SERIALS 8
#define REPORT_MAX_ADDRESSES 100

/* bytes of a single one; longer ones are dropped */
#define REPORT_MAX_MESSAGE_ID_SIZE 998
#define REPORT_MAX_ADDRESS_SIZE 1024
#define REPORT_MAX_ENVELOPE_ID_SIZE 400
#define REPORT_MAX_SERIAL_SIZE 100
#define REPORT_MAX_KEYWORD_SIZE 40

#endif
