#ifndef MILTER_H
#define MILTER_H

/* The milter socket: Postfix and Sendmail tell, by libmilter, what a session does. Only
   what an authenticated user sends is touched (and, with local_submissions, what comes
   from this host without SMTP); everything else is accepted at MAIL, and not looked at. */

struct sending;

/* Registers with libmilter. sending has to live as long as milter_run() goes on. Returns 0,
   or -1 and a malloced error. */
int milter_init(const struct sending *sending, char **error_r);
/* Takes the socket, whose path has been locked (socket.h). Returns 0, or -1 and a malloced
   error. */
int milter_open_socket(char **error_r);
/* Serves until it is stopped by libmilter's own handling of SIGTERM, or it fails. Returns 0
   or -1. */
int milter_run(void);

#endif
