#ifndef CLOCK_H
#define CLOCK_H

/* The clock of deadlines and pauses: nobody can set it. */

#include <stdint.h>
#include <time.h>

static inline int64_t clock_msecs(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
