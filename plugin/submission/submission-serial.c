/* From a key to the serial in an envelope. */

#include "lib.h"
#include "safe-memset.h"
#include "smtp-address.h"
#include "smtp-server.h"
#include "mail-user.h"
#include "compat/dovecot-compat.h"
#include "verdict/tag.h"
#include "submission.h"

#include <time.h>

/* One MAIL command. It may fail yet, and the serial with it. */
struct submission_mail {
	struct submission_serial *serial;
	char text[SERIAL_TEXT_SIZE];
};

void submission_serial_init(struct submission_serial *serial,
			    struct backscatter_user *buser, pool_t pool)
{
	i_zero(serial);
	serial->buser = buser;
	serial->own = backscatter_user_own_addresses(buser, NULL, pool);
	serial->recipient_delimiter = compat_recipient_delimiter(buser->user,
								 pool);
}

void submission_serial_deinit(struct submission_serial *serial)
{
	safe_memset(&serial->key, 0, sizeof(serial->key));
	serial->has_key = FALSE;
}

/* Returns 0, or -1 after an error line. */
static int submission_serial_get_key(struct submission_serial *serial)
{
	struct backscatter_user *buser = serial->buser;
	const char *error;

	if (serial->has_key)
		return 0;
	if (backscatter_user_get_issuing_key(buser, time(NULL), &serial->key,
				     &error) < 0) {
		if (buser->log != NULL)
			(void)backscatter_user_check_place(buser, &error);
		e_error(buser->event, "No serial key: %s - until then mail "
			"leaves without its serial", error);
		return -1;
	}
	serial->has_key = TRUE;
	return 0;
}

/* "" if it can't. No report comes back to a null sender, but its message may be
   answered. */
static void submission_serial_issue(struct submission_serial *serial,
				    const struct smtp_address *mail_from,
				    char text_r[SERIAL_TEXT_SIZE])
{
	const char *address = smtp_address_isnull(mail_from) ?
		serial->buser->user->username :
		own_addresses_without_detail(serial->own,
					     smtp_address_encode(mail_from));

	text_r[0] = '\0';
	if (submission_serial_get_key(serial) < 0)
		return;
	if (serial_issue(&serial->key, address, time(NULL), text_r) < 0) {
		text_r[0] = '\0';
		e_error(serial->buser->event,
			"OpenSSL can't make a serial");
	}
}

static void submission_serial_tag(struct submission_serial *serial,
				  pool_t pool, struct smtp_server_cmd_mail *data,
				  const char *text)
{
	const char *tagged = tag_add(smtp_address_encode(data->path), text,
				     serial->recipient_delimiter);
	const char *at;

	if (tagged == NULL)
		return;
	at = strrchr(tagged, '@');
	data->path = smtp_address_create(pool, t_strdup_until(tagged, at),
					 at + 1);
}

static void submission_mail_completed(struct smtp_server_cmd_ctx *cmd,
				      struct submission_mail *mail)
{
	/* a second MAIL that was refused takes nothing from the first */
	if (smtp_server_command_replied_success(cmd->cmd))
		memcpy(mail->serial->text, mail->text, sizeof(mail->text));
}

void submission_serial_mark_envelope(struct submission_serial *serial,
				     struct smtp_server_cmd_ctx *cmd,
				     struct smtp_server_cmd_mail *data,
				     bool relay_has_dsn)
{
	struct submission_mail *mail =
		p_new(cmd->pool, struct submission_mail, 1);

	mail->serial = serial;
	submission_serial_issue(serial, data->path, mail->text);
	smtp_server_command_add_hook(cmd->cmd,
				     SMTP_SERVER_COMMAND_HOOK_COMPLETED,
				     submission_mail_completed, mail);
	if (mail->text[0] == '\0')
		return;
	if (data->params.envid == NULL && relay_has_dsn)
		data->params.envid = p_strdup(cmd->pool, mail->text);
	if (serial->buser->set->tag)
		submission_serial_tag(serial, cmd->pool, data, mail->text);
}

void submission_serial_take(struct submission_serial *serial,
			    const struct smtp_address *mail_from,
			    char text_r[SERIAL_TEXT_SIZE])
{
	if (serial->text[0] == '\0')
		submission_serial_issue(serial, mail_from, text_r);
	else
		memcpy(text_r, serial->text, sizeof(serial->text));
	serial->text[0] = '\0';
}
