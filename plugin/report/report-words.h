#ifndef REPORT_WORDS_H
#define REPORT_WORDS_H

/* Inside the room: the one vocabulary of scan and reader. What the reader knows of
   a report's own header, the scan finds by the same tables; what the scan doesn't
   mark, the reader takes for no report. */

/* What speaks for one class or another, by words or by other signs. Each counts once;
   report-class.c says how much. */
enum report_trait {
	/* Who speaks: the local part or display name of From, Sender and
	   Return-Path, squeezed (letters only). Of several in one of them the first
	   counts, in this order. Postmasters and mail systems of other names are
	   people, too. */
	REPORT_TRAIT_MAILER_DAEMON,
	REPORT_TRAIT_DAEMON,
	REPORT_TRAIT_MAIL_SYSTEM,
	REPORT_TRAIT_POSTMASTER,
	REPORT_TRAIT_MAIL_FILTER,
	/* software, but not always a mail system's */
	REPORT_TRAIT_UNATTENDED,
	/* the same, and marks nothing: too much ordinary mail is sent by these */
	REPORT_TRAIT_ROBOT,
	/* one of the first two in From or Sender, in Return-Path */
	REPORT_TRAIT_DAEMON_FROM,
	REPORT_TRAIT_DAEMON_PATH,
	REPORT_TRAIT_NULL_SENDER,
	REPORT_TRAIT_NULL_FROM,
	/* What the subject says. It speaks of a failure, too, if it has a word of both
	   of a pair, whatever stands between them. */
	REPORT_TRAIT_SUBJECT_WHAT,
	REPORT_TRAIT_SUBJECT_HAPPENED,
	REPORT_TRAIT_SUBJECT_STATUS_OF,
	REPORT_TRAIT_SUBJECT_STATUS,
	REPORT_TRAIT_SUBJECT_FAILURE,
	REPORT_TRAIT_SUBJECT_AUTO_REPLY,
	REPORT_TRAIT_SUBJECT_CHALLENGE,
	REPORT_TRAIT_SUBJECT_VIRUS,
	REPORT_TRAIT_SUBJECT_ABUSE,
	/* says nothing, but reports are called so */
	REPORT_TRAIT_SUBJECT_HINT,
	/* "Re:": found by report_subject_read(), no word's */
	REPORT_TRAIT_HUMAN_SUBJECT,
	/* what else the header says */
	REPORT_TRAIT_AUTO_GENERATED,
	REPORT_TRAIT_AUTO_REPLIED,
	REPORT_TRAIT_AUTO_REPLY_FIELD,
	REPORT_TRAIT_ANSWER,
	REPORT_TRAIT_FAILED_RECIPIENTS,
	/* multipart/report, and its report-type */
	REPORT_TRAIT_REPORT,
	REPORT_TRAIT_REPORT_DSN,
	/* what the body has */
	REPORT_TRAIT_DSN_PART,
	REPORT_TRAIT_MDN_PART,
	REPORT_TRAIT_ARF_PART,
	REPORT_TRAIT_RETURNED_PART,
	REPORT_TRAIT_DSN_TEXT,
	REPORT_TRAIT_RETURNED_TEXT,
	/* phrases: they weigh, and mark nothing, since the scan doesn't see bodies */
	REPORT_TRAIT_TEXT_FAILURE,
	REPORT_TRAIT_TEXT_CHALLENGE,
	REPORT_TRAIT_TEXT_VIRUS,
	REPORT_TRAIT_TEXT_REPLY_CODE,
	REPORT_TRAIT_TEXT_ADDRESS,
	REPORT_TRAIT_JSON_NOTICE,

	REPORT_TRAIT_COUNT
};

/* Sets of them. */
#define TRAIT(name) (1ULL << REPORT_TRAIT_##name)
#define TRAITS(first, last) ((TRAIT(last) << 1) - TRAIT(first))
/* These mark the message for the reader. */
#define REPORT_MARKING_SPEAKERS TRAITS(MAILER_DAEMON, UNATTENDED)
#define REPORT_MARKING_SUBJECTS TRAITS(SUBJECT_FAILURE, SUBJECT_HINT)

enum report_vocabulary {
	REPORT_VOCABULARY_SPEAKER,
	REPORT_VOCABULARY_SUBJECT,
	REPORT_VOCABULARY_NOTICE,
	REPORT_VOCABULARY_COUNT
};

struct report_word {
	/* lower-case; single spaces. NULL = end of the table */
	const char *word;
	uint64_t traits;
};
extern const struct report_word *const
report_vocabularies[REPORT_VOCABULARY_COUNT];

/* Searches text, which is lower-case and has single spaces, for all words of a
   vocabulary at once. Returns the traits of those that are there. */
uint64_t report_words_find(enum report_vocabulary vocabulary,
			   const unsigned char *text, size_t size);

/* A value with its encoded words (RFC 2047) decoded. Other character sets than UTF-8 are taken for ISO-8859-1, which leaves the
   letters of ASCII as they are: iconv may need half a millisecond to load one, and a
   message has room for a hundred thousand of them. Data stack. */
const char *report_words_decode(const char *value);

/* Who speaks: of each local part and display name of a field's value the first; of a
   value that is no address, the first in all of it. */
uint64_t report_speakers_read(const char *value);
/* What a Subject's value says. */
uint64_t report_subject_read(const char *value);
/* The same of a text that is lower-case and has single spaces. */
uint64_t report_subject_find(const unsigned char *text, size_t size);

/* report-marks.c: does the field make the message worth being read? name needn't
   be lower-case; value: as it stands in the header, folded or not. */
bool report_field_marks(const unsigned char *name, size_t name_size,
			const unsigned char *value, const unsigned char *end);
/* Does a body that starts like this? (JSON, plain or in base64.) */
bool report_body_marks(const unsigned char *body, size_t size);
/* First letters of the fields that may mark, lower-case. */
#define REPORT_MARKING_LETTERS "acfprsx"

#endif
