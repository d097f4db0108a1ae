/* Writes our fields word by word: a word is never broken, and a line is folded
   before the word that would make it too long. */

#include "lib.h"
#include <ctype.h>
#include "net.h"
#include "str.h"
#include "spf-header.h"
#include "spf-limits.h"
#include "text/text.h"

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

/* A value as both fields take it: as it is where it looks like a host's name, else
   quoted. */
static const char *spf_header_value(const char *text)
{
	string_t *quoted = t_str_new(128);
	const char *p;
	char last = '.';

	for (p = text; i_isalnum(*p) || *p == '-' || *p == '_' ||
	     (*p == '.' && last != '.'); p++)
		last = *p;
	if (*p == '\0' && last != '.')
		return text;
	str_append_c(quoted, '"');
	for (p = text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			str_append_c(quoted, '\\');
		str_append_c(quoted, *p);
	}
	str_append_c(quoted, '"');
	return str_c(quoted);
}

static bool is_given(const char *text)
{
	return text != NULL && *text != '\0';
}

/* Who only looks for "spf=pass" must not find it in a value. */
static const char *const unwanted_in_value = " =;()\"\\";
static const char *const unwanted_in_reason = "=;\"\\";
/* It must not end a comment, nor be more than one word in it. */
static const char *const unwanted_in_comment = "()\\ ";

/* spf=result reason="..." smtp.mailfrom=domain */
static const char *results_method(const struct spf_header *header)
{
	string_t *text = t_str_new(128);

	str_printfa(text, "spf=%s", spf_check_result_name(header->result));
	if (is_given(header->reason)) {
		str_printfa(text, " reason=\"%s\"",
			    text_printable(header->reason, SPF_MAX_REASON,
					   unwanted_in_reason));
	}
	if (is_given(header->domain)) {
		str_printfa(text, " smtp.%s=%s",
			    spf_identity_name(header->identity),
			    spf_header_value(text_printable(header->domain,
				    SPF_MAX_DOMAIN, unwanted_in_value)));
	}
	return str_c(text);
}

void spf_header_write_results(string_t *dest, const struct spf_header *header,
			      const char *authserv_id, const char *newline)
{
	struct header_writer writer;
	const char *result;

	write_start(&writer, dest, "Authentication-Results", newline);
	write_word(&writer, t_strconcat(spf_header_value(
		text_printable(authserv_id, SPF_MAX_DOMAIN,
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
		return text_printable(header->mail_from, SPF_MAX_ADDRESS,
				      unwanted_in_comment);
	if (is_given(header->domain))
		return text_printable(header->domain, SPF_MAX_DOMAIN,
				      unwanted_in_comment);
	return "unknown";
}

static const char *
comment_text(const struct spf_header *header, const char *client_ip)
{
	const char *subject = comment_subject(header);

	if (is_given(header->reason))
		return text_printable(header->reason, SPF_MAX_REASON, "()\\");

	switch (header->result) {
	case SPF_CHECK_PASS:
	case SPF_CHECK_FAIL:
	case SPF_CHECK_SOFTFAIL:
		return t_strdup_printf("domain of %s%s %s %s as permitted sender",
			header->result == SPF_CHECK_SOFTFAIL ? "transitioning " : "",
			subject, header->result == SPF_CHECK_PASS ?
			"designates" : "does not designate", client_ip);
	case SPF_CHECK_NEUTRAL:
		return t_strdup_printf("%s is neither permitted nor denied by "
				       "domain of %s", client_ip, subject);
	case SPF_CHECK_NONE:
		return t_strdup_printf("domain of %s does not designate "
				       "permitted sender hosts", subject);
	case SPF_CHECK_TEMPERROR:
	case SPF_CHECK_PERMERROR:
		break;
	}
	return t_strdup_printf("error in processing during lookup of %s", subject);
}

static void
write_pair(struct header_writer *writer, const char *key, const char *value,
	   size_t max)
{
	if (value == NULL || strlen(value) > max)
		return;
	write_word(writer, t_strdup_printf("%s=%s;", key,
		spf_header_value(text_printable(value, max, ""))));
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
		text_printable(host, SPF_MAX_DOMAIN, unwanted_in_comment),
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
