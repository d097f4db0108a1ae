/* Mailbox operations of re-judging. */

#include "lib.h"
#include "istream.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "report/report-scan.h"
#include "headers/delivery-mail.h"
#include "quarantine.h"

/* Messages at the end of INBOX among which a copy is looked for. */
#define QUARANTINE_COPY_MAX_AGE 1000

static int quarantine_failed(struct mailbox *box, const char **error_r)
{
	*error_r = t_strdup_printf("mailbox %s: %s", mailbox_get_vname(box),
				   mailbox_get_last_internal_error(box, NULL));
	return -1;
}

/* Returns 1, 0 if there is no such mailbox, or -1. */
static int quarantine_open_mailbox(struct mailbox *box)
{
	enum mail_error error;

	if (mailbox_open(box) == 0 && mailbox_sync(box, 0) == 0)
		return 1;
	(void)mailbox_get_last_error(box, &error);
	return error == MAIL_ERROR_NOTFOUND ? 0 : -1;
}

int quarantine_open(struct quarantine *quarantine, struct mail_user *user,
		    const char *name, const char **error_r)
{
	struct mailbox *box = mailbox_alloc_for_user(user, name, 0);
	struct mailbox_metadata metadata;
	struct mailbox_status status;
	int ret = quarantine_open_mailbox(box);

	if (ret > 0 &&
	    mailbox_get_metadata(box, MAILBOX_METADATA_GUID, &metadata) < 0)
		ret = -1;
	if (ret < 0)
		(void)quarantine_failed(box, error_r);
	if (ret <= 0) {
		mailbox_free(&box);
		return ret;
	}
	i_zero(quarantine);
	quarantine->user = user;
	quarantine->box = box;
	memcpy(quarantine->guid, metadata.guid, sizeof(quarantine->guid));
	mailbox_get_open_status(box, STATUS_UIDVALIDITY, &status);
	quarantine->uid_validity = status.uidvalidity;
	return 1;
}

static void quarantine_close_mail(struct quarantine *quarantine)
{
	if (quarantine->mail == NULL)
		return;
	mail_free(&quarantine->mail);
	mailbox_transaction_rollback(&quarantine->trans);
}

void quarantine_close(struct quarantine *quarantine)
{
	quarantine_close_mail(quarantine);
	mailbox_free(&quarantine->box);
}

/* Returns 1, 0 if it isn't there any more, or -1. */
static int
quarantine_get_stream(struct quarantine *quarantine, uint32_t uid,
		      struct istream **input_r, const char **error_r)
{
	struct mail *mail = quarantine->mail;
	enum mail_error error;

	if (!mail_set_uid(mail, uid) ||
	    (mail_get_flags(mail) & MAIL_DELETED) != 0)
		return 0;
	if (mail_get_stream(mail, NULL, NULL, input_r) == 0)
		return 1;
	(void)mailbox_get_last_error(quarantine->box, &error);
	return error == MAIL_ERROR_EXPUNGED ? 0 :
		quarantine_failed(quarantine->box, error_r);
}

int quarantine_find(struct quarantine *quarantine,
		    const struct sent_log_stored_report *place,
		    struct istream **input_r, const char **error_r)
{
	int ret;

	quarantine_close_mail(quarantine);
	/* the mailbox was renamed, made anew, or is another by now */
	if (memcmp(place->mailbox_guid, quarantine->guid,
		   sizeof(quarantine->guid)) != 0 ||
	    place->uid_validity != quarantine->uid_validity)
		return 0;
	quarantine->trans = mailbox_transaction_begin(quarantine->box, 0,
						      __func__);
	quarantine->mail = mail_alloc(quarantine->trans,
		MAIL_FETCH_STREAM_HEADER | MAIL_FETCH_STREAM_BODY |
		MAIL_FETCH_RECEIVED_DATE, NULL);
	ret = quarantine_get_stream(quarantine, place->uid, input_r, error_r);
	if (ret <= 0)
		quarantine_close_mail(quarantine);
	return ret;
}

/* The message with this header on top, in place of the one that delivery wrote. */
static struct istream *
stream_with_new_header(struct istream *input, const char *header)
{
	/* results stand there since delivery, and are ours */
	const struct spf_own_names none = { .authserv_id = NULL };
	struct report_scan scan;
	struct istream *rest, *result;
	uoff_t size = 0;

	i_stream_seek(input, 0);
	report_scan_header(input, FALSE, &scan);
	rest = delivery_stream_without_forged(input, &scan, &none, &size);
	result = delivery_stream_with_header(rest, header, &size);
	i_stream_unref(&rest);
	return result;
}

/* Returns 0, or -1 after a storage or stream error. */
static int save_stream(struct mail_save_context *save, struct istream *input)
{
	ssize_t ret;

	if (mailbox_save_begin(&save, input) < 0)
		return -1;
	do {
		if (mailbox_save_continue(save) < 0) {
			mailbox_save_cancel(&save);
			return -1;
		}
		ret = i_stream_read(input);
		i_assert(ret != 0);
	} while (ret != -1);
	if (input->stream_errno != 0) {
		mailbox_save_cancel(&save);
		return -1;
	}
	return mailbox_save_finish(&save);
}

/* Returns 0, or -1 and an error. */
static int
save_as(struct mailbox_transaction_context *trans, struct mail *mail,
	struct istream *input, const char **error_r)
{
	struct mail_save_context *save;
	time_t received;

	if (mail_get_received_date(mail, &received) < 0)
		return quarantine_failed(mail->box, error_r);
	save = mailbox_save_alloc(trans);
	mailbox_save_copy_flags(save, mail);
	mailbox_save_set_received_date(save, received, 0);
	if (save_stream(save, input) == 0)
		return 0;
	if (input->stream_errno == 0) {
		return quarantine_failed(mailbox_transaction_get_mailbox(trans),
					 error_r);
	}
	*error_r = t_strdup_printf("reading the report failed: %s",
				   i_stream_get_error(input));
	return -1;
}

static int
save_into(struct mailbox *inbox, struct mail *mail, struct istream *input,
	  const char **error_r)
{
	struct mailbox_transaction_context *trans;

	if (mailbox_open(inbox) < 0)
		return quarantine_failed(inbox, error_r);
	/* external: new mail to the user, not his own doing */
	trans = mailbox_transaction_begin(inbox,
		MAILBOX_TRANSACTION_FLAG_EXTERNAL, __func__);
	if (save_as(trans, mail, input, error_r) < 0) {
		mailbox_transaction_rollback(&trans);
		return -1;
	}
	if (mailbox_transaction_commit(&trans) < 0)
		return quarantine_failed(inbox, error_r);
	return 0;
}

int quarantine_copy_to_inbox(struct quarantine *quarantine, const char *header,
			     const char **error_r)
{
	struct mailbox *inbox;
	struct istream *input, *changed;
	int ret;

	if (mail_get_stream(quarantine->mail, NULL, NULL, &input) < 0)
		return quarantine_failed(quarantine->box, error_r);
	changed = stream_with_new_header(input, header);
	inbox = mailbox_alloc_for_user(quarantine->user, "INBOX", 0);
	ret = save_into(inbox, quarantine->mail, changed, error_r);
	mailbox_free(&inbox);
	i_stream_unref(&changed);
	return ret;
}

/* Received at this time, and with this Message-ID. A mail that can't be read is
   none. */
static bool
is_copy(struct mail *mail, time_t received, const char *message_id)
{
	const char *other_id;
	time_t other_received;

	return mail_get_received_date(mail, &other_received) == 0 &&
		other_received == received &&
		mail_get_first_header(mail, "Message-ID", &other_id) > 0 &&
		strcmp(other_id, message_id) == 0;
}

static bool
find_copy(struct mailbox *box, time_t received, const char *message_id)
{
	struct mailbox_transaction_context *trans =
		mailbox_transaction_begin(box, 0, __func__);
	struct mail *mail = mail_alloc(trans, MAIL_FETCH_RECEIVED_DATE, NULL);
	struct mailbox_status status;
	uint32_t seq, oldest;
	bool found = FALSE;

	mailbox_get_open_status(box, STATUS_MESSAGES, &status);
	oldest = status.messages <= QUARANTINE_COPY_MAX_AGE ? 1 :
		status.messages - QUARANTINE_COPY_MAX_AGE + 1;
	for (seq = status.messages; seq >= oldest && !found; seq--) {
		mail_set_seq(mail, seq);
		found = is_copy(mail, received, message_id);
	}
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
	return found;
}

int quarantine_is_in_inbox(struct quarantine *quarantine, const char **error_r)
{
	struct mailbox *inbox;
	const char *message_id;
	time_t received;
	int ret;

	ret = mail_get_first_header(quarantine->mail, "Message-ID", &message_id);
	if (ret == 0)
		return 0;
	if (ret < 0 ||
	    mail_get_received_date(quarantine->mail, &received) < 0)
		return quarantine_failed(quarantine->box, error_r);
	inbox = mailbox_alloc_for_user(quarantine->user, "INBOX", 0);
	if (mailbox_open(inbox) < 0 || mailbox_sync(inbox, 0) < 0)
		ret = quarantine_failed(inbox, error_r);
	else
		ret = find_copy(inbox, received, message_id) ? 1 : 0;
	mailbox_free(&inbox);
	return ret;
}

int quarantine_expunge(struct quarantine *quarantine, const char **error_r)
{
	mail_expunge(quarantine->mail);
	mail_free(&quarantine->mail);
	if (mailbox_transaction_commit(&quarantine->trans) < 0 ||
	    mailbox_sync(quarantine->box, 0) < 0)
		return quarantine_failed(quarantine->box, error_r);
	return 0;
}
