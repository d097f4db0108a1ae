/* What an outgoing message says it is from. */

#include "unit.h"
#include "array.h"
#include "istream.h"
#include "str.h"
#include "sender/outgoing-message.h"

#include <time.h>

/* "field=address" of each sender. */
static const char *senders_of(const struct outgoing_message *message)
{
	const struct outgoing_sender *sender;
	const char *list = "";

	array_foreach(&message->senders, sender) {
		list = t_strdup_printf("%s%s%s=%s", list,
			*list == '\0' ? "" : " ", sender->field,
			sender->address);
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
		{ "From: end@backscatter.invalid, b@example.net\n",
		  "From=end@backscatter.invalid From=b@example.net" },
		{ " From: a@example.org\n", "From=a@example.org" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		struct outgoing_message message;
		pool_t pool = read_message(tests[i].header,
					   strlen(tests[i].header), &message);

		assert_string_equal(senders_of(&message), tests[i].senders);
		assert_null(message.unreadable.problem);
		assert_false(message.truncated);
		pool_unref(&pool);
	}
}

/* Of somebody to whom all addresses of two domains belong. */
static bool is_own(const char *address)
{
	const char *domain = strrchr(address, '@') + 1;

	return strcasecmp(domain, "example.org") == 0 ||
		strcmp(domain, "b\xc3\xbc" "cher.example") == 0;
}

static bool is_accepted(const struct outgoing_message *message)
{
	const struct outgoing_sender *sender;

	array_foreach(&message->senders, sender) {
		if (!is_own(sender->address))
			return FALSE;
	}
	return message->unreadable.problem == NULL;
}

/* What mail clients write. */
static const char *const accepted[] = {
	"From: jane@example.org",
	"From: <jane@example.org>",
	"From: Jane Doe <jane@example.org>",
	"From:Jane Doe<jane@example.org>",
	"From: \"Jane Doe\" <jane@example.org>",
	"From: \"Doe, Jane\" <jane@example.org>",
	"From: \"Jane \\\"JD\\\" Doe\" <jane@example.org>",
	"From: \"Doe, Jane (Sales)\" <jane@example.org>",
	"From: \"Jane <JD> Doe\" <jane@example.org>",
	"From: Jane Q. Public <jane@example.org>",
	"From: Dr. J. Doe Jr. <jane@example.org>",
	"From: Jane O'Neill-Doe <jane.o'neill@example.org>",
	"From: Sales / Support <sales@example.org>",
	"From: R&D + QA <rd+qa@example.org>",
	"From: jane@example.org (Jane Doe)",
	"From: jane@example.org (Jane (JD) Doe)",
	"From: jane@example.org (Jane, of example.net)",
	"From: Jane Doe (Sales) <jane@example.org>",
	"From: (on behalf of us) Jane <jane@example.org>",
	"From: jane+tag=x@example.org",
	"From: \"jane@example.org\" <jane@example.org>",
	"From: 'jane' <jane@example.org>",
	/* a name that is somebody's address is a name, as ever */
	"From: \"ceo@example.net\" <jane@example.org>",
	"From: \"ceo@example.net via us\" <jane@example.org>",
	"From: jane@example.org (ceo@example.net)",
	/* not RFC 5322, but the same address */
	"From: jane@example.org <jane@example.org>",
	"From: Jane@Example.org <jane@example.org>",
	"From: jane@example.org  <jane@example.org>",
	"From: jane@example.org\r\n <jane@example.org>",
	/* folded */
	"From: Jane Doe\r\n <jane@example.org>",
	"From:\r\n Jane\r\n\tDoe\r\n\t<jane@example.org>",
	"From: \"A very long name of somebody,\r\n who has two lines\"\r\n <jane@example.org>",
	/* several, and groups (RFC 6854) */
	"From: jane@example.org, Joe <joe@example.org>",
	"From: Jane <jane@example.org>,\r\n \"Joe, too\" <joe@example.org>\r\nSender: jane@example.org",
	"From: Us: jane@example.org, Joe <joe@example.org>;",
	"From: \"All of us\": jane@example.org;\r\nSender: joe@example.org",
	/* encoded words */
	"From: =?UTF-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@example.org>",
	"From: =?UTF-8?B?SsO2cmcgTcO8bGxlcg==?= <joerg@example.org>",
	"From: =?iso-8859-1?Q?J=F6rg?= =?iso-8859-1?Q?_M=FCller?= <joerg@example.org>",
	"From: =?UTF-8?Q?J=C3=B6rg?= Miller <joerg@example.org>",
	"From: =?UTF-8?Q?J=C3=B6rg=2C_Sales?=\r\n =?UTF-8?Q?_and_Support?=\r\n <joerg@example.org>",
	"From: \"=?UTF-8?Q?J=C3=B6rg?=\" <joerg@example.org>",
	"From: =?UTF-8?Q?J=C3=B6rg?=<joerg@example.org>",
	"From: joerg@example.org (=?UTF-8?Q?J=C3=B6rg?=)",
	"From: =?iso-2022-jp?B?GyRCOzNFRBsoQg==?= <yamada@example.org>",
	"From: =?utf-8?q?J=C3=B6rg_=40_Work?= <joerg@example.org>",
	"From: =?UTF-8?Q?joerg=40example=2Eorg?= <joerg@example.org>",
	"From: \"=?UTF-8?Q?joerg=40example=2Eorg?=\" <joerg@example.org>",
	"From: =?UTF-8?Q?J=C3=B6rg_=40joerg?= <joerg@example.org>",
	"From: =?x-nobody-knows?Q?J=F6rg?= <joerg@example.org>",
	"From: =?utf-8?q?J=C3=B6rg=09M=C3=BCller?= <joerg@example.org>",
	/* EAI (RFC 6532) */
	"From: J\xc3\xb6rg <joerg@example.org>",
	"From: J\xc3\xb6rg <j\xc3\xb6rg@example.org>",
	"From: j\xc3\xb6rg@b\xc3\xbc" "cher.example",
	"From: j\xc3\xb6rg@b\xc3\xbc" "cher.example <j\xc3\xb6rg@b\xc3\xbc" "cher.example>",
	"From: J\xf6rg <joerg@example.org>",
	/* quoted local parts, and dots as in Japan */
	"From: \"jane doe\"@example.org",
	"From: Jane <\"jane\"@example.org>",
	"From: yamada..taro.@example.org",
	/* the others */
	"From: jane@example.org\r\nSender: Joe <joe@example.org>",
	"From: jane@example.org\r\nReply-To: ceo@example.net\r\nTo: a@b@c",
	"Resent-From: jane@example.org\r\nResent-From: joe@example.org\r\nFrom: a@example.org",
	"Subject: nobody",
};

/* Where a reader may see somebody else, or nobody. */
static const char *const refused[] = {
	"From: ceo@example.net",
	/* no address */
	"From:",
	"From: ",
	"From: ceo",
	"From: The Boss",
	"From: <>",
	"From: The Boss <>",
	"From: <ceo>",
	"From: @example.org",
	"From: jane@",
	"From: <@example.org>",
	"From: undisclosed:;",
	"From: undisclosed-recipients: ;",
	"From: (ceo@example.net)",
	"From: \"ceo@example.net\"",
	"From: jane@example.org\r\nSender: joe",
	/* more than one, in one place */
	"From: ceo@victim@example.org",
	"From: <ceo@example.net@example.org>",
	"From: Jane <ceo@example.net@example.org>",
	"From: jane@example.org@",
	"From: \"ceo@example.net\"@example.org",
	"From: \"ceo@example.net> x\"@example.org",
	"From: \"ceo\\@example.net\"@example.org",
	"From: ceo@example.net <jane@example.org>",
	"From: jane@example.org <ceo@example.net>",
	"From: jane@example.org Jane <jane@example.org>",
	"From: jane@example.org <joe@example.org>",
	"From: ceo@example.net jane@example.org",
	"From: <jane@example.org> <ceo@example.net>",
	"From: jane@example.org ceo@example.net",
	"From: <jane@example.org> ceo",
	"From: jane@example.org; ceo@example.net",
	"From: jane@example.org; joe@example.org",
	"From: jane@example.org, ceo",
	"From: jane@example.org,, joe@example.org",
	"From: jane@example.org,",
	"From: , jane@example.org",
	"From: jane@example.org <jane@example.org>, ceo@example.net",
	"From: Us: jane@example.org, ceo@example.net;",
	"From: Us: jane@example.org",
	"From: jane@example.org\r\nFrom: joe@example.org",
	"From: jane@example.org\r\nfrom : joe@example.org",
	"From: jane@example.org\r\n From: ceo@example.net",
	"From: jane@example.org\r\nSender: jane@example.org\r\nSender: joe@example.org",
	/* routes */
	"From: <@example.net:jane@example.org>",
	"From: <@a,@b:ceo@example.org>",
	"From: <ceo@example.net:jane@example.org>",
	/* without end, or behind it */
	"From: \"jane@example.org",
	"From: \"Jane <jane@example.org>",
	"From: jane@example.org (Jane",
	"From: (Jane <jane@example.org>",
	"From: jane@example.org, \"ceo@example.net",
	"From: <jane@example.org",
	"From: Jane <jane@example.org>>",
	"From: Jane <<jane@example.org>>",
	"From: Jane jane@example.org>",
	"From: jane@example.org)",
	"From: jane\\@example.org",
	"From: Doe, Jane <jane@example.org>",
	"From: Jane [Sales] <jane@example.org>",
	/* in pieces */
	"From: jane @example.org",
	"From: jane@ example.org",
	"From: jane@example. org",
	"From: jane@example.\r\n org",
	"From: ceo(x)@example.org",
	"From: ceo(@example.net)@example.org",
	"From: ceo@(example.net x)example.org",
	"From: \"ceo\" (@example.net) @example.org",
	/* encoded words */
	"From: =?utf-8?q?ceo=40example=2Enet?=",
	"From: =?utf-8?q?ceo=40example=2Enet?= <jane@example.org>",
	"From: =?utf-8?b?Y2VvQGV4YW1wbGUubmV0?= <jane@example.org>",
	"From: =?utf-16be?b?AGMAZQBvAEAAZQB4AGEAbQBwAGwAZQAuAG4AZQB0?= <jane@example.org>",
	"From: =?utf-8?q?ceo?= =?utf-8?q?=40example=2Enet?= <jane@example.org>",
	"From: ceo=?utf-8?q?=40example=2Enet?= <jane@example.org>",
	"From: \"=?utf-8?q?ceo=40example=2Enet?=\" <jane@example.org>",
	"From: jane@example.org (=?utf-8?q?ceo=40example=2Enet?=)",
	"From: =?utf-8?q?ceo=40example=2Enet=3E=2C?= <jane@example.org>",
	"From: =?utf-8?q?x=09ceo=40example=2Enet=09?= <jane@example.org>",
	"From: =?utf-8?q?=22ceo=22=40example=2Enet?= <jane@example.org>",
	"From: \"ceo=?utf-8?q?=22=40?=example.net\" <jane@example.org>",
	"From: =?x-nobody-knows?q?ceo=40example=2Enet?= <jane@example.org>",
	"From: =?utf-8?q?ceo@example.net?= <jane@example.org>",
	"From: =?utf-8?q?ceo=40example=2Enet=3E?=jane@example.org",
	"From: =?utf-8?q?ceo?=@example.org",
	"From: <=?utf-8?q?ceo?=jane@example.org>",
	"From: Jane =?utf-8?q?=0D=0AFrom:_ceo?= <jane@example.org>",
	"From: ceo=?utf-8?q?=00?= <jane@example.org>",
	/* letters that look like others, and no letters */
	"From: <ceo\xef\xbc\xa0" "example.net@example.org>",
	"From: <j\xf6rg@example.org>",
	"From: j\xc3\xb6rg@b\xc3\xbc" "cher.example.net",
	/* a CR, in whatever field */
	"From: jane@example.org\rFrom: ceo@example.net",
	"From: jane@example.org\r ceo@example.net",
	"Subject: x\rFrom: ceo@example.net\r\nFrom: jane@example.org",
	"Subject: x\r\n y\rz\r\nFrom: jane@example.org",
	"Sub\rject: x\r\nFrom: jane@example.org",
	"\r\r\nFrom: jane@example.org",
	"no field\rFrom: ceo@example.net\r\nFrom: jane@example.org",
};

static bool header_is_accepted(const void *header, size_t size)
{
	struct outgoing_message message;
	pool_t pool = read_message(header, size, &message);
	bool ret = is_accepted(&message);

	pool_unref(&pool);
	return ret;
}

static void test_accepted(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(accepted); i++) {
		const char *header =
			t_strconcat(accepted[i], "\r\n\r\nbody\r", NULL);

		if (!header_is_accepted(header, strlen(header)))
			fail_msg("refused: %s", accepted[i]);
	}
}

static void test_refused(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(refused); i++) {
		const char *header =
			t_strconcat(refused[i], "\r\n\r\nbody\r\n", NULL);

		if (header_is_accepted(header, strlen(header)))
			fail_msg("accepted: %s", refused[i]);
	}
}

/* # is a NUL */
static void test_nuls_are_refused(void **state ATTR_UNUSED)
{
	static const char *const headers[] = {
		"Fr#om: jane@example.org", "From#: jane@example.org",
		"From: jane@example.org#", "From: #jane@example.org",
		"From: jane@example.org#, ceo@example.net",
		"Subject: x#y\r\nFrom: jane@example.org",
		"From: jane@example.org\r\nX-Folded: x\r\n\ty\r\n\tz#",
		"#\r\nFrom: jane@example.org",
	};

	for (unsigned int i = 0; i < N_ELEMENTS(headers); i++) {
		char *header = t_strdup_noconst(headers[i]);
		size_t size = strlen(header);

		*strchr(header, '#') = '\0';
		if (header_is_accepted(header, size))
			fail_msg("accepted: %s", headers[i]);
	}
}

/* What is shown of it. */
static void test_unreadable(void **state ATTR_UNUSED)
{
	static const struct {
		const char *header, *field, *value;
	} tests[] = {
		{ "From: ceo@victim@own.example\n", "From",
		  "ceo@victim@own.example" },
		{ "From: a@example.org\nSENDER :\n x\n", "Sender", " x" },
		{ "Subject: a\rb\nFrom: ceo\n", "Subject", "" },
		{ "a\rb\nFrom: ceo\n", "", "" },
		{ "From: a@example.org\nFrom: b@example.org\n", "From",
		  "b@example.org" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		struct outgoing_message message;
		pool_t pool = read_message(tests[i].header,
					   strlen(tests[i].header), &message);

		assert_non_null(message.unreadable.problem);
		assert_string_equal(message.unreadable.field, tests[i].field);
		assert_string_equal(message.unreadable.value, tests[i].value);
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
	assert_string_equal(message.unreadable.field, "From");
	pool_unref(&pool);
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
	assert_null(message.unreadable.problem);
	pool_unref(&pool);

	str_append(header, ",\n b@example.net\n\n");
	pool = read_message(str_data(header), str_len(header), &message);
	assert_string_equal(message.unreadable.problem, "too many addresses");
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

/* Half a millisecond for each word, if all are decoded: 7 seconds. */
static void test_many_charsets(void **state ATTR_UNUSED)
{
	static const char words[] =
		"=?iso-2022-jp?q?a?= =?gb18030?q?a?= =?utf-7?q?a?= =?euc-kr?q?a?= "
		"=?iso-2022-cn-ext?q?a?= ";
	string_t *header = t_str_new(100000);
	struct outgoing_message message;
	clock_t start = clock();
	pool_t pool;

	str_append(header, "From: ");
	while (str_len(header) < 100000)
		str_append(header, words);
	str_append(header, "<a@example.org>\n");
	pool = read_message(str_data(header), str_len(header), &message);
	assert_string_equal(message.unreadable.problem,
			    "too many character sets");
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
	pool_unref(&pool);
}

static void test_many_fields(void **state ATTR_UNUSED)
{
	string_t *header = t_str_new(10000);
	struct outgoing_message message;
	pool_t pool;

	str_append(header, "From: a@example.org\n");
	for (unsigned int i = 1; i < OUTGOING_MAX_SENDER_FIELDS; i++)
		str_append(header, "Resent-From: b@example.org\n");
	pool = read_message(str_data(header), str_len(header), &message);
	assert_null(message.unreadable.problem);
	pool_unref(&pool);

	str_append(header, "Resent-Sender: b@example.org\n");
	pool = read_message(str_data(header), str_len(header), &message);
	assert_string_equal(message.unreadable.field, "Resent-Sender");
	assert_string_equal(message.unreadable.problem,
			    "too many of these fields");
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
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nuls_are_refused),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_nul_in_name),
		cmocka_unit_test(test_too_many_senders),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_many_charsets),
		cmocka_unit_test(test_many_fields),
		cmocka_unit_test(test_endless_header),
	};

	return UNIT_RUN(tests);
}
