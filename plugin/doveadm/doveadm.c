/* Entry points of lib10_doveadm_backscatter_plugin.so: registers the commands. */

#include "lib.h"
#include "module-dir.h"
#include "doveadm-backscatter.h"
#include "doveadm-plugin.h"

const char *doveadm_backscatter_plugin_version = DOVECOT_ABI_VERSION;

void doveadm_backscatter_plugin_init(struct module *module ATTR_UNUSED)
{
	struct doveadm_cmd_ver2 *const commands[] = {
		&doveadm_cmd_backscatter_sent_add,
		&doveadm_cmd_backscatter_sent_list,
		&doveadm_cmd_backscatter_sent_count,
		&doveadm_cmd_backscatter_import,
		&doveadm_cmd_backscatter_coverage,
		&doveadm_cmd_backscatter_addresses,
		&doveadm_cmd_backscatter_key_list,
		&doveadm_cmd_backscatter_key_rotate,
		&doveadm_cmd_backscatter_key_generate,
		&doveadm_cmd_backscatter_verify,
		&doveadm_cmd_backscatter_spf,
		&doveadm_cmd_backscatter_explain,
	};

	for (unsigned int i = 0; i < N_ELEMENTS(commands); i++)
		doveadm_cmd_register_ver2(commands[i]);
}

void doveadm_backscatter_plugin_deinit(void)
{
}
