/* Entry points of lib95_submission_backscatter_plugin.so. */

#include "lib.h"
#include "module-dir.h"
#include "submission.h"
#include "submission-plugin.h"

const char *submission_backscatter_plugin_version = DOVECOT_ABI_VERSION;

void submission_backscatter_plugin_init(struct module *module ATTR_UNUSED)
{
	submission_init();
}

void submission_backscatter_plugin_deinit(void)
{
	submission_deinit();
}
