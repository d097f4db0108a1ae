/* Which mailboxes a user has, and which of them the settings speak of. */

#include "lib.h"
#include "str.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "compat/dovecot-compat.h"
#include "doveadm-sent-mailboxes.h"
#include "sent/sent-copy.h"

/* What lies there was not sent, or not from here. \All and \Flagged are mostly views
   of others. */
static const char *const unsearched_uses[] = {
	"\\Drafts", "\\Junk", "\\All", "\\Flagged",
};

bool doveadm_mailbox_exists(struct mailbox *box)
{
	enum mailbox_existence existence;

	return mailbox_exists(box, FALSE, &existence) == 0 &&
		existence == MAILBOX_EXISTENCE_SELECT;
}

bool doveadm_mailbox_is_searched(struct mailbox *box,
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

static void count_mailbox(struct mailbox *box, void *context)
{
	unsigned int *count = context;

	if (doveadm_mailbox_exists(box))
		(*count)++;
}

static void check_listed(struct backscatter_user *buser, const char *name,
			 string_t *missing)
{
	struct mailbox *box = mailbox_alloc_for_user(buser->user, name,
						     MAILBOX_FLAG_READONLY);
	enum mail_namespace_type type = mailbox_get_namespace(box)->type;

	if (type != MAIL_NAMESPACE_TYPE_PRIVATE) {
		e_error(buser->event, "backscatter_sent_mailboxes "
			"has the wrong value '%s': allowed are the user's own "
			"mailboxes, and this is a %s one", name,
			type == MAIL_NAMESPACE_TYPE_PUBLIC ?
			"public" : "shared");
	} else if (!doveadm_mailbox_exists(box)) {
		str_printfa(missing, "%s%s", str_len(missing) > 0 ? ", " : "",
			    name);
	}
	mailbox_free(&box);
}

unsigned int doveadm_sent_mailboxes_check(struct backscatter_user *buser,
					  const char **missing_r)
{
	const char *const *name = buser->set->sent_mailboxes;
	string_t *missing = t_str_new(64);
	unsigned int count = 0;

	(void)sent_copy_foreach_mailbox(buser->user, buser->set, count_mailbox,
					&count);
	for (; *name != NULL; name++)
		check_listed(buser, *name, missing);
	*missing_r = str_len(missing) > 0 ? str_c(missing) : NULL;
	return count;
}
