/* Reads the header of an outgoing message with lib-mail. */

#include "lib.h"
#include "array.h"
#include "hex-binary.h"
#include "istream.h"
#include "randgen.h"
#include "str.h"
#include "message-address.h"
#include "message-date.h"
#include "message-header-parser.h"
#include "report/report.h"
#include "outgoing-message.h"

struct outgoing_reader {
	pool_t pool;
	struct outgoing_message *message;
};

typedef void
outgoing_field_t(struct outgoing_reader *reader, const char *field,
		 const unsigned char *value, size_t size);

static void
add_sender(struct outgoing_reader *reader, const char *field,
	   const char *address)
{
	struct outgoing_sender *sender =
		array_append_space(&reader->message->senders);

	sender->field = field;
	sender->address = address;
}

/* lib-mail reads a field as far as it can and doesn't say where it stopped: of
   "<a@example.org> <b@example.net>" it shows the first address only. So an address
   of our own goes behind the field: if it isn't read, something before it wasn't.
   Nobody can know it beforehand, or he would write it himself and his real sender
   behind it. */
#define END_DOMAIN "backscatter.invalid"

static const char *new_end_localpart(void)
{
	unsigned char random[16];

	random_fill(random, sizeof(random));
	return binary_to_hex(random, sizeof(random));
}

static bool
is_end(const struct message_address *address, const char *end_localpart)
{
	return address->next == NULL && !address->invalid_syntax &&
		address->mailbox != NULL && address->domain != NULL &&
		strcmp(address->mailbox, end_localpart) == 0 &&
		strcmp(address->domain, END_DOMAIN) == 0;
}

/* lib-mail shows the begin and the end of a group as addresses without domain. */
static bool is_group_mark(const struct message_address *address)
{
	return address->domain == NULL && !address->invalid_syntax;
}

static bool is_readable(const struct message_address *address)
{
	return !address->invalid_syntax &&
		address->mailbox != NULL && *address->mailbox != '\0' &&
		address->domain != NULL && *address->domain != '\0';
}

static const struct message_address *
parse_addresses(const unsigned char *value, size_t size,
		const char *end_localpart)
{
	string_t *field = t_str_new(size + 64);

	str_append_data(field, value, size);
	str_printfa(field, ", %s@"END_DOMAIN, end_localpart);
	return message_address_parse(pool_datastack_create(), str_data(field),
				     str_len(field), OUTGOING_MAX_ADDRESSES + 1,
				     0);
}

/* Returns FALSE if lib-mail can't read the field to its end, or finds none. */
static bool
read_addresses(struct outgoing_reader *reader, const char *field,
	       const unsigned char *value, size_t size)
{
	const char *end_localpart = new_end_localpart();
	const struct message_address *address =
		parse_addresses(value, size, end_localpart);
	bool found = FALSE;

	for (; address != NULL && !is_end(address, end_localpart);
	     address = address->next) {
		if (is_group_mark(address))
			continue;
		if (!is_readable(address))
			return FALSE;
		found = TRUE;
		add_sender(reader, field,
			   p_strconcat(reader->pool, address->mailbox, "@",
				       address->domain, NULL));
	}
	return address != NULL && found;
}

/* What one reader rejects, another reads in his own way, as in
     From: me@example.org <me@example.org>
   Each of them finds an address at an @. So all that could be one is taken for one:
   what stands around it up to white space or a character that no address has
   without quotes. */
static void
read_any_addresses(struct outgoing_reader *reader, const char *field,
		   const unsigned char *value, size_t size)
{
	const char *const *words = t_strsplit_spaces(t_strndup(value, size),
						     " \t\r\n<>,;:()[]\\\"");
	unsigned int count = 0;

	for (; *words != NULL && count < OUTGOING_MAX_ADDRESSES; words++) {
		if (strchr(*words, '@') == NULL)
			continue;
		add_sender(reader, field, p_strdup(reader->pool, *words));
		count++;
	}
	if (count == 0 || *words != NULL || memchr(value, '\0', size) != NULL)
		add_sender(reader, field, NULL);
}

static void
read_sender(struct outgoing_reader *reader, const char *field,
	    const unsigned char *value, size_t size)
{
	unsigned int before = array_count(&reader->message->senders);

	if (read_addresses(reader, field, value, size))
		return;
	array_delete(&reader->message->senders, before,
		     array_count(&reader->message->senders) - before);
	read_any_addresses(reader, field, value, size);
}

static void
read_message_id(struct outgoing_reader *reader, const char *field ATTR_UNUSED,
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
read_date(struct outgoing_reader *reader, const char *field ATTR_UNUSED,
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
	{ "From", read_sender },
	{ "Sender", read_sender },
	{ "Resent-From", read_sender },
	{ "Resent-Sender", read_sender },
	{ "Message-ID", read_message_id },
	/* of a resent message the original's is in Message-ID */
	{ "Resent-Message-ID", read_message_id },
	{ "Date", read_date },
};

/* Some readers drop NUL bytes, and then see another name. */
static const char *without_nuls(const char *name, size_t size)
{
	string_t *copy = t_str_new(size + 1);

	for (size_t i = 0; i < size; i++) {
		if (name[i] != '\0')
			str_append_c(copy, name[i]);
	}
	return str_c(copy);
}

static int find_field(const char *name, size_t size)
{
	if (memchr(name, '\0', size) != NULL)
		name = without_nuls(name, size);
	for (unsigned int i = 0; i < N_ELEMENTS(fields); i++) {
		if (strcasecmp(fields[i].name, name) == 0)
			return i;
	}
	return -1;
}

static void
read_line(struct outgoing_reader *reader, struct message_header_line *hdr)
{
	int field;

	if (hdr->eoh || hdr->name_len == 0)
		return;
	field = find_field(hdr->name, hdr->name_len);
	if (field < 0)
		return;
	if (hdr->continues) {
		hdr->use_full_value = TRUE;
		return;
	}
	T_BEGIN {
		fields[field].read(reader, fields[field].name, hdr->full_value,
				   hdr->full_value_len);
	} T_END;
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
		read_line(reader, hdr);
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
