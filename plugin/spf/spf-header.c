/* Writes our fields word by word: a word is never broken, and a line is folded
   before the word that would make it too long. */

#include "lib.h"
#include "net.h"
#include "str.h"
#include "rfc822-parser.h"
#include "spf-header.h"
#include "spf-limits.h"

struct header_writer {
	string_t *dest;
	const char *newline;
	/* bytes of the line that is being written */
	size_t line_size;
};

static void
write_start(struct header_writer *writer, string_t *dest, const char *name,
	    const char *newline)
{
	writer->dest = dest;
	writer->newline = newline;
	writer->line_size = strlen(name) + 1;
	str_append(dest, name);
	str_append_c(dest, ':');
}

static void write_fold(struct header_writer *writer)
{
	str_append(writer->dest, writer->newline);
	str_append_c(writer->dest, '\t');
	writer->line_size = 1;
}

static bool
fits_line(const struct header_writer *writer, const char *text)
{
	return writer->line_size + 1 + strlen(text) <= SPF_HEADER_WIDTH;
}

static void write_word(struct header_writer *writer, const char *word)
{
	/* no line may be empty: the first word stays, however long */
	if (writer->line_size > 1) {
		if (fits_line(writer, word)) {
			str_append_c(writer->dest, ' ');
			writer->line_size++;
		} else {
			write_fold(writer);
		}
	}
	str_append(writer->dest, word);
	writer->line_size += strlen(word);
}

/* Words separated by spaces. */
static void write_words(struct header_writer *writer, const char *words)
{
	const char *const *word = t_strsplit(words, " ");

	for (; *word != NULL; word++) {
		if (**word != '\0')
			write_word(writer, *word);
	}
}

/* Cuts text to max bytes; each byte that isn't printable ASCII, or is one of
   unwanted, becomes a question mark. */
static const char *spf_header_safe(const char *text, size_t max, const char *unwanted)
{
	char *copy = t_strdup_noconst(t_strndup(text, max)), *p;

	for (p = copy; *p != '\0'; p++) {
		if (*p < ' ' || *p >= 0x7f || strchr(unwanted, *p) != NULL)
			*p = '?';
	}
	return copy;
}

/* In a comment: it must not end it, nor be more than one word. */
static const char *safe_in_comment(const char *text, size_t max)
{
	return spf_header_safe(text, max, "()\\ ");
}

static const char *spf_header_quoted(const char *text)
{
	string_t *spf_header_quoted = t_str_new(128);

	str_append_c(spf_header_quoted, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			str_append_c(spf_header_quoted, '\\');
		str_append_c(spf_header_quoted, *text);
	}
	str_append_c(spf_header_quoted, '"');
	return str_c(spf_header_quoted);
}

/* RFC 8601, 2.2: value is a token or a quoted string. */
static const char *results_value(const char *text)
{
	const char *p;

	for (p = text; *p != '\0'; p++) {
		if (*p != '.' && !IS_ATEXT_NON_TSPECIAL(*p))
			return spf_header_quoted(text);
	}
	return p == text ? spf_header_quoted(text) : text;
}

/* RFC 7208, 9.1: a value is a dot-atom or a quoted string. */
static const char *received_spf_value(const char *text)
{
	const char *p;
	char last = '.';

	for (p = text; *p != '\0'; p++) {
		if (*p == '.' ? last == '.' : !IS_ATEXT(*p))
			return spf_header_quoted(text);
		last = *p;
	}
	return last == '.' ? spf_header_quoted(text) : text;
}

static bool is_given(const char *text)
{
	return text != NULL && *text != '\0';
}

/* Who only looks for "spf=pass" must not find it in a value. */
static const char *const unwanted_in_value = " =;()\"\\";
static const char *const unwanted_in_reason = "=;\"\\";

/* spf=result reason="..." smtp.mailfrom=domain */
static const char *results_method(const struct spf_header *header)
{
	string_t *text = t_str_new(128);

	str_printfa(text, "spf=%s", spf_check_result_name(header->result));
	if (is_given(header->reason)) {
		str_printfa(text, " reason=\"%s\"",
			    spf_header_safe(header->reason, SPF_MAX_REASON,
				 unwanted_in_reason));
	}
	if (is_given(header->domain)) {
		str_printfa(text, " smtp.%s=%s",
			    spf_identity_name(header->identity),
			    results_value(spf_header_safe(header->domain, SPF_MAX_DOMAIN,
					       unwanted_in_value)));
	}
	return str_c(text);
}

void spf_header_write_results(string_t *dest, const struct spf_header *header,
			      const char *authserv_id, const char *newline)
{
	struct header_writer writer;
	const char *result;

	write_start(&writer, dest, "Authentication-Results", newline);
	write_word(&writer, t_strconcat(results_value(
		spf_header_safe(authserv_id, SPF_MAX_DOMAIN,
				unwanted_in_value)), ";", NULL));
	/* on one line, if it can be */
	result = results_method(header);
	if (!fits_line(&writer, result))
		write_fold(&writer);
	write_words(&writer, result);
	str_append(dest, newline);
}

/* Who was checked, for humans. */
static const char *comment_subject(const struct spf_header *header)
{
	if (header->identity == SPF_IDENTITY_MAILFROM &&
	    is_given(header->mail_from))
		return safe_in_comment(header->mail_from, SPF_MAX_ADDRESS);
	if (is_given(header->domain))
		return safe_in_comment(header->domain, SPF_MAX_DOMAIN);
	return "unknown";
}

static const char *
comment_text(const struct spf_header *header, const char *client_ip)
{
	const char *subject = comment_subject(header);

	if (is_given(header->reason))
		return spf_header_safe(header->reason, SPF_MAX_REASON, "()\\");

	switch (header->result) {
	case SPF_CHECK_PASS:
		return t_strdup_printf("domain of %s designates %s as "
				       "permitted sender", subject, client_ip);
	case SPF_CHECK_FAIL:
		return t_strdup_printf("domain of %s does not designate %s as "
				       "permitted sender", subject, client_ip);
	case SPF_CHECK_SOFTFAIL:
		return t_strdup_printf("domain of transitioning %s does not "
				       "designate %s as permitted sender",
				       subject, client_ip);
	case SPF_CHECK_NEUTRAL:
		return t_strdup_printf("%s is neither permitted nor denied by "
				       "domain of %s", client_ip, subject);
	case SPF_CHECK_NONE:
		return t_strdup_printf("domain of %s does not designate "
				       "permitted sender hosts", subject);
	case SPF_CHECK_TEMPERROR:
	case SPF_CHECK_PERMERROR:
		return t_strdup_printf("error in processing during lookup of %s",
				       subject);
	}
	i_unreached();
}

static void
write_pair(struct header_writer *writer, const char *key, const char *value,
	   size_t max)
{
	if (value == NULL || strlen(value) > max)
		return;
	write_word(writer, t_strdup_printf("%s=%s;", key,
		received_spf_value(spf_header_safe(value, max, ""))));
}

void spf_header_write_received_spf(string_t *dest,
				   const struct spf_header *header,
				   const char *host, const char *newline)
{
	struct header_writer writer;
	const char *client_ip = header->client_ip.family == 0 ? NULL :
		net_ip2addr(&header->client_ip);

	write_start(&writer, dest, "Received-SPF", newline);
	write_word(&writer, spf_check_result_name(header->result));
	write_words(&writer, t_strdup_printf("(%s: %s)",
		safe_in_comment(host, SPF_MAX_DOMAIN),
		comment_text(header, client_ip == NULL ? "unknown" :
			     client_ip)));
	write_pair(&writer, "receiver", host, SPF_MAX_DOMAIN);
	write_pair(&writer, "client-ip", client_ip, SPF_MAX_DOMAIN);
	write_pair(&writer, "envelope-from", header->mail_from,
		   SPF_MAX_ADDRESS);
	write_pair(&writer, "helo", header->helo, SPF_MAX_DOMAIN);
	write_pair(&writer, "mechanism", header->mechanism, SPF_MAX_MECHANISM);
	write_pair(&writer, "problem", header->reason, SPF_MAX_REASON);
	write_word(&writer, t_strdup_printf("identity=%s",
		spf_identity_name(header->identity)));
	str_append(dest, newline);
}
