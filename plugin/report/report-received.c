/* Received lines of a returned header: which host took the message in, for whom, and
   whether from one of its own users. Words in a comment count where mail systems write
   them so; everything else of a comment is skipped. */

#include "lib.h"
#include "report-private.h"
#include "report-received.h"

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

static bool strings_have(const char *const *strings, const char *word)
{
	for (; *strings != NULL; strings++) {
		if (strcmp(*strings, word) == 0)
			return TRUE;
	}
	return FALSE;
}

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
		 strings_have(submission_protocols, word))
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
