/* plugin/report/report-scan.c */

#include "lib.h"
#include "buffer.h"
#include "istream.h"
#include "istream-private.h"
#include "str.h"
#include "report/report-limits.h"
#include "report/report-scan.h"
#include "text/text.h"

#include <unistd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct {
	const char *header;
	bool marked;
	bool forged;
} scans[] = {
	/* ordinary mail */
	{ "From: jane@example.org\nTo: joe@example.com\nSubject: Lunch?\n",
	  FALSE, FALSE },
	{ "Subject: Re: Undelivered Mail Returned to Sender\n", FALSE, FALSE },
	{ "Content-Type: multipart/mixed; boundary=report\n", FALSE, FALSE },
	{ "Auto-Submitted: no\n", FALSE, FALSE },
	{ "Auto-Submitted: NO (a human wrote it)\n", FALSE, FALSE },
	{ "X-From: mailer-daemon@example.com\n", FALSE, FALSE },
	{ "Received: from mailer-daemon (postmaster) by x\n", FALSE, FALSE },
	{ "Precedence: list\n", FALSE, FALSE },
	/* reports */
	{ "Content-Type: multipart/report; boundary=a\n", TRUE, FALSE },
	{ "content-type : Multipart/Report; boundary=a\r\n", TRUE, FALSE },
	{ "Content-Type:\r\n\tmultipart/report; boundary=a\r\n", TRUE, FALSE },
	{ "Content-Type: message/delivery-status\n", TRUE, FALSE },
	{ "Content-Type: message/disposition-notification\n", TRUE, FALSE },
	{ "Auto-Submitted: auto-replied\n", TRUE, FALSE },
	{ "Auto-Submitted: auto-generated\n", TRUE, FALSE },
	{ "Auto-Submitted: nobody-knows\n", TRUE, FALSE },
	{ "X-Failed-Recipients: jane@example.org\n", TRUE, FALSE },
	{ "From: MAILER-DAEMON@example.com\n", TRUE, FALSE },
	{ "From: <>\n", TRUE, FALSE },
	{ "From: Mail Delivery System <x@example.com>\n", TRUE, FALSE },
	{ "Sender: postmaster@example.com\n", TRUE, FALSE },
	{ "Return-Path: <>\n", TRUE, FALSE },
	{ "Return-Path: <MAILER-DAEMON>\n", TRUE, FALSE },
	{ "Subject: Delivery Status Notification (Failure)\n", TRUE, FALSE },
	{ "Subject: Out of Office\n", TRUE, FALSE },
	{ "X-Autoreply: yes\n", TRUE, FALSE },
	{ "Precedence: auto_reply\n", TRUE, FALSE },
	/* forged */
	{ "X-Backscatter: genuine\n", FALSE, TRUE },
	{ "x-backscatter: genuine\n", FALSE, TRUE },
	{ "To: a\r\nX-BACKSCATTER \t: genuine\r\n", FALSE, TRUE },
	{ "X-Backscatter:\n", FALSE, TRUE },
	{ " X-Backscatter: genuine\n", FALSE, TRUE },
	{ "X-Backscatter-Serial: ABC\n", FALSE, FALSE },
	{ "X-Backscatters: genuine\n", FALSE, FALSE },
	{ "To: a\n X-Backscatter: genuine\n", FALSE, FALSE },
	{ "X-Backscatter genuine\n", FALSE, FALSE },
	{ "Return-Path: <>\nX-Backscatter: genuine\n", TRUE, TRUE },
	/* odd starts */
	{ "From jane@example.org Thu Apr  1 00:00:00 2021\nTo: a\n",
	  FALSE, FALSE },
	{ ":\n", FALSE, FALSE },
	{ "\t\nX-Backscatter: genuine\n", FALSE, TRUE },
};

static struct istream *stream_from(const void *data, size_t size)
{
	return i_stream_create_from_data(data, size);
}

static void
scan_string(const char *message, bool null_sender, struct report_scan *scan_r)
{
	struct istream *input = stream_from(message, strlen(message));

	report_scan_header(input, null_sender, scan_r);
	assert_int_equal(input->v_offset, 0);
	i_stream_unref(&input);
}

static void test_scan_fields(void **state ATTR_UNUSED)
{
	struct report_scan scan;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(scans); i++) T_BEGIN {
		const char *message = t_strconcat(scans[i].header,
			"\nX-Backscatter: body\nReturn-Path: <>\n", NULL);

		scan_string(message, FALSE, &scan);
		if (scan.marked != scans[i].marked ||
		    scan.forged != scans[i].forged)
			fail_msg("%s: marked=%d forged=%d", scans[i].header,
				 scan.marked, scan.forged);
		assert_true(scan.complete);
		assert_int_equal(scan.header_size, strlen(scans[i].header));
	} T_END;
}

static void test_scan_header_without_body(void **state ATTR_UNUSED)
{
	struct report_scan scan;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(scans); i++) {
		size_t size = strlen(scans[i].header);
		struct istream *input = stream_from(scans[i].header, size - 1);

		report_scan_header(input, FALSE, &scan);
		assert_true(scan.complete);
		assert_int_equal(scan.header_size, size - 1);
		assert_int_equal(scan.marked, scans[i].marked);
		i_stream_unref(&input);
	}
}

static void test_scan_null_sender_marks(void **state ATTR_UNUSED)
{
	struct report_scan scan;

	scan_string("To: jane@example.org\n\nhello\n", TRUE, &scan);
	assert_true(scan.marked);
	assert_false(scan.forged);
}

static void test_scan_empty_message(void **state ATTR_UNUSED)
{
	static const char *const messages[] = { "", "\n", "\r\n", "\r" };
	struct report_scan scan;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(messages); i++) {
		scan_string(messages[i], FALSE, &scan);
		assert_true(scan.complete);
		assert_false(scan.marked);
	}
}

static void test_scan_nuls(void **state ATTR_UNUSED)
{
	static const char message[] =
		"\0\0: x\nSubject: a\0b\n\0X-Backscatter: y\n"
		"X-Back\0scatter: z\nReturn-Path: <>\n\n";
	struct istream *input = stream_from(message, sizeof(message) - 1);
	struct report_scan scan;

	report_scan_header(input, FALSE, &scan);
	assert_true(scan.complete);
	assert_true(scan.marked);
	assert_false(scan.forged);
	i_stream_unref(&input);
}

/* A stream that gives one more byte with every read. */
static ssize_t slow_read(struct istream_private *stream)
{
	if (stream->pos >= stream->buffer_size) {
		stream->istream.eof = TRUE;
		return -1;
	}
	stream->pos++;
	return 1;
}

static struct istream *slow_stream(const char *data)
{
	struct istream_private *stream = i_new(struct istream_private, 1);

	stream->buffer = (const unsigned char *)data;
	stream->buffer_size = strlen(data);
	stream->max_buffer_size = SIZE_MAX;
	stream->read = slow_read;
	return i_stream_create(stream, NULL, -1, 0);
}

static void test_scan_byte_by_byte(void **state ATTR_UNUSED)
{
	struct report_scan scan;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(scans); i++) T_BEGIN {
		struct istream *input = slow_stream(
			t_strconcat(scans[i].header, "\r\nReturn-Path: <>\n",
				    NULL));

		report_scan_header(input, FALSE, &scan);
		assert_int_equal(scan.marked, scans[i].marked);
		assert_int_equal(scan.forged, scans[i].forged);
		assert_int_equal(scan.header_size, strlen(scans[i].header));
		i_stream_unref(&input);
	} T_END;
}

/* A message in a file, so that the stream's buffer is smaller than it. */
static struct istream *stream_from_file(const string_t *message)
{
	char path[] = "/tmp/test-report-scan-XXXXXX";
	int fd = mkstemp(path);
	struct istream *input;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, str_data(message), str_len(message)),
			 str_len(message));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	unlink(path);
	input = i_stream_create_fd_autoclose(&fd, 8192);
	return input;
}

static string_t *long_header(size_t size)
{
	string_t *message = str_new(default_pool, size + 128);

	while (str_len(message) < size)
		str_append(message, "X-Filler: something that is long\n");
	str_append(message, "X-Backscatter: genuine\n\nbody\n");
	return message;
}

static void test_scan_longer_than_buffer(void **state ATTR_UNUSED)
{
	string_t *message = long_header(300 * 1024);
	struct istream *input = stream_from_file(message);
	struct report_scan scan;
	size_t size;

	report_scan_header(input, FALSE, &scan);
	assert_true(scan.complete);
	assert_true(scan.forged);
	assert_false(scan.marked);
	assert_int_equal(scan.header_size, str_len(message) - 6);
	(void)i_stream_get_data(input, &size);
	assert_true(size >= scan.header_size);
	i_stream_unref(&input);
	str_free(&message);
}

static void test_scan_longer_than_limit(void **state ATTR_UNUSED)
{
	string_t *message = long_header(REPORT_SCAN_MAX_HEADER);
	struct istream *input = stream_from_file(message);
	struct report_scan scan;

	report_scan_header(input, FALSE, &scan);
	assert_false(scan.complete);
	assert_true(scan.forged);
	assert_true(scan.marked);
	assert_int_equal(input->v_offset, 0);
	i_stream_unref(&input);
	str_free(&message);
}

static void test_scan_unreadable(void **state ATTR_UNUSED)
{
	struct istream *input = i_stream_create_error_str(EIO, "gone");
	struct report_scan scan;

	report_scan_header(input, FALSE, &scan);
	assert_false(scan.complete);
	assert_int_equal(input->stream_errno, EIO);
	i_stream_unref(&input);
}

static const struct {
	const char *header;
	const char *copy;
} copies[] = {
	{ "To: a\nX-Backscatter: genuine\nCc: b\n", "To: a\nCc: b\n" },
	{ "X-Backscatter: a;\n b\n\tc\nTo: a\n", "To: a\n" },
	{ "To: a\r\nx-backscatter : a;\r\n b\r\n", "To: a\r\n" },
	{ "X-Backscatter: a\nX-Backscatter: b\n", "" },
	{ "X-Backscatter-Serial: a\n", "X-Backscatter-Serial: a\n" },
	{ "To: a\n X-Backscatter: b\n", "To: a\n X-Backscatter: b\n" },
	{ "To: a\nX-Backscatter: no line end", "To: a\n" },
	{ "From x Thu Apr  1\nX-Backscatter: b\nTo: a\n",
	  "From x Thu Apr  1\nTo: a\n" },
	{ "", "" },
};

static void test_scan_fields_without_forged(void **state ATTR_UNUSED)
{
	buffer_t *copy = buffer_create_dynamic(default_pool, 64);
	const unsigned char *field, *line, *next, *end;
	struct header_field split;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(copies); i++) {
		buffer_set_used_size(copy, 0);
		field = (const unsigned char *)copies[i].header;
		end = field + strlen(copies[i].header);
		for (; field < end; field = next) {
			line = field;
			next = header_field_end(&line, end, TRUE);
			assert_true(next > field && next <= end);
			if (!header_field_split(field, next, &split) ||
			    !report_scan_is_forged(split.name, split.name_size))
				buffer_append(copy, field, next - field);
		}
		assert_int_equal(copy->used, strlen(copies[i].copy));
		if (copy->used > 0)
			assert_memory_equal(copy->data, copies[i].copy,
					    copy->used);
	}
	buffer_free(&copy);
}

static void test_scan_names(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name;
		size_t size;
		bool forged;
	} names[] = {
		{ "X-Backscatter", 13, TRUE },
		{ "x-BACKSCATTER \t\r", 16, TRUE },
		{ "X-Backscatter\0junk", 18, TRUE },
		{ "X-Backscatter-Serial", 20, FALSE },
		{ "X-Back\0scatter", 14, FALSE },
		{ " X-Backscatter", 14, TRUE },
		{ "", 0, FALSE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(names); i++) {
		assert_int_equal(report_scan_is_forged(names[i].name,
						       names[i].size),
				 names[i].forged);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan_fields),
		cmocka_unit_test(test_scan_header_without_body),
		cmocka_unit_test(test_scan_null_sender_marks),
		cmocka_unit_test(test_scan_empty_message),
		cmocka_unit_test(test_scan_nuls),
		cmocka_unit_test(test_scan_byte_by_byte),
		cmocka_unit_test(test_scan_longer_than_buffer),
		cmocka_unit_test(test_scan_longer_than_limit),
		cmocka_unit_test(test_scan_unreadable),
		cmocka_unit_test(test_scan_fields_without_forged),
		cmocka_unit_test(test_scan_names),
	};
	int ret;

	lib_init();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	lib_deinit();
	return ret;
}
