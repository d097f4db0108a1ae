#ifndef LINE_H
#define LINE_H

/* The line socket (line_socket): what an MTA without milters asks, that is Exim's
   ${readsocket} and the OpenSMTPD filter. A unix socket; one request and one answer a
   connection, each a line that ends with LF (a request also where the client shuts its
   side down).

   Request: version, command and any number of NAME=VALUE, separated by tabs:

     1 message  user= sender= recipient= recipients= envid= message-id= date= field= serial=
     1 serial   user= sender=

   "message" does for a message what the milter does at its end: who it is from is
   checked, it gets a serial, and its row is durable when the answer comes. "serial"
   only issues one, and a Message-ID and Date in case that the message has none, for an MTA
   that has to rewrite MAIL, or to pass the header on, before it has seen all of it;
   "message" takes them up then.

     user         the login; required
     sender       MAIL FROM, <with> brackets or without; empty = null sender
     recipient    RCPT TO, likewise; once for each
     recipients   several, separated by commas, as Exim's $recipients has them
     envid        of MAIL, as the client wrote it (xtext); empty = it gave none
     message-id   the field's value; empty = there is none
     date         likewise
     field        "From: ...", a whole field that names a sender (From, Sender, Resent-From,
                  Resent-Sender); once for each
     serial       that of an earlier "serial"; empty = issue one

   Unknown names are ignored. In a value \001 begins an escape, as in Dovecot's own
   protocols: \0010 NUL, \0011 \001, \001t tab, \001r CR, \001n LF. (Exim: replace control
   characters by blanks.)

   Answers, with the same escapes; a part may be empty, further parts may follow one day:

     1 ok       SERIAL SENDER MESSAGE-ID DATE
     1 refused  TEXT
     1 later    TEXT
     1 error    TEXT

     SERIAL       for the field X-Backscatter-Serial (and ENVID); empty = none could be issued
     SENDER       what MAIL FROM is to become, without brackets; empty = as it is (tag = no)
     MESSAGE-ID   the message has none and gets this one, with brackets: it is in the row
     DATE         the value of the field, likewise
     refused      the user may not send as that (sender_check = header): 553 5.7.1 TEXT
     later        it couldn't be logged, marked or checked, and strict = yes: 451 4.3.0 TEXT
     error        the request can't be read; the message may go on without a serial

   Bounds: LINE_MAX_REQUEST bytes, LINE_DEADLINE_MSECS for a whole request to come,
   LINE_MAX_CONNECTIONS at a time; others wait in the socket's queue. Nobody who asks is
   answered later than this and the row's 500 ms, and Dovecot's answer, take. */

struct sending;

#define LINE_VERSION "1"
#define LINE_MAX_REQUEST (1024 * 1024)
#define LINE_DEADLINE_MSECS 5000
#define LINE_MAX_CONNECTIONS 64

/* Takes the socket, whose path has been locked (socket.h), and serves it from now on. Returns
   0, or -1 and a malloced error. */
int line_start(const struct sending *sending, char **error_r);

#endif
