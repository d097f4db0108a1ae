/* Message-IDs as they come back: folded, without brackets, cut off. */

#include "lib.h"
#include "message-id.h"
#include "rfc822-parser.h"
#include "report-private.h"

/* The Message-IDs in a value, one after the other. */
struct message_ids {
	const char *pos;
	/* without brackets: it is one, if any */
	bool bare;
	/* the value was not seen to its end */
	bool is_cut;
	/* the last one was not cut off */
	bool whole;
};

/* left@right, and neither side has lost something: reporters shorten with
   dots, which no dot-atom has in a row (RFC 5322, 3.2.3). */
static bool message_id_is_whole(const char *id)
{
	const char *at = strrchr(id, '@');

	return at != NULL && at != id && at[1] != '\0' &&
		at[strlen(at) - 1] != '.' && strstr(id, "..") == NULL &&
		strpbrk(id, "<>") == NULL;
}

/* RFC 5322, 3.2.2 and 3.2.3: comments and white space. NULL = a comment that
   doesn't end. */
static const char *message_id_skip_cfws(const char *p)
{
	unsigned int depth = 0;

	for (; *p != '\0'; p++) {
		if (*p == '(')
			depth++;
		else if (depth > 0 && *p == ')')
			depth--;
		else if (depth > 0 && *p == '\\' && p[1] != '\0')
			p++;
		else if (depth == 0 && *p != ' ' && *p != '\t')
			break;
	}
	return depth == 0 ? p : NULL;
}

/* dot-atom-text. Returns where it ends, NULL if there is none. */
static const char *message_id_skip_dot_atom(const char *p)
{
	for (;;) {
		if (!IS_ATEXT(*p) || (unsigned char)*p >= 0x80)
			return NULL;
		while (IS_ATEXT(*p) && (unsigned char)*p < 0x80)
			p++;
		if (*p != '.')
			return p;
		p++;
	}
}

/* no-fold-literal */
static const char *message_id_skip_literal(const char *p)
{
	for (p++; *p > ' ' && *p < 0x7f && strchr("[]\\", *p) == NULL; p++) ;
	return *p == ']' ? p + 1 : NULL;
}

bool report_message_id_is_grammar(const char *value)
{
	const char *p = message_id_skip_cfws(value);

	if (p == NULL || *p != '<')
		return FALSE;
	p = message_id_skip_dot_atom(p + 1);
	if (p == NULL || *p != '@')
		return FALSE;
	p++;
	p = *p == '[' ? message_id_skip_literal(p) : message_id_skip_dot_atom(p);
	if (p == NULL || *p != '>')
		return FALSE;
	p = message_id_skip_cfws(p + 1);
	return p != NULL && *p == '\0';
}

static bool message_id_is_printable(const char *id)
{
	if (*id == '\0')
		return FALSE;
	for (; *id != '\0'; id++) {
		if ((unsigned char)*id <= ' ' || *id == 0x7f)
			return FALSE;
	}
	return TRUE;
}

static const char *message_id_first_word(const char *value)
{
	value += strspn(value, " \t\r\n");
	return t_strdup_until(value, value + strcspn(value, " \t\r\n"));
}

/* Lets lib-mail unquote what lies between one pair of brackets. Done pair by
   pair, because message_id_get_next() starts again behind every broken one. */
static const char *
message_id_unquote(const char *start, const char *end)
{
	const char *bracketed = t_strdup_until(start, end + 1);
	const char *id = message_id_get_next(&bracketed);

	if (id == NULL) {
		/* no "@": old systems had such ones */
		id = t_strdup_until(start + 1, end);
	}
	return message_id_is_printable(id) ? id : NULL;
}

static void
message_ids_init(struct message_ids *ids_r, const char *value, bool is_cut)
{
	i_zero(ids_r);
	ids_r->pos = value;
	ids_r->bare = strchr(value, '<') == NULL;
	ids_r->is_cut = is_cut;
}

/* One that nobody closed. */
static const char *message_ids_last(struct message_ids *ids, const char *start)
{
	const char *id = message_id_first_word(start);

	if (ids->bare)
		id = t_strcut(id, '>');
	/* without the closing bracket nobody knows what followed */
	ids->whole = ids->bare && !ids->is_cut && message_id_is_whole(id);
	ids->pos = "";
	return message_id_is_printable(id) &&
		strlen(id) <= REPORT_MAX_MESSAGE_ID_SIZE ? id : NULL;
}

/* Returns the next one in the case that it came in, NULL at the end. */
static const char *message_ids_next(struct message_ids *ids)
{
	const char *start, *next, *end, *id;

	if (ids->bare)
		return message_ids_last(ids, ids->pos);
	while ((start = strchr(ids->pos, '<')) != NULL) {
		end = strchr(start, '>');
		if (end == NULL)
			return message_ids_last(ids, start + 1);
		ids->pos = end + 1;
		/* "<a <b@c>": the last one is closed */
		while ((next = memchr(start + 1, '<', end - start - 1)) != NULL)
			start = next;
		if (end - start > REPORT_MAX_MESSAGE_ID_SIZE)
			continue;
		id = message_id_unquote(start, end);
		if (id != NULL) {
			ids->whole = message_id_is_whole(id);
			return id;
		}
	}
	return NULL;
}

/* A text that is full of IDs must not push out the one of the returned part. */
static bool
message_ids_are_full(const struct report_reader *reader, enum report_rank rank)
{
	const struct report_ranked_id *ranked;
	unsigned int count = 0;

	array_foreach(&reader->ids, ranked) {
		if (ranked->rank == rank)
			count++;
	}
	return count >= REPORT_MAX_MESSAGE_IDS;
}

static void
message_id_add(struct report_reader *reader, const char *written, bool whole,
	       enum report_rank rank)
{
	struct report_ranked_id *ranked;

	if (rank == REPORT_RANK_TEXT && strchr(written, '@') == NULL) {
		/* just a word */
		return;
	}
	if (message_ids_are_full(reader, rank)) {
		report_body_truncated(reader->report);
		return;
	}
	ranked = array_append_space(&reader->ids);
	ranked->id.written = p_strdup(reader->pool, written);
	ranked->id.id = str_lcase(p_strdup(reader->pool, written));
	ranked->id.whole = whole;
	ranked->id.returned = rank >= REPORT_RANK_FIELD;
	ranked->rank = rank;
}

void report_message_ids_read(struct report_reader *reader, const char *value,
			     enum report_rank rank)
{
	struct message_ids ids;
	const char *id;

	message_ids_init(&ids, value, reader->field_is_cut);
	while ((id = message_ids_next(&ids)) != NULL)
		message_id_add(reader, id, ids.whole, rank);
}

static void references_push(struct report_reader *reader, const char *id)
{
	struct report *report = reader->report;

	if (report_strings_have(&report->references, id))
		return;
	if (array_count(&report->references) >= REPORT_MAX_REFERENCES) {
		report->truncated = TRUE;
		return;
	}
	array_push_back(&report->references, &id);
}

void report_references_read(struct report_reader *reader, const char *value,
			    bool nearest_last)
{
	ARRAY_TYPE(const_string) found;
	struct message_ids ids;
	const char *const *idp, *id;
	unsigned int i, count;

	t_array_init(&found, 16);
	message_ids_init(&ids, value, reader->field_is_cut);
	while ((id = message_ids_next(&ids)) != NULL) {
		/* not "Your message of Monday" */
		if (strchr(id, '@') == NULL)
			continue;
		id = str_lcase(p_strdup(reader->pool, id));
		array_push_back(&found, &id);
	}
	idp = array_get(&found, &count);
	for (i = 0; i < count; i++)
		references_push(reader, idp[nearest_last ? count - 1 - i : i]);
}

const char *report_message_id_first_written(pool_t pool, const char *value)
{
	struct message_ids ids;

	message_ids_init(&ids, value, FALSE);
	return p_strdup(pool, message_ids_next(&ids));
}

const char *report_message_id_first(pool_t pool, const char *value)
{
	const char *first = report_message_id_first_written(pool, value);

	return first == NULL ? NULL : str_lcase(p_strdup(pool, first));
}

static bool
message_ids_have(const struct report *report, const char *id)
{
	const struct report_message_id *have;

	array_foreach(&report->message_ids, have) {
		if (strcmp(have->id, id) == 0)
			return TRUE;
	}
	return FALSE;
}

/* The report's own Message-ID in a text is most likely the report's own; in the
   returned part it is the original's, which a reporter kept. */
static bool
message_id_is_own(const struct report_reader *reader,
		  const struct report_ranked_id *ranked)
{
	return ranked->rank <= REPORT_RANK_TEXT_BLOCK &&
		reader->report->message_id != NULL &&
		strcmp(ranked->id.id, reader->report->message_id) == 0;
}

static void
message_id_copy(struct report *report, const struct report_message_id *id)
{
	if (message_ids_have(report, id->id))
		return;
	if (array_count(&report->message_ids) >= REPORT_MAX_MESSAGE_IDS) {
		report_body_truncated(report);
		return;
	}
	array_push_back(&report->message_ids, id);
}

void report_message_ids_finish(struct report_reader *reader)
{
	const struct report_ranked_id *ranked, *own = NULL;
	int rank;

	for (rank = REPORT_RANK_PART; rank >= REPORT_RANK_TEXT; rank--) {
		array_foreach(&reader->ids, ranked) {
			if ((int)ranked->rank != rank)
				continue;
			if (message_id_is_own(reader, ranked))
				own = ranked;
			else
				message_id_copy(reader->report, &ranked->id);
		}
	}
	if (own != NULL)
		message_id_copy(reader->report, &own->id);
}
