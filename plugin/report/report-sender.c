/* The report's own header: who speaks, to whom, and in answer to what. It only
   collects traits; report-evidence.c weighs them. */

#include "lib.h"
#include "message-address.h"
#include "message-header-decode.h"
#include "rfc822-parser.h"
#include "rfc2231-parser.h"
#include "report-private.h"
#include "report-received.h"

struct word_trait {
	/* lower-case */
	const char *word;
	enum report_trait trait;
};

/* In the local part or the display name of From, Sender and Return-Path, without
   white space and punctuation. The first one that is there counts. */
static const struct word_trait speaker_words[] = {
	{ "mailerdaemon", REPORT_TRAIT_DAEMON_FROM },
	{ "maildaemon", REPORT_TRAIT_DAEMON_FROM },
	{ "mdaemon", REPORT_TRAIT_DAEMON_FROM },
	{ "maildeliver", REPORT_TRAIT_MAIL_SYSTEM },
	{ "deliverysub", REPORT_TRAIT_MAIL_SYSTEM },
	{ "deliverysystem", REPORT_TRAIT_MAIL_SYSTEM },
	{ "deliveryservice", REPORT_TRAIT_MAIL_SYSTEM },
	{ "mailsystem", REPORT_TRAIT_MAIL_SYSTEM },
	{ "mailadmin", REPORT_TRAIT_MAIL_SYSTEM },
	{ "systemadmin", REPORT_TRAIT_MAIL_SYSTEM },
	{ "postmaster", REPORT_TRAIT_POSTMASTER },
	{ "virus", REPORT_TRAIT_MAIL_FILTER },
	{ "contentfilter", REPORT_TRAIT_MAIL_FILTER },
	{ "mailfilter", REPORT_TRAIT_MAIL_FILTER },
	{ "mailscanner", REPORT_TRAIT_MAIL_FILTER },
	{ "daemon", REPORT_TRAIT_UNATTENDED },
	{ "admin", REPORT_TRAIT_UNATTENDED },
	{ "noreply", REPORT_TRAIT_UNATTENDED },
	{ "donotreply", REPORT_TRAIT_UNATTENDED },
	{ "mailserver", REPORT_TRAIT_UNATTENDED },
};

/* A subject speaks of a failure if it has a word of each list of a pair,
   whatever stands between them. */
static const struct {
	const char *const *what;
	const char *const *happened;
} subject_failures[] = {
	{ (const char *const []){ "mail", "message", "deliver", "recipient",
				  "address", "user", NULL },
	  (const char *const []){ "fail", "error", "problem", "delay", "return",
				  "reject", "block", "unknown", "unable",
				  "not be", "not deliver", "couldn't",
				  "could not", "cannot", "can't", "bounce",
				  "undeliver", "non-deliver", "nondeliver",
				  "invalid", NULL } },
	{ (const char *const []){ "deliver", "postmaster", NULL },
	  (const char *const []){ "status", "report", "notif", "warning",
				  NULL } },
	/* these do so alone */
	{ (const char *const []){ "undeliver", "non-deliver", "nondeliver",
				  "failure notice", NULL },
	  (const char *const []){ "", NULL } },
};

static const struct word_trait subject_words[] = {
	{ "out of office", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "out of the office", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "automatic re", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "automated re", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "autoreply", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "auto-reply", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "auto reply", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "autorespon", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "auto-respon", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "auto respon", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "away from", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "vacation", REPORT_TRAIT_SUBJECT_AUTO_REPLY },
	{ "confirm your", REPORT_TRAIT_SUBJECT_CHALLENGE },
	{ "verify your", REPORT_TRAIT_SUBJECT_CHALLENGE },
	{ "confirmation requ", REPORT_TRAIT_SUBJECT_CHALLENGE },
	{ "verification requ", REPORT_TRAIT_SUBJECT_CHALLENGE },
	{ "virus", REPORT_TRAIT_SUBJECT_VIRUS },
	{ "infected", REPORT_TRAIT_SUBJECT_VIRUS },
	{ "malware", REPORT_TRAIT_SUBJECT_VIRUS },
	{ "abuse report", REPORT_TRAIT_SUBJECT_ABUSE },
	{ "spam report", REPORT_TRAIT_SUBJECT_ABUSE },
	{ "complaint", REPORT_TRAIT_SUBJECT_ABUSE },
};

static const char *const answer_prefixes[] = {
	"re:", "fwd:", "fw:", "aw:", "wg:", "sv:", "tr:", "rv:", NULL
};

struct sender_context {
	enum report_sender envelope;
	bool received_seen;
};

#define MAILER_DAEMON "mailerdaemon"

static bool contains_any(const char *text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strstr(text, *words) != NULL)
			return TRUE;
	}
	return FALSE;
}

/* Decoded (RFC 2047), lower-case */
static const char *sender_decode(const char *value)
{
	string_t *decoded = t_str_new(128);

	message_header_decode_utf8((const unsigned char *)value, strlen(value),
				   decoded, NULL);
	return str_lcase(str_c_modifiable(decoded));
}

/* "Post_Master", "mailer daemon" and "Mailer-Daemon" are the same. */
static const char *sender_squeeze(const char *text)
{
	string_t *squeezed = t_str_new(64);

	for (; *text != '\0'; text++) {
		if (strchr(" \t-_.", *text) == NULL)
			str_append_c(squeezed, *text);
	}
	return str_c(squeezed);
}

static void
sender_speaker_word(struct report_reader *reader, const char *text,
		    bool is_path)
{
	unsigned int i;
	enum report_trait trait;

	text = sender_squeeze(sender_decode(text));
	for (i = 0; i < N_ELEMENTS(speaker_words); i++) {
		if (strstr(text, speaker_words[i].word) == NULL)
			continue;
		trait = speaker_words[i].trait;
		if (trait == REPORT_TRAIT_DAEMON_FROM && is_path)
			trait = REPORT_TRAIT_DAEMON_PATH;
		report_trait_add(reader, trait);
		return;
	}
}

/* From: and Sender: the domain says nothing, only who in it. */
static void
sender_speaker(struct report_reader *reader, const char *value, bool is_path)
{
	struct message_address *addr;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), 4, 0);
	if (addr == NULL || addr->invalid_syntax) {
		/* "MAILER-DAEMON", "Mail Delivery System <>" */
		sender_speaker_word(reader, value, is_path);
		return;
	}
	for (; addr != NULL; addr = addr->next) {
		if (addr->mailbox != NULL)
			sender_speaker_word(reader, addr->mailbox, is_path);
		if (addr->name != NULL)
			sender_speaker_word(reader, addr->name, is_path);
	}
}

static bool sender_is_daemon_word(const char *text)
{
	return text != NULL &&
		strstr(sender_squeeze(sender_decode(text)), MAILER_DAEMON) != NULL;
}

bool report_speaker_is_daemon(const char *value)
{
	struct message_address *addr;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), 4, 0);
	if (addr == NULL || addr->invalid_syntax)
		return sender_is_daemon_word(value);
	for (; addr != NULL; addr = addr->next) {
		if (sender_is_daemon_word(addr->mailbox) ||
		    sender_is_daemon_word(addr->name))
			return TRUE;
	}
	return FALSE;
}

static void
read_from(struct report_reader *reader, const char *value,
	  struct sender_context *ctx ATTR_UNUSED)
{
	if (strstr(value, "<>") != NULL) {
		report_trait_add(reader, REPORT_TRAIT_NULL_FROM);
		if (strchr(value, '@') == NULL)
			reader->mailer_daemon = TRUE;
	}
	if (report_speaker_is_daemon(value))
		reader->mailer_daemon = TRUE;
	sender_speaker(reader, value, FALSE);
	report_addresses_read(reader->pool, value, &reader->own_addresses);
}

static void
read_sender(struct report_reader *reader, const char *value,
	    struct sender_context *ctx ATTR_UNUSED)
{
	if (report_speaker_is_daemon(value))
		reader->mailer_daemon = TRUE;
	sender_speaker(reader, value, FALSE);
}

static void
read_return_path(struct report_reader *reader, const char *value,
		 struct sender_context *ctx)
{
	reader->return_path_seen = TRUE;
	if (strcmp(value, "<>") == 0) {
		if (ctx->envelope == REPORT_SENDER_UNKNOWN)
			report_trait_add(reader, REPORT_TRAIT_NULL_SENDER);
		return;
	}
	sender_speaker(reader, value, TRUE);
}

bool report_is_auto_submitted(const char *value)
{
	const char *rest;

	if (strncasecmp(value, "no", 2) != 0)
		return TRUE;
	rest = value + 2;
	return *rest != '\0' && strchr(" \t;(", *rest) == NULL;
}

static void
read_auto_submitted(struct report_reader *reader, const char *value,
		    struct sender_context *ctx ATTR_UNUSED)
{
	if (strncasecmp(value, "auto-replied", 12) == 0)
		report_trait_add(reader, REPORT_TRAIT_AUTO_REPLIED);
	else if (report_is_auto_submitted(value))
		report_trait_add(reader, REPORT_TRAIT_AUTO_GENERATED);
}

static void
read_auto_reply(struct report_reader *reader, const char *value,
		struct sender_context *ctx ATTR_UNUSED)
{
	if (strcasecmp(value, "no") != 0)
		report_trait_add(reader, REPORT_TRAIT_AUTO_REPLY_FIELD);
}

static void
read_precedence(struct report_reader *reader, const char *value,
		struct sender_context *ctx ATTR_UNUSED)
{
	if (strncasecmp(value, "auto", 4) == 0)
		report_trait_add(reader, REPORT_TRAIT_AUTO_REPLY_FIELD);
}

static void
read_failed_recipients(struct report_reader *reader, const char *value,
		       struct sender_context *ctx ATTR_UNUSED)
{
	report_trait_add(reader, REPORT_TRAIT_FAILED_RECIPIENTS);
	report_addresses_read(reader->pool, value, &reader->failed_field);
}

static bool subject_is_answer(const char *subject)
{
	unsigned int i;

	for (i = 0; answer_prefixes[i] != NULL; i++) {
		if (strncmp(subject, answer_prefixes[i],
			    strlen(answer_prefixes[i])) == 0)
			return TRUE;
	}
	return FALSE;
}

static void
read_subject(struct report_reader *reader, const char *value,
	     struct sender_context *ctx ATTR_UNUSED)
{
	const char *subject = sender_decode(value);
	unsigned int i;

	if (subject_is_answer(subject))
		report_trait_add(reader, REPORT_TRAIT_HUMAN_SUBJECT);
	for (i = 0; i < N_ELEMENTS(subject_failures); i++) {
		if (contains_any(subject, subject_failures[i].what) &&
		    contains_any(subject, subject_failures[i].happened))
			report_trait_add(reader, REPORT_TRAIT_SUBJECT_FAILURE);
	}
	for (i = 0; i < N_ELEMENTS(subject_words); i++) {
		if (strstr(subject, subject_words[i].word) != NULL)
			report_trait_add(reader, subject_words[i].trait);
	}
}

static void
read_to(struct report_reader *reader, const char *value,
	struct sender_context *ctx ATTR_UNUSED)
{
	report_addresses_read(reader->pool, value, &reader->report->to);
	report_addresses_read(reader->pool, value, &reader->own_addresses);
}

static void
read_in_reply_to(struct report_reader *reader, const char *value,
		 struct sender_context *ctx ATTR_UNUSED)
{
	report_trait_add(reader, REPORT_TRAIT_ANSWER);
	report_references_read(reader, value, FALSE);
}

static void
read_references(struct report_reader *reader, const char *value,
		struct sender_context *ctx ATTR_UNUSED)
{
	report_trait_add(reader, REPORT_TRAIT_ANSWER);
	report_references_read(reader, value, TRUE);
}

static void
read_message_id(struct report_reader *reader, const char *value,
		struct sender_context *ctx ATTR_UNUSED)
{
	if (reader->report->message_id == NULL) {
		reader->report->message_id =
			report_message_id_first(reader->pool, value);
		reader->report->message_id_written =
			report_message_id_first_written(reader->pool, value);
	}
}

/* The topmost one: our own host's, or what it trusts. */
static void
read_received(struct report_reader *reader, const char *value,
	      struct sender_context *ctx)
{
	struct report_received received;

	if (ctx->received_seen)
		return;
	ctx->received_seen = TRUE;
	report_received_read(value, &received);
	if (received.by != NULL && strlen(received.by) <= REPORT_MAX_ADDRESS_SIZE)
		reader->report->received_by = p_strdup(reader->pool, received.by);
}

static void
read_content_type(struct report_reader *reader, const char *value,
		  struct sender_context *ctx ATTR_UNUSED)
{
	struct rfc822_parser_context parser;
	const char *const *params;
	string_t *type = t_str_new(64);

	rfc822_parser_init(&parser, (const unsigned char *)value,
			   strlen(value), NULL);
	rfc822_skip_lwsp(&parser);
	if (rfc822_parse_content_type(&parser, type) < 0 ||
	    strcasecmp(str_c(type), "multipart/report") != 0) {
		rfc822_parser_deinit(&parser);
		return;
	}
	report_trait_add(reader, REPORT_TRAIT_REPORT);
	rfc2231_parse(&parser, &params);
	for (; *params != NULL; params += 2) {
		if (strcasecmp(params[0], "report-type") == 0 &&
		    strcasestr(params[1], "delivery-status") != NULL)
			report_trait_add(reader, REPORT_TRAIT_REPORT_DSN);
	}
	rfc822_parser_deinit(&parser);
}

static const struct {
	const char *name;
	void (*read)(struct report_reader *reader, const char *value,
		     struct sender_context *ctx);
} sender_fields[] = {
	{ "Auto-Submitted", read_auto_submitted },
	{ "Content-Type", read_content_type },
	{ "From", read_from },
	{ "Message-ID", read_message_id },
	{ "Precedence", read_precedence },
	{ "Received", read_received },
	{ "Return-Path", read_return_path },
	{ "Sender", read_sender },
	{ "Subject", read_subject },
	{ "To", read_to },
	{ "X-Auto-Reply", read_auto_reply },
	{ "X-Auto-Reply-From", read_auto_reply },
	{ "X-Autogenerated", read_auto_reply },
	{ "X-Autoreply", read_auto_reply },
	{ "X-Autorespond", read_auto_reply },
	{ "X-Autoresponder", read_auto_reply },
	{ "X-Failed-Recipients", read_failed_recipients },
};

static void
sender_field(struct report_reader *reader, const char *name, const char *value,
	     void *context)
{
	struct sender_context *ctx = context;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(sender_fields); i++) {
		if (strcasecmp(name, sender_fields[i].name) == 0)
			sender_fields[i].read(reader, value, ctx);
	}
}

static void
sender_in_reply_to(struct report_reader *reader, const char *name,
		   const char *value, void *context)
{
	if (strcasecmp(name, "In-Reply-To") == 0)
		read_in_reply_to(reader, value, context);
}

static void
sender_references(struct report_reader *reader, const char *name,
		  const char *value, void *context)
{
	if (strcasecmp(name, "References") == 0)
		read_references(reader, value, context);
}

void report_sender_read(struct report_reader *reader, enum report_sender sender,
			const void *header, size_t size)
{
	struct sender_context ctx = { .envelope = sender };

	if (sender == REPORT_SENDER_NULL)
		report_trait_add(reader, REPORT_TRAIT_NULL_SENDER);
	report_fields_read(reader, header, size, sender_field, &ctx);
	/* whatever their order in the header, In-Reply-To names what is
	   answered */
	report_fields_read(reader, header, size, sender_in_reply_to, &ctx);
	report_fields_read(reader, header, size, sender_references, &ctx);
}
