/* libmilter's callbacks. Its threads are a pool: each callback of a session may run in
   another one, never two at once. */

#include "milter.h"
#include "config.h"
#include "log.h"
#include "sending.h"
#include "text.h"

#include <errno.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* A header field comes in one packet, and libmilter's own 64 KiB are fewer than what
   Postfix lets through (header_size_limit). A larger one ends the session. */
#define PACKET_MAX_SIZE (256 * 1024)

struct session {
	/* from this host, not by SMTP */
	bool is_local;
	/* what the MTA lets us do, and expects no reply to */
	bool may_change_from;
	bool no_reply_to_connect, no_reply_to_rcpt, no_reply_to_header;
	/* its content goes elsewhere, it seems: see on_data() */
	bool passes_by;
	/* empty outside of a transaction that is ours */
	struct message message;
};

static const struct sending *sending;

static char MACRO_LOGIN[] = "{auth_authen}";
static char MACRO_SENDER[] = "{mail_addr}";
static char MACRO_QUEUE_ID[] = "i";

static struct session *get_session(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	if (session == NULL) {
		session = memory_new(sizeof(*session));
		(void)smfi_setpriv(ctx, session);
	}
	return session;
}

/* Negotiation */

/* What is read of a session needs none of these. */
static unsigned long unwanted_steps(void)
{
	unsigned long steps = SMFIP_NOHELO | SMFIP_NOEOH | SMFIP_NOBODY |
		SMFIP_NOUNKNOWN | SMFIP_NR_RCPT | SMFIP_NR_HDR;

	return steps | (sending->config->local_submissions ? SMFIP_NR_CONN :
			SMFIP_NOCONNECT);
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
	     unsigned long unused2 __attribute__((unused)),
	     unsigned long unused3 __attribute__((unused)),
	     unsigned long *actions_r, unsigned long *steps_r,
	     unsigned long *unused2_r, unsigned long *unused3_r)
{
	struct session *session = get_session(ctx);

	*actions_r = actions & (SMFIF_ADDHDRS | SMFIF_CHGFROM |
				SMFIF_SETSYMLIST);
	*steps_r = steps & unwanted_steps();
	*unused2_r = *unused3_r = 0;
	session->may_change_from = (*actions_r & SMFIF_CHGFROM) != 0;
	session->no_reply_to_connect = (*steps_r & SMFIP_NR_CONN) != 0;
	session->no_reply_to_rcpt = (*steps_r & SMFIP_NR_RCPT) != 0;
	session->no_reply_to_header = (*steps_r & SMFIP_NR_HDR) != 0;
	if ((actions & SMFIF_ADDHDRS) == 0) {
		log_error("The MTA lets no milter add headers: mail leaves "
			  "without serials");
	}
	if ((*actions_r & SMFIF_SETSYMLIST) != 0) {
		/* The second one is always there: without any macro for this MAIL libmilter
		   would keep those of the session's last one, with its login. */
		static char macros[] = "{auth_authen} {mail_addr}";

		(void)smfi_setsymlist(ctx, SMFIM_ENVFROM, macros);
		/* for on_data(): Sendmail has it at MAIL only, unless it is asked */
		(void)smfi_setsymlist(ctx, SMFIM_DATA, MACRO_QUEUE_ID);
	}
	return SMFIS_CONTINUE;
}

/* The session */

/* Postfix's pickup and sendmail(1): no client's address, or one without a port. Of a client
   that isn't known, only the name says that it is another. */
static bool is_local_client(const char *host, const _SOCK_ADDR *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;

	return strcmp(host, "localhost") == 0 &&
		(address == NULL ||
		 (address->sa_family == AF_INET && in->sin_port == 0 &&
		  in->sin_addr.s_addr == htonl(INADDR_LOOPBACK)));
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	struct session *session = get_session(ctx);

	session->is_local = is_local_client(host, address);
	return session->no_reply_to_connect ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* Without end of message, if there was one. */
static void drop_message(struct session *session)
{
	if (session->passes_by)
		sending_passed_by(sending, session->message.user);
	session->passes_by = false;
	message_clear(&session->message);
}

static sfsistat on_close(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	if (session != NULL) {
		drop_message(session);
		free(session);
		(void)smfi_setpriv(ctx, NULL);
	}
	return SMFIS_CONTINUE;
}

/* The transaction */

static sfsistat on_abort(SMFICTX *ctx)
{
	drop_message(get_session(ctx));
	return SMFIS_CONTINUE;
}

/* "<ann>" as it was written has no domain yet; the MTA's own word for it has. */
static const char *sender_of(SMFICTX *ctx, const char *written)
{
	const char *resolved = strchr(written, '@') != NULL ||
		strcmp(written, "<>") == 0 ? NULL :
		smfi_getsymval(ctx, MACRO_SENDER);

	return resolved != NULL && strchr(resolved, '@') != NULL ? resolved :
		written;
}

static void begin_message(struct session *session, const char *user,
			  const char *sender, char **parameters)
{
	static const char envid[] = "ENVID=";

	message_begin(&session->message, user, sender);
	for (; *parameters != NULL; parameters++) {
		if (strncasecmp(*parameters, envid, strlen(envid)) == 0) {
			message_set_envelope_id(&session->message,
						*parameters + strlen(envid));
		}
	}
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
	struct session *session = get_session(ctx);
	const char *login = smfi_getsymval(ctx, MACRO_LOGIN);
	const char *sender = sender_of(ctx, arguments[0]);
	char *user;

	drop_message(session);
	if (login != NULL && *login != '\0')
		begin_message(session, login, sender, arguments + 1);
	else if (session->is_local && strchr(sender, '@') != NULL) {
		/* nobody has logged in: whoever's address it is */
		message_begin(&session->message, "", sender);
		user = message_address_without_detail(session->message.sender,
			sending->config->recipient_delimiter);
		begin_message(session, user, sender, arguments + 1);
		free(user);
	} else {
		return SMFIS_ACCEPT;
	}
	return SMFIS_CONTINUE;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
	struct session *session = get_session(ctx);

	message_add_recipient(&session->message, arguments[0]);
	return session->no_reply_to_rcpt ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* Postfix has no queue file, and so no id for it, where a before-queue filter gets the content
   (smtpd_proxy_filter): no milter ever sees that. It is known for sure when the message ends
   without an end here. With a reply: what has none may be lost where the session ends. */
static sfsistat on_data(SMFICTX *ctx)
{
	struct session *session = get_session(ctx);

	session->passes_by = session->message.user != NULL &&
		smfi_getsymval(ctx, MACRO_QUEUE_ID) == NULL;
	return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *session = get_session(ctx);

	message_add_field(&session->message, name, value);
	return session->no_reply_to_header ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* End of message */

/* Right below the MTA's own Received line. text: NULL = none. */
static bool insert_field(SMFICTX *ctx, const char *name, const char *text)
{
	return text == NULL || smfi_insheader(ctx, 1, (char *)name,
					      (char *)text) == MI_SUCCESS;
}

/* ENVID and the tag. What the client gave in MAIL stays unless it is given anew. */
static bool change_from(SMFICTX *ctx, const struct message *message,
			const struct message_marks *marks)
{
	char *sender, *arguments;
	bool changed;

	if (marks->sender == NULL && !marks->envid)
		return true;
	sender = text_format("<%s>", marks->sender != NULL ? marks->sender :
			     message->sender);
	arguments = marks->envid ? text_format("ENVID=%s", marks->serial) : NULL;
	changed = smfi_chgfrom(ctx, sender, arguments) == MI_SUCCESS;
	free(sender);
	free(arguments);
	return changed;
}

/* The last one inserted is the topmost. */
static bool mark_message(SMFICTX *ctx, const struct session *session,
			 const struct message_marks *marks)
{
	bool marked = insert_field(ctx, "Date", marks->date) &&
		insert_field(ctx, "Message-ID", marks->message_id);

	if (*marks->serial == '\0')
		return marked;
	return marked &&
		insert_field(ctx, MESSAGE_SERIAL_HEADER, marks->serial) &&
		(!session->may_change_from ||
		 change_from(ctx, &session->message, marks));
}

/* Sendmail takes it for a format, and Postfix does as it does. */
static char *without_formats(const char *text)
{
	char *copy = memory_new(2 * strlen(text) + 1), *end = copy;

	for (; *text != '\0'; text++) {
		if (*text == '%')
			*end++ = '%';
		*end++ = *text;
	}
	return copy;
}

static sfsistat
refuse(SMFICTX *ctx, enum sending_result result, const char *text)
{
	bool refused = result == SENDING_REFUSED;
	char *reply = without_formats(text);

	/* libmilter wants no const */
	(void)smfi_setreply(ctx, (char *)(refused ? "553" : "451"),
			    (char *)(refused ? "5.7.1" : "4.3.0"), reply);
	free(reply);
	return refused ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

static sfsistat end_message(SMFICTX *ctx, struct session *session)
{
	struct message_marks marks;
	char *text;
	enum sending_result result = sending_end(sending, &session->message,
						 &marks, &text);
	sfsistat reply = SMFIS_CONTINUE;

	if (result == SENDING_ACCEPTED && !mark_message(ctx, session, &marks)) {
		log_error("%s: message %s: the MTA lets it not be marked: it "
			  "leaves without its serial", session->message.user,
			  marks.logged_id == NULL ? "" : marks.logged_id);
		if (sending->config->strict) {
			result = SENDING_LATER;
			text = text_copy(SENDING_LATER_TEXT);
		}
	}
	if (result != SENDING_ACCEPTED)
		reply = refuse(ctx, result, text);
	free(text);
	message_marks_clear(&marks);
	message_clear(&session->message);
	return reply;
}

static sfsistat on_end_of_message(SMFICTX *ctx)
{
	struct session *session = get_session(ctx);

	session->passes_by = false;
	return session->message.user == NULL ? SMFIS_CONTINUE :
		end_message(ctx, session);
}

/* Start and end */

static int fail(const char *what, char **error_r)
{
	*error_r = text_format("socket = %s: %s", sending->config->socket, what);
	return -1;
}

int milter_init(const struct sending *set, char **error_r)
{
	static char name[] = "backscatter-milter";
	struct smfiDesc callbacks = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGFROM | SMFIF_SETSYMLIST,
		.xxfi_connect = on_connect,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_data = on_data,
		.xxfi_header = on_header,
		.xxfi_eom = on_end_of_message,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	sending = set;
	(void)smfi_setmaxdatasize(PACKET_MAX_SIZE);
	if (smfi_setconn(sending->config->socket) != MI_SUCCESS ||
	    smfi_register(callbacks) != MI_SUCCESS)
		return fail("libmilter refuses it", error_r);
	return 0;
}

int milter_open_socket(char **error_r)
{
	const char *path = config_socket_path(sending->config);
	mode_t mode = sending->config->socket_mode, old_umask;
	int ret;

	old_umask = umask(0777 & ~mode);
	errno = 0;
	ret = smfi_opensocket(false);
	(void)umask(old_umask);
	if (ret != MI_SUCCESS)
		return fail(errno == 0 ? "can't listen" : strerror(errno), error_r);
	if (path != NULL && chmod(path, mode) < 0)
		return fail(strerror(errno), error_r);
	return 0;
}

int milter_run(void)
{
	return smfi_main() == MI_SUCCESS ? 0 : -1;
}
