/* plugin/report/: scan and reader share one vocabulary. */

#include "lib.h"
#include "array.h"
#include "base64.h"
#include "istream.h"
#include "str.h"
#include "report/report.h"
#include "report/report-scan.h"
#include "report/report-words.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <time.h>
#include <cmocka.h>

#define TO "To: jane@example.org\n"
#define FAILED "\nYour mail could not be delivered.\n\n"
#define BLOCK "Received: from a by b\nFrom: jane@example.org\n" \
	"Message-ID: <one@example.org>\n\nHi\n"

static bool is_marked(const char *message)
{
	struct istream *input =
		i_stream_create_from_data(message, strlen(message));
	struct report_scan scan;

	report_scan_header(input, FALSE, &scan);
	assert_true(scan.complete);
	i_stream_unref(&input);
	return scan.marked;
}

static bool is_report(const char *message)
{
	struct istream *input =
		i_stream_create_from_data(message, strlen(message));
	pool_t pool = pool_alloconly_create("test report words", 1024);
	struct report report;
	const char *error;
	int ret;

	ret = report_read(pool, input, REPORT_SENDER_ADDRESS, &report, &error);
	assert_true(ret >= 0);
	pool_unref(&pool);
	i_stream_unref(&input);
	return ret == 1;
}

/* "=?utf-8?b?...?=" */
static const char *encoded(const char *text)
{
	string_t *str = t_str_new(64);

	str_append(str, "=?utf-8?b?");
	base64_encode(text, strlen(text), str);
	str_append(str, "?=");
	return str_c(str);
}

static void assert_field_marks(const char *name, const char *value)
{
	const char *message = t_strdup_printf("%s: %s\n" TO "\nHi\n", name,
					      value);

	if (!is_marked(message))
		fail_msg("not marked: %s", message);
}

static void assert_value_marks(const char *name, const char *value,
			       const char *rest)
{
	assert_field_marks(name, t_strconcat(value, rest, NULL));
	assert_field_marks(name, t_strconcat(t_str_ucase(value), rest, NULL));
	assert_field_marks(name, t_strconcat("\n ", value, rest, NULL));
	assert_field_marks(name, t_strconcat(encoded(value), rest, NULL));
}

/* "Mai-lerdaemon" and so on */
static const char *spread(const char *word, const char *between)
{
	return t_strdup_printf("%.3s%s%s", word, between, word + 3);
}

static void test_every_speaker_word_marks(void **state ATTR_UNUSED)
{
	static const char *const names[] = { "From", "Sender", "Return-Path" };
	static const char *const between[] = { " ", "-", "_", ".", "\n\t" };
	const struct report_word *word, *words =
		report_vocabularies[REPORT_VOCABULARY_SPEAKER];
	unsigned int i, j, n = N_ELEMENTS(names);

	for (i = 0; words[i / n].word != NULL; i++) T_BEGIN {
		word = &words[i / n];
		if ((word->traits & REPORT_MARKING_SPEAKERS) != 0) {
			const char *name = names[i % n];

			assert_value_marks(name, word->word, " <x@y.example>");
			assert_field_marks(name, t_strdup_printf(
				"x@y.example (%s)", word->word));
			for (j = 0; j < N_ELEMENTS(between); j++) {
				assert_value_marks(name, spread(word->word,
						   between[j]),
						   " <x@y.example>");
			}
			assert_field_marks(name, t_strdup_printf(
				"\"%.3s\\%s\" <x@y.example>", word->word,
				word->word + 3));
			assert_field_marks(name, t_strdup_printf(
				"%.3s (comment) %s <x@y.example>", word->word,
				word->word + 3));
			assert_field_marks(name, t_strdup_printf(
				"<%s@y.example>", word->word));
		}
	} T_END;
}

/* Those that only weigh make no report by themselves, whatever else there is. */
static void test_other_speaker_words_make_no_report(void **state ATTR_UNUSED)
{
	const struct report_word *word =
		report_vocabularies[REPORT_VOCABULARY_SPEAKER];

	for (; word->word != NULL; word++) T_BEGIN {
		bool marks = (word->traits & REPORT_MARKING_SPEAKERS) != 0;
		const char *message;

		message = t_strdup_printf("From: %s@example.com\n" TO
			"Subject: Hello\n" FAILED "bob@example.net: 5.1.1\n\n"
			BLOCK, word->word);
		assert_int_equal(is_marked(message), marks);
		assert_int_equal(is_report(message), marks);
	} T_END;
}

/* What a word needs beside it. */
static const struct {
	uint64_t subject;
	const char *with;
} subject_pairs[] = {
	{ TRAIT(SUBJECT_WHAT), " fail" },
	{ TRAIT(SUBJECT_HAPPENED), " mail" },
	{ TRAIT(SUBJECT_STATUS_OF), " status" },
	{ TRAIT(SUBJECT_STATUS), " deliver" },
	{ REPORT_MARKING_SUBJECTS, "" },
};

static void test_every_subject_word_marks(void **state ATTR_UNUSED)
{
	unsigned int i, j, n = N_ELEMENTS(subject_pairs);
	const struct report_word *words =
		report_vocabularies[REPORT_VOCABULARY_SUBJECT];

	for (i = 0; words[i / n].word != NULL; i++) T_BEGIN {
		const struct report_word *word = &words[i / n];

		assert_true(word->traits != 0);
		j = i % n;
		if ((word->traits & subject_pairs[j].subject) != 0) {
			assert_value_marks("Subject", t_strconcat(word->word,
					   subject_pairs[j].with, NULL), "");
		}
	} T_END;
}

static void test_every_field_marks(void **state ATTR_UNUSED)
{
	static const char *const fields[][2] = {
		{ "Auto-Submitted", "auto-generated" },
		{ "Content-Type", "multipart/report; boundary=b" },
		{ "Content-Type", "message/Delivery-Status" },
		{ "Content-Type", "message/disposition-notification" },
		{ "Content-Type", "message/feedback-report" },
		{ "From", "<>" },
		{ "Precedence", "auto_reply" },
		{ "Return-Path", "<>" },
		{ "Sender", "postmaster@example.org" },
		{ "Subject", "failure notice" },
		{ "X-Autogenerated", "Reply" },
		{ "X-Autoreply", "yes" },
		{ "X-Auto-Reply", "yes" },
		{ "X-Auto-Reply-From", "jane@example.org" },
		{ "X-Autorespond", "yes" },
		{ "X-Autoresponder", "yes" },
		{ "X-Failed-Recipients", "bob@example.net" },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(fields); i++) T_BEGIN {
		assert_field_marks(fields[i][0], fields[i][1]);
		assert_field_marks(t_str_ucase(fields[i][0]), fields[i][1]);
		assert_field_marks(t_strconcat(fields[i][0], " \t", NULL),
				   fields[i][1]);
	} T_END;
}

/* Reports without a null sender, which the scan overlooked at one time or could. */
static const struct {
	const char *name;
	const char *message;
} kinds[] = {
	{ "a speaker with other punctuation",
	  "From: Mail_Delivery.System <x@example.com>\n" TO "Subject: Hello\n"
	  FAILED BLOCK },
	{ "a speaker that the scan had no word for",
	  "From: Mail Filter <x@example.com>\n" TO "Subject: Hello\n"
	  FAILED "bob@example.net\n\n" BLOCK },
	{ "a speaker in a comment",
	  "From: x@example.com (Mail-System)\n" TO "Subject: Hello\n"
	  FAILED BLOCK },
	{ "an encoded speaker",
	  "From: =?utf-8?q?Mail_Delivery_?= =?utf-8?q?System?= <x@example.com>\n"
	  TO "Subject: Hello\n" FAILED BLOCK },
	{ "an encoded subject",
	  "From: admin@example.com\n" TO
	  "Subject: =?utf-8?b?VW5kZWxpdmVyYWJsZQ==?=: Hello\n" FAILED BLOCK },
	{ "a folded subject", "From: admin@example.com\n" TO
	  "Subject: Message was\n not be sent\n" FAILED BLOCK },
	{ "a subject of two words far apart",
	  "From: admin@example.com\n" TO "Subject: Your message was blocked\n"
	  FAILED BLOCK },
	{ "a challenge", "From: bob@example.net\n" TO
	  "In-Reply-To: <one@example.org>\nSubject: Confirmation required\n\n"
	  "Please click on the following link.\n" },
	{ "an absence", "From: bob@example.net\n" TO
	  "In-Reply-To: <one@example.org>\nSubject: Out of the office\n\nBye\n" },
	{ "an automated response", "From: bob@example.net\n" TO
	  "In-Reply-To: <one@example.org>\nSubject: Automated response\n\nBye\n" },
	{ "a virus notice", "From: noreply@example.net\n" TO
	  "Subject: Malware detected\n\nYour mail was infected with Eicar.\n" },
	{ "a feedback report in multipart/mixed",
	  "From: bob@example.net\n" TO "Subject: Spam report\n"
	  "Content-Type: multipart/mixed; boundary=b\n\n"
	  "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n\n"
	  "--b--\n" },
	{ "JSON", "From: noreply@example.net\n" TO "Subject: Hello\n\n"
	  "  {\"notificationType\":\"Bounce\",\"bouncedRecipients\":"
	  "[{\"emailAddress\":\"bob@example.net\"}]}\n" },
	{ "JSON in base64", "From: noreply@example.net\n" TO "Subject: Hello\n"
	  "Content-Transfer-Encoding: base64\n\n"
	  "eyJub3RpZmljYXRpb25UeXBlIjoiQm91bmNlIn0K\n" },
};

static void test_every_kind_is_marked(void **state ATTR_UNUSED)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(kinds); i++) {
		if (!is_report(kinds[i].message))
			fail_msg("%s: no report", kinds[i].name);
		if (!is_marked(kinds[i].message))
			fail_msg("%s: not marked", kinds[i].name);
	}
}

static const char *const ordinary[] = {
	"From: Jane <jane@example.org>\nSubject: Lunch?\n\nHi\n",
	"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\n"
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nHi\n",
	"From: Shop <noreply@example.org>\nSubject: Your order\n\nHi\n",
	"Sender: list-admin@example.org\nFrom: j@example.org\n"
	"Subject: [list] a question\n\nHi\n",
	"From: j@example.org\nSubject: Re: Undeliverable: vacation\n\nHi\n",
	"From: j@example.org\nSubject: AW: mail error\n\nHi\n",
	"From: j@example.org\nSubject: your address\n\nHi\n",
	"From: j@example.org\nSubject: an error\n\nHi\n",
	"From: j@example.org\nSubject: use\n\nevery one\n",
};

static void test_ordinary_mail_is_not_marked(void **state ATTR_UNUSED)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(ordinary); i++) {
		if (is_marked(ordinary[i]))
			fail_msg("marked: %s", ordinary[i]);
	}
}

/* What nobody looks at closely is worth a closer look. */
static void test_long_values_mark(void **state ATTR_UNUSED)
{
	static const char *const names[] = { "From", "Subject" };
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(names); i++) {
		string_t *message = t_str_new(4096);

		str_printfa(message, "%s: ", names[i]);
		while (str_len(message) < 3000)
			str_append(message, "long");
		str_append(message, "\n\nHi\n");
		assert_true(is_marked(str_c(message)));
	}
}

/* The names' letters are enough to know a daemon by, in whatever language. */
static void test_character_sets(void **state ATTR_UNUSED)
{
	assert_true(is_report("From: =?iso-8859-1?q?Mail=E9r_Mailer-Daemon?= <x@example.com>\n"
			      TO "Subject: =?windows-1252?q?Undeliverable=85?=\n"
			      FAILED BLOCK));
	assert_true(is_report("From: =?iso-2022-jp?b?GyRCOzNFRBsoQiBNYWlsZXItRGFlbW9u?= <x@example.com>\n"
			      TO "Subject: =?gb2312?q?Undeliverable?=\n"
			      FAILED BLOCK));
}

/* iconv would load and unload a table for each word: a megabyte took minutes. */
static void test_many_character_sets(void **state ATTR_UNUSED)
{
	static const char *const names[] = { "From", "Sender", "Subject" };
	string_t *message = t_str_new(1024 * 1024);
	clock_t start = clock();

	for (unsigned int i = 0; i < 9; i++) {
		str_printfa(message, "%s: ", names[i % N_ELEMENTS(names)]);
		while (str_len(message) < (i + 1) * 12000) {
			str_append(message, "=?iso-2022-jp?q?a?= =?gb18030?q?a?= "
				   "=?utf-7?q?a?= =?euc-kr?q?a?= "
				   "=?iso-2022-cn-ext?q?a?= ");
		}
		str_append(message, "<mailer-daemon@example.com>\n");
	}
	str_append(message, TO FAILED BLOCK);
	assert_true(is_report(str_c(message)));
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_speaker_word_marks),
		cmocka_unit_test(test_other_speaker_words_make_no_report),
		cmocka_unit_test(test_every_subject_word_marks),
		cmocka_unit_test(test_every_field_marks),
		cmocka_unit_test(test_every_kind_is_marked),
		cmocka_unit_test(test_ordinary_mail_is_not_marked),
		cmocka_unit_test(test_long_values_mark),
		cmocka_unit_test(test_character_sets),
		cmocka_unit_test(test_many_character_sets),
	};
	int ret;

	lib_init();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	lib_deinit();
	return ret;
}
