#ifndef SOCKET_H
#define SOCKET_H

/* Unix sockets that two processes never fight about. */

/* Locks PATH.lock, which stays where it is, and makes sure that nobody answers at path; what
   lies there then is left over, and may be removed. Returns the lock, which holds until it is
   closed or the process ends, or -1 and a malloced error: another process has it. */
int socket_lock(const char *path, char **error_r);

#endif
