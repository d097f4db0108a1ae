/* A report that arrives wrapped: spam filters and gateways put the whole message
   into a new one that looks like it from outside (SpamAssassin's report_safe). The
   inner one is the report then, and its Message-ID no original's. */

#include "lib.h"
#include "base64.h"
#include "istream.h"
#include "qp-decoder.h"
#include "report-private.h"

/* "MAILER-DAEMON" and "<>" are no addresses, but the same. */
static void identity_read_from(struct report_reader *reader, const char *value,
			       struct report_identity *identity)
{
	unsigned int count = array_count(&identity->from);

	report_addresses_read(reader->scratch, value, &identity->from);
	if (array_count(&identity->from) == count) {
		report_address_add(reader->scratch, value, strlen(value),
				   &identity->from, REPORT_MAX_ADDRESSES);
	}
}

static void
identity_read_field(struct report_reader *reader,
		    const struct report_field *field,
		    struct report_identity *identity)
{
	pool_t pool = reader->scratch;
	const char *value = field->value;

	if (report_field_is(field, "From"))
		identity_read_from(reader, value, identity);
	else if (report_field_is(field, "To"))
		report_addresses_read(pool, value, &identity->to);
	else if (report_field_is(field, "Date") && identity->date == NULL)
		identity->date = p_strdup(pool, value);
	else if (report_field_is(field, "Subject") && identity->subject == NULL)
		identity->subject = p_strdup(pool, report_words_decode(value));
	else if (report_field_is(field, "Message-ID") &&
		 identity->message_id == NULL)
		identity->message_id = report_message_id_first(pool, value);
}

static void
identity_read(struct report_reader *reader, const struct report_fields *fields,
	      struct report_identity *identity_r)
{
	const struct report_field *field;

	i_zero(identity_r);
	p_array_init(&identity_r->to, reader->scratch, 2);
	p_array_init(&identity_r->from, reader->scratch, 2);
	array_foreach(&fields->fields, field) T_BEGIN {
		identity_read_field(reader, field, identity_r);
	} T_END;
}

static bool
addresses_equal(const ARRAY_TYPE(const_string) *first,
		const ARRAY_TYPE(const_string) *second)
{
	unsigned int i;

	if (array_count(first) != array_count(second))
		return FALSE;
	for (i = 0; i < array_count(first); i++) {
		const char *const *a = array_idx(first, i);
		const char *const *b = array_idx(second, i);

		if (strcmp(*a, *b) != 0)
			return FALSE;
	}
	return TRUE;
}

static bool strings_equal(const char *first, const char *second)
{
	return first != NULL && second != NULL && strcmp(first, second) == 0;
}

/* Filters mark the outer subject ("[SPAM] ..."). */
static bool subject_is_inner(const char *outer, const char *inner)
{
	return outer != NULL && inner != NULL && *inner != '\0' &&
		strstr(outer, inner) != NULL;
}

static bool
identity_matches(const struct report_identity *outer,
		 const struct report_identity *inner)
{
	if (strings_equal(outer->message_id, inner->message_id))
		return TRUE;
	return !array_is_empty(&outer->to) &&
		addresses_equal(&outer->to, &inner->to) &&
		(subject_is_inner(outer->subject, inner->subject) ||
		 strings_equal(outer->date, inner->date));
}

/* Is there nothing but the outer Subject that is like the inner one's, and somebody
   else speaks outside? "Fwd: ..." is a person's. */
static bool
identity_is_forwarded(const struct report_identity *outer,
		      const struct report_identity *inner)
{
	return !addresses_equal(&outer->from, &inner->from) &&
		!strings_equal(outer->message_id, inner->message_id) &&
		!strings_equal(outer->subject, inner->subject) &&
		!strings_equal(outer->date, inner->date);
}

void report_wrapped_outer(struct report_reader *reader,
			  const struct report_fields *fields)
{
	identity_read(reader, fields, &reader->identity);
}

void report_wrapped_inner(struct report_reader *reader,
			  const struct report_fields *fields,
			  const struct message_part *part, uoff_t offset,
			  enum message_cte cte)
{
	struct report_wrapped *wrapped = &reader->wrapped;
	struct report_identity inner;

	if (wrapped->found || reader->is_unwrapped)
		return;
	identity_read(reader, fields, &inner);
	if (!identity_matches(&reader->identity, &inner))
		return;
	wrapped->same_from = addresses_equal(&reader->identity.from,
					     &inner.from);
	/* somebody forwards it */
	if (!wrapped->same_from &&
	    !report_trait_has(reader, REPORT_TRAIT_NULL_SENDER))
		return;
	wrapped->found = TRUE;
	wrapped->forwarded = identity_is_forwarded(&reader->identity, &inner);
	wrapped->part = part;
	wrapped->offset = offset;
	wrapped->cte = cte;
}

void report_decode(enum message_cte cte, const void *data, size_t size,
		   buffer_t *dest)
{
	struct base64_decoder base64;
	struct qp_decoder *qp;
	const char *error;
	size_t pos;

	switch (cte) {
	case MESSAGE_CTE_BASE64:
		base64_decode_init(&base64, &base64_scheme, 0);
		(void)base64_decode_more(&base64, data, size, &pos, dest);
		break;
	case MESSAGE_CTE_QP:
		qp = qp_decoder_init(dest);
		(void)qp_decoder_more(qp, data, size, &pos, &error);
		(void)qp_decoder_finish(qp, &error);
		qp_decoder_deinit(&qp);
		break;
	default:
		buffer_append(dest, data, size);
		break;
	}
}

/* All that is left of the stream. */
static void wrapped_read(struct istream *range, buffer_t *dest)
{
	const unsigned char *data;
	size_t size;

	while (dest->used < REPORT_MAX_BYTES &&
	       i_stream_read_more(range, &data, &size) > 0) {
		size = I_MIN(size, REPORT_MAX_BYTES - dest->used);
		buffer_append(dest, data, size);
		i_stream_skip(range, size);
	}
}

/* lib-mail's decoding streams may give nothing where a blocking one has to give
   something. */
static struct istream *
wrapped_decode(const struct report_wrapped *wrapped, struct istream *range)
{
	buffer_t *encoded = buffer_create_dynamic(default_pool, 4096);
	buffer_t *decoded = buffer_create_dynamic(default_pool, 4096);
	struct istream *input;

	wrapped_read(range, encoded);
	report_decode(wrapped->cte, encoded->data, encoded->used, decoded);
	input = i_stream_create_copy_from_data(decoded->data, decoded->used);
	buffer_free(&encoded);
	buffer_free(&decoded);
	return input;
}

struct istream *report_wrapped_open(const struct report_wrapped *wrapped,
				    struct istream *input)
{
	struct istream *range, *decoded;

	i_stream_seek(input, wrapped->offset);
	range = i_stream_create_limit(input, wrapped->size);
	if (wrapped->cte != MESSAGE_CTE_BASE64 &&
	    wrapped->cte != MESSAGE_CTE_QP)
		return range;
	decoded = wrapped_decode(wrapped, range);
	i_stream_unref(&range);
	return decoded;
}
