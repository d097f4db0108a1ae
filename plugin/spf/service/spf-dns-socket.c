/* Asks the servers in turn. What was asked before stays open while the next one is
   asked: an answer that comes late is one too. Each time another socket is used: a
   port and an id that nobody can guess, from a server's address only (connect()).
   A server that says it failed, or isn't there, isn't asked again. */

#include "lib.h"
#include "byteorder.h"
#include "spf/spf-protocol.h"
#include "spf-dns-socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* as many tries as there can be: in three rounds, or of resolv.conf in five */
#define SOCKET_MAX (SPF_DNS_MAX_SERVERS * 3)
/* a message over TCP begins with its size */
#define TCP_PREFIX_SIZE 2

/* A question that was sent. */
struct socket_try {
	unsigned int server;
	bool edns;
	struct spf_dns_question question;
};

struct socket_asking {
	struct spf_dns_servers *servers;
	pool_t pool;
	enum spf_dns_type type;
	struct spf_dns_chain *chain;
	struct spf_dns_answer *answer;
	bool *answered;

	/* as far as it goes without a place, or with the one that was taken */
	uint64_t deadline;
	const struct spf_dns_deadline *limit;
	/* when the next server is asked */
	uint64_t next_msecs;
	unsigned int repeat_msecs;
	/* how often one was asked, or passed over because it had failed (bits) */
	unsigned int asked, failed;
	/* a try over TCP had no more time */
	bool late;

	unsigned int count;
	struct pollfd sockets[SOCKET_MAX];
	struct socket_try tries[SOCKET_MAX];
};

static int socket_open(const struct spf_dns_server *server, int type)
{
	int fd = socket(server->address.any.sa_family,
			type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, &server->address.any,
			       server->address_size) < 0 && errno != EINPROGRESS)
		i_close_fd(&fd);
	return fd;
}

static bool socket_retry(ssize_t ret)
{
	return ret < 0 && (errno == EAGAIN || errno == EINTR);
}

/* TCP */

/* Sends (POLLOUT) or receives all of it. */
static bool tcp_transfer(int fd, short event, unsigned char *data, size_t size,
			 uint64_t until)
{
	struct pollfd poll_fd = { .fd = fd, .events = event };
	uint64_t now;
	ssize_t ret;

	while (size > 0) {
		now = spf_clock_msecs();
		if (now >= until)
			return FALSE;
		if (poll(&poll_fd, 1, until - now) <= 0)
			continue;
		ret = event == POLLOUT ? send(fd, data, size, MSG_NOSIGNAL) :
			recv(fd, data, size, 0);
		if (ret == 0 || (ret < 0 && !socket_retry(ret)))
			return FALSE;
		if (ret > 0) {
			data += ret;
			size -= ret;
		}
	}
	return TRUE;
}

/* The same question again. Returns the answer's size, 0 if there is none. */
static size_t tcp_ask(const struct socket_asking *asking,
		      const struct socket_try *try, uint64_t until,
		      unsigned char answer[SPF_DNS_MESSAGE_SIZE])
{
	const struct spf_dns_question *question = &try->question;
	unsigned char message[TCP_PREFIX_SIZE + SPF_DNS_QUESTION_SIZE];
	int fd = socket_open(&asking->servers->all[try->server], SOCK_STREAM);
	size_t size = 0;

	if (fd < 0)
		return 0;
	cpu16_to_be_unaligned(question->size, message);
	memcpy(message + TCP_PREFIX_SIZE, question->data, question->size);
	if (tcp_transfer(fd, POLLOUT, message,
			 TCP_PREFIX_SIZE + question->size, until) &&
	    tcp_transfer(fd, POLLIN, message, TCP_PREFIX_SIZE, until)) {
		size = be16_to_cpu_unaligned(message);
		if (!tcp_transfer(fd, POLLIN, answer, size, until) ||
		    !spf_dns_message_answers(answer, size, question))
			size = 0;
	}
	i_close_fd(&fd);
	return size;
}

/* Asking */

static void asking_failed(struct socket_asking *asking, unsigned int server)
{
	asking->failed |= 1U << server;
	/* the next one needn't wait for it */
	asking->next_msecs = 0;
}

static void
asking_send(struct socket_asking *asking, unsigned int server, bool edns)
{
	struct socket_try *try = &asking->tries[asking->count];
	struct pollfd *socket = &asking->sockets[asking->count];

	if (asking->count == SOCKET_MAX)
		return;
	socket->fd = socket_open(&asking->servers->all[server], SOCK_DGRAM);
	if (socket->fd < 0) {
		asking_failed(asking, server);
		return;
	}
	socket->events = POLLIN;
	socket->revents = 0;
	try->server = server;
	try->edns = edns;
	spf_dns_question_write(&try->question, asking->chain->name,
			       asking->type, edns);
	asking->count++;
	if (send(socket->fd, try->question.data, try->question.size,
		 MSG_NOSIGNAL) < 0)
		asking_failed(asking, server);
}

/* With EDNS in the first round: it may be EDNS that a firewall drops. */
static void asking_send_next(struct socket_asking *asking, uint64_t now)
{
	const struct spf_dns_servers *servers = asking->servers;
	unsigned int server, round;

	if (now < asking->next_msecs)
		return;
	asking->next_msecs = asking->limit->last_msecs;
	while (asking->asked < servers->count * servers->rounds) {
		round = asking->asked / servers->count;
		server = (servers->first + asking->asked++) % servers->count;
		if ((asking->failed & (1U << server)) != 0)
			continue;
		asking->next_msecs = now + ((uint64_t)asking->repeat_msecs << round);
		asking_send(asking, server, round == 0);
		return;
	}
}

static void asking_close(struct socket_asking *asking, unsigned int i)
{
	i_close_fd(&asking->sockets[i].fd);
	asking->count--;
	asking->sockets[i] = asking->sockets[asking->count];
	asking->tries[i] = asking->tries[asking->count];
}

/* Goes on to the end, if there is a place for that. */
static void asking_go_on(struct socket_asking *asking)
{
	if (asking->deadline < asking->limit->last_msecs &&
	    spf_waiting_begin(asking->limit->waiting))
		asking->deadline = asking->limit->last_msecs;
}

/* TCP has to be allowed all of the time beforehand; where it took less, the place is for
   others. */
static void asking_tcp_done(struct socket_asking *asking, bool answered,
			    uint64_t until)
{
	uint64_t now = spf_clock_msecs();

	if (!answered && now >= until)
		asking->late = TRUE;
	if (now < asking->limit->free_msecs) {
		spf_waiting_end(asking->limit->waiting);
		asking->deadline = I_MIN(asking->limit->free_msecs,
					 asking->limit->last_msecs);
	}
}

/* A server's answer to one of the tries. Returns what spf_dns_message_read() does. */
static int asking_answered(struct socket_asking *asking,
			   const struct socket_try *try, unsigned char *answer,
			   size_t size)
{
	uint64_t until;
	int ret = -1;

	*asking->answered = TRUE;
	if (try->edns && spf_dns_message_refuses_edns(answer, size)) {
		asking_send(asking, try->server, FALSE);
		return -1;
	}
	if (spf_dns_message_is_cut(answer)) {
		asking_go_on(asking);
		until = asking->deadline;
		if (asking->servers->count > 1) {
			until = I_MIN(until, spf_clock_msecs() +
				      asking->repeat_msecs);
		}
		size = tcp_ask(asking, try, until, answer);
		asking->answer->error = "no answer over TCP";
		asking_tcp_done(asking, size > 0, until);
	}
	if (size > 0) {
		ret = spf_dns_message_read(asking->pool, answer, size,
					   asking->type, asking->chain,
					   asking->answer);
	}
	if (ret < 0)
		asking_failed(asking, try->server);
	else
		asking->servers->first = try->server;
	return ret;
}

static int asking_receive(struct socket_asking *asking, unsigned int i)
{
	unsigned char answer[SPF_DNS_MESSAGE_SIZE];
	struct socket_try try = asking->tries[i];
	ssize_t size = recv(asking->sockets[i].fd, answer, sizeof(answer), 0);

	/* other packets are ignored: anybody can send one */
	if (socket_retry(size) ||
	    (size >= 0 && !spf_dns_message_answers(answer, size, &try.question)))
		return -1;
	asking_close(asking, i);
	if (size < 0) {
		asking_failed(asking, try.server);
		return -1;
	}
	return asking_answered(asking, &try, answer, size);
}

/* Waits once: for a packet, or until somebody else is to be asked. */
static int asking_wait(struct socket_asking *asking, uint64_t now)
{
	uint64_t until = I_MIN(asking->deadline, asking->next_msecs);
	unsigned int i;
	int ret = -1;

	if (until <= now || poll(asking->sockets, asking->count, until - now) <= 0)
		return -1;
	/* closing one moves the last one to its place */
	for (i = asking->count; i > 0 && ret < 0; i--) {
		if (asking->sockets[i - 1].revents != 0)
			ret = asking_receive(asking, i - 1);
	}
	return ret;
}

int spf_dns_socket_ask(struct spf_dns_servers *servers, pool_t pool,
		       enum spf_dns_type type,
		       const struct spf_dns_deadline *deadline,
		       struct spf_dns_chain *chain,
		       struct spf_dns_answer *answer_r, bool *answered_r)
{
	struct socket_asking asking = {
		.servers = servers, .pool = pool, .type = type, .chain = chain,
		.answer = answer_r, .answered = answered_r,
		.deadline = I_MIN(deadline->free_msecs, deadline->last_msecs),
		.limit = deadline
	};
	const unsigned int all = (1U << servers->count) - 1;
	uint64_t now = spf_clock_msecs();
	int ret = -1;

	*answered_r = FALSE;
	i_zero(answer_r);
	answer_r->status = SPF_DNS_ERROR;
	answer_r->error = "no server can be reached";
	/* time for each of them */
	asking.repeat_msecs = I_MIN(servers->repeat_msecs,
				    (deadline->last_msecs -
				     I_MIN(now, deadline->last_msecs)) /
				    servers->count);
	while (ret < 0 && asking.failed != all) {
		if (now >= asking.deadline)
			asking_go_on(&asking);
		if (now >= asking.deadline)
			break;
		asking_send_next(&asking, now);
		ret = asking_wait(&asking, now);
		now = spf_clock_msecs();
	}
	if (ret < 0 && (asking.failed != all || asking.late)) {
		answer_r->late = TRUE;
		answer_r->error = "no answer in time";
	}
	while (asking.count > 0)
		asking_close(&asking, 0);
	return ret;
}
