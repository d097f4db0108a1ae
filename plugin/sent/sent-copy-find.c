/* From a row of the log back to the message in a Sent mailbox. */

#include "lib.h"
#include "array.h"
#include "mail-search-build.h"
#include "mail-storage.h"
#include "str-sanitize.h"
#include "sent-copy.h"

/* of a Message-ID in the output */
#define SHOWN_MESSAGE_ID_MAX 100

struct sent_copy_search {
	struct backscatter_user *buser;
	const struct sent_log_row *row;
	struct own_addresses *own;
	/* of the mail that is looked at */
	pool_t pool;
	const char *found;
};

/* The first identity of this copy is the one whose hash the row has. */
static bool sent_copy_search_is_row(struct sent_copy_search *search, struct mail *mail)
{
	char hash[SENT_LOG_HASH_TEXT_SIZE];
	struct sent_copy copy;
	const char *error;

	p_clear(search->pool);
	if (sent_copy_read(search->pool, mail, search->own,
			   search->row->logged_at, &copy, &error) < 0 ||
	    copy.date != search->row->date || array_is_empty(&copy.identities))
		return FALSE;
	return sent_log_identity_hash(search->buser->log,
				      array_front(&copy.identities), hash,
				      &error) > 0 &&
		strcmp(hash, search->row->identity_hash) == 0;
}

static const char *sent_copy_search_describe(struct mail *mail)
{
	const char *message_id;

	if (mail_get_first_header(mail, "Message-ID", &message_id) <= 0)
		message_id = "no Message-ID";
	return t_strdup_printf("%s UID %u (%s)", mailbox_get_vname(mail->box),
			       mail->uid,
			       str_sanitize(message_id, SHOWN_MESSAGE_ID_MAX));
}

static void
sent_copy_search_mails(struct sent_copy_search *search, struct mailbox *box)
{
	struct mailbox_transaction_context *trans;
	struct mail_search_context *ctx;
	struct mail_search_args *args;
	const char *found = NULL;
	struct mail *mail;

	trans = mailbox_transaction_begin(box, 0, __func__);
	args = mail_search_build_init();
	mail_search_build_add_all(args);
	ctx = mailbox_search_init(trans, args, NULL, MAIL_FETCH_DATE, NULL);
	mail_search_args_unref(&args);
	while (found == NULL && mailbox_search_next(ctx, &mail)) {
		bool matches;

		T_BEGIN {
			matches = sent_copy_search_is_row(search, mail);
		} T_END;
		if (matches)
			found = sent_copy_search_describe(mail);
	}
	(void)mailbox_search_deinit(&ctx);
	(void)mailbox_transaction_commit(&trans);
	if (found != NULL)
		search->found = p_strdup(search->buser->pool, found);
}

static void sent_copy_search_mailbox(struct mailbox *box, void *context)
{
	struct sent_copy_search *search = context;

	if (search->found == NULL && mailbox_open(box) == 0 &&
	    mailbox_sync(box, 0) == 0)
		sent_copy_search_mails(search, box);
}

const char *
sent_copy_find(struct backscatter_user *buser, const struct sent_log_row *row)
{
	struct sent_copy_search search = { .buser = buser, .row = row };

	search.own = backscatter_user_own_addresses(buser, NULL, buser->pool);
	search.pool = pool_alloconly_create("backscatter copy search", 2048);
	(void)sent_copy_foreach_mailbox(buser->user, buser->set,
					sent_copy_search_mailbox, &search);
	pool_unref(&search.pool);
	return search.found;
}
