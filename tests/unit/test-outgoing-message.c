/* What an outgoing message says it is from. */

#include "unit.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "outgoing-message.h"

/* "field=address" of each sender, "field=?" for one that can't be read. */
static const char *senders_of(const struct outgoing_message *message)
{
	const struct outgoing_sender *sender;
	const char *list = "";

	array_foreach(&message->senders, sender) {
		list = t_strdup_printf("%s%s%s=%s", list,
			*list == '\0' ? "" : " ", sender->field,
			sender->address == NULL ? "?" : sender->address);
	}
	return list;
}

static pool_t
read_message(const void *data, size_t size, struct outgoing_message *message_r)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	struct istream *input = i_stream_create_from_data(data, size);
	const char *error;

	i_stream_skip(input, size);
	assert_int_equal(outgoing_message_read(pool, input, message_r, &error),
			 0);
	assert_int_equal(input->v_offset, 0);
	i_stream_unref(&input);
	return pool;
}

static void test_senders(void **state ATTR_UNUSED)
{
	static const struct {
		const char *header, *senders;
	} tests[] = {
		{ "From: me@example.org\n", "From=me@example.org" },
		{ "From: Me <me@Example.org>\r\n\r\nFrom: x@example.net\r\n",
		  "From=me@Example.org" },
		{ "FROM : me@example.org\n", "From=me@example.org" },
		{ "From: a@example.org,\n b@example.net\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: a@example.org\nSender: b@example.net\n"
		  "Resent-From: c@example.org\nResent-Sender: d@example.org\n",
		  "From=a@example.org Sender=b@example.net "
		  "Resent-From=c@example.org Resent-Sender=d@example.org" },
		{ "From: a@example.org\nFrom: b@example.net\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: us: a@example.org, b@example.net;\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: \"b@example.net\" <a@example.org>\n",
		  "From=a@example.org" },
		{ "From: a@example.org (b@example.net)\n",
		  "From=a@example.org" },
		{ "From: =?utf-8?q?J=C3=B6rg?= <a@example.org>\n",
		  "From=a@example.org" },
		{ "Subject: none\n\n", "" },
		/* as if it were the mark that we put behind the field */
		{ "From: end@backscatter.invalid <b@example.net>\n",
		  "From=end@backscatter.invalid From=b@example.net" },
		{ "From: a@example.org, end@backscatter.invalid b@example.net\n",
		  "From=a@example.org From=end@backscatter.invalid "
		  "From=b@example.net" },
		/* broken: whatever may be an address */
		{ "From: a@example.org <a@example.org>\n",
		  "From=a@example.org From=a@example.org" },
		{ "From: <a@example.org> <b@example.net>\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: a@example.org b@example.net\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: a@example.org; b@example.net\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: a@example.org (open, b@example.net\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: a@example.org, \"open b@example.net\n",
		  "From=a@example.org From=b@example.net" },
		{ "From: a@example.org, b @ example.net,, c\\@example.net\n",
		  "From=a@example.org From=@ From=@example.net" },
		{ "From: me\n", "From=?" },
		{ "From: undisclosed:;\n", "From=?" },
		{ "From: <>\n", "From=?" },
		{ "From:\n", "From=?" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		struct outgoing_message message;
		pool_t pool = read_message(tests[i].header,
					   strlen(tests[i].header), &message);

		assert_string_equal(senders_of(&message), tests[i].senders);
		assert_false(message.truncated);
		pool_unref(&pool);
	}
}

static void test_nul_in_name(void **state ATTR_UNUSED)
{
	static const char header[] = "\0From: a@example.org\nSen\0der: b@example.org\n";
	struct outgoing_message message;
	pool_t pool = read_message(header, sizeof(header) - 1, &message);

	assert_string_equal(senders_of(&message),
			    "From=a@example.org Sender=b@example.org");
	pool_unref(&pool);
}

static const struct outgoing_sender *
last_sender(const struct outgoing_message *message)
{
	return array_idx(&message->senders, array_count(&message->senders) - 1);
}

static void test_too_many_senders(void **state ATTR_UNUSED)
{
	string_t *header = t_str_new(64 * 1024);
	struct outgoing_message message;
	pool_t pool;

	str_append(header, "From: a@example.org");
	for (unsigned int i = 1; i < OUTGOING_MAX_ADDRESSES; i++)
		str_append(header, ",\n a@example.org");
	pool = read_message(str_data(header), str_len(header), &message);
	assert_int_equal(array_count(&message.senders), OUTGOING_MAX_ADDRESSES);
	assert_non_null(last_sender(&message)->address);
	pool_unref(&pool);

	str_append(header, ",\n b@example.net\n\n");
	pool = read_message(str_data(header), str_len(header), &message);
	assert_null(last_sender(&message)->address);
	pool_unref(&pool);
}

static void test_identity(void **state ATTR_UNUSED)
{
	static const char with[] =
		"Message-ID: <One@Example.org>\n"
		"Resent-Message-ID: <two@example.org>\n"
		"Date: Fri, 27 Nov 2026 15:00:00 +0000\n\n";
	static const char without[] = "Subject: x\n\nMessage-ID: <a@b>\n";
	static const char broken[] = "Message-ID: none\nDate: never\n\n";
	struct outgoing_message message;
	pool_t pool;

	pool = read_message(with, strlen(with), &message);
	assert_true(message.has_message_id && message.has_date);
	assert_int_equal(message.date, 1795791600);
	assert_int_equal(array_count(&message.message_ids), 2);
	assert_string_equal(array_idx_elem(&message.message_ids, 0),
			    "one@example.org");
	assert_string_equal(array_idx_elem(&message.message_ids, 1),
			    "two@example.org");
	pool_unref(&pool);

	pool = read_message(without, strlen(without), &message);
	assert_false(message.has_message_id || message.has_date);
	pool_unref(&pool);

	/* nobody may have two of them */
	pool = read_message(broken, strlen(broken), &message);
	assert_true(message.has_message_id && message.has_date);
	assert_int_equal(message.date, 0);
	pool_unref(&pool);
}

static void test_endless_header(void **state ATTR_UNUSED)
{
	string_t *header = t_str_new(OUTGOING_MAX_HEADER_BYTES + 100);
	struct outgoing_message message;
	pool_t pool;

	while (str_len(header) < OUTGOING_MAX_HEADER_BYTES)
		str_append(header, "X-Filler: nothing but a line of it\n");
	str_append(header, "From: spoof@example.net\n\n");
	pool = read_message(str_data(header), str_len(header), &message);
	assert_true(message.truncated);
	pool_unref(&pool);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_nul_in_name),
		cmocka_unit_test(test_too_many_senders),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_endless_header),
	};

	return UNIT_RUN(tests);
}
