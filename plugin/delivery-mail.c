/* Streams and raw mails for the delivery adapter. Nothing here knows what a
   report is. */

#include "lib.h"
#include "buffer.h"
#include "istream.h"
#include "istream-concat.h"
#include "istream-header-filter.h"
#include "mail-storage-private.h"
#include "raw-storage.h"
#include "delivery-mail.h"

/* raw storage takes the mailbox's name from the stream; without one:
   "Mailbox name is empty". */
#define DELIVERY_STREAM_NAME "<backscatter>"

static void delivery_buffer_free(buffer_t *buffer)
{
	buffer_free(&buffer);
}

static struct istream *concat(struct istream *first, struct istream *second)
{
	struct istream *inputs[] = { first, second, NULL };
	struct istream *input = i_stream_create_concat(inputs);

	i_stream_set_name(input, DELIVERY_STREAM_NAME);
	return input;
}

/* The header block copied without the forged fields, and the rest as it is. */
static struct istream *
copied_header_stream(struct istream *input, size_t header_size, uoff_t *size)
{
	const unsigned char *header;
	struct istream *header_input, *body_input, *result;
	buffer_t *buffer;
	size_t available;

	header = i_stream_get_data(input, &available);
	i_assert(header_size <= available);
	buffer = buffer_create_dynamic(default_pool, header_size + 1);
	report_scan_copy_without_forged(buffer, header, header_size);
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

/* A header block that is too long for the scan goes through lib-mail's filter:
   slower, but without a limit. */
static struct istream *filtered_stream(struct istream *input, uoff_t *size)
{
	static const char *const forged[] = { REPORT_VERDICT_HEADER };
	struct istream *result;
	uoff_t filtered_size;

	result = i_stream_create_header_filter(input,
		HEADER_FILTER_EXCLUDE | HEADER_FILTER_CRLF_PRESERVE,
		forged, N_ELEMENTS(forged),
		*null_header_filter_callback, NULL);
	i_stream_set_name(result, DELIVERY_STREAM_NAME);
	if (i_stream_get_size(result, TRUE, &filtered_size) > 0)
		*size = filtered_size;
	return result;
}

struct istream *
delivery_stream_without_forged(struct istream *input,
			       const struct report_scan *scan, uoff_t *size)
{
	if (!scan->forged) {
		i_stream_ref(input);
		return input;
	}
	if (!scan->complete)
		return filtered_stream(input, size);
	return copied_header_stream(input, scan->header_size, size);
}

static struct istream *
stream_with_header(struct istream *input, const char *header)
{
	struct istream *header_input =
		i_stream_create_copy_from_data(header, strlen(header));
	struct istream *result = concat(header_input, input);

	i_stream_unref(&header_input);
	return result;
}

int delivery_mail_open(struct delivery_mail *mail, struct mail_user *raw_user,
		       struct istream *input, const char *header,
		       const char *mail_from, const char **error_r)
{
	i_zero(mail);
	i_stream_seek(input, 0);
	mail->input = stream_with_header(input, header);
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
