/* Texts for humans. Addresses and reply codes are known by their form; the few
   phrases only say that a text speaks of mail that was not delivered, and
   report.c doesn't believe them alone. Header blocks in a text reads
   report-text-block.c. */

#include "lib.h"
#include "rfc822-parser.h"
#include "report-private.h"
#include "mail-html2text.h"

/* How much of a notice is searched for phrases. */
#define TEXT_MAX_NOTICE (32 * 1024)

/* Lower-case, on one line, single spaces: so that phrases can be found across
   line ends. */
static const char *
text_flatten(const unsigned char *text, const unsigned char *end,
	     size_t *size_r)
{
	char *flat = t_malloc_no0(end - text + 1), *p = flat;

	for (; text < end && *text != '\0'; text++) {
		if (!i_isspace(*text))
			*p++ = i_tolower(*text);
		else if (p > flat && p[-1] != ' ')
			*p++ = ' ';
	}
	*p = '\0';
	*size_r = p - flat;
	return flat;
}

static const char *text_skip_digits(const char *p, unsigned int max)
{
	while (max-- > 0 && i_isdigit(*p))
		p++;
	return p;
}

/* RFC 3463: an enhanced status code of a failure, "5.1.1", standing alone */
static bool text_has_status_code(const char *flat)
{
	const char *p = flat, *q;

	for (; *p != '\0'; p++) {
		if ((*p != '4' && *p != '5') || p[1] != '.' ||
		    !i_isdigit(p[2]))
			continue;
		if (p != flat && strchr(" -#(", p[-1]) == NULL)
			continue;
		q = text_skip_digits(p + 2, 3);
		if (*q != '.' || !i_isdigit(q[1]))
			continue;
		q = text_skip_digits(q + 1, 3);
		if (*q == '\0' || strchr(" ;,:)", *q) != NULL)
			return TRUE;
	}
	return FALSE;
}

static bool text_is_local_part(unsigned char c)
{
	return c == '.' || c >= 0x80 || IS_ATEXT(c);
}

static bool text_is_domain(unsigned char c)
{
	return i_isalnum(c) || c == '-' || c == '.' || c >= 0x80;
}

/* Finds the next address in [pos, end). Returns its start, NULL if there is
   none. */
static const unsigned char *
text_address_find(const unsigned char *pos, const unsigned char *end,
		  const unsigned char **address_end_r)
{
	const unsigned char *at, *start, *stop;

	while ((at = memchr(pos, '@', end - pos)) != NULL) {
		/* words that only stick to it: 'to=user', 'SMTP:user' */
		for (start = at; start > pos; start--) {
			if (!text_is_local_part(start[-1]) ||
			    start[-1] == '=' || start[-1] == '\'' ||
			    start[-1] == '`')
				break;
		}
		stop = at + 1;
		while (stop < end && text_is_domain(*stop))
			stop++;
		while (stop > at + 1 && (stop[-1] == '.' || stop[-1] == '-'))
			stop--;
		if (start < at && stop > at + 1) {
			*address_end_r = stop;
			return start;
		}
		pos = at + 1;
	}
	return NULL;
}

/* Is there nothing but punctuation and a reply code in front of it? Then the
   line is about this address. */
static bool
text_line_begins_with(const struct text_line *line,
		      const unsigned char *address)
{
	const unsigned char *p;

	for (p = line->start; p < address; p++) {
		if (i_isalpha(*p) || *p >= 0x80)
			return FALSE;
	}
	return TRUE;
}

static void
text_failed_address_add(struct report_reader *reader,
			const unsigned char *start, const unsigned char *end,
			ARRAY_TYPE(const_string) *dest)
{
	const char *address = t_strdup_until(start, end);

	if (report_address_has_role(address, REPORT_ROLE_SITE) ||
	    report_strings_have(&reader->own_addresses, address))
		return;
	report_address_add(reader->pool, start, end - start, dest,
			   REPORT_MAX_RECIPIENTS);
}

/* Failed recipients: addresses that begin a line, or if there are none, any
   address. */
static void
text_failed_addresses_read(struct report_reader *reader,
			   const unsigned char *text, const unsigned char *end)
{
	ARRAY_TYPE(const_string) leading, others;
	struct text_line line;
	const unsigned char *address, *address_end;

	t_array_init(&leading, 8);
	t_array_init(&others, 8);
	while (text_line_get(text, end, &line)) {
		text = line.next;
		address = text_address_find(line.start, line.end, &address_end);
		if (address == NULL)
			continue;
		if (text_line_begins_with(&line, address)) {
			text_failed_address_add(reader, address, address_end,
						&leading);
			continue;
		}
		for (; address != NULL;
		     address = text_address_find(address_end, line.end,
						 &address_end)) {
			text_failed_address_add(reader, address, address_end,
						&others);
		}
	}
	array_append_array(&reader->failed_addresses,
			   array_count(&leading) > 0 ? &leading : &others);
}

static void
text_notice_read(struct report_reader *reader, const unsigned char *text,
		 const unsigned char *end)
{
	const char *flat;
	size_t size;

	if (end - text > TEXT_MAX_NOTICE)
		end = text + TEXT_MAX_NOTICE;
	flat = text_flatten(text, end, &size);
	reader->traits |= report_words_find(REPORT_VOCABULARY_NOTICE,
					    (const void *)flat, size);
	if (text_has_status_code(flat))
		report_trait_add(reader, REPORT_TRAIT_TEXT_REPLY_CODE);
	if (array_count(&reader->failed_addresses) == 0)
		text_failed_addresses_read(reader, text, end);
}

void report_text_read(struct report_reader *reader, const void *text,
		      size_t size, enum report_text_kind kind)
{
	const unsigned char *end = CONST_PTR_OFFSET(text, size);
	struct text_notice notice;

	if (kind == REPORT_TEXT_NOTICE &&
	    report_json_read(reader, text, size, 0))
		return;
	T_BEGIN {
		report_text_blocks_read(reader, text, end, kind, &notice);
		if (kind == REPORT_TEXT_NOTICE) {
			text_notice_read(reader, text, notice.end);
			text_notice_read(reader, notice.rest, notice.rest_end);
		}
	} T_END;
}

/* HTML: made a text whose lines are what looks like lines. */

static const char *const html_line_tags[] = {
	"br", "p", "div", "tr", "li", "h1", "h2", "h3", "pre", "/p", "/div",
	"/pre", "dt", "dd", "hr", NULL
};

static bool html_starts_line(const unsigned char *tag, size_t size)
{
	unsigned int i;
	size_t tag_size;

	for (i = 0; html_line_tags[i] != NULL; i++) {
		tag_size = strlen(html_line_tags[i]);
		if (size > tag_size &&
		    i_memcasecmp(tag, html_line_tags[i], tag_size) == 0 &&
		    !i_isalnum(tag[tag_size]))
			return TRUE;
	}
	return FALSE;
}

/* Behind <br>, whoever wrote the source ended its line, too: one line end is
   enough, or folded fields fall apart. */
static const unsigned char *
html_skip_line_break(const unsigned char *tag, const unsigned char *end,
		     buffer_t *dest)
{
	const unsigned char *close, *p;

	if (end - tag < 3 || i_memcasecmp(tag, "br", 2) != 0 ||
	    i_isalnum(tag[2]))
		return tag;
	close = memchr(tag, '>', end - tag);
	if (close == NULL)
		return tag;
	for (p = close + 1; p < end && (*p == ' ' || *p == '\t' || *p == '\r'); p++) ;
	if (p == end || *p != '\n')
		return tag;
	buffer_append(dest, tag, close + 1 - tag);
	return p + 1;
}

static void html_add_line_ends(const buffer_t *html, buffer_t *dest)
{
	const unsigned char *pos = html->data, *end = pos + html->used, *tag;

	while ((tag = memchr(pos, '<', end - pos)) != NULL) {
		buffer_append(dest, pos, tag - pos);
		if (html_starts_line(tag + 1, end - tag - 1))
			buffer_append_c(dest, '\n');
		buffer_append_c(dest, '<');
		pos = html_skip_line_break(tag + 1, end, dest);
	}
	buffer_append(dest, pos, end - pos);
}

/* Drops the indentation that tags leave behind; hard spaces become spaces. */
static void html_trim_lines(const buffer_t *text, buffer_t *dest)
{
	const unsigned char *data = text->data;
	bool line_start = TRUE;
	size_t i;

	for (i = 0; i < text->used; i++) {
		unsigned char c = data[i];

		if (c == 0xc2 && i + 1 < text->used && data[i + 1] == 0xa0) {
			c = ' ';
			i++;
		}
		if (line_start && (c == ' ' || c == '\t'))
			continue;
		line_start = c == '\n';
		buffer_append_c(dest, c);
	}
}

void report_html_read(struct report_reader *reader, const buffer_t *html)
{
	struct mail_html2text *html2text;
	buffer_t *lines = buffer_create_dynamic(default_pool, html->used);
	buffer_t *text = buffer_create_dynamic(default_pool, html->used);

	html_add_line_ends(html, lines);
	html2text = mail_html2text_init(0);
	if (lines->used > 0)
		mail_html2text_more(html2text, lines->data, lines->used, text);
	mail_html2text_deinit(&html2text);
	buffer_set_used_size(lines, 0);
	html_trim_lines(text, lines);
	report_text_read(reader, lines->data, lines->used, REPORT_TEXT_NOTICE);
	buffer_free(&lines);
	buffer_free(&text);
}
