/* backscatter-milter: reads its arguments and files, takes its sockets, and ends in good
   time. Runs in the foreground. */

#include "config.h"
#include "milter/doveadm/doveadm-client.h"
#include "line.h"
#include "log.h"
#include "milter.h"
#include "notify.h"
#include "milter/doveadm/sender-question.h"
#include "sending.h"
#include "socket.h"
#include "milter/spool/spool.h"
#include "text.h"
#include "sent-log/site-key.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define USAGE "usage: backscatter-milter [-c FILE] [-t]\n" \
	"  -c FILE  the configuration, instead of " CONFIG_DEFAULT_PATH "\n" \
	"  -t       only check it\n"
#define EXIT_USAGE 64
#define EXIT_CONFIG 78

/* How long messages at their end may hold up the end of the program: libmilter's own way
   takes four seconds. */
#define STOP_MSECS 1000
/* What was answered is on its way to the MTA then. */
#define REPLY_MSECS 50
#define MAX_DESCRIPTORS 65536

struct program {
	const char *config_path;
	bool only_checks;
	struct config config;
	struct serial_keys keys;
	char hostname[256];
	struct doveadm_client *client;
	struct sending sending;
};

/* The way to log lines: where systemd reads stderr, its journal and syslog want to know the
   facility. */
static void choose_log(void)
{
	const char *journal = getenv("JOURNAL_STREAM");
	unsigned long device, inode;
	struct stat st;

	if (journal != NULL &&
	    sscanf(journal, "%lu:%lu", &device, &inode) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	    st.st_ino == inode)
		log_to_syslog("backscatter-milter");
}

static void parse_arguments(struct program *program, int argc, char **argv)
{
	int option;

	program->config_path = CONFIG_DEFAULT_PATH;
	while ((option = getopt(argc, argv, "c:th")) != -1) {
		switch (option) {
		case 'c':
			program->config_path = optarg;
			break;
		case 't':
			program->only_checks = true;
			break;
		default:
			(void)fputs(USAGE, option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : EXIT_USAGE);
		}
	}
	if (optind < argc) {
		(void)fputs(USAGE, stderr);
		exit(EXIT_USAGE);
	}
}

/* Before root's rights go: its files may be for root alone. */
static int read_files(struct program *program, char **error_r)
{
	struct doveadm_client_settings set = {
		.socket = program->config.doveadm_socket,
		.api_key_file = program->config.doveadm_api_key,
		.connections = program->config.doveadm_connections,
	};
	char *error;

	if (site_key_read(program->config.site_key, &program->keys, &error) < 0) {
		*error_r = text_format("site_key = %s: %s",
				       program->config.site_key, error);
		free(error);
		return -1;
	}
	return doveadm_client_init(&set, &program->client, error_r);
}

static int find_user(const struct config *config, struct passwd **user_r,
		     char **error_r)
{
	errno = 0;
	*user_r = getpwnam(config->user);
	if (*user_r != NULL && (*user_r)->pw_uid != 0)
		return 0;
	*error_r = text_format("user = %s: %s", config->user,
			       *user_r != NULL ? "is root" :
			       errno != 0 ? strerror(errno) : "no such user");
	return -1;
}

static int drop_rights(const struct config *config, char **error_r)
{
	struct passwd *user;

	if (geteuid() != 0)
		return 0;
	if (find_user(config, &user, error_r) < 0)
		return -1;
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0) {
		*error_r = text_format("user = %s: can't become it: %s",
				       config->user, strerror(errno));
		return -1;
	}
	return 0;
}

/* Each SMTP session of the MTA is a connection here. */
static void allow_many_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max < MAX_DESCRIPTORS ?
			limit.rlim_max : MAX_DESCRIPTORS;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void warn_of_port(const struct config *config)
{
	if (*config->socket != '\0' && config_socket_path(config) == NULL) {
		log_warning("socket = %s: whoever reaches this port can have "
			    "serials made for any user: only the MTA's host "
			    "should, and none of its users", config->socket);
	}
}

/* Who may enter a socket's folder is all that stands between the users of the host and
   serials, and between the MTA and us. */
static void warn_of_folder(const char *setting, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = text_format("%.*s", slash == path ? 1 :
				   (int)(slash - path), path);
	struct stat st;
	/* the lock has just been made there */
	mode_t mode = stat(folder, &st) == 0 ? st.st_mode & 07777 : S_IXGRP;

	if ((mode & (S_IXGRP | S_IXOTH)) == 0) {
		log_warning("%s: only root and its owner may enter %s (mode "
			    "%04o): an MTA of another user needs it with its "
			    "own group and mode 2710", setting, folder,
			    (unsigned int)mode);
	} else if ((mode & S_IWOTH) != 0) {
		log_warning("%s: every user of this host may connect, or put "
			    "another socket into %s (mode %04o): it needs mode "
			    "2710", setting, folder,
			    (unsigned int)mode);
	}
	free(folder);
}

/* The lock lasts as long as the process. setting: whose path it is; NULL or "" = none */
static int take_socket(const char *setting, const char *path, char **error_r)
{
	char *error;

	if (path == NULL || *path == '\0')
		return 0;
	if (socket_lock(path, &error) < 0) {
		*error_r = text_format("%s: %s", setting, error);
		free(error);
		return -1;
	}
	warn_of_folder(setting, path);
	return 0;
}

static int open_spool(struct program *program, char **error_r)
{
	struct spool_settings set = {
		.path = program->config.spool,
		.max_rows = program->config.spool_max_rows,
		.connections = program->config.doveadm_connections,
		.client = program->client,
	};

	if (spool_open(&set, &program->sending.spool, error_r) < 0)
		return -1;
	program->sending.question = sender_question_init(program->client);
	return 0;
}

static void set_sending(struct program *program)
{
	struct sending *sending = &program->sending;

	if (gethostname(program->hostname, sizeof(program->hostname) - 1) < 0 ||
	    program->hostname[0] == '\0')
		(void)strcpy(program->hostname, "localhost");
	sending->config = &program->config;
	/* the newest one issues */
	sending->marks.key = &program->keys.keys[program->keys.count - 1];
	sending->marks.envid = program->config.envid;
	sending->marks.tag = program->config.tag;
	sending->marks.recipient_delimiter = program->config.recipient_delimiter;
	sending->marks.hostname = program->hostname;
}

/* The end */

/* Once, and without what exit() does: other threads are still at work. */
static void finish(struct program *program)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	const char *path = config_socket_path(&program->config);
	const struct timespec reply_time = {
		.tv_nsec = REPLY_MSECS * 1000000L
	};

	(void)pthread_mutex_lock(&once);
	if (sending_stop(STOP_MSECS)) {
		(void)nanosleep(&reply_time, NULL);
		spool_close(&program->sending.spool);
	}
	if (path != NULL)
		(void)unlink(path);
	if (*program->config.line_socket != '\0')
		(void)unlink(program->config.line_socket);
	log_info("stopped");
	_exit(0);
}

static void end_signals(sigset_t *set_r)
{
	(void)sigemptyset(set_r);
	(void)sigaddset(set_r, SIGTERM);
	(void)sigaddset(set_r, SIGINT);
	(void)sigaddset(set_r, SIGHUP);
}

static void *signal_thread(void *context)
{
	sigset_t set;
	int number;

	end_signals(&set);
	while (sigwait(&set, &number) != 0 || number == SIGHUP)
		log_info("SIGHUP: files are read at the start only");
	finish(context);
	return NULL;
}

/* Before any thread is started: nobody is to be killed by them. */
static void block_signals(void)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	end_signals(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* libmilter waits for the same signals, in a thread that it starts later: the kernel wakes the
   oldest one. (If it were another, the end would only take longer.) */
static int watch_signals(struct program *program, char **error_r)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, signal_thread, program) != 0) {
		*error_r = text_format("no thread can be started");
		return -1;
	}
	(void)pthread_detach(thread);
	return 0;
}

/* The begin */

static int start(struct program *program, char **error_r)
{
	bool has_milter = *program->config.socket != '\0';

	if (drop_rights(&program->config, error_r) < 0 ||
	    take_socket("socket", config_socket_path(&program->config),
			error_r) < 0 ||
	    take_socket("line_socket", program->config.line_socket, error_r) < 0)
		return -1;
	block_signals();
	allow_many_descriptors();
	warn_of_port(&program->config);
	set_sending(program);
	if ((has_milter && milter_init(&program->sending, error_r) < 0) ||
	    open_spool(program, error_r) < 0 ||
	    (has_milter && milter_open_socket(error_r) < 0) ||
	    watch_signals(program, error_r) < 0)
		return -1;
	return *program->config.line_socket == '\0' ? 0 :
		line_start(&program->sending, error_r);
}

static int check(struct program *program, char **error_r)
{
	struct passwd *user;

	if (config_read(program->config_path, &program->config, error_r) < 0 ||
	    read_files(program, error_r) < 0)
		return -1;
	return geteuid() != 0 ? 0 : find_user(&program->config, &user, error_r);
}

int main(int argc, char **argv)
{
	static struct program program;
	char *error;

	choose_log();
	parse_arguments(&program, argc, argv);
	if (check(&program, &error) < 0) {
		log_error("%s", error);
		return EXIT_CONFIG;
	}
	if (program.only_checks)
		return 0;
	if (start(&program, &error) < 0) {
		log_error("%s", error);
		return 1;
	}
	log_info("ready");
	notify_ready();
	if (*program.config.socket != '\0' && milter_run() < 0) {
		log_error("libmilter has ended");
		return 1;
	}
	if (*program.config.socket != '\0')
		finish(&program);
	/* signal_thread() ends it */
	for (;;)
		(void)pause();
}
