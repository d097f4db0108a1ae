#ifndef SITE_KEY_H
#define SITE_KEY_H

/* The site key: a file with the serial keys of a whole site, in place of a key per
   mailbox, where several hosts or an MTA issue and verify (backscatter_site_key).

   A text file: one key a line, "YYYY-MM-DD HEX" (the UTC day it was made, 64 hex
   digits), the newest last: that one issues, the others only verify. Lines that
   begin with # are comments. */

#include "serial.h"

/* Reads the file, also through a symbolic link. Refuses one that is no regular file,
   that all users of the host may read or write or its group may write, or that
   belongs neither to root nor to the effective uid. Returns 0, or -1 and a malloced error that names the file. */
int site_key_read(const char *path, struct serial_keys *keys_r, char **error_r);

/* Adds a new key to the file, or makes the file (mode 0600, or as it was, with its
   owner). The old keys stay, and verify. Atomic: readers see either. Two at once:
   the second one fails. Returns 0, or -1 and a malloced error that names the
   file. */
int site_key_generate(const char *path, time_t now, struct serial_key *key_r,
		      char **error_r);

#endif
