/* Reading speed of the report reader: microseconds a report and MiB/s, and that
   hostile messages take bounded memory and no more time than their size explains.
   Arguments: files with reports. One figure a line: name value unit. */

#include "lib.h"
#include "buffer.h"
#include "istream.h"
#include "str.h"
#include "report/report.h"
#include "report/report-scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define BENCH_SECS 1.0

static double cpu_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void read_once(const void *message, size_t size)
{
	struct istream *input = i_stream_create_from_data(message, size);
	pool_t pool = pool_alloconly_create("bench", 4096);
	struct report_scan scan;
	struct report report;
	const char *error;

	T_BEGIN {
		report_scan_header(input, TRUE, &scan);
		if (report_read(pool, input, REPORT_SENDER_NULL, &report,
				&error) < 0)
			i_fatal("%s", error);
	} T_END;
	pool_unref(&pool);
	i_stream_unref(&input);
}

static buffer_t *read_file(const char *path)
{
	buffer_t *buffer = buffer_create_dynamic(default_pool, 65536);
	int fd = open(path, O_RDONLY);
	ssize_t size;
	char block[65536];

	if (fd < 0)
		i_fatal("open(%s) failed: %m", path);
	while ((size = read(fd, block, sizeof(block))) > 0)
		buffer_append(buffer, block, size);
	i_close_fd(&fd);
	return buffer;
}

static void bench_reports(char *paths[], int count)
{
	buffer_t **messages = i_new(buffer_t *, count);
	double start, seconds, bytes = 0;
	unsigned int rounds = 0;

	for (int i = 0; i < count; i++)
		messages[i] = read_file(paths[i]);
	start = cpu_seconds();
	do {
		for (int i = 0; i < count; i++) {
			read_once(messages[i]->data, messages[i]->used);
			bytes += (double)messages[i]->used;
		}
		rounds++;
		seconds = cpu_seconds() - start;
	} while (seconds < BENCH_SECS);
	printf("report-read %.1f us\n", seconds * 1e6 / rounds / count);
	printf("report-read-throughput %.0f MiB/s\n", bytes / MIB / seconds);
	for (int i = 0; i < count; i++)
		buffer_free(&messages[i]);
	i_free(messages);
}

/*
 * Hostile messages
 */

static const char report_header[] =
	"From: MAILER-DAEMON@example.net\r\n"
	"To: user@example.org\r\n"
	"Subject: Undelivered Mail Returned to Sender\r\n"
	"MIME-Version: 1.0\r\n";

static void make_large_body(buffer_t *message)
{
	buffer_append(message, report_header, strlen(report_header));
	buffer_append(message, "\r\n", 2);
	while (message->used < 50 * MIB)
		buffer_append(message, "User unknown: <a@example.net>\r\n", 31);
}

static void make_many_parts(buffer_t *message)
{
	str_printfa(message, "%sContent-Type: multipart/report; boundary=b;\r\n"
		    "\treport-type=delivery-status\r\n\r\n", report_header);
	for (unsigned int i = 0; i < 100000; i++) {
		str_append(message, "--b\r\nContent-Type: message/delivery-status"
			   "\r\n\r\nFinal-Recipient: rfc822; a@example.net\r\n");
	}
}

static void make_large_header(buffer_t *message)
{
	str_append(message, report_header);
	while (message->used < 5 * MIB)
		str_append(message, "References: <a@example.net> <b@<<<<(\r\n");
	str_append(message, "\r\nbody\r\n");
}

static void make_nested(buffer_t *message)
{
	str_append(message, report_header);
	for (unsigned int i = 0; i < 1000; i++) {
		str_printfa(message, "Content-Type: multipart/report; "
			    "boundary=b%u\r\n\r\n--b%u\r\n", i, i);
	}
}

static void make_received(buffer_t *message)
{
	str_printfa(message, "%sContent-Type: multipart/report; boundary=b\r\n\r\n"
		    "--b\r\nContent-Type: text/rfc822-headers\r\n\r\n",
		    report_header);
	for (unsigned int i = 0; i < 100000; i++) {
		str_printfa(message, "Received: (qmail invoked by uid 1) from h%u"
			    " by h%u with ESMTPA for <a%u@b>;\r\n", i, i, i);
	}
	str_append(message, "Message-ID: <a@b>\r\n");
}

static void make_blocks(buffer_t *message)
{
	str_printfa(message, "%s\r\n", report_header);
	for (unsigned int i = 0; i < 10000; i++) {
		str_printfa(message, "From: a\r\nTo: b%u@c\r\n"
			    "Message-ID: <%u@b>\r\n\r\n", i, i);
	}
}

static void make_wrapped(buffer_t *message)
{
	for (unsigned int i = 0; i < 1000; i++) {
		str_printfa(message, "%sMessage-ID: <a@b>\r\n"
			    "Content-Type: message/rfc822\r\n\r\n",
			    report_header);
	}
	str_append(message, report_header);
}

static const struct {
	const char *name;
	void (*make)(buffer_t *message);
} hostile_messages[] = {
	{ "report-hostile-50mib-body", make_large_body },
	{ "report-hostile-100000-parts", make_many_parts },
	{ "report-hostile-5mib-header", make_large_header },
	{ "report-hostile-1000-deep", make_nested },
	{ "report-hostile-100000-received", make_received },
	{ "report-hostile-10000-blocks", make_blocks },
	{ "report-hostile-1000-wrapped", make_wrapped },
};

/* In a process of its own, for its memory; the message itself is taken off. */
static void bench_hostile(const char *name, const buffer_t *message)
{
	struct rusage before, after;
	double start;

	(void)fflush(stdout);
	if (fork() != 0) {
		(void)wait(NULL);
		return;
	}
	(void)getrusage(RUSAGE_SELF, &before);
	start = cpu_seconds();
	read_once(message->data, message->used);
	printf("%s %.1f ms\n", name, (cpu_seconds() - start) * 1e3);
	(void)getrusage(RUSAGE_SELF, &after);
	printf("%s-memory %.1f MiB\n", name,
	       (double)(after.ru_maxrss - before.ru_maxrss) / 1024);
	(void)fflush(stdout);
	_exit(0);
}

int main(int argc, char *argv[])
{
	lib_init();
	if (argc > 1)
		bench_reports(argv + 1, argc - 1);
	for (unsigned int i = 0; i < N_ELEMENTS(hostile_messages); i++) {
		buffer_t *message = buffer_create_dynamic(default_pool, 4096);

		hostile_messages[i].make(message);
		bench_hostile(hostile_messages[i].name, message);
		buffer_free(&message);
	}
	lib_deinit();
	return 0;
}
