/* Which mailboxes; what is read in them is for catch-up.c. */

#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mail-namespace.h"
#include "mail-user.h"
#include "compat/dovecot-compat.h"
#include "sent-mailboxes.h"

/* What lies on this host as files of its own. The others would ask a server (imapc),
   lock the whole mailbox (mbox), or show mail of other mailboxes (virtual). */
static const char *const local_drivers[] = {
	"maildir", "sdbox", "mdbox", NULL
};

static bool is_own(const struct mail_namespace *ns)
{
	/* an alias shows the mailboxes of another namespace */
	return ns->type == MAIL_NAMESPACE_TYPE_PRIVATE && ns->alias_for == NULL;
}

static void add_name(ARRAY_TYPE(const_string) *names, const char *name)
{
	if (array_lsearch(names, &name, i_strcmp_p) == NULL)
		array_push_back(names, &name);
}

static void
get_names(struct mail_user *user, const struct backscatter_settings *set,
	  ARRAY_TYPE(const_string) *names_r)
{
	struct mail_namespace *ns;
	const char *const *name, *special;
	ARRAY_TYPE(const_string) specials;

	t_array_init(names_r, 4);
	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (!is_own(ns))
			continue;
		t_array_init(&specials, 2);
		compat_namespace_special_use(ns, "\\Sent", &specials);
		array_foreach_elem(&specials, special)
			add_name(names_r, special);
	}
	for (name = set->sent_mailboxes; *name != NULL; name++)
		add_name(names_r, *name);
}

static const char *why_not_opened(struct mailbox *box)
{
	if (strpbrk(mailbox_get_vname(box), "*?") != NULL) {
		return "is a pattern of names: list the mailboxes themselves in "
			"backscatter_sent_mailboxes";
	}
	if (!str_array_find(local_drivers, box->storage->name)) {
		return t_strdup_printf("is of the type %s, which is not opened "
			"when a report is delivered", box->storage->name);
	}
	return NULL;
}

void sent_mailboxes_foreach(struct mail_user *user,
			    const struct backscatter_settings *set,
			    sent_mailboxes_callback_t *callback, void *context)
{
	ARRAY_TYPE(const_string) names;
	const char *name;
	bool go_on = TRUE;

	get_names(user, set, &names);
	array_foreach_elem(&names, name) {
		struct mail_namespace *ns =
			mail_namespace_find(user->namespaces, name);
		struct mailbox *box;

		if (!go_on)
			break;
		if (!is_own(ns) || !uni_utf8_str_is_valid(name))
			continue;
		box = mailbox_alloc(ns->list, name, MAILBOX_FLAG_READONLY |
				    MAILBOX_FLAG_IGNORE_ACLS);
		go_on = callback(box, why_not_opened(box), context);
		mailbox_free(&box);
	}
}
