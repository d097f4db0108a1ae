/* Streams and raw mails for the delivery adapters: what goes in front of a message,
   and what is taken out of its header. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "istream-concat.h"
#include "istream-header-filter.h"
#include "message-header-parser.h"
#include "mail-storage-private.h"
#include "raw-storage.h"
#include "text/text.h"
#include "delivery-mail.h"

#define DELIVERY_STREAM_NAME "<backscatter>"

/* What a filter needs as long as its stream lives. */
struct forged_filter {
	pool_t pool;
	/* where in the unfiltered stream the message begins */
	uoff_t start;
	/* Where in it forged fields begin, in order. Not created: the header block
	   doesn't lie in memory, so each field is judged by its first line. */
	ARRAY(uoff_t) offsets;
	struct spf_own_names own;
};

static void forged_filter_free(struct forged_filter *filter)
{
	pool_unref(&filter->pool);
}

static struct istream *
delivery_stream_concat(struct istream *first, struct istream *second)
{
	struct istream *inputs[] = { first, second, NULL };
	struct istream *input = i_stream_create_concat(inputs);

	i_stream_set_name(input, DELIVERY_STREAM_NAME);
	return input;
}

static bool
field_is_forged(const struct header_field *field, const struct spf_own_names *own)
{
	return report_scan_is_forged(field->name, field->name_size) ||
		(own->authserv_id != NULL &&
		 spf_forged_is(field->name, field->name_size, field->value,
			       field->value_size, own));
}

static void
find_forged_fields(struct forged_filter *filter, const unsigned char *header,
		   size_t size)
{
	struct header_fields fields = { .data = header, .end = header + size };
	struct header_field field;
	uoff_t offset;

	p_array_init(&filter->offsets, filter->pool, 8);
	while (header_fields_next(&fields, &field)) {
		if (field_is_forged(&field, &filter->own)) {
			offset = filter->start + (field.name - header);
			array_push_back(&filter->offsets, &offset);
		}
	}
}

static int offset_cmp(const uoff_t *one, const uoff_t *other)
{
	return *one < *other ? -1 : (*one > *other ? 1 : 0);
}

/* What a field of a header block that is too long for the scan is has to be decided
   with its first line: one that may name us in another line is ours to remove. */
static bool
first_line_is_forged(const struct message_header_line *hdr,
		     const struct forged_filter *filter)
{
	if (report_scan_is_forged(hdr->name, hdr->name_len))
		return TRUE;
	return hdr->continues ? spf_forged_may_be(hdr->name, hdr->name_len) :
		spf_forged_is(hdr->name, hdr->name_len, hdr->value,
			      hdr->value_len, &filter->own);
}

/* Called with each line of a header block. */
static void
filter_forged(struct header_filter_istream *stream ATTR_UNUSED,
	      struct message_header_line *hdr, bool *matched,
	      struct forged_filter *filter)
{
	if (hdr == NULL || hdr->eoh || hdr->continued)
		return;
	if (!array_is_created(&filter->offsets))
		*matched = first_line_is_forged(hdr, filter);
	else {
		*matched = array_bsearch(&filter->offsets, &hdr->name_offset,
					 offset_cmp) != NULL;
	}
}

/* The message through lib-mail's filter, which knows neither fields nor lines that
   are too long. */
static struct istream *
filtered_stream(struct istream *input, const struct report_scan *scan,
		const struct spf_own_names *own, uoff_t *size)
{
	pool_t pool = pool_alloconly_create("backscatter filter", 256);
	struct forged_filter *filter = p_new(pool, struct forged_filter, 1);
	struct istream *result;
	uoff_t filtered_size;
	size_t available;

	filter->pool = pool;
	filter->start = input->v_offset;
	filter->own.authserv_id = p_strdup(pool, own->authserv_id);
	filter->own.received_spf_host = p_strdup(pool, own->received_spf_host);
	if (scan->complete) {
		find_forged_fields(filter, i_stream_get_data(input, &available),
				   scan->header_size);
	}
	result = i_stream_create_header_filter(input,
		HEADER_FILTER_EXCLUDE | HEADER_FILTER_CRLF_PRESERVE,
		NULL, 0, filter_forged, filter);
	i_stream_add_destroy_callback(result, forged_filter_free, filter);
	i_stream_set_name(result, DELIVERY_STREAM_NAME);
	/* This reads the header block to its end, and must come first: the filter
	   remembers what it took out, and a seek during its first reading would
	   have it remember everything twice. */
	if (i_stream_get_size(result, TRUE, &filtered_size) > 0)
		*size = filtered_size;
	return result;
}

static bool
has_forged(struct istream *input, const struct report_scan *scan,
	   const struct spf_own_names *own)
{
	size_t available;

	if (scan->forged)
		return TRUE;
	return own->authserv_id != NULL &&
		spf_forged_find(i_stream_get_data(input, &available),
				scan->header_size, own);
}

struct istream *
delivery_stream_without_forged(struct istream *input,
			       const struct report_scan *scan,
			       const struct spf_own_names *own, uoff_t *size)
{
	/* forged, if the scan isn't complete */
	if (!has_forged(input, scan, own)) {
		i_stream_ref(input);
		return input;
	}
	return filtered_stream(input, scan, own, size);
}

/* A message whose first line begins with white space would continue our last field,
   and say in our name what it likes: that line gets a name of its own. */
static const char *header_before(struct istream *input, const char *header)
{
	const unsigned char *data;
	size_t size;

	if (i_stream_read_more(input, &data, &size) > 0 &&
	    (data[0] == ' ' || data[0] == '\t'))
		return t_strconcat(header, "X-Nameless:", NULL);
	return header;
}

struct istream *
delivery_stream_with_header(struct istream *input, const char *header,
			    uoff_t *size)
{
	struct istream *header_input, *result;

	if (*header == '\0') {
		i_stream_ref(input);
		return input;
	}
	header = header_before(input, header);
	header_input = i_stream_create_copy_from_data(header, strlen(header));
	result = delivery_stream_concat(header_input, input);
	*size += strlen(header);
	i_stream_unref(&header_input);
	return result;
}

int delivery_mail_open(struct delivery_mail *mail, struct mail_user *raw_user,
		       struct istream *input, const char *header,
		       const char *mail_from, const char **error_r)
{
	uoff_t size = 0;

	i_zero(mail);
	i_stream_seek(input, 0);
	mail->input = delivery_stream_with_header(input, header, &size);
	/* raw storage takes the mailbox's name from the stream; without one:
	   "Mailbox name is empty" */
	i_stream_set_name(mail->input, DELIVERY_STREAM_NAME);
	if (raw_mailbox_alloc_stream(raw_user, mail->input, (time_t)-1,
				     mail_from, &mail->box) < 0) {
		*error_r = t_strdup(
			mailbox_get_last_internal_error(mail->box, NULL));
		mailbox_free(&mail->box);
		i_stream_unref(&mail->input);
		return -1;
	}
	mail->trans = mailbox_transaction_begin(mail->box, 0, __func__);
	mail->mail = mail_alloc(mail->trans, 0, NULL);
	mail_set_seq(mail->mail, 1);
	return 0;
}

void delivery_mail_close(struct delivery_mail *mail)
{
	mail_free(&mail->mail);
	mailbox_transaction_rollback(&mail->trans);
	mailbox_free(&mail->box);
	i_stream_unref(&mail->input);
}
