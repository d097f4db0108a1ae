#ifndef SUBMISSION_H
#define SUBMISSION_H

/* Dovecot's submission service: what becomes of a sender that isn't the user's, the
   serial of a message and its row in the sent log. submission.c is the way in and the
   order of events; the other files do one of these things each. Knows the user and his
   log, and of report/ and verdict/ only Message-IDs and tags: reads no report, judges
   nothing. */

#include "compat/plugin-export.h"
#include "sender/outgoing-message.h"
#include "sent-log/serial.h"
#include "user/backscatter-user.h"

struct smtp_address;
struct smtp_server_cmd_ctx;
struct smtp_server_cmd_mail;
struct smtp_server_transaction;
struct module;

/* The names that Dovecot's module loader looks for. */
extern PLUGIN_EXPORT const char *submission_backscatter_plugin_version;
PLUGIN_EXPORT void submission_backscatter_plugin_init(struct module *module);
PLUGIN_EXPORT void submission_backscatter_plugin_deinit(void);

/* submission-serial.c */

/* The serials of one submission session: issued at MAIL, where they still can go
   into the envelope, and held until DATA. */

struct submission_serial {
	struct backscatter_user *buser;
	struct own_addresses *own;
	const char *recipient_delimiter;
	struct serial_key key;
	bool has_key;
	/* of the present transaction; "" = none could be issued yet */
	char text[SERIAL_TEXT_SIZE];
};

/* Touches no file. Allocated from pool where it needs to. */
void submission_serial_init(struct submission_serial *serial,
			    struct backscatter_user *buser, pool_t pool);
/* Overwrites the key. */
void submission_serial_deinit(struct submission_serial *serial);

/* Before MAIL goes to the relay: issues a serial and puts it into data, as ENVID if
   the client gave none (and relay_has_dsn), and as a tag if the settings want it.
   It becomes that of the transaction when the command has succeeded. */
void submission_serial_mark_envelope(struct submission_serial *serial,
				     struct smtp_server_cmd_ctx *cmd,
				     struct smtp_server_cmd_mail *data,
				     bool relay_has_dsn);

/* At DATA: takes the transaction's serial, or issues one now if that failed at MAIL.
   "" = there is none. */
void submission_serial_take(struct submission_serial *serial,
			    const struct smtp_address *mail_from,
			    char text_r[SERIAL_TEXT_SIZE]);

/* submission-log.c */

/* The row of a message that is being submitted. */

/* Writes the row of this message, durably; the caller hands it to the relay
   afterwards. Where that fails, the gap mark is set, and where that fails, too, an
   error line says what to do: the message may leave in every case. serial: "" =
   it leaves without one. */
void submission_log_message(struct backscatter_user *buser,
			    const struct outgoing_message *message,
			    const struct smtp_server_transaction *trans,
			    const char *serial, time_t now);

#endif
