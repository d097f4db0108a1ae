/* import --complete: is there something in the other mailboxes that was sent from here,
   and that the log doesn't know? */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "str-sanitize.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "mailbox-list-iter.h"
#include "compat/dovecot-compat.h"
#include "doveadm-import.h"

#define SHOWN_MAILBOX_MAX 200

/* What lies there was not sent, or not from here. \All and \Flagged are mostly views
   of others. */
static const char *const unsearched_uses[] = {
	"\\Drafts", "\\Junk", "\\All", "\\Flagged",
};

/* Added by final delivery (RFC 5321, 4.4; Dovecot's LMTP; Postfix; Exim). */
static const char *const delivery_headers[] = {
	"Return-Path", "Delivered-To", "Envelope-To", "X-Original-To",
};
/* RFC 2919, RFC 2369 */
static const char *const list_headers[] = {
	"List-Id", "List-Post", "List-Unsubscribe",
};

const char *const import_headers[] = {
	"Message-ID", "From", "Date", "To", "Cc", "Bcc", "Resent-To",
	"Resent-Cc", "Resent-Bcc", "Return-Path", "Delivered-To", "Envelope-To",
	"X-Original-To", "List-Id", "List-Post", "List-Unsubscribe", NULL
};

struct import_search {
	/* special use \Trash: nobody would list it among the Sent mailboxes, and
	   what lies there was deleted from them */
	bool trash;
	unsigned int found;
	pool_t pool;
};

static bool import_has_header(struct mail *mail, const char *const *names,
			      unsigned int count)
{
	const char *value;

	for (unsigned int i = 0; i < count; i++) {
		if (mail_get_first_header(mail, names[i], &value) > 0)
			return TRUE;
	}
	return FALSE;
}

bool import_was_delivered(struct mail *mail)
{
	return import_has_header(mail, delivery_headers,
				 N_ELEMENTS(delivery_headers));
}

/* What was delivered here is spam with a forged From:, a note to oneself, the user's own
   message to a list or the copy that he sent himself by Bcc: only the last one tells
   anything. */
static bool
import_is_copy_to_oneself(struct mail *mail, const struct sent_copy *copy,
			  const struct own_addresses *own)
{
	const char *recipient;

	if (array_count(&copy->recipients) == 0 ||
	    import_has_header(mail, list_headers, N_ELEMENTS(list_headers)))
		return FALSE;
	array_foreach_elem(&copy->recipients, recipient) {
		if (own_addresses_match_from(own, recipient))
			return FALSE;
	}
	return TRUE;
}

/* Is the mail that this is the copy of one that the user has sent? Believed only so far as
   it may show that sent messages are missing in the log. */
static bool import_is_own(struct import *import, const struct import_search *search,
			  struct mail *mail, const struct sent_copy *copy)
{
	/* a draft was not sent */
	if (!copy->from_own_address || (mail_get_flags(mail) & MAIL_DRAFT) != 0)
		return FALSE;
	if (!import_was_delivered(mail))
		return TRUE;
	/* most of what is deleted from INBOX is spam */
	return !search->trash && import_is_copy_to_oneself(mail, copy, import->own);
}

static bool import_is_known(struct import *import,
			    const struct sent_copy *copy)
{
	const struct sent_log_identity *identity;
	struct sent_log_entry entry;
	const char *error;

	array_foreach(&copy->identities, identity) {
		int ret = sent_log_find(import->run->buser->log, identity, NULL, 0,
					import->run->now, &entry, &error);

		if (ret < 0)
			import_failed(import, error);
		/* a log that doesn't answer shows nothing */
		if (ret != 0)
			return TRUE;
	}
	return FALSE;
}

/* It shows that the log is not complete, though it counted as that. Without a Message-ID
   it may be what another listed source has logged. */
static bool import_contradicts(const struct import *import,
			       const struct sent_copy *copy)
{
	time_t sent = copy->date != 0 && copy->date <= import->run->now ?
		copy->date : copy->logged_at;

	/* A row that expired says nothing against the log: the date decides, and not
	   when the copy came to where it lies now. What is written to nobody is a note
	   or a draft. */
	return sent >= import->coverage.start &&
		array_count(&copy->recipients) > 0 &&
		(copy->has_message_id ||
		 import->run->buser->set->sources == SENT_LOG_SOURCE_SENT);
}

static void import_search_mail(struct import *import, struct mail *mail,
			       void *context)
{
	struct import_search *search = context;
	struct sent_copy copy;

	/* none of the last mail's is needed any more */
	p_clear(search->pool);
	if (import_read(import, search->pool, mail, &copy) <= 0 ||
	    !import_is_own(import, search, mail, &copy) ||
	    import_is_known(import, &copy))
		return;
	if (!search->trash) {
		search->found++;
		if (import_contradicts(import, &copy))
			import->contradicted = TRUE;
	} else if (import_read(import, import->batch_pool, mail, &copy) > 0) {
		import_add(import, &copy);
	}
}

static void import_search_mailbox(struct import *import,
				  struct mailbox *box)
{
	struct import_search search = {
		.trash = compat_mailbox_has_special_use(box, "\\Trash"),
		.pool = pool_alloconly_create("backscatter import search",
					      2048),
	};

	(void)import_foreach_mail(import, box, import_search_mail, &search);
	pool_unref(&search.pool);
	if (search.found == 0)
		return;
	str_printfa(import->unlisted, "%s%s (%u)",
		    str_len(import->unlisted) > 0 ? ", " : "",
		    str_sanitize_utf8(mailbox_get_vname(box),
				      SHOWN_MAILBOX_MAX), search.found);
}

bool import_mailbox_exists(struct mailbox *box)
{
	enum mailbox_existence existence;

	return mailbox_exists(box, FALSE, &existence) == 0 &&
		existence == MAILBOX_EXISTENCE_SELECT;
}

/* A message that was sent from here may lie there: it is neither a Sent mailbox nor for
   drafts, junk or our quarantine, nor does it show other mailboxes' messages. */
static bool import_is_searched(struct mailbox *box,
			       const struct backscatter_settings *set)
{
	for (unsigned int i = 0; i < N_ELEMENTS(unsearched_uses); i++) {
		if (compat_mailbox_has_special_use(box, unsearched_uses[i]))
			return FALSE;
	}
	if (strcmp(box->storage->name, "virtual") == 0)
		return FALSE;
	/* with or without its namespace's prefix */
	if (strcmp(box->vname, set->mailbox) == 0 ||
	    strcmp(box->vname, t_strconcat(mailbox_get_namespace(box)->prefix,
					   set->mailbox, NULL)) == 0)
		return FALSE;
	return !sent_copy_is_sent_mailbox(box, set);
}

/* A name that is written wrongly would leave out nothing. Of many users not each has
   the mailbox. */
static void
import_check_except(struct import *import, const char *const *except)
{
	for (; *except != NULL && import->run->ctx->iterate_single_user; except++) {
		struct mailbox *box = mailbox_alloc_for_user(import->run->buser->user,
			*except, MAILBOX_FLAG_READONLY);

		if (!import_mailbox_exists(box)) {
			import_failed(import, t_strdup_printf("--except: there "
				"is no mailbox %s", *except));
		}
		mailbox_free(&box);
	}
}

int import_search(struct import *import, const char *const *except)
{
	static const char *const all[] = { "*", NULL };
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	struct mailbox *box;
	const char *error;

	import_check_except(import, except);
	if (sent_log_get_coverage(import->run->buser->log, import->run->now,
				  &import->coverage, &error) < 0) {
		import_failed(import, error);
		return 0;
	}
	iter = mailbox_list_iter_init_namespaces(import->run->buser->user->namespaces, all,
		MAIL_NAMESPACE_TYPE_PRIVATE,
		MAILBOX_LIST_ITER_RETURN_NO_FLAGS |
		MAILBOX_LIST_ITER_SKIP_ALIASES);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		if ((info->flags & (MAILBOX_NOSELECT |
				    MAILBOX_NONEXISTENT)) != 0 ||
		    str_array_find(except, info->vname))
			continue;
		box = mailbox_alloc(info->ns->list, info->vname,
				    MAILBOX_FLAG_READONLY);
		if (import_is_searched(box, import->run->buser->set) &&
		    import_mailbox_exists(box))
			import_search_mailbox(import, box);
		mailbox_free(&box);
	}
	return mailbox_list_iter_deinit(&iter);
}
