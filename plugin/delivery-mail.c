/* Streams and raw mails for the delivery adapters: what goes in front of a message,
   and what is taken out of its header. */

#include "lib.h"
#include "buffer.h"
#include "istream.h"
#include "istream-concat.h"
#include "istream-header-filter.h"
#include "message-header-parser.h"
#include "mail-storage-private.h"
#include "raw-storage.h"
#include "delivery-mail.h"

#define DELIVERY_STREAM_NAME "<backscatter>"

static void delivery_buffer_free(buffer_t *buffer)
{
	buffer_free(&buffer);
}

/* What a filter needs as long as its stream lives. */
struct filter_names {
	pool_t pool;
	struct spf_own_names own;
};

static void filter_names_free(struct filter_names *names)
{
	pool_unref(&names->pool);
}

static struct istream *concat(struct istream *first, struct istream *second)
{
	struct istream *inputs[] = { first, second, NULL };
	struct istream *input = i_stream_create_concat(inputs);

	i_stream_set_name(input, DELIVERY_STREAM_NAME);
	return input;
}

/* Returns a new buffer with the header block but for what is forged. */
static buffer_t *
copy_header(const unsigned char *header, size_t size,
	    const struct spf_own_names *own)
{
	buffer_t *copy = buffer_create_dynamic(default_pool, size + 1);
	buffer_t *clean;

	report_scan_copy_without_forged(copy, header, size);
	if (own->authserv_id == NULL)
		return copy;
	clean = buffer_create_dynamic(default_pool, copy->used + 1);
	spf_forged_remove(clean, copy->data, copy->used, own);
	buffer_free(&copy);
	return clean;
}

/* The header block copied without the forged fields, and the rest as it is. */
static struct istream *
copied_header_stream(struct istream *input, size_t header_size,
		     const struct spf_own_names *own, uoff_t *size)
{
	const unsigned char *header;
	struct istream *header_input, *body_input, *result;
	buffer_t *buffer;
	size_t available;

	header = i_stream_get_data(input, &available);
	i_assert(header_size <= available);
	buffer = copy_header(header, header_size, own);
	*size -= header_size - buffer->used;

	header_input = i_stream_create_from_data(buffer->data, buffer->used);
	i_stream_add_destroy_callback(header_input, delivery_buffer_free,
				      buffer);
	body_input = i_stream_create_range(input, input->v_offset + header_size,
					   UOFF_T_MAX);
	result = concat(header_input, body_input);
	i_stream_unref(&header_input);
	i_stream_unref(&body_input);
	return result;
}

/* Called with each line of a header block. What a field is has to be decided with
   its first line: one that may name us in another line is ours to remove. */
static void
filter_forged(struct header_filter_istream *stream ATTR_UNUSED,
	      struct message_header_line *hdr, bool *matched,
	      struct filter_names *names)
{
	if (hdr == NULL || hdr->eoh || hdr->continued || *matched)
		return;
	*matched = hdr->continues ?
		spf_forged_may_be(hdr->name, hdr->name_len) :
		spf_forged_is(hdr->name, hdr->name_len, hdr->value,
			      hdr->value_len, &names->own);
}

/* A header block that is too long for the scan goes through lib-mail's filter:
   slower, but without a limit. */
static struct istream *
filtered_stream(struct istream *input, const struct spf_own_names *own,
		uoff_t *size)
{
	static const char *const forged[] = { REPORT_VERDICT_HEADER };
	pool_t pool = pool_alloconly_create("backscatter filter", 256);
	struct filter_names *names = p_new(pool, struct filter_names, 1);
	struct istream *result;
	uoff_t filtered_size;

	names->pool = pool;
	names->own.authserv_id = p_strdup(pool, own->authserv_id);
	names->own.received_spf_host = p_strdup(pool, own->received_spf_host);
	result = i_stream_create_header_filter(input,
		HEADER_FILTER_EXCLUDE | HEADER_FILTER_CRLF_PRESERVE,
		forged, N_ELEMENTS(forged), filter_forged, names);
	i_stream_add_destroy_callback(result, filter_names_free, names);
	i_stream_set_name(result, DELIVERY_STREAM_NAME);
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
	if (!scan->complete)
		return filtered_stream(input, own, size);
	return copied_header_stream(input, scan->header_size, own, size);
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
	result = concat(header_input, input);
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
