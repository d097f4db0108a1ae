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
	{ "mailerdaemon", TRAIT(MAILER_DAEMON) },
	{ "maildaemon", TRAIT(DAEMON) },
	{ "mdaemon", TRAIT(DAEMON) },
	{ "maildeliver", TRAIT(MAIL_SYSTEM) },
	{ "deliverysub", TRAIT(MAIL_SYSTEM) },
	{ "deliverysystem", TRAIT(MAIL_SYSTEM) },
	{ "deliveryservice", TRAIT(MAIL_SYSTEM) },
	{ "mailsystem", TRAIT(MAIL_SYSTEM) },
	{ "mailadmin", TRAIT(MAIL_SYSTEM) },
	{ "systemadmin", TRAIT(MAIL_SYSTEM) },
	{ "postmaster", TRAIT(POSTMASTER) },
	{ "virus", TRAIT(MAIL_FILTER) },
	{ "contentfilter", TRAIT(MAIL_FILTER) },
	{ "mailfilter", TRAIT(MAIL_FILTER) },
	{ "mailscanner", TRAIT(MAIL_FILTER) },
	{ "daemon", TRAIT(UNATTENDED) },
	{ "mailserver", TRAIT(UNATTENDED) },
	{ "admin", TRAIT(ROBOT) },
	{ "noreply", TRAIT(ROBOT) },
	{ "donotreply", TRAIT(ROBOT) },
	{ NULL, 0 },
};

#define WHAT		TRAIT(SUBJECT_WHAT)
#define HAPPENED	TRAIT(SUBJECT_HAPPENED)
#define STATUS_OF	TRAIT(SUBJECT_STATUS_OF)
#define STATUS		TRAIT(SUBJECT_STATUS)
#define FAILURE		TRAIT(SUBJECT_FAILURE)
#define HINT		TRAIT(SUBJECT_HINT)

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

	{ "out of office", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "out of the office", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "automatic repl", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "automatic respon", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "automatic", HINT },
	{ "automated repl", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "automated respon", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "autoreply", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "auto-reply", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "auto reply", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "auto:", HINT },
	{ "autorespon", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "auto-respon", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "auto respon", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "away from", TRAIT(SUBJECT_AUTO_REPLY) },
	{ "vacation", TRAIT(SUBJECT_AUTO_REPLY) },

	{ "confirm your", TRAIT(SUBJECT_CHALLENGE) },
	{ "verify your", TRAIT(SUBJECT_CHALLENGE) },
	{ "confirmation requ", TRAIT(SUBJECT_CHALLENGE) },
	{ "verification requ", TRAIT(SUBJECT_CHALLENGE) },

	{ "virus", TRAIT(SUBJECT_VIRUS) },
	{ "infected", TRAIT(SUBJECT_VIRUS) },
	{ "malware", TRAIT(SUBJECT_VIRUS) },

	{ "abuse report", TRAIT(SUBJECT_ABUSE) },
	{ "spam report", TRAIT(SUBJECT_ABUSE) },
	{ "complaint", TRAIT(SUBJECT_ABUSE) },
	{ "mail system", HINT },
	{ "delivery status", HINT },
	{ NULL, 0 },
};

static const char *const answer_prefixes[] = {
	"re:", "fwd:", "fw:", "aw:", "wg:", "sv:", "tr:", "rv:", NULL
};

static const struct report_word notice_phrases[] = {
	{ "not be delivered", TRAIT(TEXT_FAILURE) },
	{ "n't be delivered", TRAIT(TEXT_FAILURE) },
	{ "cannot be delivered", TRAIT(TEXT_FAILURE) },
	{ "undeliver", TRAIT(TEXT_FAILURE) },
	{ "unable to deliver", TRAIT(TEXT_FAILURE) },
	{ "able to deliver", TRAIT(TEXT_FAILURE) },
	{ "not deliver", TRAIT(TEXT_FAILURE) },
	{ "n't deliver", TRAIT(TEXT_FAILURE) },
	{ "not been delivered", TRAIT(TEXT_FAILURE) },
	{ "yet been delivered", TRAIT(TEXT_FAILURE) },
	{ "non-deliver", TRAIT(TEXT_FAILURE) },
	{ "delivery fail", TRAIT(TEXT_FAILURE) },
	{ "failed delivery", TRAIT(TEXT_FAILURE) },
	{ "delivery has failed", TRAIT(TEXT_FAILURE) },
	{ "delivery to the following", TRAIT(TEXT_FAILURE) },
	{ "delivery problem", TRAIT(TEXT_FAILURE) },
	{ "delivery error", TRAIT(TEXT_FAILURE) },
	{ "delivery notification", TRAIT(TEXT_FAILURE) },
	{ "error delivering", TRAIT(TEXT_FAILURE) },
	{ "failed permanently", TRAIT(TEXT_FAILURE) },
	{ "permanent error", TRAIT(TEXT_FAILURE) },
	{ "permanent fatal", TRAIT(TEXT_FAILURE) },
	{ "permanent failure", TRAIT(TEXT_FAILURE) },
	{ "not reach", TRAIT(TEXT_FAILURE) },
	{ "n't reach", TRAIT(TEXT_FAILURE) },
	{ "not be reached", TRAIT(TEXT_FAILURE) },
	{ "returned to sender", TRAIT(TEXT_FAILURE) },
	{ "returning message", TRAIT(TEXT_FAILURE) },
	{ "returned message", TRAIT(TEXT_FAILURE) },
	{ "user unknown", TRAIT(TEXT_FAILURE) },
	{ "unknown user", TRAIT(TEXT_FAILURE) },
	{ "no such user", TRAIT(TEXT_FAILURE) },
	{ "not a valid user", TRAIT(TEXT_FAILURE) },
	{ "unknown recipient", TRAIT(TEXT_FAILURE) },
	{ "mailbox full", TRAIT(TEXT_FAILURE) },
	{ "mailbox is full", TRAIT(TEXT_FAILURE) },
	{ "mailbox exceed", TRAIT(TEXT_FAILURE) },
	{ "over quota", TRAIT(TEXT_FAILURE) },
	{ "quota exceeded", TRAIT(TEXT_FAILURE) },
	{ "exceeding their quota", TRAIT(TEXT_FAILURE) },
	{ "been delayed", TRAIT(TEXT_FAILURE) },
	{ "not be sent", TRAIT(TEXT_FAILURE) },
	{ "failed recipient", TRAIT(TEXT_FAILURE) },
	{ "invalid recipient", TRAIT(TEXT_FAILURE) },
	{ "failed address", TRAIT(TEXT_FAILURE) },
	{ "recipient address", TRAIT(TEXT_FAILURE) },
	{ "automatically rejected", TRAIT(TEXT_FAILURE) },
	{ "message was rejected", TRAIT(TEXT_FAILURE) },
	{ "mail was rejected", TRAIT(TEXT_FAILURE) },

	{ "confirm that you", TRAIT(TEXT_CHALLENGE) },
	{ "to confirm your", TRAIT(TEXT_CHALLENGE) },
	{ "click on the following link", TRAIT(TEXT_CHALLENGE) },
	{ "allowed list", TRAIT(TEXT_CHALLENGE) },
	{ "approved sender", TRAIT(TEXT_CHALLENGE) },

	{ "virus was found", TRAIT(TEXT_VIRUS) },
	{ "virus found", TRAIT(TEXT_VIRUS) },
	{ "found a virus", TRAIT(TEXT_VIRUS) },
	{ "contained a virus", TRAIT(TEXT_VIRUS) },
	{ "contains a virus", TRAIT(TEXT_VIRUS) },
	{ "was infected", TRAIT(TEXT_VIRUS) },
	{ "infected with", TRAIT(TEXT_VIRUS) },
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

static uint64_t
words_starting(const struct words_index *index, const struct report_word *words,
	       const unsigned char *text, size_t size)
{
	uint64_t found = 0;
	unsigned int i;

	for (i = index->first[text[0] & 31]; i > 0; i = index->next[i]) {
		if (words_begins(text, size, words[i - 1].word))
			found |= words[i - 1].traits;
	}
	return found;
}

uint64_t report_words_find(enum report_vocabulary vocabulary,
			   const unsigned char *text, size_t size)
{
	const struct report_word *words = report_vocabularies[vocabulary];
	struct words_index *index = &words_indexes[vocabulary];
	uint64_t found = 0;

	if (!index->filled)
		words_index_fill(index, words);
	for (; size >= 2; text++, size--) {
		if ((index->second[text[0] & 31] &
		     (1U << (text[1] & 31))) != 0)
			found |= words_starting(index, words, text, size);
	}
	return found;
}

static bool has_both(uint64_t traits, uint64_t first, uint64_t second)
{
	return (traits & first) != 0 && (traits & second) != 0;
}

uint64_t report_subject_find(const unsigned char *text, size_t size)
{
	uint64_t subject =
		report_words_find(REPORT_VOCABULARY_SUBJECT, text, size);
	unsigned int i;

	if (has_both(subject, WHAT, HAPPENED) ||
	    has_both(subject, STATUS_OF, STATUS))
		subject |= FAILURE;
	for (i = 0; answer_prefixes[i] != NULL; i++) {
		size_t prefix_size = strlen(answer_prefixes[i]);

		if (size >= prefix_size &&
		    memcmp(text, answer_prefixes[i], prefix_size) == 0)
			subject |= TRAIT(HUMAN_SUBJECT);
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
static uint64_t speaker_find(const char *text)
{
	uint64_t found;

	text = words_squeeze(words_decode(text));
	found = report_words_find(REPORT_VOCABULARY_SPEAKER,
				  (const unsigned char *)text, strlen(text));
	return found & -found;
}

uint64_t report_speakers_read(const char *value)
{
	struct message_address *addr;
	uint64_t speakers = 0;

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

uint64_t report_subject_read(const char *value)
{
	const char *text = words_flatten(words_decode(value));

	return report_subject_find((const unsigned char *)text, strlen(text));
}
