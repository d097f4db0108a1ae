/* libFuzzer target for what the room spf reads from and writes into headers. Built
   with clang -fsanitize=fuzzer,address,undefined, linked with -ldovecot; the seeds
   are in received-seeds/.

   The input is a header block, and then the strings for a field of our own. Beside
   what the sanitizers find it checks what spf-origin.h, spf-trusted.h and
   spf-header.h promise. */

#include "lib.h"
#include "net.h"
#include "str.h"
#include "text/text.h"
#include "spf/spf-forged.h"
#include "spf/spf-header.h"
#include "spf/spf-limits.h"
#include "spf/spf-addresses.h"
#include "spf/spf-origin.h"
#include "spf/spf-trusted.h"

#define ID "mx.example.org"
#define RELAYS "127.0.0.0/8 ::1 10.0.0.0/8"
#define NETWORKS "10.0.0.0/8 192.168.0.0/16"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct spf_networks *relays, *networks;

static void check_name(const char *name)
{
	if (name == NULL)
		return;
	i_assert(*name != '\0' && strlen(name) <= SPF_MAX_DOMAIN);
	for (; *name != '\0'; name++) {
		i_assert(*name > ' ' && *name < 0x7f &&
			 strchr("()<>\",;@\\", *name) == NULL);
	}
}

static void check_ip(const struct ip_addr *ip)
{
	struct ip_addr again;

	i_assert(IPADDR_IS_V4(ip) || IPADDR_IS_V6(ip));
	i_assert(net_ipv6_mapped_ipv4_convert(ip, &again) < 0);
	i_assert(spf_ip_parse(net_ip2addr(ip), &again) == 0);
	i_assert(net_ip_compare(ip, &again));
	i_assert(!spf_networks_have(relays, ip));
	i_assert(!spf_networks_have(networks, ip));
}

static void check_origin(const void *header, size_t size, pool_t pool)
{
	struct spf_origin_source source;
	struct spf_origin origin;

	i_zero(&source);
	source.header = header;
	source.header_size = size;
	source.relays = relays;
	source.networks = networks;
	spf_origin_find(&source, pool, &origin);
	i_assert(origin.reason != NULL);
	i_assert(spf_origin_trusted_size(header, size, relays) <= size);
	check_name(origin.helo);
	if (origin.kind == SPF_ORIGIN_CLIENT)
		check_ip(&origin.client_ip);
	else
		i_assert(origin.helo == NULL && origin.client_ip.family == 0);
}

/* What counts as the MX's word must also be seen as a claim to its name. */
static void check_trusted(const void *header, size_t size, pool_t pool)
{
	struct spf_trusted_result result;
	struct header_fields fields = header_fields(header, size);
	struct header_field field;
	bool claimed = FALSE;

	while (header_fields_next(&fields, &field)) {
		if (spf_results_claim_id(field.value, field.value_size, ID) ||
		    spf_received_spf_claims_host(field.value,
						 field.value_size, ID))
			claimed = TRUE;
	}
	if (spf_trusted_result_find(header, size, ID, relays, pool,
				    &result)) {
		i_assert(claimed);
		check_name(result.domain);
	}
}

/* One field: printable ASCII, folded with tabs, no line empty or too long. */
static void check_field(const char *text, const char *name, const char *newline)
{
	const char *end;
	size_t newline_size = strlen(newline);

	i_assert(strncmp(text, name, strlen(name)) == 0);
	while (*text != '\0') {
		end = strstr(text, newline);
		i_assert(end != NULL && end - text > 1 && end - text < 998);
		for (; text < end; text++)
			i_assert((*text >= ' ' && *text < 0x7f) || *text == '\t');
		text += newline_size;
		i_assert(*text == '\0' || (text[0] == '\t' && text[1] > ' '));
	}
}

static const char *next_string(const char **data, const char *end)
{
	const char *start = *data;

	if (start == end)
		return NULL;
	while (*data < end && **data != '\0')
		(*data)++;
	start = t_strdup_until(start, *data);
	if (*data < end)
		(*data)++;
	return start;
}

static void check_texts(const char *data, const char *end, pool_t pool)
{
	struct spf_header header = {
		.result = (data < end ? *data : 0) & 3,
		.identity = (data < end ? *data >> 2 : 0) & 1,
		.domain = next_string(&data, end),
		.reason = next_string(&data, end),
		.helo = next_string(&data, end),
		.mail_from = next_string(&data, end),
		.mechanism = next_string(&data, end),
	};
	const char *newline = header.domain == NULL ? "\n" : "\r\n";
	struct spf_trusted_result result;
	string_t *text = t_str_new(512);

	spf_header_write_results(text, &header, ID, newline);
	check_field(str_c(text), "Authentication-Results: ", newline);
	i_assert(spf_trusted_result_find(str_data(text), str_len(text), ID,
					 relays, pool, &result));
	i_assert(result.result == header.result);

	str_truncate(text, 0);
	spf_header_write_received_spf(text, &header, ID, newline);
	check_field(str_c(text), "Received-SPF: ", newline);
	i_assert(spf_trusted_result_find(str_data(text), str_len(text), ID,
					 relays, pool, &result));
	i_assert(result.result == header.result);
}

int LLVMFuzzerInitialize(int *argc ATTR_UNUSED, char ***argv ATTR_UNUSED)
{
	const char *error;
	pool_t pool;

	lib_init();
	pool = pool_alloconly_create("networks", 512);
	if (spf_networks_parse(pool, RELAYS, &relays, &error) < 0 ||
	    spf_networks_parse(pool, NETWORKS, &networks, &error) < 0)
		i_fatal("%s", error);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pool_t pool = pool_alloconly_create("fuzz received", 1024);

	T_BEGIN {
		check_origin(data, size, pool);
		check_trusted(data, size, pool);
		check_texts((const char *)data, (const char *)data + size, pool);
	} T_END;
	pool_unref(&pool);
	return 0;
}
