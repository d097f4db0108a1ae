/* Answers questions from DNS servers: follows CNAMEs, and says how long an error is
   worth keeping.

   It can't be told whether it is a name's servers that say nothing or our own. So
   after an evaluation in which no server said anything the next ones wait shorter,
   for a while, or until any server says something. */

#include "lib.h"
#include "spf-dns-socket.h"
#include "spf/spf-limits.h"
#include "spf/spf-wire.h"

struct dns_client {
	struct spf_dns_source source;
	struct spf_dns_servers servers;
	struct spf_waiting *waiting;

	/* no server answers: until then nobody waits long; 0: they do */
	uint64_t silent_until_msecs;
	/* when a server said something; 0: not yet, or not since */
	uint64_t answered_msecs;

	/* this evaluation */
	uint64_t started_msecs;
	unsigned int timeout_msecs;
	bool answered;
};

static void client_begin(struct spf_dns_source *source, unsigned int timeout_msecs)
{
	struct dns_client *client =
		container_of(source, struct dns_client, source);

	client->started_msecs = spf_clock_msecs();
	client->timeout_msecs = timeout_msecs;
	client->answered = FALSE;
}

static struct spf_dns_deadline client_deadline(const struct dns_client *client)
{
	struct spf_dns_deadline deadline = {
		.last_msecs = client->started_msecs + client->timeout_msecs,
		.free_msecs = client->started_msecs + SPF_DNS_SILENT_WAIT_MSECS,
		.waiting = client->waiting
	};

	if (client->started_msecs < client->silent_until_msecs) {
		deadline.last_msecs = I_MIN(deadline.last_msecs,
					    deadline.free_msecs);
	}
	return deadline;
}

/* Returns how many seconds an error is worth keeping: if a server said so, it is the
   name's fault. Silence is if a server has answered lately, and there was time
   enough, which is not for who asks to say: he may be any user of this host. */
static unsigned int
client_error_ttl(const struct dns_client *client, uint64_t asked_msecs, bool late)
{
	uint64_t lately = client->answered_msecs +
		(late ? SPF_DNS_SILENT_MSECS : 0);

	if (client->answered_msecs == 0 || lately < asked_msecs ||
	    (late && spf_clock_msecs() <
	     asked_msecs + SPF_DNS_SILENT_WAIT_MSECS))
		return 0;
	return SPF_DNS_ERROR_TTL;
}

static void client_silent(struct dns_client *client)
{
	if (client->answered || spf_clock_msecs() <
	    client->started_msecs + SPF_DNS_SILENT_WAIT_MSECS)
		return;
	client->answered_msecs = 0;
	if (client->started_msecs >= client->silent_until_msecs) {
		client->silent_until_msecs = spf_clock_msecs() +
			SPF_DNS_SILENT_MSECS;
	}
}

static void
client_lookup(struct spf_dns_source *source, pool_t pool, const char *name,
	      enum spf_dns_type type, struct spf_dns_answer *answer_r)
{
	struct dns_client *client =
		container_of(source, struct dns_client, source);
	struct spf_dns_chain chain = { .name = name, .ttl = SPF_DNS_MAX_TTL };
	struct spf_dns_deadline deadline;
	uint64_t asked_msecs;
	bool answered;
	int ret;

	/* A recursive server follows CNAMEs itself; this is for others. */
	do T_BEGIN {
		asked_msecs = spf_clock_msecs();
		deadline = client_deadline(client);
		ret = spf_dns_socket_ask(&client->servers, pool, type,
					 &deadline, &chain,
					 answer_r, &answered);
		if (answered) {
			client->answered = TRUE;
			client->answered_msecs = spf_clock_msecs();
			client->silent_until_msecs = 0;
		}
	} T_END; while (ret == 0);
	if (ret < 0) {
		answer_r->ttl = client_error_ttl(client, asked_msecs,
						 answer_r->late);
		if (answer_r->late)
			client_silent(client);
	}
}

static void client_deinit(struct spf_dns_source *source)
{
	struct dns_client *client =
		container_of(source, struct dns_client, source);

	i_free(client);
}

struct spf_dns_source *
spf_dns_source_init_client(const struct spf_dns_servers *servers,
			   struct spf_waiting *waiting)
{
	struct dns_client *client = i_new(struct dns_client, 1);

	client->servers = *servers;
	client->waiting = waiting;
	client->source.begin = client_begin;
	client->source.lookup = client_lookup;
	client->source.deinit = client_deinit;
	return &client->source;
}
