#ifndef REPORT_WORDS_H
#define REPORT_WORDS_H

/* Inside the room: the one vocabulary of scan and reader. What the reader knows of
   a report's own header, the scan finds by the same tables; what the scan doesn't
   mark, the reader takes for no report. */

/* Speaker words, in the local part or display name of From, Sender and Return-Path,
   squeezed. Of several the first one counts. */
enum report_speaker {
	REPORT_SPEAKER_DAEMON,
	REPORT_SPEAKER_MAIL_SYSTEM,
	REPORT_SPEAKER_POSTMASTER,
	REPORT_SPEAKER_MAIL_FILTER,
	/* software, but not always a mail system's */
	REPORT_SPEAKER_UNATTENDED,
};

struct report_speaker_word {
	/* lower-case letters only */
	const char *word;
	enum report_speaker speaker;
	/* Marks the message for the reader. The others only weigh: too much
	   ordinary mail is sent by them. */
	bool marks;
};
#define REPORT_SPEAKER_WORDS 20
extern const struct report_speaker_word report_speaker_words[REPORT_SPEAKER_WORDS];

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

struct report_subject_word {
	/* lower-case, single spaces */
	const char *word;
	/* enum report_subject */
	unsigned int subject;
};
#define REPORT_SUBJECT_WORDS 68
extern const struct report_subject_word report_subject_words[REPORT_SUBJECT_WORDS];

/* Phrases of texts, lower-case, single spaces; NULL-terminated. They weigh, and
   mark nothing: the scan doesn't see bodies. */
extern const char *const report_failure_phrases[];
extern const char *const report_challenge_phrases[];
extern const char *const report_virus_phrases[];

/* A value with its encoded words (RFC 2047)
   decoded. Other character sets than UTF-8 are taken for ISO-8859-1, which leaves the
   letters of ASCII as they are: iconv may need half a millisecond to load one, and a
   message has room for a hundred thousand of them. Data stack. */
const char *report_words_decode(const char *value);

/* The first speaker word in text (RFC 2047 forms are decoded); NULL = none. */
const struct report_speaker_word *report_speaker_find(const char *text);
/* Calls back for each local part and display name of a field's value; for a value
   that is no address, with all of it. */
void report_speakers_foreach(const char *value,
			     void (*callback)(const char *text, void *context),
			     void *context);
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

/* For both: searches text, which is lower-case, for all words of a table at once. */
enum report_vocabulary {
	REPORT_VOCABULARY_SPEAKER,
	REPORT_VOCABULARY_SUBJECT,
	REPORT_VOCABULARY_COUNT
};
/* Speaker: bit N is word N. Subject: the words' bits. */
unsigned int report_words_find(enum report_vocabulary vocabulary,
			       const unsigned char *text, size_t size);
/* REPORT_SUBJECT_* of a text that is lower-case and has single spaces. */
unsigned int report_subject_find(const unsigned char *text, size_t size);

#endif
