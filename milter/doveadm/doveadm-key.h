#ifndef DOVEADM_KEY_H
#define DOVEADM_KEY_H

/* Reads Dovecot's API key, the first line of the file, and makes the line of an HTTP header of
   it; malloced. Returns 0, or -1 and a malloced error that names the setting. */
int doveadm_key_read(const char *path, char **line_r, char **error_r);

#endif
