/* import --complete: is there something in the other mailboxes that was sent from here,
   and that the log doesn't know? */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "str-sanitize.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail-user.h"
#include "mailbox-list-iter.h"
#include "compat/dovecot-compat.h"
#include "doveadm-import.h"
#include "doveadm-own-mail.h"
#include "doveadm-sent-mailboxes.h"

#define SHOWN_MAILBOX_MAX 200

struct import_search {
	/* special use \Trash: nobody would list it among the Sent mailboxes, and
	   what lies there was deleted from them */
	bool trash;
	unsigned int found;
	pool_t pool;
};

static bool import_is_known(struct import_context *import,
			    const struct sent_copy *copy)
{
	const struct sent_log_identity *identity;
	struct sent_log_entry entry;
	const char *error;

	array_foreach(&copy->identities, identity) {
		int ret = sent_log_find(import->buser->log, identity, NULL, 0,
					import->now, &entry, &error);

		if (ret < 0)
			import_failed(import, error);
		/* a log that doesn't answer shows nothing */
		if (ret != 0)
			return TRUE;
	}
	return FALSE;
}

/* It shows that the log is not complete, though it counted as that. Where the copy has
   another Message-ID than what left, or none, a listed source may have logged it. */
static bool import_contradicts(const struct import_context *import,
			       const struct sent_copy *copy)
{
	time_t sent = copy->date != 0 && copy->date <= import->now ?
		copy->date : copy->logged_at;

	/* A row that expired says nothing against the log: the date decides, and not
	   when the copy came to where it lies now. What is written to nobody is a note
	   or a draft. */
	return sent >= import->coverage.start &&
		array_count(&copy->recipients) > 0 &&
		(copy->has_message_id ||
		 import->buser->set->sources == SENT_LOG_SOURCE_SENT);
}

static void import_search_mail(struct import_context *import, struct mail *mail,
			       void *context)
{
	struct import_search *search = context;
	struct sent_copy copy;

	/* none of the last mail's is needed any more */
	p_clear(search->pool);
	if (import_read(import, search->pool, mail, &copy) <= 0 ||
	    !doveadm_mail_is_own(mail, &copy, import->own, search->trash) ||
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

static void import_search_mailbox(struct import_context *import,
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

/* A name that is written wrongly would leave out nothing. Of many users not each has
   the mailbox. */
static void
import_check_except(struct import_context *import, const char *const *except)
{
	for (; *except != NULL && import->ctx->iterate_single_user; except++) {
		struct mailbox *box = mailbox_alloc_for_user(import->user,
			*except, MAILBOX_FLAG_READONLY);

		if (!doveadm_mailbox_exists(box)) {
			import_failed(import, t_strdup_printf("--except: there "
				"is no mailbox %s", *except));
		}
		mailbox_free(&box);
	}
}

int import_search(struct import_context *import, const char *const *except)
{
	static const char *const all[] = { "*", NULL };
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	struct mailbox *box;
	const char *error;

	import_check_except(import, except);
	if (sent_log_get_coverage(import->buser->log, import->now,
				  &import->coverage, &error) < 0)
		import_failed(import, error);
	iter = mailbox_list_iter_init_namespaces(import->user->namespaces, all,
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
		if (doveadm_mailbox_is_searched(box, import->buser->set) &&
		    doveadm_mailbox_exists(box))
			import_search_mailbox(import, box);
		mailbox_free(&box);
	}
	return mailbox_list_iter_deinit(&iter);
}
