#ifndef CONFIG_H
#define CONFIG_H

/* The configuration file: "name = value" lines, and comments that begin with "#". The
   names are the plugin's where it has the same setting. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONFIG_DEFAULT_PATH "/etc/dovecot/backscatter-milter.conf"

/* backscatter_sender_check, of the header only: MAIL FROM is the MTA's own to check. */
enum sender_check {
	SENDER_CHECK_OFF = 0,
	SENDER_CHECK_LOG,
	SENDER_CHECK_HEADER,
};

/* All texts are malloced; "" where the value is empty. */
struct config {
	/* libmilter's syntax, and a path: empty = none; one of them is given */
	char *socket, *line_socket;
	mode_t socket_mode;
	char *site_key;
	char *spool;
	unsigned int spool_max_rows;
	/* the path of a unix socket, or http://HOST:PORT */
	char *doveadm_socket;
	char *doveadm_api_key;
	unsigned int doveadm_connections;
	enum sender_check sender_check;
	bool envid, tag;
	char *recipient_delimiter;
	bool local_submissions, strict;
	char *user;
};

/* Reads the file. Returns 0, or -1 and a malloced error that names the file, and the
   setting, its value and what is allowed if it is one of these. */
int config_read(const char *path, struct config *config_r, char **error_r);
/* The same of a text, of which path is only the name. */
int config_parse(const char *path, const char *text, size_t size,
		 struct config *config_r, char **error_r);
void config_free(struct config *config);

/* The path of the milter's unix socket; NULL = it is none. */
const char *config_socket_path(const struct config *config);

#endif
