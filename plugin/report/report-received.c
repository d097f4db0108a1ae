/* Received lines of a returned header: which host took the message in, for whom, and
   whether from one of its own users or machines. Words in a comment count where mail systems write
   them so; everything else of a comment is skipped. */

#include "lib.h"
#include "net.h"
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
/* Loopback, RFC 1918, RFC 4193, link-local: no client out there has these. */
static const char *const local_networks[] = {
	"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
	"169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10", NULL
};
/* What the client called itself follows. */
static const char *const helo_words[] = { "helo", "ehlo", "helo=", NULL };

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

/* An address as it is written out in full: net_addr2ip() takes "2048", too. */
static bool received_ip_parse(const char *word, struct ip_addr *ip_r)
{
	unsigned int dots = 0;
	const char *p;

	if (strncmp(word, "ipv6:", 5) == 0)
		word += 5;
	for (p = word; *p != '\0'; p++) {
		if (*p == '.')
			dots++;
	}
	return (dots == 3 || strchr(word, ':') != NULL) &&
		net_addr2ip(word, ip_r) == 0;
}

static bool ip_is_local(const struct ip_addr *ip)
{
	struct ip_addr network;
	unsigned int i, bits;

	for (i = 0; local_networks[i] != NULL; i++) {
		if (net_parse_range(local_networks[i], &network, &bits) == 0 &&
		    net_is_in_network(ip, &network, bits))
			return TRUE;
	}
	return FALSE;
}

/* Was the client that the clause "from" tells of a neighbour? The last address is
   what the host saw; those before it, or behind "helo", are the client's words. */
static bool received_is_from_local(const char *clause)
{
	const char *const *words = t_strsplit_spaces(clause, " \t()[]");
	const char *before = "";
	struct ip_addr ip;
	bool is_local = FALSE;

	for (; *words != NULL; words++) {
		if (!strings_have(helo_words, before) &&
		    received_ip_parse(*words, &ip))
			is_local = ip_is_local(&ip);
		before = *words;
	}
	return is_local;
}

void report_received_read(const char *value, struct report_received *received_r)
{
	const char *line = t_str_lcase(value), *pos = line;
	const char *keyword, *word, *from_end = line;

	i_zero(received_r);
	received_r->submitted = received_has_phrase(line);
	keyword = "";
	while ((word = received_next_word(&pos)) != NULL) {
		if (strcmp(word, "by") == 0 && from_end == line)
			from_end = pos;
		received_clause(keyword, word, received_r);
		keyword = word;
	}
	if (received_r->from != NULL &&
	    received_is_from_local(t_strdup_until(line, from_end)))
		received_r->submitted = TRUE;
}
