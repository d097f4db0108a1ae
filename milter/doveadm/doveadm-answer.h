#ifndef DOVEADM_ANSWER_H
#define DOVEADM_ANSWER_H

/* Reads what Dovecot answers to a call over HTTP:
     [["doveadmResponse", OUTPUT, TAG], ["error", {"type": T, "exitCode": N}, TAG], ...]
   A command's tag is its index in the call. */

#include "doveadm-client.h"

/* Longer ones are not read. */
#define DOVEADM_ANSWER_MAX_SIZE (1024 * 1024)

#define DOVEADM_TAG_SIZE 24
void doveadm_tag(size_t index, char text_r[DOVEADM_TAG_SIZE]);

/* Sets result_r, output_r and error_r of the commands. An answer that is not exactly of this form
   says nothing about any: DOVEADM_NO_ANSWER, which those get too that it doesn't speak of.
   *error_r: what is wrong with the answer, or why the last command that was not DONE was
   not; malloced, NULL if all are DONE. */
void doveadm_answer_read(const char *body, size_t size,
			 struct doveadm_command *commands, size_t count,
			 char **error_r);

#endif
