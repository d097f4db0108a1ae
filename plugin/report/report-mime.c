/* The walk through a report's MIME parts: which part has what to say, and when
   enough was read. What a part says read others (report-dsn.c, report-text.c,
   report-original.c, report-sender.c).

   Only what the report itself brings counts: parts of an embedded message are
   the original's, and a report among them is none of ours. */

#include "lib.h"
#include "istream.h"
#include "report-private.h"

/* SpamAssassin's report_safe 2: the original message as text/plain */
#define WRAPPED_TEXT "x-spam-type=original"

enum mime_role {
	/* not known before the end of the part's header */
	MIME_ROLE_UNKNOWN = 0,
	MIME_ROLE_IGNORED,
	MIME_ROLE_TEXT,
	MIME_ROLE_HTML,
	/* consists of header fields */
	MIME_ROLE_FIELDS,
	/* the same, of a type that only software writes */
	MIME_ROLE_STATUS,
	/* a returned header */
	MIME_ROLE_HEADER,
	/* of a report that is itself returned */
	MIME_ROLE_NESTED,
	/* body of the returned message, whose header was unreadable */
	MIME_ROLE_RETURNED,
};

struct mime_walk {
	struct report_reader *reader;
	struct message_decoder_context *decoder;
	pool_t part_pool;

	struct message_part *part;
	enum mime_role role;
	/* header of the current part, as it stands in the message */
	buffer_t *header;
	/* its decoded body */
	buffer_t *text;
	enum message_cte cte;
	/* CTE of the message/rfc822 part: forbidden, but used */
	enum message_cte embedded_cte;
	bool root_is_multipart;
	/* the part is text, and is the whole message */
	bool is_wrapped_text;
	/* the message returned last (NULL = none yet), and which original it is
	   (report_original_has_part()) */
	const struct message_part *returned;
	unsigned int returned_original;
	/* the returned message is itself a report */
	bool inside_report;
	/* nothing more is needed */
	bool finished;
};

static const struct {
	const char *type;
	enum mime_role role;
	/* what its presence says; REPORT_TRAIT_COUNT = nothing */
	enum report_trait trait;
} mime_types[] = {
	{ "message/delivery-status", MIME_ROLE_STATUS, REPORT_TRAIT_DSN_PART },
	{ "message/global-delivery-status", MIME_ROLE_STATUS,
	  REPORT_TRAIT_DSN_PART },
	{ "message/disposition-notification", MIME_ROLE_STATUS,
	  REPORT_TRAIT_MDN_PART },
	{ "message/global-disposition-notification", MIME_ROLE_STATUS,
	  REPORT_TRAIT_MDN_PART },
	{ "message/feedback-report", MIME_ROLE_FIELDS, REPORT_TRAIT_ARF_PART },
	{ "text/rfc822-headers", MIME_ROLE_HEADER, REPORT_TRAIT_RETURNED_PART },
	{ "text/rfc822-header", MIME_ROLE_HEADER, REPORT_TRAIT_RETURNED_PART },
	{ "message/rfc822-headers", MIME_ROLE_HEADER,
	  REPORT_TRAIT_RETURNED_PART },
	{ "message/global-headers", MIME_ROLE_HEADER,
	  REPORT_TRAIT_RETURNED_PART },
	/* lib-mail doesn't look into these, but they start with a header */
	{ "message/global", MIME_ROLE_HEADER, REPORT_TRAIT_RETURNED_PART },
	{ "message/partial", MIME_ROLE_HEADER, REPORT_TRAIT_RETURNED_PART },
	{ "text/html", MIME_ROLE_HTML, REPORT_TRAIT_COUNT },
	{ "application/xhtml+xml", MIME_ROLE_HTML, REPORT_TRAIT_COUNT },
	/* RFC 8098, RFC 3464: at times sent as text */
	{ "text/delivery-status", MIME_ROLE_FIELDS, REPORT_TRAIT_DSN_PART },
};

static bool
mime_is_below(const struct message_part *part, enum message_part_flags flags)
{
	for (part = part->parent; part != NULL; part = part->parent) {
		if ((part->flags & flags) != 0)
			return TRUE;
	}
	return FALSE;
}

/* Is the part the top of the message that the report returns? */
static bool mime_is_returned(const struct message_part *part)
{
	return part->parent != NULL &&
		(part->parent->flags & MESSAGE_PART_FLAG_MESSAGE_RFC822) != 0 &&
		!mime_is_below(part->parent, MESSAGE_PART_FLAG_MESSAGE_RFC822 |
			       MESSAGE_PART_FLAG_MULTIPART_DIGEST);
}

/* Does the reporter himself speak in this part? */
static bool mime_is_own(const struct message_part *part)
{
	return !mime_is_below(part, MESSAGE_PART_FLAG_MESSAGE_RFC822 |
			      MESSAGE_PART_FLAG_MULTIPART_DIGEST);
}

/* Is it a part of the message that the report returned last, not of another one
   in that? */
static bool
mime_is_in_returned(const struct mime_walk *walk, const struct message_part *part)
{
	for (part = part->parent; part != NULL; part = part->parent) {
		if (part == walk->returned)
			return TRUE;
		if ((part->flags & MESSAGE_PART_FLAG_MESSAGE_RFC822) != 0)
			return FALSE;
	}
	return FALSE;
}

static bool mime_wants_header(const struct mime_walk *walk)
{
	if (walk->role != MIME_ROLE_UNKNOWN)
		return FALSE;
	return walk->inside_report || mime_is_own(walk->part) ||
		mime_is_returned(walk->part);
}

static void mime_append(struct mime_walk *walk, buffer_t *buf,
			const void *data, size_t size, size_t max)
{
	if (size > max - buf->used) {
		size = max - buf->used;
		walk->reader->report->truncated = TRUE;
	}
	buffer_append(buf, data, size);
}

static const enum report_text_kind mime_text_kinds[] = {
	[MIME_ROLE_TEXT]	= REPORT_TEXT_NOTICE,
	[MIME_ROLE_FIELDS]	= REPORT_TEXT_FIELDS,
	[MIME_ROLE_STATUS]	= REPORT_TEXT_STATUS,
	[MIME_ROLE_HEADER]	= REPORT_TEXT_HEADER,
	[MIME_ROLE_NESTED]	= REPORT_TEXT_NESTED,
	[MIME_ROLE_RETURNED]	= REPORT_TEXT_RETURNED,
};

/* The part's body, or as much of it as we want, was read. */
static void mime_finish_body(struct mime_walk *walk)
{
	enum mime_role role = walk->role;
	struct report_fields fields;

	walk->role = MIME_ROLE_IGNORED;
	if (walk->text->used == 0)
		return;
	walk->reader->text_size += walk->text->used;
	if (role == MIME_ROLE_TEXT && walk->is_wrapped_text) {
		T_BEGIN {
			report_fields_parse(walk->reader, walk->text->data,
					    walk->text->used, &fields);
			report_wrapped_inner(walk->reader, &fields, walk->part,
				walk->part->physical_pos +
				walk->part->header_size.physical_size,
				walk->cte);
		} T_END;
	}
	if (role == MIME_ROLE_HTML)
		report_html_read(walk->reader, walk->text);
	else if (role != MIME_ROLE_UNKNOWN && role != MIME_ROLE_IGNORED) {
		report_text_read(walk->reader, walk->text->data,
				 walk->text->used, mime_text_kinds[role]);
	}
	buffer_set_used_size(walk->text, 0);
}

/* Does the part have a text, or header fields? */
static bool mime_is_text(const struct mime_walk *walk)
{
	const char *type = message_decoder_current_content_type(walk->decoder);
	unsigned int i;

	if ((walk->part->flags & (MESSAGE_PART_FLAG_MULTIPART |
				  MESSAGE_PART_FLAG_MESSAGE_RFC822)) != 0)
		return FALSE;
	if (type == NULL || strncasecmp(type, "text", 4) == 0)
		return TRUE;
	for (i = 0; i < N_ELEMENTS(mime_types); i++) {
		if (strcasecmp(type, mime_types[i].type) == 0)
			return TRUE;
	}
	return FALSE;
}

static void mime_finish_returned_header(struct mime_walk *walk)
{
	const struct report_source source = {
		.rank = REPORT_RANK_PART,
		.in_part = TRUE,
		.original = walk->header->used >= REPORT_MAX_HEADER ?
			REPORT_ORIGINAL_LOOKED_UP : REPORT_ORIGINAL_PROVES,
	};
	struct report_reader *reader = walk->reader;
	struct report_fields fields;
	buffer_t *header;
	bool readable, is_report;

	report_trait_add(reader, REPORT_TRAIT_RETURNED_PART);
	header = buffer_create_dynamic(default_pool, walk->header->used);
	/* encoded, at times, whatever RFC 2046, 5.2.1 says */
	report_decode(walk->embedded_cte, walk->header->data,
		      walk->header->used, header);
	T_BEGIN {
		report_fields_parse(reader, header->data, header->used, &fields);
		readable = report_original_read_fields(reader, &fields, &source,
						       &is_report);
		report_wrapped_inner(reader, &fields, walk->part->parent,
				     walk->part->physical_pos,
				     walk->embedded_cte);
	} T_END;
	buffer_free(&header);
	walk->returned = walk->part;
	walk->returned_original = reader->original_read;
	walk->inside_report = readable && is_report;
	if (!readable)
		walk->role = MIME_ROLE_RETURNED;
	else if (walk->inside_report && mime_is_text(walk))
		walk->role = MIME_ROLE_NESTED;
	else
		walk->role = MIME_ROLE_IGNORED;
}

/* A part of a report that is itself returned: what it returns may be ours. */
static void mime_finish_nested_header(struct mime_walk *walk)
{
	const struct report_source source = { .rank = REPORT_RANK_NESTED };
	const char *type = message_decoder_current_content_type(walk->decoder);

	walk->role = MIME_ROLE_IGNORED;
	if (type != NULL && mime_is_in_returned(walk, walk->part)) {
		report_original_has_part(walk->reader, walk->returned_original,
					 type);
	}
	if (!walk->inside_report)
		return;
	if ((walk->part->parent->flags &
	     MESSAGE_PART_FLAG_MESSAGE_RFC822) != 0) {
		(void)report_original_read(walk->reader, walk->header->data,
					   walk->header->used, &source);
	} else if (mime_is_text(walk)) {
		walk->role = MIME_ROLE_NESTED;
	}
}

static enum mime_role mime_role_by_type(struct mime_walk *walk)
{
	const char *type = message_decoder_current_content_type(walk->decoder);
	unsigned int i;

	if ((walk->part->flags & MESSAGE_PART_FLAG_MESSAGE_RFC822) != 0)
		return MIME_ROLE_IGNORED;
	if (type == NULL ||
	    (walk->part->flags & MESSAGE_PART_FLAG_MULTIPART) != 0)
		return MIME_ROLE_TEXT;
	for (i = 0; i < N_ELEMENTS(mime_types); i++) {
		if (strcasecmp(type, mime_types[i].type) != 0)
			continue;
		if (mime_types[i].trait != REPORT_TRAIT_COUNT)
			report_trait_add(walk->reader, mime_types[i].trait);
		return mime_types[i].role;
	}
	return strncasecmp(type, "text", 4) == 0 ||
		strncasecmp(type, "multipart/", 10) == 0 ?
		MIME_ROLE_TEXT : MIME_ROLE_IGNORED;
}

static void mime_finish_header(struct mime_walk *walk)
{
	struct message_part *part = walk->part;

	if (mime_is_returned(part)) {
		mime_finish_returned_header(walk);
		return;
	}
	if (!mime_is_own(part)) {
		mime_finish_nested_header(walk);
		return;
	}
	walk->inside_report = FALSE;
	walk->embedded_cte = walk->cte;
	if (part->parent == NULL) {
		T_BEGIN {
			struct report_fields fields;

			report_fields_parse(walk->reader, walk->header->data,
					    walk->header->used, &fields);
			report_sender_read(walk->reader, &fields);
			report_wrapped_outer(walk->reader, &fields);
		} T_END;
		walk->root_is_multipart =
			(part->flags & MESSAGE_PART_FLAG_MULTIPART) != 0;
	} else {
		/* a header block without a part of its own: it took the place
		   of the part's */
		report_text_read(walk->reader, walk->header->data,
				 walk->header->used, REPORT_TEXT_MIME_HEADER);
	}
	walk->role = mime_role_by_type(walk);
	walk->is_wrapped_text = walk->role == MIME_ROLE_TEXT &&
		part->parent != NULL && strcasestr(str_c(walk->header),
						   WRAPPED_TEXT) != NULL;
	/* what follows the inner parts belongs to the multipart */
	part->context = (part->flags & MESSAGE_PART_FLAG_MULTIPART) != 0 ?
		walk : NULL;
}

static void mime_start_part(struct mime_walk *walk, struct message_part *part)
{
	if (walk->part != NULL)
		mime_finish_body(walk);
	walk->part = part;
	walk->role = part->context == NULL ? MIME_ROLE_UNKNOWN :
		MIME_ROLE_TEXT;
	walk->cte = MESSAGE_CTE_78BIT;
	/* it may have no Content-Type, and then has not the last part's */
	message_decoder_decode_reset(walk->decoder);
	buffer_set_used_size(walk->header, 0);
	buffer_set_used_size(walk->text, 0);
}

static void mime_header_line(struct mime_walk *walk,
			     struct message_block *block)
{
	struct message_header_line *hdr = block->hdr;
	struct message_block decoded;
	bool is_wanted = mime_wants_header(walk), is_cte;

	/* of a part inside the returned message only the type matters */
	if (hdr->eoh ||
	    (!is_wanted && !mime_is_in_returned(walk, walk->part)))
		return;
	if (is_wanted && walk->header->used < REPORT_MAX_HEADER) {
		message_header_line_write(walk->header, hdr);
		if (walk->header->used > REPORT_MAX_HEADER) {
			buffer_set_used_size(walk->header, REPORT_MAX_HEADER);
			if (mime_is_own(walk->part))
				walk->reader->report->truncated = TRUE;
			else
				report_body_truncated(walk->reader->report);
		}
	}
	is_cte = strcasecmp(hdr->name, "Content-Transfer-Encoding") == 0;
	if (!is_cte && strcasecmp(hdr->name, "Content-Type") != 0)
		return;
	if (is_cte && !hdr->continues) {
		enum message_cte cte;

		T_BEGIN {
			cte = message_decoder_parse_cte(hdr);
		} T_END;
		if (cte == MESSAGE_CTE_UNKNOWN) {
			/* lib-mail would skip the body */
			return;
		}
		walk->cte = cte;
	}
	(void)message_decoder_decode_next_block(walk->decoder, block, &decoded);
}

static bool mime_text_is_full(const struct mime_walk *walk)
{
	return walk->text->used >= REPORT_MAX_TEXT ||
		walk->reader->text_size + walk->text->used >= REPORT_MAX_TEXTS;
}

static void mime_body_block(struct mime_walk *walk,
			    struct message_block *block)
{
	struct message_block decoded;

	if (walk->role == MIME_ROLE_IGNORED ||
	    walk->role == MIME_ROLE_UNKNOWN)
		return;
	if (walk->part->parent == NULL && !walk->root_is_multipart &&
	    walk->text->used == 0 &&
	    report_body_marks(block->data, block->size))
		walk->reader->is_marked = TRUE;
	if (!message_decoder_decode_next_block(walk->decoder, block, &decoded))
		return;
	mime_append(walk, walk->text, decoded.data, decoded.size,
		    REPORT_MAX_TEXT);
	if (mime_text_is_full(walk)) {
		walk->reader->report->truncated = TRUE;
		mime_finish_body(walk);
		if (!walk->root_is_multipart)
			walk->finished = TRUE;
	}
}

static void mime_block(struct mime_walk *walk, struct message_block *block)
{
	struct message_block decoded;

	if (block->part != walk->part)
		mime_start_part(walk, block->part);
	if (block->hdr != NULL) {
		mime_header_line(walk, block);
	} else if (block->size > 0) {
		mime_body_block(walk, block);
	} else {
		mime_finish_header(walk);
		(void)message_decoder_decode_next_block(walk->decoder, block,
							&decoded);
	}
}

static int
mime_walk(struct mime_walk *walk, struct message_parser_ctx *parser)
{
	struct message_block block;
	int ret;

	do {
		ret = message_parser_parse_next_block(parser, &block);
		if (ret <= 0)
			break;
		mime_block(walk, &block);
	} while (!walk->finished);
	if (walk->part != NULL)
		mime_finish_body(walk);
	return ret;
}

/* NULL = none */
static const char *mime_error(struct istream *input, int ret)
{
	if (input->stream_errno != 0)
		return t_strdup(i_stream_get_error(input));
	return ret == 0 ? "stream has not all of the message" : NULL;
}

int report_mime_read(struct report_reader *reader, struct istream *input,
		     const char **error_r)
{
	const struct message_parser_settings set = {
		.flags = MESSAGE_PARSER_FLAG_INCLUDE_MULTIPART_BLOCKS,
		.max_nested_mime_parts = REPORT_MAX_DEPTH,
		.max_total_mime_parts = REPORT_MAX_PARTS,
	};
	struct mime_walk walk = {
		.reader = reader,
	};
	struct message_parser_ctx *parser;
	struct message_part *parts;
	struct istream *limited;
	int ret;

	reader->wrapped.size = UOFF_T_MAX;

	walk.part_pool = pool_alloconly_create("report parts", 2048);
	walk.header = buffer_create_dynamic(default_pool, 4096);
	walk.text = buffer_create_dynamic(default_pool, 4096);
	walk.decoder = message_decoder_init(NULL, 0);

	i_stream_seek(input, 0);
	limited = i_stream_create_limit(input, REPORT_MAX_BYTES);
	parser = message_parser_init(walk.part_pool, limited, &set);
	ret = mime_walk(&walk, parser);
	if (limited->v_offset >= REPORT_MAX_BYTES)
		report_body_truncated(reader->report);
	*error_r = mime_error(limited, ret);

	message_decoder_deinit(&walk.decoder);
	message_parser_deinit(&parser, &parts);
	if (reader->wrapped.found && ret < 0) {
		reader->wrapped.size =
			reader->wrapped.part->body_size.physical_size;
	}
	reader->wrapped.part = NULL;
	i_stream_unref(&limited);
	buffer_free(&walk.header);
	buffer_free(&walk.text);
	pool_unref(&walk.part_pool);
	return *error_r == NULL ? 0 : -1;
}
