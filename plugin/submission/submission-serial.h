#ifndef SUBMISSION_SERIAL_H
#define SUBMISSION_SERIAL_H

/* The serials of one submission session: issued at MAIL, where they still can go
   into the envelope, and held until DATA. */

#include "user/backscatter-user.h"
#include "sent-log/serial.h"

struct smtp_address;
struct smtp_server_cmd_ctx;
struct smtp_server_cmd_mail;

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

#endif
