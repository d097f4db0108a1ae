#ifndef DOVEADM_COVERAGE_H
#define DOVEADM_COVERAGE_H

#include "user/backscatter-user.h"

#include <time.h>

/* What "coverage" would say against a log that is complete since start: *objection_r,
   on the data stack, NULL = nothing. Returns 0, or -1 and the log's error. */
int doveadm_coverage_get_objection(struct backscatter_user *buser, time_t start,
				   time_t now, const char **objection_r,
				   const char **error_r);

#endif
