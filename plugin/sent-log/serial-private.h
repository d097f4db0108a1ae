#ifndef SERIAL_PRIVATE_H
#define SERIAL_PRIVATE_H

/* For serial.c and its tests only. */

#include "serial.h"

#define SERIAL_RANDOM_SIZE 6

/* serial_issue() with these bytes in place of random ones. */
int serial_issue_with(const struct serial_key *key, const char *address,
		      time_t now,
		      const unsigned char random[SERIAL_RANDOM_SIZE],
		      char text_r[SERIAL_TEXT_SIZE]);

#endif
