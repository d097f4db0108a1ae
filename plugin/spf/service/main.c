/* backscatter-spf: the executable of the service. Dovecot's master starts it as root; it
   gives that up, and the file system, before it takes the first question. One evaluation
   at a time: libspf2 waits for DNS, and the master starts more of these as they are needed
   (process_limit). A crash costs the one question.

   It reads no settings: what is configured comes with the question, so that a reload needs
   nothing of it. */

#include "lib.h"
#include "str.h"
#include "master-interface.h"
#include "master-service.h"
#include "restrict-access.h"
#include "spf/spf-addresses.h"
#include "spf/spf-protocol.h"
#include "spf-check.h"
#include "spf-dns.h"
#include "spf-waiting.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"

/* Who asks is Dovecot, and has the question ready. */
#define QUESTION_MSECS 1000
/* one of so many processes may wait for a domain that doesn't answer */
#define WAITING_SHARE 4
#define WAITING_FILE "backscatter-spf.waiting"
/* the master is busy, but alive */
#define MASTER_MSECS 200

static struct {
	/* of resolv.conf, read before the chroot */
	struct spf_dns_servers default_servers;

	/* of the servers that were asked last, with their answers; "": those above */
	struct spf_dns *dns;
	char *servers;

	struct spf_waiting *waiting;
} service;

/* One question. */
struct question {
	struct spf_wire wire;
	struct spf_check_request request;
	bool steps;
	/* what is to be sent, the hello first of all */
	string_t *text;
	/* nobody listens any more */
	bool gone;
};

/* Before anything that may take time. Returns FALSE if nobody listens any more. */
static bool question_send(void *context)
{
	struct question *question = context;
	const char *error;

	if (spf_wire_send(&question->wire, str_data(question->text),
			  str_len(question->text), &error) < 0)
		question->gone = TRUE;
	str_truncate(question->text, 0);
	return !question->gone;
}

static void question_trace(const char *line, void *context)
{
	struct question *question = context;

	spf_step_write(question->text, line);
	(void)question_send(context);
}

/* What is left of the time, 0: none. The question may have waited for this process. */
static unsigned int question_time_left(const struct spf_check_request *request)
{
	uint64_t now = spf_clock_msecs(), waited = 0;

	if (request->asked_msecs > 0 && request->asked_msecs < now)
		waited = now - request->asked_msecs;
	return waited >= request->timeout_msecs ? 0 : request->timeout_msecs - waited;
}

/* Returns 0, or -1 if who asks is not one of us, or nobody any more. */
static int question_read(struct question *question)
{
	struct pollfd pollfd = { .fd = question->wire.fd, .events = POLLIN };
	const char *line, *error;

	question->wire.deadline_msecs = spf_clock_msecs() + QUESTION_MSECS;
	str_append(question->text, SPF_PROTOCOL_HELLO(SPF_PROTOCOL_SERVICE));
	/* Mostly the question is here already, and the answer known: then one packet
	   says all, and who asks has to wake up only once. */
	if (poll(&pollfd, 1, 0) <= 0 && !question_send(question))
		return -1;
	if (spf_wire_read_line(&question->wire, &line, &error) < 0)
		return -1;
	if (!spf_hello_is_right(line, SPF_PROTOCOL_CLIENT)) {
		i_error("a client of another version asks: reload Dovecot");
		return -1;
	}
	if (spf_wire_read_line(&question->wire, &line, &error) < 0 ||
	    spf_question_read(line, &question->request, &question->steps) < 0) {
		i_error("a question can't be read");
		return -1;
	}
	question->request.timeout_msecs = question_time_left(&question->request);
	if (question->request.timeout_msecs == 0)
		return -1;
	if (question->steps) {
		question->request.trace = question_trace;
		question->request.trace_context = question;
	}
	question->wire.deadline_msecs = spf_clock_msecs() +
		question->request.timeout_msecs + QUESTION_MSECS;
	return 0;
}

static void service_forget_dns(void)
{
	if (service.dns != NULL)
		spf_dns_deinit(&service.dns);
	i_free(service.servers);
}

/* Whoever may ask may name servers. Each list has its own cache: an answer is kept for
   those only who would have asked the same. */
static int service_open_dns(const char *servers, const char **error_r)
{
	struct spf_dns_servers list;

	if (service.dns != NULL && strcmp(service.servers, servers) == 0)
		return 0;
	if (spf_dns_servers_parse(servers, &list, error_r) < 0)
		return -1;
	service_forget_dns();
	service.dns = spf_dns_init(list.count > 0 ? &list :
				   &service.default_servers, service.waiting);
	service.servers = i_strdup(servers);
	return 0;
}

static void question_evaluate(struct question *question)
{
	pool_t pool = pool_alloconly_create("spf reply", 1024);
	struct spf_check_reply reply = {
		.result = SPF_CHECK_TEMPERROR,
		.domain = "",
		.problem = "name servers can't be read",
	};
	const char *error;

	if (service_open_dns(question->request.dns_servers, &error) < 0)
		i_error("backscatter_spf_dns: %s", error);
	else {
		spf_dns_before_asking(service.dns, question_send, question);
		spf_check_host(service.dns, &question->request, pool, &reply);
	}
	spf_waiting_end(service.waiting);
	spf_reply_write(question->text, &reply);
	pool_unref(&pool);
}

/* resolv.conf may have been empty when the host booted, or have changed, and nobody can
   read it in the chroot. The next process does. */
static void service_end_if_unreachable(void)
{
	if (service.dns != NULL && *service.servers == '\0' &&
	    spf_dns_is_unreachable(service.dns))
		master_service_stop(master_service);
}

/* The connection isn't accepted for later: lib-master closes it. */
static void client_connected(struct master_service_connection *conn)
{
	/* steps are added in other frames of the data stack than this one */
	struct question question = {
		.wire = { .fd = conn->fd }, .text = str_new(default_pool, 512)
	};

	T_BEGIN {
		if (question_read(&question) == 0)
			question_evaluate(&question);
		(void)question_send(&question);
	} T_END;
	service_end_if_unreachable();
	str_free(&question.text);
}

/* In base_dir, where the master starts its processes. */
static void service_open_waiting(void)
{
	unsigned int processes = master_service_get_process_limit(master_service);
	unsigned int places = I_MAX(processes / WAITING_SHARE, 1);

	service.waiting = spf_waiting_init(WAITING_FILE, places);
	if (service.waiting == NULL) {
		i_error("open(%s) failed: %m - domains that don't answer may "
			"delay the mail of others", WAITING_FILE);
	}
}

/* Until the master has heard that this process is there. If one dies before that (the
   first question may crash libspf2), the master takes it for one that can't start, and
   starts no other for seconds, then minutes. */
static void service_wait_for_master(void)
{
	unsigned int msecs;
	int unread;

	for (msecs = 0; msecs < MASTER_MSECS; msecs++) {
		if (ioctl(MASTER_STATUS_FD, FIONREAD, &unread) < 0 || unread == 0)
			break;
		usleep(1000);
	}
}

int main(int argc, char *argv[])
{
	master_service = master_service_init("backscatter-spf",
		MASTER_SERVICE_FLAG_DONT_SEND_STATS, &argc, &argv, "");
	if (master_getopt(master_service) > 0)
		return FATAL_DEFAULT;
	master_service_init_log(master_service);
	spf_dns_servers_read(RESOLV_CONF, &service.default_servers);
	service_open_waiting();
	restrict_access_by_env(0, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		i_error("prctl(PR_SET_NO_NEW_PRIVS) failed: %m");
	master_service_init_finish(master_service);
	service_wait_for_master();
	master_service_run(master_service, client_connected);
	service_forget_dns();
	spf_waiting_deinit(&service.waiting);
	master_service_deinit(&master_service);
	return 0;
}
