/* plugin/spf/spf-header.c: what stands in the fields, whatever came from the net. */

#include "unit.h"
#include "str.h"
#include "spf/spf-header.h"
#include "spf/spf-limits.h"
#include "spf/spf-addresses.h"
#include "spf/spf-trusted.h"

#define ID "delivery.mx.example.org"
#define HOST "mx.example.org"

static const char *results_text(const struct spf_header *header)
{
	string_t *text = t_str_new(256);

	spf_header_write_results(text, header, ID, "\n");
	return str_c(text);
}

static const char *received_spf_text(const struct spf_header *header)
{
	string_t *text = t_str_new(256);

	spf_header_write_received_spf(text, header, HOST, "\n");
	return str_c(text);
}

static const struct {
	struct spf_header header;
	const char *text;
} results[] = {
	{ { .result = SPF_CHECK_PASS, .domain = "example.net" },
	  " " ID ";\n\tspf=pass smtp.mailfrom=example.net\n" },
	{ { .result = SPF_CHECK_FAIL, .identity = SPF_IDENTITY_HELO,
	    .domain = "a.example" },
	  " " ID "; spf=fail smtp.helo=a.example\n" },
	{ { .result = SPF_CHECK_NONE, .reason = "no Received field of an MX" },
	  " " ID ";\n\tspf=none reason=\"no Received field of an MX\"\n" },
	{ { .result = SPF_CHECK_TEMPERROR, .domain = "example.net",
	    .reason = "DNS did not answer" },
	  " " ID ";\n\tspf=temperror reason=\"DNS did not answer\" "
	  "smtp.mailfrom=example.net\n" },
	{ { .result = SPF_CHECK_NONE, .domain = "" }, " " ID "; spf=none\n" },
	/* a value that is no token */
	{ { .result = SPF_CHECK_NONE, .identity = SPF_IDENTITY_HELO,
	    .domain = "[192.0.2.9]" },
	  " " ID ";\n\tspf=none smtp.helo=\"[192.0.2.9]\"\n" },
	{ { .result = SPF_CHECK_NONE, .domain = "_a-b.example" },
	  " " ID ";\n\tspf=none smtp.mailfrom=_a-b.example\n" },
	/* nor one that tries to be more than a value */
	{ { .result = SPF_CHECK_NONE, .domain = "x\r\nSubject: y" },
	  " " ID ";\n\tspf=none smtp.mailfrom=\"x??Subject:?y\"\n" },
	{ { .result = SPF_CHECK_NONE, .domain = "x; spf=pass" },
	  " " ID ";\n\tspf=none smtp.mailfrom=\"x??spf?pass\"\n" },
	{ { .result = SPF_CHECK_NONE, .domain = "\"\\()\xc3\xbc\x7f\x01" },
	  " " ID ";\n\tspf=none smtp.mailfrom=\"???????\"\n" },
	{ { .result = SPF_CHECK_NONE, .reason = "\";\r\n spf=pass  x" },
	  " " ID ";\n\tspf=none reason=\"???? spf?pass x\"\n" },
};

static void test_results(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(results); i++) {
		assert_string_equal(results_text(&results[i].header),
			t_strconcat("Authentication-Results:",
				    results[i].text, NULL));
	}
}

#define MAIL .client_ip = { .family = AF_INET }, .helo = "out.example.net", \
	.mail_from = "a@example.net", .domain = "example.net"

static const struct {
	struct spf_header header;
	const char *text;
} received_spf[] = {
	{ { .result = SPF_CHECK_PASS, .mechanism = "ip4:0.0.0.0/8", MAIL },
	  " pass (mx.example.org: domain of a@example.net designates "
	  "0.0.0.0\n"
	  "\tas permitted sender) receiver=mx.example.org; "
	  "client-ip=0.0.0.0;\n"
	  "\tenvelope-from=\"a@example.net\"; helo=out.example.net;\n"
	  "\tmechanism=\"ip4:0.0.0.0/8\"; identity=mailfrom\n" },
	{ { .result = SPF_CHECK_FAIL, MAIL },
	  " fail (mx.example.org: domain of a@example.net does not "
	  "designate\n"
	  "\t0.0.0.0 as permitted sender) receiver=mx.example.org; "
	  "client-ip=0.0.0.0;\n"
	  "\tenvelope-from=\"a@example.net\"; helo=out.example.net; "
	  "identity=mailfrom\n" },
	{ { .result = SPF_CHECK_SOFTFAIL, MAIL },
	  " softfail (mx.example.org: domain of transitioning a@example.net\n"
	  "\tdoes not designate 0.0.0.0 as permitted sender) "
	  "receiver=mx.example.org;\n"
	  "\tclient-ip=0.0.0.0; envelope-from=\"a@example.net\"; "
	  "helo=out.example.net;\n"
	  "\tidentity=mailfrom\n" },
	{ { .result = SPF_CHECK_NEUTRAL, MAIL },
	  " neutral (mx.example.org: 0.0.0.0 is neither permitted nor "
	  "denied\n"
	  "\tby domain of a@example.net) receiver=mx.example.org; "
	  "client-ip=0.0.0.0;\n"
	  "\tenvelope-from=\"a@example.net\"; helo=out.example.net; "
	  "identity=mailfrom\n" },
	{ { .result = SPF_CHECK_NONE, MAIL },
	  " none (mx.example.org: domain of a@example.net does not "
	  "designate\n"
	  "\tpermitted sender hosts) receiver=mx.example.org; "
	  "client-ip=0.0.0.0;\n"
	  "\tenvelope-from=\"a@example.net\"; helo=out.example.net; "
	  "identity=mailfrom\n" },
	{ { .result = SPF_CHECK_PERMERROR, MAIL },
	  " permerror (mx.example.org: error in processing during lookup of\n"
	  "\ta@example.net) receiver=mx.example.org; client-ip=0.0.0.0;\n"
	  "\tenvelope-from=\"a@example.net\"; helo=out.example.net; "
	  "identity=mailfrom\n" },
	{ { .result = SPF_CHECK_TEMPERROR, .reason = "no answer", MAIL },
	  " temperror (mx.example.org: no answer) receiver=mx.example.org;\n"
	  "\tclient-ip=0.0.0.0; envelope-from=\"a@example.net\"; "
	  "helo=out.example.net;\n"
	  "\tproblem=\"no answer\"; identity=mailfrom\n" },
	/* the null sender */
	{ { .result = SPF_CHECK_PASS, .identity = SPF_IDENTITY_HELO,
	    .domain = "out.example.net", .mail_from = "",
	    .helo = "out.example.net", .client_ip = { .family = AF_INET6 } },
	  " pass (mx.example.org: domain of out.example.net designates :: "
	  "as\n"
	  "\tpermitted sender) receiver=mx.example.org; client-ip=\"::\"; "
	  "envelope-from=\"\";\n"
	  "\thelo=out.example.net; identity=helo\n" },
	/* nothing is known */
	{ { .result = SPF_CHECK_NONE, .reason = "x" },
	  " none (mx.example.org: x) receiver=mx.example.org; problem=x;\n"
	  "\tidentity=mailfrom\n" },
	/* hostile */
	{ { .result = SPF_CHECK_NEUTRAL, .mail_from = "\"a b) (\\\"\"@x\r\ny: z",
	    .helo = "a\"b\\c\r\nd" },
	  " neutral (mx.example.org: unknown is neither permitted nor "
	  "denied\n"
	  "\tby domain of \"a?b????\"\"@x??y:?z) receiver=mx.example.org;\n"
	  "\tenvelope-from=\"\\\"a b) (\\\\\\\"\\\"@x??y: z\"; "
	  "helo=\"a\\\"b\\\\c??d\"; "
	  "identity=mailfrom\n" },
};

static void test_received_spf(void **state ATTR_UNUSED)
{
	for (unsigned int i = 0; i < N_ELEMENTS(received_spf); i++) {
		assert_string_equal(received_spf_text(&received_spf[i].header),
			t_strconcat("Received-SPF:", received_spf[i].text,
				    NULL));
	}
}

static void test_crlf(void **state ATTR_UNUSED)
{
	const struct spf_header header = {
		.result = SPF_CHECK_PASS, .domain = "example.net"
	};
	string_t *text = t_str_new(256);

	spf_header_write_results(text, &header, ID, "\r\n");
	assert_string_equal(str_c(text), "Authentication-Results: " ID ";\r\n"
			    "\tspf=pass smtp.mailfrom=example.net\r\n");
}

static void assert_lines_short(const char *text)
{
	const char *const *line = t_strsplit(text, "\n");

	for (; *line != NULL; line++)
		assert_in_range(strlen(*line), 0, 997);
}

static void test_long_values(void **state ATTR_UNUSED)
{
	struct spf_header header = { .result = SPF_CHECK_PASS };
	char *value = t_malloc_no0(100001);

	memset(value, '"', 100000);
	value[100000] = '\0';
	header.domain = header.reason = header.helo = header.mail_from =
		header.mechanism = value;
	assert_lines_short(results_text(&header));
	assert_lines_short(received_spf_text(&header));
	value[SPF_MAX_ADDRESS] = '\0';
	assert_lines_short(received_spf_text(&header));
}

/* What we write, others can read. */
static void test_read_back(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	const struct spf_networks *nobody;
	struct spf_trusted_result result;
	const char *text, *error;

	assert_int_equal(spf_networks_parse(pool, "", &nobody, &error), 0);
	for (unsigned int i = 0; i < N_ELEMENTS(results); i++) {
		text = results_text(&results[i].header);
		assert_true(spf_trusted_result_find(text, strlen(text), ID,
						    nobody, pool, &result));
		assert_int_equal(result.result, results[i].header.result);
	}
	for (unsigned int i = 0; i < N_ELEMENTS(received_spf); i++) {
		text = received_spf_text(&received_spf[i].header);
		assert_true(spf_trusted_result_find(text, strlen(text), HOST,
						    nobody, pool, &result));
		assert_int_equal(result.result, received_spf[i].header.result);
	}
	pool_unref(&pool);
}

static void test_names(void **state ATTR_UNUSED)
{
	enum spf_check_result result;
	enum spf_identity identity;

	assert_int_equal(spf_check_result_parse("SoftFail", &result), 0);
	assert_int_equal(result, SPF_CHECK_SOFTFAIL);
	assert_int_equal(spf_check_result_parse("passed", &result), -1);
	assert_int_equal(spf_check_result_parse("", &result), -1);
	assert_int_equal(spf_identity_parse("HELO", &identity), 0);
	assert_int_equal(identity, SPF_IDENTITY_HELO);
	assert_int_equal(spf_identity_parse("pra", &identity), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_received_spf),
		cmocka_unit_test(test_crlf),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_names),
	};

	return UNIT_RUN(tests);
}
