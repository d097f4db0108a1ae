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

const struct report_speaker_word report_speaker_words[REPORT_SPEAKER_WORDS] = {
	{ "mailerdaemon", REPORT_SPEAKER_DAEMON, TRUE },
	{ "maildaemon", REPORT_SPEAKER_DAEMON, TRUE },
	{ "mdaemon", REPORT_SPEAKER_DAEMON, TRUE },
	{ "maildeliver", REPORT_SPEAKER_MAIL_SYSTEM, TRUE },
	{ "deliverysub", REPORT_SPEAKER_MAIL_SYSTEM, TRUE },
	{ "deliverysystem", REPORT_SPEAKER_MAIL_SYSTEM, TRUE },
	{ "deliveryservice", REPORT_SPEAKER_MAIL_SYSTEM, TRUE },
	{ "mailsystem", REPORT_SPEAKER_MAIL_SYSTEM, TRUE },
	{ "mailadmin", REPORT_SPEAKER_MAIL_SYSTEM, TRUE },
	{ "systemadmin", REPORT_SPEAKER_MAIL_SYSTEM, TRUE },
	{ "postmaster", REPORT_SPEAKER_POSTMASTER, TRUE },
	{ "virus", REPORT_SPEAKER_MAIL_FILTER, TRUE },
	{ "contentfilter", REPORT_SPEAKER_MAIL_FILTER, TRUE },
	{ "mailfilter", REPORT_SPEAKER_MAIL_FILTER, TRUE },
	{ "mailscanner", REPORT_SPEAKER_MAIL_FILTER, TRUE },
	{ "daemon", REPORT_SPEAKER_UNATTENDED, TRUE },
	{ "mailserver", REPORT_SPEAKER_UNATTENDED, TRUE },
	{ "admin", REPORT_SPEAKER_UNATTENDED, FALSE },
	{ "noreply", REPORT_SPEAKER_UNATTENDED, FALSE },
	{ "donotreply", REPORT_SPEAKER_UNATTENDED, FALSE },
};

#define WHAT		REPORT_SUBJECT_WHAT
#define HAPPENED	REPORT_SUBJECT_HAPPENED
#define STATUS_OF	REPORT_SUBJECT_STATUS_OF
#define STATUS		REPORT_SUBJECT_STATUS
#define FAILURE		REPORT_SUBJECT_FAILURE
#define HINT		REPORT_SUBJECT_HINT

const struct report_subject_word report_subject_words[REPORT_SUBJECT_WORDS] = {
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
};

static const char *const answer_prefixes[] = {
	"re:", "fwd:", "fw:", "aw:", "wg:", "sv:", "tr:", "rv:", NULL
};

const char *const report_failure_phrases[] = {
	"not be delivered", "n't be delivered", "cannot be delivered",
	"undeliver", "unable to deliver", "able to deliver", "not deliver",
	"n't deliver", "not been delivered", "yet been delivered",
	"non-deliver", "delivery fail", "failed delivery", "delivery has failed",
	"delivery to the following", "delivery problem", "delivery error",
	"delivery notification", "error delivering", "failed permanently",
	"permanent error", "permanent fatal", "permanent failure",
	"not reach", "n't reach", "not be reached", "returned to sender",
	"returning message", "returned message", "user unknown",
	"unknown user", "no such user", "not a valid user", "unknown recipient",
	"mailbox full", "mailbox is full", "mailbox exceed", "over quota",
	"quota exceeded", "exceeding their quota", "been delayed",
	"not be sent", "failed recipient", "invalid recipient",
	"failed address", "recipient address", "automatically rejected",
	"message was rejected", "mail was rejected", NULL
};
const char *const report_challenge_phrases[] = {
	"confirm that you", "to confirm your", "click on the following link",
	"allowed list", "approved sender", NULL
};
const char *const report_virus_phrases[] = {
	"virus was found", "virus found", "found a virus", "contained a virus",
	"contains a virus", "was infected", "infected with", NULL
};

/*
 * Search
 */

/* Filled when first asked for. */
struct words_index {
	bool filled;
	/* for each first letter, which second ones begin a word: nearly every
	   place in a text ends here */
	uint32_t second[32];
	/* words + 1 that begin with the letter, and the next one each; 0 = none */
	unsigned char first[32];
	unsigned char next[I_MAX(REPORT_SPEAKER_WORDS, REPORT_SUBJECT_WORDS) + 1];
};
static struct words_index words_indexes[REPORT_VOCABULARY_COUNT];

static unsigned int words_count(enum report_vocabulary vocabulary)
{
	return vocabulary == REPORT_VOCABULARY_SPEAKER ? REPORT_SPEAKER_WORDS :
		REPORT_SUBJECT_WORDS;
}

static inline const char *
words_get(enum report_vocabulary vocabulary, unsigned int i)
{
	return vocabulary == REPORT_VOCABULARY_SPEAKER ?
		report_speaker_words[i].word : report_subject_words[i].word;
}

static void
words_index_fill(struct words_index *index, enum report_vocabulary vocabulary)
{
	unsigned int i;

	for (i = 0; i < words_count(vocabulary); i++) {
		const char *word = words_get(vocabulary, i);

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
words_starting(const struct words_index *index,
	       enum report_vocabulary vocabulary, const unsigned char *text,
	       size_t size)
{
	unsigned int i, found = 0;

	for (i = index->first[text[0] & 31]; i > 0; i = index->next[i]) {
		if (!words_begins(text, size, words_get(vocabulary, i - 1)))
			continue;
		found |= vocabulary == REPORT_VOCABULARY_SPEAKER ?
			1U << (i - 1) : report_subject_words[i - 1].subject;
	}
	return found;
}

unsigned int report_words_find(enum report_vocabulary vocabulary,
			       const unsigned char *text, size_t size)
{
	struct words_index *index = &words_indexes[vocabulary];
	unsigned int found = 0;

	if (!index->filled)
		words_index_fill(index, vocabulary);
	for (; size >= 2; text++, size--) {
		if ((index->second[text[0] & 31] &
		     (1U << (text[1] & 31))) != 0)
			found |= words_starting(index, vocabulary, text, size);
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

const struct report_speaker_word *report_speaker_find(const char *text)
{
	unsigned int i, found;

	text = words_squeeze(words_decode(text));
	found = report_words_find(REPORT_VOCABULARY_SPEAKER,
				  (const unsigned char *)text, strlen(text));
	for (i = 0; found != 0 && i < REPORT_SPEAKER_WORDS; i++) {
		if ((found & (1U << i)) != 0)
			return &report_speaker_words[i];
	}
	return NULL;
}

void report_speakers_foreach(const char *value,
			     void (*callback)(const char *text, void *context),
			     void *context)
{
	struct message_address *addr;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), 4, 0);
	if (addr == NULL || addr->invalid_syntax) {
		/* "MAILER-DAEMON", "Mail Delivery System <>" */
		callback(value, context);
		return;
	}
	for (; addr != NULL; addr = addr->next) {
		if (addr->mailbox != NULL)
			callback(addr->mailbox, context);
		if (addr->name != NULL)
			callback(addr->name, context);
	}
}

unsigned int report_subject_read(const char *value)
{
	const char *text = words_flatten(words_decode(value));

	return report_subject_find((const unsigned char *)text, strlen(text));
}
