#ifndef REPORT_WORDS_H
#define REPORT_WORDS_H

/* Inside the room: the one vocabulary of scan and reader. What the reader knows of
   a report's own header, the scan finds by the same tables; what the scan doesn't
   mark, the reader takes for no report. */

enum report_vocabulary {
	REPORT_VOCABULARY_SPEAKER,
	REPORT_VOCABULARY_SUBJECT,
	REPORT_VOCABULARY_NOTICE,
	REPORT_VOCABULARY_COUNT
};

struct report_word {
	/* lower-case; single spaces. NULL = end of the table */
	const char *word;
	/* bits of its vocabulary's enum */
	unsigned int means;
};
extern const struct report_word *const
report_vocabularies[REPORT_VOCABULARY_COUNT];

/* Searches text, which is lower-case and has single spaces, for all words of a
   vocabulary at once. Returns what those that are there mean. */
unsigned int report_words_find(enum report_vocabulary vocabulary,
			       const unsigned char *text, size_t size);

/* Speaker words, in the local part or display name of From, Sender and Return-Path,
   squeezed (letters only). Of several the first one counts, in this order. */
enum report_speaker {
	/* postmasters and mail systems of other names are people, too */
	REPORT_SPEAKER_MAILER_DAEMON	= 0x01,
	REPORT_SPEAKER_DAEMON		= 0x02,
	REPORT_SPEAKER_MAIL_SYSTEM	= 0x04,
	REPORT_SPEAKER_POSTMASTER	= 0x08,
	REPORT_SPEAKER_MAIL_FILTER	= 0x10,
	/* software, but not always a mail system's */
	REPORT_SPEAKER_UNATTENDED	= 0x20,
	/* only weighs: too much ordinary mail is sent by these */
	REPORT_SPEAKER_ROBOT		= 0x40,

	/* these mark the message for the reader */
	REPORT_SPEAKER_MARKS		= 0x3f,
};

/* What a word in the subject stands for. A subject speaks of a failure if it has a
   word of both of a pair, whatever stands between them. */
enum report_subject {
	REPORT_SUBJECT_WHAT		= 0x001,
	REPORT_SUBJECT_HAPPENED		= 0x002,
	REPORT_SUBJECT_STATUS_OF	= 0x004,
	REPORT_SUBJECT_STATUS		= 0x008,
	/* alone */
	REPORT_SUBJECT_FAILURE		= 0x010,
	REPORT_SUBJECT_AUTO_REPLY	= 0x020,
	REPORT_SUBJECT_CHALLENGE	= 0x040,
	REPORT_SUBJECT_VIRUS		= 0x080,
	REPORT_SUBJECT_ABUSE		= 0x100,
	/* says nothing, but reports are called so */
	REPORT_SUBJECT_HINT		= 0x200,
	/* "Re:": found by report_subject_read(), no word's */
	REPORT_SUBJECT_ANSWER		= 0x400,

	/* these mark the message for the reader */
	REPORT_SUBJECT_MARKS = REPORT_SUBJECT_FAILURE |
		REPORT_SUBJECT_AUTO_REPLY | REPORT_SUBJECT_CHALLENGE |
		REPORT_SUBJECT_VIRUS | REPORT_SUBJECT_ABUSE |
		REPORT_SUBJECT_HINT,
};

/* Phrases of texts. They weigh, and mark nothing: the scan doesn't see bodies. */
enum report_notice {
	REPORT_NOTICE_FAILURE		= 0x1,
	REPORT_NOTICE_CHALLENGE		= 0x2,
	REPORT_NOTICE_VIRUS		= 0x4,
};

/* A value with its encoded words (RFC 2047) decoded. Other character sets than UTF-8 are taken for ISO-8859-1, which leaves the
   letters of ASCII as they are: iconv may need half a millisecond to load one, and a
   message has room for a hundred thousand of them. Data stack. */
const char *report_words_decode(const char *value);

/* Bits of enum report_speaker: of each local part and display name of a field's
   value the first; of a value that is no address, the first in all of it. */
unsigned int report_speakers_read(const char *value);
/* Bits of enum report_subject for a Subject's value; REPORT_SUBJECT_FAILURE also
   where a pair makes it. */
unsigned int report_subject_read(const char *value);

/* report-marks.c: does the field make the message worth being read? name needn't
   be lower-case; value: as it stands in the header, folded or not. */
bool report_field_marks(const unsigned char *name, size_t name_size,
			const unsigned char *value, const unsigned char *end);
/* Does a body that starts like this? (JSON, plain or in base64.) */
bool report_body_marks(const unsigned char *body, size_t size);
/* First letters of the fields that may mark, lower-case. */
#define REPORT_MARKING_LETTERS "acfprsx"

/* REPORT_SUBJECT_* of a text that is lower-case and has single spaces. */
unsigned int report_subject_find(const unsigned char *text, size_t size);

#endif
