/* Times as Dovecot writes them. The parsers are weak as in dovecot-2.3.c. */

#include "lib.h"
#include "dovecot-compat.h"

#if DOVECOT_VERSION_MINOR >= 4
#include "str-parse.h"
#pragma weak str_parse_get_interval
#pragma weak str_parse_get_interval_msecs
#define parse_interval str_parse_get_interval
#define parse_interval_msecs str_parse_get_interval_msecs
#else
#include "settings-parser.h"
#pragma weak settings_get_time
#pragma weak settings_get_time_msecs
#define parse_interval settings_get_time
#define parse_interval_msecs settings_get_time_msecs
#endif

int compat_parse_interval(const char *str, unsigned int *seconds_r,
			  const char **error_r)
{
	return parse_interval(str, seconds_r, error_r);
}

int compat_parse_interval_msecs(const char *str, unsigned int *msecs_r,
				const char **error_r)
{
	return parse_interval_msecs(str, msecs_r, error_r);
}
