/* The words by which reports are known. */

#include "lib.h"
#include "charset-utf8.h"
#include "str.h"
#include "unichar.h"
#include "message-header-decode.h"
#include "message-address.h"
#include "report-words.h"

/* Encoded words (RFC 2047) */

static bool
decode_word(const unsigned char *data, size_t size, const char *charset,
	    void *context)
{
	string_t *decoded = context;

	if (charset == NULL || charset_is_utf8(charset)) {
		str_append_data(decoded, data, size);
		return TRUE;
	}
	for (; size > 0; data++, size--) {
		if (*data != '\0')
			uni_ucs4_to_utf8_c(*data, decoded);
	}
	return TRUE;
}

const char *report_words_decode(const char *value)
{
	string_t *decoded = t_str_new(128);

	message_header_decode((const unsigned char *)value, strlen(value),
			      decode_word, decoded);
	return str_c(decoded);
}

static const struct report_word speaker_words[] = {
	{ "mailerdaemon", REPORT_SPEAKER_MAILER_DAEMON },
	{ "maildaemon", REPORT_SPEAKER_DAEMON },
	{ "mdaemon", REPORT_SPEAKER_DAEMON },
	{ "maildeliver", REPORT_SPEAKER_MAIL_SYSTEM },
	{ "deliverysub", REPORT_SPEAKER_MAIL_SYSTEM },
	{ "deliverysystem", REPORT_SPEAKER_MAIL_SYSTEM },
	{ "deliveryservice", REPORT_SPEAKER_MAIL_SYSTEM },
	{ "mailsystem", REPORT_SPEAKER_MAIL_SYSTEM },
	{ "mailadmin", REPORT_SPEAKER_MAIL_SYSTEM },
	{ "systemadmin", REPORT_SPEAKER_MAIL_SYSTEM },
	{ "postmaster", REPORT_SPEAKER_POSTMASTER },
	{ "virus", REPORT_SPEAKER_MAIL_FILTER },
	{ "contentfilter", REPORT_SPEAKER_MAIL_FILTER },
	{ "mailfilter", REPORT_SPEAKER_MAIL_FILTER },
	{ "mailscanner", REPORT_SPEAKER_MAIL_FILTER },
	{ "daemon", REPORT_SPEAKER_UNATTENDED },
	{ "mailserver", REPORT_SPEAKER_UNATTENDED },
	{ "admin", REPORT_SPEAKER_ROBOT },
	{ "noreply", REPORT_SPEAKER_ROBOT },
	{ "donotreply", REPORT_SPEAKER_ROBOT },
	{ NULL, 0 },
};

#define WHAT		REPORT_SUBJECT_WHAT
#define HAPPENED	REPORT_SUBJECT_HAPPENED
#define STATUS_OF	REPORT_SUBJECT_STATUS_OF
#define STATUS		REPORT_SUBJECT_STATUS
#define FAILURE		REPORT_SUBJECT_FAILURE
#define HINT		REPORT_SUBJECT_HINT

static const struct report_word subject_words[] = {
	{ "mail", WHAT },
	{ "message", WHAT },
	{ "deliver", WHAT | STATUS_OF | HINT },
	{ "recipient", WHAT },
	{ "address", WHAT },
	{ "user", WHAT },
	{ "postmaster", STATUS_OF },

	{ "fail", HAPPENED },
	{ "failed", HINT },
	{ "failing", HINT },
	{ "failure", HINT },
	{ "error", HAPPENED },
	{ "problem", HAPPENED },
	{ "delay", HAPPENED },
	{ "delayed", HINT },
	{ "return", HAPPENED },
	{ "returned", HINT },
	{ "returning", HINT },
	{ "reject", HAPPENED },
	{ "rejected", HINT },
	{ "block", HAPPENED },
	{ "unknown", HAPPENED },
	{ "unable", HAPPENED },
	{ "not be", HAPPENED },
	{ "not deliver", HAPPENED },
	{ "couldn't", HAPPENED },
	{ "could not", HAPPENED | HINT },
	{ "cannot", HAPPENED },
	{ "can't", HAPPENED },
	{ "bounce", HAPPENED | HINT },
	{ "undeliver", HAPPENED | FAILURE },
	{ "non-deliver", HAPPENED | FAILURE },
	{ "nondeliver", HAPPENED | FAILURE },
	{ "invalid", HAPPENED },
	{ "failure notice", FAILURE },

	{ "status", STATUS },
	{ "report", STATUS },
	{ "notif", STATUS },
	{ "notification", HINT },
	{ "warning", STATUS },

	{ "out of office", REPORT_SUBJECT_AUTO_REPLY },
	{ "out of the office", REPORT_SUBJECT_AUTO_REPLY },
	{ "automatic repl", REPORT_SUBJECT_AUTO_REPLY },
	{ "automatic respon", REPORT_SUBJECT_AUTO_REPLY },
	{ "automatic", HINT },
	{ "automated repl", REPORT_SUBJECT_AUTO_REPLY },
	{ "automated respon", REPORT_SUBJECT_AUTO_REPLY },
	{ "autoreply", REPORT_SUBJECT_AUTO_REPLY },
	{ "auto-reply", REPORT_SUBJECT_AUTO_REPLY },
	{ "auto reply", REPORT_SUBJECT_AUTO_REPLY },
	{ "auto:", HINT },
	{ "autorespon", REPORT_SUBJECT_AUTO_REPLY },
	{ "auto-respon", REPORT_SUBJECT_AUTO_REPLY },
	{ "auto respon", REPORT_SUBJECT_AUTO_REPLY },
	{ "away from", REPORT_SUBJECT_AUTO_REPLY },
	{ "vacation", REPORT_SUBJECT_AUTO_REPLY },

	{ "confirm your", REPORT_SUBJECT_CHALLENGE },
	{ "verify your", REPORT_SUBJECT_CHALLENGE },
	{ "confirmation requ", REPORT_SUBJECT_CHALLENGE },
	{ "verification requ", REPORT_SUBJECT_CHALLENGE },

	{ "virus", REPORT_SUBJECT_VIRUS },
	{ "infected", REPORT_SUBJECT_VIRUS },
	{ "malware", REPORT_SUBJECT_VIRUS },

	{ "abuse report", REPORT_SUBJECT_ABUSE },
	{ "spam report", REPORT_SUBJECT_ABUSE },
	{ "complaint", REPORT_SUBJECT_ABUSE },
	{ "mail system", HINT },
	{ "delivery status", HINT },
	{ NULL, 0 },
};

static const char *const answer_prefixes[] = {
	"re:", "fwd:", "fw:", "aw:", "wg:", "sv:", "tr:", "rv:", NULL
};

static const struct report_word notice_phrases[] = {
	{ "not be delivered", REPORT_NOTICE_FAILURE },
	{ "n't be delivered", REPORT_NOTICE_FAILURE },
	{ "cannot be delivered", REPORT_NOTICE_FAILURE },
	{ "undeliver", REPORT_NOTICE_FAILURE },
	{ "unable to deliver", REPORT_NOTICE_FAILURE },
	{ "able to deliver", REPORT_NOTICE_FAILURE },
	{ "not deliver", REPORT_NOTICE_FAILURE },
	{ "n't deliver", REPORT_NOTICE_FAILURE },
	{ "not been delivered", REPORT_NOTICE_FAILURE },
	{ "yet been delivered", REPORT_NOTICE_FAILURE },
	{ "non-deliver", REPORT_NOTICE_FAILURE },
	{ "delivery fail", REPORT_NOTICE_FAILURE },
	{ "failed delivery", REPORT_NOTICE_FAILURE },
	{ "delivery has failed", REPORT_NOTICE_FAILURE },
	{ "delivery to the following", REPORT_NOTICE_FAILURE },
	{ "delivery problem", REPORT_NOTICE_FAILURE },
	{ "delivery error", REPORT_NOTICE_FAILURE },
	{ "delivery notification", REPORT_NOTICE_FAILURE },
	{ "error delivering", REPORT_NOTICE_FAILURE },
	{ "failed permanently", REPORT_NOTICE_FAILURE },
	{ "permanent error", REPORT_NOTICE_FAILURE },
	{ "permanent fatal", REPORT_NOTICE_FAILURE },
	{ "permanent failure", REPORT_NOTICE_FAILURE },
	{ "not reach", REPORT_NOTICE_FAILURE },
	{ "n't reach", REPORT_NOTICE_FAILURE },
	{ "not be reached", REPORT_NOTICE_FAILURE },
	{ "returned to sender", REPORT_NOTICE_FAILURE },
	{ "returning message", REPORT_NOTICE_FAILURE },
	{ "returned message", REPORT_NOTICE_FAILURE },
	{ "user unknown", REPORT_NOTICE_FAILURE },
	{ "unknown user", REPORT_NOTICE_FAILURE },
	{ "no such user", REPORT_NOTICE_FAILURE },
	{ "not a valid user", REPORT_NOTICE_FAILURE },
	{ "unknown recipient", REPORT_NOTICE_FAILURE },
	{ "mailbox full", REPORT_NOTICE_FAILURE },
	{ "mailbox is full", REPORT_NOTICE_FAILURE },
	{ "mailbox exceed", REPORT_NOTICE_FAILURE },
	{ "over quota", REPORT_NOTICE_FAILURE },
	{ "quota exceeded", REPORT_NOTICE_FAILURE },
	{ "exceeding their quota", REPORT_NOTICE_FAILURE },
	{ "been delayed", REPORT_NOTICE_FAILURE },
	{ "not be sent", REPORT_NOTICE_FAILURE },
	{ "failed recipient", REPORT_NOTICE_FAILURE },
	{ "invalid recipient", REPORT_NOTICE_FAILURE },
	{ "failed address", REPORT_NOTICE_FAILURE },
	{ "recipient address", REPORT_NOTICE_FAILURE },
	{ "automatically rejected", REPORT_NOTICE_FAILURE },
	{ "message was rejected", REPORT_NOTICE_FAILURE },
	{ "mail was rejected", REPORT_NOTICE_FAILURE },

	{ "confirm that you", REPORT_NOTICE_CHALLENGE },
	{ "to confirm your", REPORT_NOTICE_CHALLENGE },
	{ "click on the following link", REPORT_NOTICE_CHALLENGE },
	{ "allowed list", REPORT_NOTICE_CHALLENGE },
	{ "approved sender", REPORT_NOTICE_CHALLENGE },

	{ "virus was found", REPORT_NOTICE_VIRUS },
	{ "virus found", REPORT_NOTICE_VIRUS },
	{ "found a virus", REPORT_NOTICE_VIRUS },
	{ "contained a virus", REPORT_NOTICE_VIRUS },
	{ "contains a virus", REPORT_NOTICE_VIRUS },
	{ "was infected", REPORT_NOTICE_VIRUS },
	{ "infected with", REPORT_NOTICE_VIRUS },
	{ NULL, 0 },
};

const struct report_word *const
report_vocabularies[REPORT_VOCABULARY_COUNT] = {
	[REPORT_VOCABULARY_SPEAKER] = speaker_words,
	[REPORT_VOCABULARY_SUBJECT] = subject_words,
	[REPORT_VOCABULARY_NOTICE] = notice_phrases,
};

/*
 * Search
 */

/* of one vocabulary */
#define WORDS_MAX 100

/* Filled when first asked for. */
struct words_index {
	bool filled;
	/* for each first letter, which second ones begin a word: nearly every
	   place in a text ends here */
	uint32_t second[32];
	/* words + 1 that begin with the letter, and the next one each; 0 = none */
	unsigned char first[32];
	unsigned char next[WORDS_MAX + 1];
};
static struct words_index words_indexes[REPORT_VOCABULARY_COUNT];

static void
words_index_fill(struct words_index *index, const struct report_word *words)
{
	unsigned int i;

	for (i = 0; words[i].word != NULL; i++) {
		const char *word = words[i].word;

		i_assert(i < WORDS_MAX);
		index->second[word[0] & 31] |= 1U << (word[1] & 31);
		index->next[i + 1] = index->first[word[0] & 31];
		index->first[word[0] & 31] = i + 1;
	}
	index->filled = TRUE;
}

static bool
words_begins(const unsigned char *text, size_t size, const char *word)
{
	for (; size > 0 && *word != '\0'; text++, word++, size--) {
		if (*text != (unsigned char)*word)
			return FALSE;
	}
	return *word == '\0';
}

static unsigned int
words_starting(const struct words_index *index, const struct report_word *words,
	       const unsigned char *text, size_t size)
{
	unsigned int i, found = 0;

	for (i = index->first[text[0] & 31]; i > 0; i = index->next[i]) {
		if (words_begins(text, size, words[i - 1].word))
			found |= words[i - 1].means;
	}
	return found;
}

unsigned int report_words_find(enum report_vocabulary vocabulary,
			       const unsigned char *text, size_t size)
{
	const struct report_word *words = report_vocabularies[vocabulary];
	struct words_index *index = &words_indexes[vocabulary];
	unsigned int found = 0;

	if (!index->filled)
		words_index_fill(index, words);
	for (; size >= 2; text++, size--) {
		if ((index->second[text[0] & 31] &
		     (1U << (text[1] & 31))) != 0)
			found |= words_starting(index, words, text, size);
	}
	return found;
}

static bool
subject_has_both(unsigned int subject, enum report_subject first,
		 enum report_subject second)
{
	return (subject & first) != 0 && (subject & second) != 0;
}

unsigned int report_subject_find(const unsigned char *text, size_t size)
{
	unsigned int subject =
		report_words_find(REPORT_VOCABULARY_SUBJECT, text, size);
	unsigned int i;

	if (subject_has_both(subject, WHAT, HAPPENED) ||
	    subject_has_both(subject, STATUS_OF, STATUS))
		subject |= FAILURE;
	for (i = 0; answer_prefixes[i] != NULL; i++) {
		size_t prefix_size = strlen(answer_prefixes[i]);

		if (size >= prefix_size &&
		    memcmp(text, answer_prefixes[i], prefix_size) == 0)
			subject |= REPORT_SUBJECT_ANSWER;
	}
	return subject;
}

/*
 * As the reader sees them
 */

/* Decoded (RFC 2047), lower-case */
static const char *words_decode(const char *value)
{
	return t_str_lcase(report_words_decode(value));
}

/* "Post_Master", "mailer daemon" and "Mailer-Daemon" are the same. */
static const char *words_squeeze(const char *text)
{
	string_t *squeezed = t_str_new(64);

	for (; *text != '\0'; text++) {
		if (strchr(" \t\r\n-_.", *text) == NULL)
			str_append_c(squeezed, *text);
	}
	return str_c(squeezed);
}

static const char *words_flatten(const char *text)
{
	string_t *flat = t_str_new(64);

	for (; *text != '\0'; text++) {
		if ((unsigned char)*text > ' ')
			str_append_c(flat, *text);
		else if (str_len(flat) > 0 &&
			 str_data(flat)[str_len(flat) - 1] != ' ')
			str_append_c(flat, ' ');
	}
	return str_c(flat);
}

/* The first speaker word in text. */
static unsigned int speaker_find(const char *text)
{
	unsigned int found;

	text = words_squeeze(words_decode(text));
	found = report_words_find(REPORT_VOCABULARY_SPEAKER,
				  (const unsigned char *)text, strlen(text));
	return found & -found;
}

unsigned int report_speakers_read(const char *value)
{
	struct message_address *addr;
	unsigned int speakers = 0;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), 4, 0);
	if (addr == NULL || addr->invalid_syntax) {
		/* "MAILER-DAEMON", "Mail Delivery System <>" */
		return speaker_find(value);
	}
	for (; addr != NULL; addr = addr->next) {
		if (addr->mailbox != NULL)
			speakers |= speaker_find(addr->mailbox);
		if (addr->name != NULL)
			speakers |= speaker_find(addr->name);
	}
	return speakers;
}

unsigned int report_subject_read(const char *value)
{
	const char *text = words_flatten(words_decode(value));

	return report_subject_find((const unsigned char *)text, strlen(text));
}
