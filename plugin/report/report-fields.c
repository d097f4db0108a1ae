/* Header fields of one block, and what kind of block fields make. Used for the
   report's own header, returned headers, delivery-status parts and header
   blocks found in texts. */

#include "lib.h"
#include "istream.h"
#include "message-header-parser.h"
#include "report-private.h"

/* Fields by which a header block is recognised, sorted; whether they identify one, and
   are technical. */
static const struct report_known_field known_fields[] = {
	{ "action", REPORT_BLOCK_REPORT, FALSE, FALSE },
	{ "arrival-date", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "authentication-results", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "cc", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "content-transfer-encoding", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "content-type", REPORT_BLOCK_MESSAGE, FALSE, TRUE },
	{ "date", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "delivered-to", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "diagnostic-code", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "disposition", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "dkim-signature", REPORT_BLOCK_MESSAGE, TRUE, TRUE },
	{ "feedback-type", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "final-log-id", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "final-recipient", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "from", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "in-reply-to", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "last-attempt-date", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "list-id", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "message-id", REPORT_BLOCK_MESSAGE, TRUE, FALSE },
	{ "mime-version", REPORT_BLOCK_MESSAGE, FALSE, TRUE },
	{ "original-envelope-id", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "original-message-id", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "original-rcpt-to", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "original-recipient", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "precedence", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "received", REPORT_BLOCK_MESSAGE, TRUE, TRUE },
	{ "received-from-mta", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "references", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "remote-mta", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "reply-to", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "reporting-mta", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "reporting-ua", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "return-path", REPORT_BLOCK_MESSAGE, TRUE, TRUE },
	{ "sender", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "status", REPORT_BLOCK_REPORT, FALSE, FALSE },
	{ "subject", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "to", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "user-agent", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
	{ "will-retry-until", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "x-actual-recipient", REPORT_BLOCK_REPORT, TRUE, FALSE },
	{ "x-backscatter-serial", REPORT_BLOCK_MESSAGE, TRUE, FALSE },
	{ "x-mailer", REPORT_BLOCK_MESSAGE, TRUE, FALSE },
	{ "x-original-to", REPORT_BLOCK_MESSAGE, FALSE, FALSE },
};

static int
known_field_compare(const unsigned char *name, size_t size, const char *known)
{
	size_t known_size = strlen(known);
	int ret;

	ret = i_memcasecmp(name, known, I_MIN(size, known_size));
	if (ret != 0)
		return ret;
	return size < known_size ? -1 : (size > known_size ? 1 : 0);
}

const struct report_known_field *
report_known_field(const unsigned char *name, size_t size)
{
	unsigned int low = 0, high = N_ELEMENTS(known_fields);

	while (low < high) {
		unsigned int middle = (low + high) / 2;
		int ret = known_field_compare(name, size,
					      known_fields[middle].name);

		if (ret == 0)
			return &known_fields[middle];
		if (ret < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void
field_add(struct report_reader *reader, struct report_fields *fields,
	  const struct message_header_line *hdr)
{
	struct report_field *field = array_append_space(&fields->fields);
	const unsigned char *value = hdr->full_value;
	size_t size = hdr->full_value_len;

	if (size > REPORT_MAX_FIELD) {
		size = REPORT_MAX_FIELD;
		reader->report->truncated = TRUE;
	}
	field->is_cut = hdr->no_newline || size < hdr->full_value_len ||
		memchr(value, '\0', size) != NULL;
	while (size > 0 && i_isspace(value[0])) {
		value++;
		size--;
	}
	while (size > 0 && i_isspace(value[size - 1]))
		size--;
	field->name = t_strdup(hdr->name);
	field->value = t_strndup(value, size);
}

void report_fields_parse(struct report_reader *reader, const void *block,
			 size_t size, struct report_fields *fields_r)
{
	struct message_header_parser_ctx *parser;
	struct message_header_line *hdr;
	struct istream *input;

	t_array_init(&fields_r->fields, 16);
	fields_r->is_cut = FALSE;
	input = i_stream_create_from_data(block, size);
	parser = message_parse_header_init(input, NULL,
		MESSAGE_HEADER_PARSER_FLAG_SKIP_INITIAL_LWSP |
		MESSAGE_HEADER_PARSER_FLAG_DROP_CR |
		MESSAGE_HEADER_PARSER_FLAG_CLEAN_ONELINE);
	while (message_parse_header_next(parser, &hdr) > 0) {
		fields_r->is_cut = !hdr->eoh && hdr->no_newline;
		if (hdr->continues)
			hdr->use_full_value = TRUE;
		else if (!hdr->eoh && hdr->name_len > 0)
			field_add(reader, fields_r, hdr);
	}
	message_parse_header_deinit(&parser);
	i_stream_unref(&input);
}

void report_fields_read(struct report_reader *reader,
			const struct report_fields *fields,
			const struct report_field_reader *readers,
			unsigned int count)
{
	const struct report_field *field;
	unsigned int i;

	array_foreach(&fields->fields, field) {
		for (i = 0; i < count; i++) {
			if (report_field_is(field, readers[i].name))
				break;
		}
		if (i == count)
			continue;
		reader->field_is_cut = field->is_cut;
		T_BEGIN {
			readers[i].read(reader, field->value);
		} T_END;
	}
}

/* Received (RFC 5321, 4.4) */

/* What follows "with" (RFC 3848, RFC 6531, and what Exim, Exchange and webmail
   write). */
static const char *const submission_protocols[] = {
	"asmtp", "esmtpa", "esmtpsa", "smtpa", "smtpsa", "utf8smtpa",
	"utf8smtpsa", "lmtpa", "lmtpsa", "utf8lmtpa", "utf8lmtpsa", "local",
	"local-esmtp", "local-smtp", "local-bsmtp", "http", "https", "mapi",
	NULL
};
/* Anywhere in the line, lower-case: Postfix, sendmail, qmail, Exim. */
static const char *const submission_phrases[] = {
	"(authenticated", "authenticated sender", "from userid", "/submit)",
	"invoked by uid", "p=esmtpa", "p=esmtpsa", "p=local", NULL
};

/* Skips the comment that starts at p. */
static const char *received_skip_comment(const char *p)
{
	unsigned int depth = 0;

	for (; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '(')
			depth++;
		else if (*p == ')' && --depth == 0)
			return p + 1;
	}
	return p;
}

/* Returns the next word outside of comments and moves *pos behind it; NULL at the
   end, which is where the date starts. */
static const char *received_next_word(const char **pos)
{
	const char *p = *pos, *start;

	for (;;) {
		while (*p == ' ' || *p == '\t')
			p++;
		if (*p != '(')
			break;
		p = received_skip_comment(p);
	}
	start = p;
	while (*p != '\0' && *p != ' ' && *p != '\t' && *p != ';' && *p != '(')
		p++;
	*pos = p;
	return p == start ? NULL : t_strdup_until(start, p);
}

static const char *received_address(const char *word)
{
	size_t size;

	if (*word == '<')
		word++;
	size = strcspn(word, ">");
	return memchr(word, '@', size) == NULL ? NULL : t_strndup(word, size);
}

static void
received_clause(const char *keyword, const char *word,
		struct report_received *received)
{
	if (strcmp(keyword, "from") == 0 && received->from == NULL)
		received->from = word;
	else if (strcmp(keyword, "by") == 0 && received->by == NULL)
		received->by = word;
	else if (strcmp(keyword, "for") == 0 && received->recipient == NULL)
		received->recipient = received_address(word);
	else if (strcmp(keyword, "with") == 0 &&
		 str_array_find(submission_protocols, word))
		received->submitted = TRUE;
}

static bool received_has_phrase(const char *value)
{
	unsigned int i;

	for (i = 0; submission_phrases[i] != NULL; i++) {
		if (strstr(value, submission_phrases[i]) != NULL)
			return TRUE;
	}
	return FALSE;
}

void report_received_read(const char *value, struct report_received *received_r)
{
	const char *pos = t_str_lcase(value);
	const char *keyword, *word;

	i_zero(received_r);
	received_r->submitted = received_has_phrase(pos);
	keyword = "";
	while ((word = received_next_word(&pos)) != NULL) {
		received_clause(keyword, word, received_r);
		keyword = word;
	}
}
