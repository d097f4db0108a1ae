/* Asks the SPF room about a message: is there a result that is trusted, who handed
   the message to our MX, and what does his domain's record say? */

#include "lib.h"
#include "hostpid.h"
#include "str.h"
#include "mail-user.h"
#include "compat/dovecot-compat.h"
#include "spf/spf.h"
#include "spf/spf-header.h"
#include "spf/spf-origin.h"
#include "spf/spf-trusted.h"
#include "delivery.h"

const struct spf_settings *
delivery_spf_settings(struct mail_user *raw_user, pool_t pool,
		      struct event *event)
{
	const struct spf_settings *set = spf_settings_get(raw_user, pool);
	const char *const *error;

	for (error = set->errors; *error != NULL; error++)
		e_error(event, "backscatter: %s", *error);
	return set;
}

void delivery_spf_own_names(const struct spf_settings *set,
			    struct spf_own_names *names_r)
{
	i_zero(names_r);
	names_r->authserv_id = set->authserv_id;
	if (set->received_spf)
		names_r->received_spf_host = my_hostname;
}

static void
check_client(const struct spf_settings *set,
	     const struct delivery_spf_message *message,
	     const struct spf_origin *origin, pool_t pool,
	     struct event *event, struct spf_header *header)
{
	const struct spf_check_request request = {
		.client_ip = origin->client_ip,
		.helo = origin->helo,
		.mail_from = message->mail_from,
		.receiver = my_hostname,
		.timeout_msecs = set->spf_timeout,
		.dns_servers = set->spf_dns,
	};
	const char *error;
	struct spf_check_reply reply;

	e_debug(event, "backscatter: SPF: client %s, HELO %s",
		net_ip2addr(&origin->client_ip),
		origin->helo == NULL ? "unknown" : origin->helo);
	header->client_ip = origin->client_ip;
	header->helo = origin->helo;
	header->mail_from = message->mail_from;
	if (spf_ask(compat_base_dir(), &request, pool, &reply, &error) < 0) {
		header->result = SPF_CHECK_TEMPERROR;
		header->reason = "SPF was not checked";
		e_error(event, "backscatter: SPF: %s", error);
		return;
	}
	header->result = reply.result;
	header->identity = reply.identity;
	header->domain = reply.domain;
	header->mechanism = reply.mechanism;
	switch (reply.result) {
	case SPF_CHECK_TEMPERROR:
		header->reason = "DNS gave no answer";
		e_info(event, "backscatter: SPF of %s: temperror: %s",
		       reply.domain, reply.problem);
		break;
	case SPF_CHECK_PERMERROR:
		header->reason = "SPF record is broken";
		e_debug(event, "backscatter: SPF of %s: permerror: %s",
			reply.domain, reply.problem);
		break;
	default:
		break;
	}
}

static void
find_origin(const struct spf_settings *set,
	    const struct delivery_spf_message *message, pool_t pool,
	    struct spf_origin *origin_r)
{
	const struct spf_origin_source source = {
		.header = message->header,
		.header_size = message->header_size,
		.xclient_ip = message->xclient_ip,
		.xclient_helo = message->xclient_helo,
		.relays = set->trusted_relays,
		.networks = set->trusted_networks,
	};

	spf_origin_find(&source, pool, origin_r);
}

/* Returns TRUE if there is a result to be written. */
static bool
find_result(const struct spf_settings *set,
	    const struct delivery_spf_message *message, pool_t pool,
	    struct event *event, struct spf_header *header_r)
{
	struct spf_trusted_result trusted;
	struct spf_origin origin;

	i_zero(header_r);
	find_origin(set, message, pool, &origin);
	/* many milters let pass whatever such a client writes, also in their name */
	if (origin.kind == SPF_ORIGIN_NETWORK)
		return FALSE;
	if (set->trusted_authserv != NULL &&
	    spf_trusted_result_find(message->header, message->header_size,
				    set->trusted_authserv,
				    set->trusted_relays, pool, &trusted)) {
		header_r->result = trusted.result;
		header_r->identity = trusted.identity;
		header_r->domain = trusted.domain;
		header_r->mail_from = message->mail_from;
		return TRUE;
	}
	switch (origin.kind) {
	case SPF_ORIGIN_LOCAL:
	case SPF_ORIGIN_NETWORK:
	case SPF_ORIGIN_FETCHED:
		return FALSE;
	case SPF_ORIGIN_UNKNOWN:
		header_r->reason = origin.reason;
		return TRUE;
	case SPF_ORIGIN_CLIENT:
		break;
	}
	if (message->mail_from == NULL)
		header_r->reason = "envelope sender is unknown";
	else
		check_client(set, message, &origin, pool, event, header_r);
	return TRUE;
}

const char *
delivery_spf_header(const struct spf_settings *set,
		    const struct delivery_spf_message *message,
		    struct event *event)
{
	struct spf_header header;
	string_t *text;
	pool_t pool;

	if (!set->spf)
		return "";
	text = t_str_new(256);
	pool = pool_alloconly_create("backscatter spf", 1024);
	if (find_result(set, message, pool, event, &header)) {
		spf_header_write_results(text, &header, set->authserv_id,
					 "\r\n");
		if (set->received_spf) {
			spf_header_write_received_spf(text, &header,
						      my_hostname, "\r\n");
		}
	}
	pool_unref(&pool);
	return str_c(text);
}
