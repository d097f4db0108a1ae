#ifndef DOVEADM_CLIENT_H
#define DOVEADM_CLIENT_H

/* Commands of doveadm, asked over Dovecot's HTTP API: on a unix socket or a TCP port, with
   the API key. Knows HTTP and JSON, and what an answer means for whoever asked; not what is
   asked. All functions may be called by several threads at once. */

#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct doveadm_client;

struct doveadm_client_settings {
	/* doveadm_socket: the path of a unix socket, or http://HOST:PORT */
	const char *socket;
	/* doveadm_api_key: a file; its first line is the key */
	const char *api_key_file;
	/* doveadm_connections: so many calls at once; others wait for their turn */
	unsigned int connections;
};

/* Reads the key, and checks the settings; asks Dovecot nothing. Returns 0, or -1 and a
   malloced error that names the setting. */
int doveadm_client_init(const struct doveadm_client_settings *set,
			struct doveadm_client **client_r, char **error_r);
/* No call may be under way. */
void doveadm_client_deinit(struct doveadm_client **client);
/* Calls under way end within a second, later ones at once: DOVEADM_NO_CONNECTION. */
void doveadm_client_stop(struct doveadm_client *client);

/* What became of one command. */
enum doveadm_result {
	/* exit code 0 */
	DOVEADM_DONE,
	/* 67: Dovecot has no such user */
	DOVEADM_UNKNOWN_USER,
	/* 65: these data never will do */
	DOVEADM_REFUSED,
	/* 75, and whatever else a command may end with: later, perhaps */
	DOVEADM_LATER,
	/* 64: one of its arguments is nothing that the command takes */
	DOVEADM_WRONG_ARGUMENT,
	/* Dovecot found the request to be none: an older plugin does, or only of this one */
	DOVEADM_NOT_UNDERSTOOD,
	/* Dovecot lets nobody in with this key, or has no such command: whatever is asked */
	DOVEADM_NOT_ALLOWED,
	/* Dovecot isn't there, or has no process free */
	DOVEADM_NO_CONNECTION,
	/* it was not asked: all connections were busy with other calls until the time
	   was up; nothing speaks against Dovecot */
	DOVEADM_NO_TURN,
	/* it was asked, and gave no answer to this command in time, or none that can be
	   read: it may have done it */
	DOVEADM_NO_ANSWER,

	DOVEADM_RESULT_COUNT
};

/* with the NUL */
#define DOVEADM_ERROR_SIZE 128

struct doveadm_command {
	/* as the API spells it: "backscatterSentAdd" */
	const char *name;
	/* a JSON object of its arguments; stays the caller's */
	struct json_object *arguments;

	enum doveadm_result result_r;
	/* Why, of this command alone. "" if it is DONE, or if the call's says. */
	char error_r[DOVEADM_ERROR_SIZE];
	/* What the command printed, if it is DONE: an array of objects, to be freed with
	   json_object_put(). Otherwise NULL. */
	struct json_object *output_r;
};

struct doveadm_call {
	struct doveadm_command *commands;
	size_t count;
	/* for its turn and the answer together */
	unsigned int timeout_msecs;
	/* A message waits for it. Where both kinds wait they take turns: however many
	   there are of one, none of the other waits for more than the one before. */
	bool urgent;
	/* Says what went wrong, for the log: of the call, or of the last command that was not
	   DONE. Malloced, or NULL if all are DONE. Printable ASCII. */
	char *error_r;
};

/* Asks, and fills what ends in _r. */
void doveadm_client_ask(struct doveadm_client *client, struct doveadm_call *call);
/* Frees what doveadm_client_ask() has filled. */
void doveadm_call_clear(struct doveadm_call *call);

#endif
