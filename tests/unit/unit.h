#ifndef UNIT_H
#define UNIT_H

/* What the unit tests of the rooms that use Dovecot's libraries share. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib.h"

/* Runs a group between lib_init() and lib_deinit(). */
#define UNIT_RUN(tests) ({ \
	int unit_failed; \
	lib_init(); \
	unit_failed = cmocka_run_group_tests(tests, NULL, NULL); \
	lib_deinit(); \
	unit_failed; \
})

#endif
