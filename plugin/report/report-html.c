/* HTML for humans: made a text whose lines are what looks like lines. */

#include "lib.h"
#include "mail-html2text.h"
#include "report-private.h"

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
