#ifndef SPOOL_ROW_H
#define SPOOL_ROW_H

/* What a row says to Dovecot: the arguments of its command, in JSON. */

#include "spool.h"

struct json_object;

#define SPOOL_ROW_USER_MAX 512
/* RFC 5322's longest line, and brackets */
#define SPOOL_ROW_MESSAGE_ID_MAX 1000
#define SPOOL_ROW_ENVELOPE_ID_MAX 400
#define SPOOL_ROW_ADDRESS_MAX 1024
/* as many as the sent log takes */
#define SPOOL_ROW_RECIPIENTS_MAX 10000

/* Can Dovecot be told this name? */
bool spool_row_user_is_valid(const char *user);
/* Malloced. The user has to be valid; other values that Dovecot would refuse are left out, and
   the row with them. Returns NULL if its Message-ID is none: such a message is never taken for
   somebody else's, and needs no row. */
char *spool_row_arguments(const struct sent_message *message);
/* Returns NULL if that is none any more. */
struct json_object *spool_row_parse(const char *arguments);
/* user: NULL = all; until: when the gap ended, so that it may be told again */
struct json_object *spool_row_gap_arguments(const char *user, time_t until);

#endif
