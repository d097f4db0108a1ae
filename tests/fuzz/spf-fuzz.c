/* libFuzzer target for the evaluation of SPF: the validator, macros, what
   stands around libspf2, and the reader of DNS messages. Built with
   clang -fsanitize=fuzzer,address,undefined together with plugin/spf/ and a zone
   in memory; the seeds are in spf-seeds/.

   A line of input is one letter and a space, and then
     c ADDRESS, h HELO, f MAILFROM      the request; the last one counts
     t, a, q, m, p, n NAME VALUE        TXT, A, AAAA, MX, PTR or CNAME of a name,
                                        "*" for any other
     e NAME                             no answer
   Input that begins with "dns" and a type's byte is a message.

   Beside what the sanitizers find it checks what spf.h promises, and that libspf2
   never comes to another end than the terms that it was given allow. */

#include "lib.h"
#include "spf-zone.h"
#include "spf/service/spf-check.h"
#include "spf/service/spf-dns-message.h"
#include "spf/spf-limits.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	char letter;
	const char *type;
} zone_types[] = {
	{ 't', "TXT" }, { 'a', "A" }, { 'q', "AAAA" }, { 'm', "MX" },
	{ 'p', "PTR" }, { 'n', "CNAME" }, { 'e', "error" },
};

static const enum spf_dns_type message_types[] = {
	SPF_DNS_A, SPF_DNS_AAAA, SPF_DNS_MX, SPF_DNS_PTR, SPF_DNS_TXT
};

static void check_printable(const char *text, size_t max, const char *forbidden)
{
	if (text == NULL)
		return;
	i_assert(strlen(text) <= max);
	for (; *text != '\0'; text++) {
		i_assert(*text >= 0x20 && *text <= 0x7e);
		i_assert(strchr(forbidden, *text) == NULL);
	}
}

static void check_reply(const struct spf_check_reply *reply)
{
	bool decided = reply->result == SPF_CHECK_PASS ||
		reply->result == SPF_CHECK_FAIL ||
		reply->result == SPF_CHECK_SOFTFAIL ||
		reply->result == SPF_CHECK_NEUTRAL;

	i_assert(spf_check_result_name(reply->result) != NULL);
	check_printable(reply->domain, SPF_MAX_NAME, " \"(),:;<>@[]\\");
	check_printable(reply->explanation, SPF_MAX_EXPLANATION, "");
	check_printable(reply->problem, SPF_MAX_PROBLEM, "");
	check_printable(reply->mechanism, SPF_MAX_PROBLEM, "");
	i_assert(reply->domain != NULL);
	i_assert(reply->explanation == NULL || reply->result == SPF_CHECK_FAIL);
	i_assert((reply->mechanism != NULL) == decided);
	i_assert((reply->problem != NULL) == !decided);
	i_assert(reply->problem == NULL ||
		 strcmp(reply->problem, "libspf2 disagrees") != 0);
}

static void check_trace(const char *line, void *context ATTR_UNUSED)
{
	check_printable(line, SPF_MAX_TRACE, "");
}

static void
add_record(struct spf_zone *zone, const char *type, const unsigned char *data,
	   size_t size)
{
	const unsigned char *space = memchr(data, ' ', size);
	const char *name;

	if (space == NULL)
		space = data + size;
	name = t_strdup_until(data, space);
	if (space < data + size)
		space++;
	spf_zone_add(zone, name, type, space, data + size - space);
}

static void
read_line(struct spf_zone *zone, struct spf_check_request *request,
	  const unsigned char *data, size_t size)
{
	unsigned int i;

	if (size < 2)
		return;
	switch (*data) {
	case 'c':
		(void)net_addr2ip(t_strndup(data + 2, size - 2),
				  &request->client_ip);
		break;
	case 'h':
		request->helo = t_strndup(data + 2, size - 2);
		break;
	case 'f':
		request->mail_from = t_strndup(data + 2, size - 2);
		break;
	}
	for (i = 0; i < N_ELEMENTS(zone_types); i++) {
		if (zone_types[i].letter == *data) {
			add_record(zone, zone_types[i].type, data + 2,
				   size - 2);
		}
	}
}

static void fuzz_check(const uint8_t *data, size_t size)
{
	pool_t pool = pool_alloconly_create("fuzz check", 4096);
	struct spf_check_request request = {
		.timeout_msecs = 5000, .trace = check_trace
	};
	struct spf_check_reply reply;
	struct spf_dns *dns;
	struct spf_zone *zone = spf_zone_init(&dns);
	const unsigned char *end = data + size, *line_end;

	(void)net_addr2ip("192.0.2.1", &request.client_ip);
	for (; data < end; data = line_end + 1) {
		line_end = memchr(data, '\n', end - data);
		if (line_end == NULL)
			line_end = end;
		read_line(zone, &request, data, line_end - data);
	}
	spf_check_host(dns, &request, pool, &reply);
	check_reply(&reply);
	pool_unref(&pool);
	spf_zone_deinit(&zone, &dns);
}

static void fuzz_message(const uint8_t *data, size_t size)
{
	pool_t pool = pool_alloconly_create("fuzz message", 1024);
	enum spf_dns_type type =
		message_types[*data % N_ELEMENTS(message_types)];
	struct spf_dns_chain chain = { .name = "example.com", .ttl = 100 };
	struct spf_dns_question question;
	struct spf_dns_answer answer;
	unsigned int i;
	int ret;

	/* the answer's first bytes are the id */
	spf_dns_question_write(&question, chain.name, type, FALSE);
	if (size > 2)
		memcpy(question.data, data + 1, 2);
	if (spf_dns_message_answers(data + 1, size - 1, &question)) {
		(void)spf_dns_message_is_cut(data + 1);
		(void)spf_dns_message_refuses_edns(data + 1, size - 1);
	}

	ret = spf_dns_message_read(pool, data + 1, size - 1, type, &chain,
				   &answer);
	i_assert(chain.ttl <= 100 && chain.cnames <= SPF_DNS_MAX_CNAMES);
	i_assert(spf_dns_name_is_valid(chain.name));
	i_assert((ret < 0) == (answer.error != NULL));
	if (ret != 0) {
		i_assert((ret < 0) == (answer.status == SPF_DNS_ERROR));
		i_assert((answer.status == SPF_DNS_FOUND) == (answer.count > 0));
		i_assert(answer.ttl <= 100);
	}
	for (i = 0; ret > 0 && type == SPF_DNS_TXT && i < answer.count; i++)
		i_assert(answer.records[i].size <= size);
	pool_unref(&pool);
}

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	lib_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	T_BEGIN {
		if (size > 4 && memcmp(data, "dns", 3) == 0)
			fuzz_message(data + 3, size - 3);
		else
			fuzz_check(data, size);
	} T_END;
	return 0;
}
