#ifndef SOCKET_H
#define SOCKET_H

/* Unix sockets that two processes never fight about. */

/* Locks PATH.lock, which stays where it is, and removes a socket at path that nobody listens
   at. Returns the lock, which holds until it is closed or the process ends, or -1 and a
   malloced error: somebody else has the path. */
int socket_lock(const char *path, char **error_r);

#endif
