/* Reads the header of an outgoing message with lib-mail. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "message-date.h"
#include "message-header-parser.h"
#include "report/report.h"
#include "outgoing-message.h"
#include "outgoing-senders.h"

struct outgoing_reader {
	pool_t pool;
	struct outgoing_message *message;
	unsigned int sender_fields;
	bool from_seen, sender_seen;
};

typedef void
outgoing_field_t(struct outgoing_reader *reader, const char *field,
		 const unsigned char *value, size_t size);

/* The first one is enough to refuse. value: NULL = it isn't worth showing */
static void
set_unreadable(struct outgoing_reader *reader, const char *field,
	       const unsigned char *value, size_t size, const char *problem)
{
	struct outgoing_unreadable *unreadable = &reader->message->unreadable;

	if (unreadable->problem != NULL)
		return;
	unreadable->field = p_strdup(reader->pool, field);
	unreadable->problem = p_strdup(reader->pool, problem);
	unreadable->value = value == NULL ? "" :
		p_strndup(reader->pool, value,
			  I_MIN(size, OUTGOING_MAX_SHOWN_VALUE));
}

static void
outgoing_read_sender(struct outgoing_reader *reader, const char *field,
	    const unsigned char *value, size_t size)
{
	const char *problem = "too many of these fields";

	if (++reader->sender_fields <= OUTGOING_MAX_SENDER_FIELDS) {
		problem = outgoing_senders_read(reader->pool, field, value,
						size,
						&reader->message->senders);
	}
	if (problem != NULL)
		set_unreadable(reader, field, value, size, problem);
}

/* RFC 5322, 3.6: there is one of them. Of two, each reader shows the one that he
   likes. */
static void
read_only_sender(struct outgoing_reader *reader, const char *field,
		 const unsigned char *value, size_t size)
{
	bool *seen = strcmp(field, "From") == 0 ?
		&reader->from_seen : &reader->sender_seen;

	outgoing_read_sender(reader, field, value, size);
	if (*seen) {
		set_unreadable(reader, field, value, size,
			       "a second field of this name");
	}
	*seen = TRUE;
}

static void
outgoing_read_message_id(struct outgoing_reader *reader, const char *field ATTR_UNUSED,
		const unsigned char *value, size_t size)
{
	struct outgoing_message *message = reader->message;
	const char *message_id;

	message->has_message_id = TRUE;
	if (array_count(&message->message_ids) >= OUTGOING_MAX_MESSAGE_IDS)
		return;
	message_id = report_message_id_first(reader->pool,
					     t_strndup(value, size));
	if (message_id != NULL)
		array_push_back(&message->message_ids, &message_id);
}

static void
outgoing_read_date(struct outgoing_reader *reader, const char *field ATTR_UNUSED,
	  const unsigned char *value, size_t size)
{
	struct outgoing_message *message = reader->message;
	int timezone;

	message->has_date = TRUE;
	if (!message_date_parse(value, size, &message->date, &timezone) ||
	    message->date == (time_t)-1)
		message->date = 0;
}

static const struct {
	const char *name;
	outgoing_field_t *read;
} fields[] = {
	{ "From", read_only_sender },
	{ "Sender", read_only_sender },
	{ "Resent-From", outgoing_read_sender },
	{ "Resent-Sender", outgoing_read_sender },
	{ "Message-ID", outgoing_read_message_id },
	/* of a resent message the original's is in Message-ID */
	{ "Resent-Message-ID", outgoing_read_message_id },
	{ "Date", outgoing_read_date },
};

/* Some readers drop what can't be in a name, and then see another one. */
static const char *clean_name(const char *name, size_t size)
{
	string_t *clean = t_str_new(size + 1);

	for (size_t i = 0; i < size; i++) {
		if (name[i] > ' ' && name[i] <= '~')
			str_append_c(clean, name[i]);
	}
	return str_c(clean);
}

static int find_field(const char *name)
{
	for (unsigned int i = 0; i < N_ELEMENTS(fields); i++) {
		if (strcasecmp(fields[i].name, name) == 0)
			return i;
	}
	return -1;
}

/* To some readers a line ends at a CR, or a field at a NUL: where these stand, in
   whatever field, other fields may be seen than the ones that are checked. */
static bool has_nul_or_cr(const void *data, size_t size)
{
	return size > 0 && (memchr(data, '\0', size) != NULL ||
			    memchr(data, '\r', size) != NULL);
}

static void
read_field(struct outgoing_reader *reader, struct message_header_line *hdr)
{
	const char *name = clean_name(hdr->name, hdr->name_len);
	int field = find_field(name);

	if (has_nul_or_cr(hdr->name, hdr->name_len) ||
	    has_nul_or_cr(hdr->value, hdr->value_len)) {
		set_unreadable(reader, name, NULL, 0,
			       "a NUL, or a CR without LF");
	}
	if (field < 0)
		return;
	if (hdr->continues) {
		hdr->use_full_value = TRUE;
		return;
	}
	fields[field].read(reader, fields[field].name, hdr->full_value,
			   hdr->full_value_len);
}

static void
read_header(struct outgoing_reader *reader, struct istream *header)
{
	struct message_header_parser_ctx *parser;
	struct message_header_line *hdr;
	bool ended = FALSE;

	parser = message_parse_header_init(header, NULL,
		MESSAGE_HEADER_PARSER_FLAG_SKIP_INITIAL_LWSP |
		MESSAGE_HEADER_PARSER_FLAG_DROP_CR |
		MESSAGE_HEADER_PARSER_FLAG_CLEAN_ONELINE);
	while (message_parse_header_next(parser, &hdr) > 0) {
		ended = ended || hdr->eoh;
		if (!hdr->eoh) T_BEGIN {
			read_field(reader, hdr);
		} T_END;
	}
	message_parse_header_deinit(&parser);
	reader->message->truncated = !ended &&
		header->v_offset >= OUTGOING_MAX_HEADER_BYTES;
}

int outgoing_message_read(pool_t pool, struct istream *input,
			  struct outgoing_message *message_r,
			  const char **error_r)
{
	struct outgoing_reader reader = { .pool = pool, .message = message_r };
	struct istream *header;
	int ret = 0;

	i_zero(message_r);
	p_array_init(&message_r->senders, pool, 2);
	p_array_init(&message_r->message_ids, pool, 1);

	i_stream_seek(input, 0);
	header = i_stream_create_limit(input, OUTGOING_MAX_HEADER_BYTES);
	read_header(&reader, header);
	if (header->stream_errno != 0) {
		*error_r = t_strdup(i_stream_get_error(header));
		ret = -1;
	}
	i_stream_unref(&header);
	i_stream_seek(input, 0);
	return ret;
}
