#ifndef SUBMISSION_H
#define SUBMISSION_H

/* The adapter of the submission service. */

void submission_init(void);
void submission_deinit(void);

#endif
