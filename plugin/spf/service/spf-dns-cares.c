/* Asks DNS servers with c-ares, one question at a time, in a poll loop of its own:
   Dovecot's ioloop never runs while a message is delivered. c-ares sends, repeats,
   and turns to TCP where an answer was cut off; its sockets are closed whenever
   nothing is asked. (SIGPIPE is ignored in every Dovecot process.)

   A server that doesn't answer must not cost each delivery the whole time again.
   After an evaluation in which no server said anything the next one waits
   shorter. But it may be that only some domain's servers are dead: so where
   nothing comes a second question is sent that every server answers at once, and
   any answer at all brings the whole time back. How much of it slow domains get,
   says spf-dns-patience.h. */

#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "str.h"
#include "spf-dns.h"
#include "spf-dns-message.h"
#include "spf-dns-patience.h"
#include "spf/spf-dns-servers.h"
#include "spf-dns-socket.h"
#include "spf/spf-limits.h"
#include "spf/spf-wire.h"

#include <arpa/nameser.h>
#include <poll.h>
/* c-ares 1.34 has newer names for what 1.18 has too */
#define CARES_NO_DEPRECATED
#include <ares.h>

#define CARES_RESOLV_CONF "/etc/resolv.conf"
/* The first repetition is sent after this time, and the next after twice it. */
#define CARES_REPEAT_MSECS 1000
#define CARES_TRIES 3
#define CARES_MAX_SOCKETS 16
#define CARES_PROBE_NAME "localhost"
/* Sent if there was no answer for so long; less than any patience. */
#define CARES_PROBE_MSECS 200

/* How long to wait for the first answer, after so many silent evaluations. */
static const unsigned int cares_patience_msecs[] = {
	UINT_MAX, 1000, 250
};

struct cares_source {
	struct spf_dns_source source;
	/* NULL: resolv.conf's */
	char *servers;

	/* there is one after the first question, until no server answers:
	   resolv.conf may be another by then */
	ares_channel channel;
	pool_t channel_pool;
	ARRAY_TYPE(const_string) channel_servers;
	/* of channel_servers, which is asked first; c-ares doesn't know it yet */
	unsigned int first;
	bool first_changed;
	struct pollfd sockets[CARES_MAX_SOCKETS];
	unsigned int sockets_count;

	/* evaluations in a row in which no server answered */
	unsigned int silent;
	struct spf_dns_patience patience;
	/* when the last question was asked */
	uint64_t asked_msecs;
	/* in this evaluation */
	bool asked:1;
	bool answered:1;
	bool probed:1;
	bool probing:1;
	/* a question got no answer in time */
	bool late:1;
};

struct cares_question {
	struct cares_source *source;
	pool_t pool;
	const char *name;
	enum spf_dns_type type;
	struct spf_dns_answer *answer;
	/* a CNAME leads there */
	const char *next;
	bool finished:1;
	/* c-ares won't ask for this name, or read this answer */
	bool refused:1;
};

static void
cares_socket_changed(void *context, ares_socket_t fd, int readable, int writable)
{
	struct cares_source *source = context;
	unsigned int i;

	for (i = 0; i < source->sockets_count; i++) {
		if (source->sockets[i].fd == fd)
			break;
	}
	if (readable == 0 && writable == 0) {
		if (i < source->sockets_count)
			source->sockets[i] =
				source->sockets[--source->sockets_count];
		return;
	}
	if (i == CARES_MAX_SOCKETS)
		return;
	source->sockets_count = I_MAX(source->sockets_count, i + 1);
	source->sockets[i].fd = fd;
	source->sockets[i].events = (readable != 0 ? POLLIN : 0) |
		(writable != 0 ? POLLOUT : 0);
}

/* The channel */

/* Impossible while something is asked: then it has to wait. */
static int cares_set_servers(struct cares_source *source)
{
	string_t *servers = t_str_new(128);
	unsigned int i, count = array_count(&source->channel_servers);
	int ret;

	for (i = 0; i < count; i++) {
		str_printfa(servers, "%s%s", i == 0 ? "" : ",",
			    array_idx_elem(&source->channel_servers,
					   (source->first + i) % count));
	}
	ret = ares_set_servers_ports_csv(source->channel, str_c(servers));
	source->first_changed = ret != ARES_SUCCESS;
	return ret;
}

static void cares_read_servers(struct cares_source *source)
{
	const char *error;

	source->channel_pool = pool_alloconly_create("spf dns servers", 512);
	p_array_init(&source->channel_servers, source->channel_pool, 4);
	source->first = 0;
	if (source->servers == NULL) {
		spf_dns_servers_read(source->channel_pool, CARES_RESOLV_CONF,
				     &source->channel_servers);
	} else if (spf_dns_servers_parse(source->channel_pool, source->servers,
					 &source->channel_servers, &error) < 0) {
		/* it was right before */
		i_unreached();
	}
}

static void cares_close(struct cares_source *source)
{
	if (source->channel == NULL)
		return;
	ares_destroy(source->channel);
	source->channel = NULL;
	source->sockets_count = 0;
	pool_unref(&source->channel_pool);
}

/* Returns ARES_SUCCESS, or c-ares' error. */
static int cares_open(struct cares_source *source)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = CARES_REPEAT_MSECS,
		.tries = CARES_TRIES,
		.sock_state_cb = cares_socket_changed,
		.sock_state_cb_data = source
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		ARES_OPT_SOCK_STATE_CB;
	int ret;

#ifdef ARES_OPT_QUERY_CACHE
	/* the cache is ours */
	options.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	if (source->channel != NULL) {
		if (source->first_changed)
			(void)cares_set_servers(source);
		return ARES_SUCCESS;
	}
	ret = ares_init_options(&source->channel, &options, mask);
	if (ret != ARES_SUCCESS) {
		source->channel = NULL;
		return ret;
	}
	cares_read_servers(source);
	T_BEGIN {
		ret = cares_set_servers(source);
	} T_END;
	if (ret != ARES_SUCCESS)
		cares_close(source);
	return ret;
}

/* Answers */

/* A server said something, be it that it can't say. */
static bool cares_status_is_answer(int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
	case ARES_EFORMERR:
	case ARES_ESERVFAIL:
	case ARES_ENOTFOUND:
	case ARES_ENOTIMP:
	case ARES_EREFUSED:
		return TRUE;
	default:
		return FALSE;
	}
}

/* Another server than the first one had to be asked: next time it is the first. */
static void cares_prefer_server(struct cares_source *source, int timeouts)
{
	unsigned int count = array_count(&source->channel_servers);

	if (timeouts <= 0 || count < 2)
		return;
	source->first = (source->first + timeouts) % count;
	source->first_changed = TRUE;
}

static void cares_no_answer(struct cares_question *question)
{
	question->source->late = TRUE;
	question->answer->status = SPF_DNS_ERROR;
	question->answer->late = TRUE;
	question->answer->error = "no answer in time";
}

static void
cares_answered(void *context, int status, int timeouts, unsigned char *data,
	       int size)
{
	struct cares_question *question = context;
	struct cares_source *source = question->source;

	question->finished = TRUE;
	question->refused = status == ARES_EBADNAME || status == ARES_EBADRESP;
	if (cares_status_is_answer(status)) {
		source->answered = TRUE;
		cares_prefer_server(source, timeouts);
	}
	if (data != NULL && size > 0 &&
	    (status == ARES_SUCCESS || status == ARES_ENODATA ||
	     status == ARES_ENOTFOUND)) {
		spf_dns_message_read(question->pool, data, size, question->name,
				     question->type, question->answer,
				     &question->next);
		return;
	}
	if (status == ARES_ECANCELLED || status == ARES_ETIMEOUT) {
		cares_no_answer(question);
		return;
	}
	question->answer->status = SPF_DNS_ERROR;
	question->answer->error = ares_strerror(status);
}

static void
cares_probe_answered(void *context, int status, int timeouts ATTR_UNUSED,
		     unsigned char *data ATTR_UNUSED, int size ATTR_UNUSED)
{
	struct cares_source *source = context;

	source->probing = FALSE;
	if (cares_status_is_answer(status))
		source->answered = TRUE;
}

/* Waiting */

/* Until when the last question may wait. */
static uint64_t cares_deadline(const struct cares_source *source)
{
	const struct spf_dns_patience *patience = &source->patience;
	uint64_t deadline = spf_dns_patience_deadline(patience,
						      source->asked_msecs);
	unsigned int i;

	if (!source->answered) {
		i = I_MIN(source->silent,
			  N_ELEMENTS(cares_patience_msecs) - 1);
		deadline = I_MIN(deadline, patience->started_msecs +
				 cares_patience_msecs[i]);
	}
	return deadline;
}

/* Is it the server that is dead? */
static void cares_probe_now(struct cares_source *source)
{
	if (source->probed)
		return;
	source->probed = source->probing = TRUE;
	ares_query(source->channel, CARES_PROBE_NAME, ns_c_in, ns_t_a,
		   cares_probe_answered, source);
}

/* At once if it was the last time. Returns how long to wait until then, 0 if that
   is over. */
static unsigned int cares_probe(struct cares_source *source, uint64_t now)
{
	uint64_t then = source->asked_msecs +
		(source->silent > 0 ? 0 : CARES_PROBE_MSECS);

	if (source->answered || source->probed)
		return 0;
	if (now < then)
		return then - now;
	cares_probe_now(source);
	return 0;
}

/* Waits for a packet, c-ares' next repetition, or so long. */
static void cares_wait_once(struct cares_source *source, unsigned int msecs)
{
	struct timeval max = {
		.tv_sec = msecs / 1000, .tv_usec = (msecs % 1000) * 1000
	}, wait, *tv;
	/* c-ares changes the list while it works */
	struct pollfd sockets[CARES_MAX_SOCKETS];
	unsigned int i, count = source->sockets_count;

	memcpy(sockets, source->sockets, sizeof(sockets));
	tv = ares_timeout(source->channel, &max, &wait);
	if (poll(sockets, count, tv->tv_sec * 1000 +
		 (tv->tv_usec + 999) / 1000) < 0)
		count = 0;
	for (i = 0; i < count; i++) {
		if (sockets[i].revents == 0)
			continue;
		ares_process_fd(source->channel,
			(sockets[i].revents & ~POLLOUT) != 0 ?
			sockets[i].fd : ARES_SOCKET_BAD,
			(sockets[i].revents & POLLOUT) != 0 ?
			sockets[i].fd : ARES_SOCKET_BAD);
	}
	ares_process_fd(source->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void cares_wait(struct cares_question *question)
{
	struct cares_source *source = question->source;
	unsigned int until_probe;
	uint64_t now, deadline;

	while (!question->finished) {
		now = spf_clock_msecs();
		deadline = cares_deadline(source);
		if (now >= deadline) {
			ares_cancel(source->channel);
			i_assert(question->finished);
			return;
		}
		until_probe = cares_probe(source, now);
		if (until_probe > 0)
			deadline = I_MIN(deadline, now + until_probe);
		cares_wait_once(source, deadline - now);
	}
}

/* No server had an answer: c-ares doesn't say whether they failed or weren't there
   at all. */
static void cares_wait_for_probe(struct cares_source *source)
{
	uint64_t now = spf_clock_msecs();
	uint64_t deadline = I_MIN(cares_deadline(source),
				  now + CARES_PROBE_MSECS);

	cares_probe_now(source);
	while (source->probing && now < deadline) {
		cares_wait_once(source, deadline - now);
		now = spf_clock_msecs();
	}
}

/* c-ares reads a backslash as an escape. */
static const char *cares_escape(const char *name)
{
	string_t *escaped;

	if (strchr(name, '\\') == NULL)
		return name;
	escaped = t_str_new(SPF_MAX_NAME + 1);
	for (; *name != '\0'; name++) {
		if (*name == '\\')
			str_append_c(escaped, '\\');
		str_append_c(escaped, *name);
	}
	return str_c(escaped);
}

/* Without c-ares: each server in turn. */
static void cares_ask_around(struct cares_question *question)
{
	struct cares_source *source = question->source;
	unsigned int i, count = array_count(&source->channel_servers);
	buffer_t *message = t_buffer_create(512);
	uint64_t deadline;
	struct ip_addr ip;
	in_port_t port;

	for (i = 0; i < count * CARES_TRIES; i++) {
		deadline = I_MIN(cares_deadline(source), spf_clock_msecs() +
				 (CARES_REPEAT_MSECS << (i / count)));
		spf_dns_servers_split(array_idx_elem(&source->channel_servers,
						     (source->first + i) % count),
				      &ip, &port);
		if (!spf_dns_socket_ask(&ip, port, question->name,
					question->type, deadline, message))
			continue;
		source->answered = TRUE;
		spf_dns_message_read(question->pool, message->data,
				     message->used, question->name,
				     question->type, question->answer,
				     &question->next);
		return;
	}
	cares_no_answer(question);
}

/* The source */

static void cares_begin(struct spf_dns_source *_source, unsigned int timeout_msecs)
{
	struct cares_source *source = container_of(_source, struct cares_source,
						   source);

	spf_dns_patience_begin(&source->patience, timeout_msecs,
			       spf_clock_msecs());
	source->asked = source->answered = FALSE;
	source->probed = source->probing = source->late = FALSE;
}

static void cares_end(struct spf_dns_source *_source)
{
	struct cares_source *source = container_of(_source, struct cares_source,
						   source);
	bool silent = source->asked && !source->answered;

	if (source->channel != NULL)
		ares_cancel(source->channel);
	if (silent) {
		source->silent++;
		cares_close(source);
	} else if (source->answered) {
		source->silent = 0;
	}
	/* unless the server is known to be dead, it is the domain's fault */
	if (source->answered || !source->probed) {
		spf_dns_patience_pay(&source->patience, source->late,
				     spf_clock_msecs());
	}
}

static void cares_ask(struct cares_question *question)
{
	struct cares_source *source = question->source;
	int ret = cares_open(source);

	if (ret != ARES_SUCCESS) {
		question->answer->status = SPF_DNS_ERROR;
		question->answer->error = ares_strerror(ret);
		return;
	}
	source->asked = TRUE;
	source->asked_msecs = spf_clock_msecs();
	ares_query(source->channel, cares_escape(question->name), ns_c_in,
		   question->type, cares_answered, question);
	cares_wait(question);
	if (question->refused)
		cares_ask_around(question);
	else if (question->answer->status == SPF_DNS_ERROR &&
		 !question->answer->late && !source->answered)
		cares_wait_for_probe(source);
}

/* How many seconds an error is worth keeping. A dead server tells nothing of the
   name, nor does a wait that was too short for an answer. */
static unsigned int cares_error_ttl(const struct cares_question *question)
{
	const struct cares_source *source = question->source;
	unsigned int enough = I_MIN(source->patience.timeout_msecs,
				    SPF_DNS_PATIENCE_EVALUATION_MSECS);

	if (!source->answered ||
	    (question->answer->late &&
	     spf_clock_msecs() < source->asked_msecs + enough))
		return 0;
	return SPF_DNS_ERROR_TTL;
}

static void
cares_lookup(struct spf_dns_source *_source, pool_t pool, const char *name,
	     enum spf_dns_type type, struct spf_dns_answer *answer_r)
{
	struct cares_source *source = container_of(_source, struct cares_source,
						   source);
	struct cares_question question = {
		.source = source, .pool = pool, .type = type,
		.answer = answer_r, .next = name
	};
	unsigned int i;

	/* A recursive server follows CNAMEs itself; this is for others. */
	for (i = 0; question.next != NULL; i++) T_BEGIN {
		question.name = question.next;
		question.next = NULL;
		question.finished = FALSE;
		if (i <= SPF_DNS_MAX_CNAMES)
			cares_ask(&question);
		else {
			answer_r->status = SPF_DNS_ERROR;
			answer_r->error = "too many CNAMEs";
		}
	} T_END;
	if (answer_r->status == SPF_DNS_ERROR)
		answer_r->ttl = cares_error_ttl(&question);
}

static void cares_deinit(struct spf_dns_source *_source)
{
	struct cares_source *source = container_of(_source, struct cares_source,
						   source);

	cares_close(source);
	ares_library_cleanup();
	i_free(source->servers);
	i_free(source);
}

int spf_dns_source_init_cares(const char *servers,
			      struct spf_dns_source **source_r,
			      const char **error_r)
{
	struct cares_source *source;
	ARRAY_TYPE(const_string) parsed;
	int ret;

	t_array_init(&parsed, 4);
	if (servers != NULL &&
	    spf_dns_servers_parse(pool_datastack_create(), servers, &parsed,
				  error_r) < 0)
		return -1;
	if (array_count(&parsed) == 0)
		servers = NULL;
	ret = ares_library_init(ARES_LIB_INIT_ALL);
	if (ret != ARES_SUCCESS) {
		*error_r = t_strdup_printf("c-ares: %s", ares_strerror(ret));
		return -1;
	}
	source = i_new(struct cares_source, 1);
	source->servers = i_strdup(servers);
	source->source.begin = cares_begin;
	source->source.end = cares_end;
	source->source.lookup = cares_lookup;
	source->source.deinit = cares_deinit;
	*source_r = &source->source;
	return 0;
}
