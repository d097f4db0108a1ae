/* Entry points of lib95_backscatter_plugin.so, for lda, lmtp, imap and every
   other process that has it in mail_plugins: starts the hooks of delivery, quarantine
   and saving, and takes them down in reverse. */

#include "lib.h"
#include "master-service.h"
#include "module-dir.h"
#include "sent-log/sent-log.h"
#include "delivery.h"
#include "quarantine/quarantine-save.h"
#include "saving/saved-copy.h"
#include "plugin.h"

const char *backscatter_plugin_version = DOVECOT_ABI_VERSION;

/* lda and lmtp need a log for a report only, and hardly any message is one. The others
   may be in their user's chroot when they need it. */
static bool log_is_seldom_needed(void)
{
	const char *service = master_service_get_name(master_service);

	return strcmp(service, "lda") == 0 || strcmp(service, "lmtp") == 0;
}

void backscatter_plugin_init(struct module *module)
{
	if (!log_is_seldom_needed())
		sent_log_load_libraries();
	delivery_user_init(module);
	delivery_init();
	quarantine_save_init(module);
	saved_copy_init(module);
}

void backscatter_plugin_deinit(void)
{
	saved_copy_deinit();
	quarantine_save_deinit();
	delivery_deinit();
	delivery_user_deinit();
}
