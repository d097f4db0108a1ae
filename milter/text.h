#ifndef TEXT_H
#define TEXT_H

/* Memory and text. All of them abort if there is no memory, as everything in Dovecot
   does; what is returned is malloced. */

#include <stddef.h>

/* zeroed */
void *memory_new(size_t size);
char *text_copy(const char *text);
/* As printf() makes it. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
