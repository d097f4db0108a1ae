/* doveadm's answers, as the milter reads them: nothing is leaked, a result is one that there is,
   and output belongs to what was done. */

#include "milter/doveadm/doveadm-answer.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COMMANDS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct doveadm_command *command)
{
	if (command->result_r >= DOVEADM_RESULT_COUNT ||
	    (command->result_r == DOVEADM_DONE) != (command->output_r != NULL))
		abort();
	if (command->output_r != NULL &&
	    !json_object_is_type(command->output_r, json_type_array))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct doveadm_command commands[COMMANDS];
	struct doveadm_call call = { .commands = commands };
	bool all_done = true;

	/* of one command, and of several */
	for (call.count = 1; call.count <= COMMANDS; call.count += COMMANDS - 1) {
		memset(commands, 0, sizeof(commands));
		for (size_t i = 0; i < call.count; i++)
			commands[i].name = "backscatterSentAdd";
		doveadm_answer_read((const char *)data, size, commands,
				    call.count, &call.error_r);
		all_done = true;
		for (size_t i = 0; i < call.count; i++) {
			check(&commands[i]);
			all_done = all_done &&
				   commands[i].result_r == DOVEADM_DONE;
			json_object_put(commands[i].output_r);
		}
		if (all_done != (call.error_r == NULL))
			abort();
		free(call.error_r);
	}
	return 0;
}
