/* Header blocks in a text. A block is known by being one - several known fields in
   a row - whatever line introduces it and however it is quoted or indented. */

#include "lib.h"
#include "report-private.h"

/* A block of fewer message fields is a summary ("To: ..., Subject: ...") */
#define TEXT_BLOCK_MIN_FIELDS 3
/* A field's name is no longer than this in a text; words with a colon are. */
#define TEXT_MAX_FIELD_NAME 60

/* A header block being cut out of a text. */
struct text_block {
	/* its lines, without quoting, as a header that lib-mail can parse */
	string_t *header;
	/* what precedes the fields: quoting, indentation */
	const unsigned char *prefix;
	size_t prefix_size;

	/* fields since the last empty line */
	unsigned int run;
	unsigned int message_fields;
	unsigned int report_fields;
	/* has a field that hardly stands anywhere else */
	bool message_identified;
	bool report_identified;
	/* has a field that a summary for humans hasn't */
	bool is_header;
};

struct text_context {
	struct report_reader *reader;
	enum report_text_kind kind;
	const unsigned char *end;
	/* reused for every block */
	string_t *header;
	/* the body of the returned message is being read */
	bool in_returned_body;
};

bool text_line_get(const unsigned char *pos, const unsigned char *end,
		   struct text_line *line_r)
{
	const unsigned char *lf;

	if (pos >= end)
		return FALSE;
	lf = memchr(pos, '\n', end - pos);
	line_r->start = pos;
	line_r->end = lf == NULL ? end : lf;
	line_r->next = lf == NULL ? end : lf + 1;
	while (line_r->end > pos && i_isspace(line_r->end[-1]))
		line_r->end--;
	return TRUE;
}

static bool text_is_quoting(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '>' || c == '|';
}

/* Where the line's own text starts, behind quoting and indentation. */
static const unsigned char *text_skip_quoting(const struct text_line *line)
{
	const unsigned char *p = line->start;

	while (p < line->end && text_is_quoting(*p))
		p++;
	return p;
}

/* Size of the field name at name, 0 if no field starts there. */
static size_t
text_field_name(const unsigned char *name, const unsigned char *end)
{
	const unsigned char *p = name;
	size_t size;

	while (p < end && (i_isalnum(*p) || *p == '-' || *p == '_'))
		p++;
	size = p - name;
	if (size == 0 || size > TEXT_MAX_FIELD_NAME)
		return 0;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p < end && *p == ':' ? size : 0;
}

static void
text_block_count(struct text_block *block, const unsigned char *name,
		 size_t size)
{
	const struct report_known_field *field = report_known_field(name, size);

	if (field == NULL)
		return;
	if (field->technical)
		block->is_header = TRUE;
	if (field->kind == REPORT_BLOCK_MESSAGE) {
		block->message_fields++;
		block->message_identified |= field->identifies;
	} else {
		block->report_fields++;
		block->report_identified |= field->identifies;
	}
}

static bool text_block_is_message(const struct text_block *block)
{
	return block->message_fields >= TEXT_BLOCK_MIN_FIELDS &&
		block->message_identified;
}

/* Takes one line, without its quoting, into the block. Lines that are neither
   field nor continuation continue the field before them: folding gets lost on
   the way. */
static void
text_block_add(struct text_block *block, const unsigned char *start,
	       const unsigned char *end)
{
	size_t name_size = text_field_name(start, end);

	if (name_size > 0) {
		text_block_count(block, start, name_size);
		block->run++;
	} else if (*start != ' ' && *start != '\t') {
		str_append_c(block->header, ' ');
	}
	str_append_data(block->header, start, end - start);
	str_append_c(block->header, '\n');
}

/* Finds where the line's text starts behind the block's quoting. Returns FALSE
   if the line isn't quoted like the block. */
static bool
text_block_unquote(const struct text_block *block, const struct text_line *line,
		   const unsigned char **start_r)
{
	size_t size = line->end - line->start;
	size_t i;

	if (size >= block->prefix_size &&
	    memcmp(line->start, block->prefix, block->prefix_size) == 0) {
		*start_r = line->start + block->prefix_size;
		return TRUE;
	}
	/* trailing white space of the quoting was cut off, or the indentation
	   is smaller */
	for (i = 0; i < size && i < block->prefix_size; i++) {
		if (line->start[i] != block->prefix[i])
			break;
	}
	*start_r = line->start + i;
	for (; i < block->prefix_size; i++) {
		if (block->prefix[i] != ' ' && block->prefix[i] != '\t')
			return FALSE;
	}
	return TRUE;
}

static bool
text_block_message_field(const struct text_block *block,
			 const struct text_line *line)
{
	const struct report_known_field *field;
	const unsigned char *start;

	if (!text_block_unquote(block, line, &start))
		return FALSE;
	field = report_known_field(start, text_field_name(start, line->end));
	return field != NULL && field->kind == REPORT_BLOCK_MESSAGE;
}

/* An empty line ends a block, except where every second line is empty, as HTML
   leaves it. */
static bool
text_block_goes_on(struct text_block *block, const struct text_context *ctx,
		   const unsigned char *next)
{
	struct text_line line;

	if (ctx->kind != REPORT_TEXT_NOTICE || block->run != 1 ||
	    block->report_fields > 0)
		return FALSE;
	if (!text_line_get(next, ctx->end, &line) ||
	    !text_block_message_field(block, &line))
		return FALSE;
	block->run = 0;
	return TRUE;
}

/* Cuts out the block that starts with line. Returns where the text goes on. */
static const unsigned char *
text_block_cut(const struct text_context *ctx, const struct text_line *first,
	       const unsigned char *field, struct text_block *block_r)
{
	struct text_line line = *first;
	const unsigned char *start;

	i_zero(block_r);
	block_r->header = ctx->header;
	str_truncate(block_r->header, 0);
	block_r->prefix = first->start;
	block_r->prefix_size = field - first->start;
	do {
		if (!text_block_unquote(block_r, &line, &start))
			return line.start;
		if (start < line.end)
			text_block_add(block_r, start, line.end);
		else if (!text_block_goes_on(block_r, ctx, line.next))
			return line.next;
	} while (text_line_get(line.next, ctx->end, &line));
	if (ctx->end[-1] != '\n') {
		/* so that the last field is known to be cut off */
		str_truncate(ctx->header, str_len(ctx->header) - 1);
	}
	return ctx->end;
}

/* Does the whole text consist of header fields? */
static bool text_is_fields(const struct text_context *ctx)
{
	return ctx->kind == REPORT_TEXT_FIELDS ||
		ctx->kind == REPORT_TEXT_STATUS ||
		ctx->kind == REPORT_TEXT_HEADER;
}

/* Does the reporter himself speak in it? */
static bool text_is_own(const struct text_context *ctx)
{
	return ctx->kind == REPORT_TEXT_NOTICE || text_is_fields(ctx);
}

/* What a block of a message's fields is, by where it stands. */
static const struct {
	struct report_source source;
	enum report_trait trait;
} text_sources[] = {
	[REPORT_TEXT_NOTICE] = {
		{ .rank = REPORT_RANK_TEXT_BLOCK,
		  .original = REPORT_ORIGINAL_PROVES },
		REPORT_TRAIT_RETURNED_TEXT },
	[REPORT_TEXT_FIELDS] = {
		{ .rank = REPORT_RANK_PART }, REPORT_TRAIT_RETURNED_PART },
	[REPORT_TEXT_STATUS] = {
		{ .rank = REPORT_RANK_PART }, REPORT_TRAIT_RETURNED_PART },
	[REPORT_TEXT_HEADER] = {
		{ .rank = REPORT_RANK_PART, .in_part = TRUE,
		  .original = REPORT_ORIGINAL_PROVES },
		REPORT_TRAIT_RETURNED_PART },
	[REPORT_TEXT_RETURNED] = {
		{ .rank = REPORT_RANK_PART, .in_part = TRUE,
		  .original = REPORT_ORIGINAL_LOOKED_UP },
		REPORT_TRAIT_RETURNED_PART },
	[REPORT_TEXT_MIME_HEADER] = {
		{ .rank = REPORT_RANK_PART, .is_mime_header = TRUE },
		REPORT_TRAIT_RETURNED_PART },
	[REPORT_TEXT_NESTED] = {
		{ .rank = REPORT_RANK_NESTED }, REPORT_TRAIT_COUNT },
};

enum text_block_result {
	/* a block of a report, or a few fields in a sentence */
	TEXT_BLOCK_OTHER,
	/* a message's fields for humans: the notice goes on behind them */
	TEXT_BLOCK_SUMMARY,
	/* what follows is the original's body */
	TEXT_BLOCK_HEADER,
};

static enum text_block_result
text_block_read_message(struct text_context *ctx,
			const struct text_block *block)
{
	struct report_reader *reader = ctx->reader;
	enum report_trait trait = text_sources[ctx->kind].trait;

	if (!report_original_read(reader, str_data(block->header),
				  str_len(block->header),
				  &text_sources[ctx->kind].source))
		return TEXT_BLOCK_OTHER;
	if (trait != REPORT_TRAIT_COUNT)
		report_trait_add(reader, trait);
	switch (ctx->kind) {
	case REPORT_TEXT_FIELDS:
	case REPORT_TEXT_STATUS:
		return TEXT_BLOCK_OTHER;
	case REPORT_TEXT_NOTICE:
		return block->is_header ? TEXT_BLOCK_HEADER :
			TEXT_BLOCK_SUMMARY;
	default:
		return TEXT_BLOCK_HEADER;
	}
}

static void
text_block_read_report(struct text_context *ctx, const struct text_block *block)
{
	if (ctx->kind == REPORT_TEXT_NOTICE) {
		if (block->report_fields < 2 && !block->report_identified)
			return;
		if (block->report_fields >= 2)
			report_trait_add(ctx->reader, REPORT_TRAIT_DSN_TEXT);
	}
	report_dsn_read(ctx->reader, str_data(block->header),
			str_len(block->header),
			ctx->kind == REPORT_TEXT_STATUS);
}

/* A header that the original's body quotes: it may acquit, and it makes two. */
static void
text_block_read_quoted(struct text_context *ctx, const struct text_block *block)
{
	static const struct report_source quoted = {
		.rank = REPORT_RANK_NESTED,
		.original = REPORT_ORIGINAL_LOOKED_UP,
	};

	if (text_block_is_message(block)) {
		(void)report_original_read(ctx->reader, str_data(block->header),
					   str_len(block->header), &quoted);
	}
}

static enum text_block_result
text_block_read(struct text_context *ctx, const struct text_block *block)
{
	static const struct report_source summary = { .rank = REPORT_RANK_TEXT };

	if (text_block_is_message(block))
		return text_block_read_message(ctx, block);
	if (!text_is_own(ctx))
		return TEXT_BLOCK_OTHER;
	if (ctx->kind == REPORT_TEXT_STATUS ||
	    (block->report_fields > 0 &&
	     block->report_fields >= block->message_fields)) {
		text_block_read_report(ctx, block);
		return TEXT_BLOCK_OTHER;
	}
	if (block->message_fields >= 2 && ctx->kind != REPORT_TEXT_NOTICE)
		return text_block_read_message(ctx, block);
	if (block->message_fields >= 2 || block->message_identified) {
		(void)report_original_read(ctx->reader, str_data(block->header),
					   str_len(block->header), &summary);
	}
	return TEXT_BLOCK_OTHER;
}

static bool
text_starts_block(const struct text_context *ctx, const struct text_line *line,
		  const unsigned char **field_r)
{
	size_t size;

	*field_r = text_skip_quoting(line);
	size = text_field_name(*field_r, line->end);
	return size > 0 && (text_is_fields(ctx) ||
			    report_known_field(*field_r, size) != NULL);
}

/* Notes where the notice ends and goes on. block, next: where the block lies. */
static void
text_notice_note(struct text_notice *notice, enum text_block_result result,
		 const unsigned char *block, const unsigned char *next,
		 const unsigned char *end)
{
	if (notice->end == end) {
		notice->end = block;
		if (result == TEXT_BLOCK_SUMMARY)
			notice->rest = next;
	} else if (notice->rest_end == end) {
		notice->rest_end = block;
	}
}

void report_text_blocks_read(struct report_reader *reader,
			     const unsigned char *text,
			     const unsigned char *end,
			     enum report_text_kind kind,
			     struct text_notice *notice_r)
{
	struct text_context ctx = {
		.reader = reader,
		.kind = kind,
		.end = end,
		.header = t_str_new(1024),
	};
	enum text_block_result result;
	struct text_line line;
	struct text_block block;
	const unsigned char *field;

	notice_r->end = notice_r->rest = notice_r->rest_end = end;
	while (text_line_get(text, end, &line)) {
		if (!text_starts_block(&ctx, &line, &field)) {
			text = line.next;
			continue;
		}
		text = text_block_cut(&ctx, &line, field, &block);
		if (ctx.in_returned_body) {
			text_block_read_quoted(&ctx, &block);
			continue;
		}
		result = text_block_read(&ctx, &block);
		if (result == TEXT_BLOCK_OTHER)
			continue;
		text_notice_note(notice_r, result, line.start, text, end);
		if (result == TEXT_BLOCK_SUMMARY)
			continue;
		if (kind != REPORT_TEXT_NOTICE)
			return;
		ctx.in_returned_body = TRUE;
	}
}
