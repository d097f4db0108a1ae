#ifndef SPOOL_ROW_H
#define SPOOL_ROW_H

/* What a row says to Dovecot: the arguments of its command, in JSON. */

#include "spool.h"

struct json_object;

#define SPOOL_ROW_USER_MAX 512
/* RFC 5322's longest line; of an address, RFC 5321's with room */
#define SPOOL_ROW_VALUE_MAX 998
/* as many as the sent log takes */
#define SPOOL_ROW_RECIPIENTS_MAX 10000

/* Can Dovecot be told this name? */
bool spool_row_user_is_valid(const char *user);
/* Malloced. The user has to be valid; other values that are not are left out. */
char *spool_row_arguments(const struct sent_message *message);
/* Returns NULL if that is none any more. */
struct json_object *spool_row_parse(const char *arguments);
/* user: NULL = all */
struct json_object *spool_row_gap_arguments(const char *user);

#endif
