#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>

/* RFC 3629. Dovecot finds a whole call to be none if a text in it is something else. */
bool text_is_utf8(const char *text);

#endif
