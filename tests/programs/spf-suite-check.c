/* Evaluates the cases of an SPF test suite with plugin/spf/ and a zone instead of
   DNS. tests/tools/spf-suite writes its input: one thing a line, fields separated by
   tabs, each with %XX for what isn't a plain character.

     zone                                  forgets all records
     record NAME TYPE VALUE                TYPE: A AAAA MX PTR TXT CNAME
     error NAME [TYPE]                     no answer for what has no record
     check ADDRESS HELO MAILFROM RECEIVER  prints result, explanation, problem
     repeat N ADDRESS HELO MAILFROM        prints result, CPU ns of one of N times
*/

#include "lib.h"
#include "istream.h"
#include "net.h"
#include "str.h"
#include "strescape.h"
#include "spf-zone.h"
#include "spf/service/spf-check.h"
#include "spf/service/spf-dns.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct suite {
	struct spf_zone *zone;
	struct spf_dns *dns;
};

static void suite_begin_zone(struct suite *suite)
{
	if (suite->dns != NULL)
		spf_zone_deinit(&suite->zone, &suite->dns);
	suite->zone = spf_zone_init(&suite->dns);
}

/* Undoes %XX. */
static string_t *suite_decode(pool_t pool, const char *field)
{
	string_t *decoded = str_new(pool, strlen(field) + 1);
	unsigned int c;

	for (; *field != '\0'; field++) {
		if (*field == '%' && sscanf(field + 1, "%2x", &c) == 1) {
			buffer_append_c(decoded, c);
			field += 2;
		} else {
			buffer_append_c(decoded, *field);
		}
	}
	return decoded;
}

static void
suite_add_record(struct suite *suite, const char *name, const char *type,
		 const char *value)
{
	pool_t pool = pool_datastack_create();
	buffer_t *decoded = suite_decode(pool, value);

	spf_zone_add(suite->zone, str_c(suite_decode(pool, name)), type,
		     decoded->data, decoded->used);
}

static void print_field(const char *field)
{
	/* printable, by spf.h's promise */
	printf("\t%s", field == NULL ? "" : field);
}

static void print_trace(const char *line, void *context ATTR_UNUSED)
{
	fprintf(stderr, "  %s\n", line);
}

/* fields: ADDRESS HELO MAILFROM. An address that is none is for the check to see. */
static void
suite_read_request(const char *const *fields, struct spf_check_request *request_r)
{
	pool_t pool = pool_datastack_create();

	i_zero(request_r);
	request_r->timeout_msecs = 5000;
	(void)net_addr2ip(fields[0], &request_r->client_ip);
	request_r->helo = str_c(suite_decode(pool, fields[1]));
	request_r->mail_from = str_c(suite_decode(pool, fields[2]));
	if (getenv("SPF_SUITE_TRACE") != NULL)
		request_r->trace = print_trace;
}

static void suite_check(struct suite *suite, const char *const *fields)
{
	pool_t pool = pool_alloconly_create("suite check", 4096);
	struct spf_check_request request;
	struct spf_check_reply reply;

	suite_read_request(fields, &request);
	if (fields[3][0] != '\0') {
		request.receiver = str_c(suite_decode(pool_datastack_create(),
						      fields[3]));
	}
	spf_check_host(suite->dns, &request, pool, &reply);
	printf("%s", spf_check_result_name(reply.result));
	print_field(reply.explanation);
	print_field(reply.problem);
	printf("\n");
	fflush(stdout);
	pool_unref(&pool);
}

static double cpu_nsecs(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void suite_repeat(struct suite *suite, const char *const *fields)
{
	pool_t pool = pool_alloconly_create("suite repeat", 4096);
	struct spf_check_request request;
	struct spf_check_reply reply;
	unsigned int i, count;
	double start;

	if (str_to_uint(fields[0], &count) < 0 || count == 0)
		i_fatal("not a number: %s", fields[0]);
	suite_read_request(fields + 1, &request);
	start = cpu_nsecs();
	for (i = 0; i < count; i++) {
		p_clear(pool);
		spf_check_host(suite->dns, &request, pool, &reply);
	}
	printf("%s\t%.0f\n", spf_check_result_name(reply.result),
	       (cpu_nsecs() - start) / count);
	fflush(stdout);
	pool_unref(&pool);
}

static void suite_read_line(struct suite *suite, const char *line)
{
	const char *const *fields = t_strsplit_tabescaped(line);
	unsigned int count = str_array_length(fields);

	if (count == 1 && strcmp(fields[0], "zone") == 0)
		suite_begin_zone(suite);
	else if (count == 4 && strcmp(fields[0], "record") == 0)
		suite_add_record(suite, fields[1], fields[2], fields[3]);
	else if (count == 2 && strcmp(fields[0], "error") == 0)
		suite_add_record(suite, fields[1], "error", "");
	else if (count == 3 && strcmp(fields[0], "error") == 0)
		suite_add_record(suite, fields[1],
				 t_strconcat("error ", fields[2], NULL), "");
	else if (count == 5 && strcmp(fields[0], "check") == 0)
		suite_check(suite, fields + 1);
	else if (count == 5 && strcmp(fields[0], "repeat") == 0)
		suite_repeat(suite, fields + 1);
	else
		i_fatal("unknown line: %s", line);
}

int main(void)
{
	struct suite suite = { .dns = NULL };
	struct istream *input;
	const char *line;

	lib_init();
	suite_begin_zone(&suite);
	input = i_stream_create_fd(STDIN_FILENO, 1024 * 1024);
	while ((line = i_stream_read_next_line(input)) != NULL) T_BEGIN {
		suite_read_line(&suite, line);
	} T_END;
	i_stream_destroy(&input);
	spf_zone_deinit(&suite.zone, &suite.dns);
	lib_deinit();
	return 0;
}
