/* Which mailboxes, and how far each has been read, compared with what lies in it. What is
   read in them is for catch-up.c. */

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

/* How far */

static int look_failed(struct mailbox *box, const char **error_r)
{
	enum mail_error error;

	*error_r = t_strdup(mailbox_get_last_internal_error(box, &error));
	/* removed a moment ago */
	return error == MAIL_ERROR_NOTFOUND ? 0 : -1;
}

int sent_mailbox_get_status(struct mailbox *box,
			    struct mailbox_status *status_r,
			    const char **error_r)
{
	enum mailbox_existence existence;

	/* first, or a mailbox with auto = create would be created now */
	if (mailbox_exists(box, FALSE, &existence) < 0)
		return look_failed(box, error_r);
	if (existence != MAILBOX_EXISTENCE_SELECT)
		return 0;
	mail_storage_clear_error(box->storage);
	if (mailbox_get_status(box, STATUS_UIDVALIDITY | STATUS_UIDNEXT,
			       status_r) < 0)
		return look_failed(box, error_r);
	/* Maildir: a sync that got no lock reports success, and this */
	if (box->storage->error_string != NULL) {
		(void)look_failed(box, error_r);
		return -1;
	}
	return 1;
}

bool sent_mailbox_is_other(const struct sent_log_mailbox_mark *mark,
			   const struct mailbox_status *status)
{
	return mark->uid_validity != status->uidvalidity ||
		mark->next_uid > status->uidnext;
}

bool sent_mailbox_is_read(const struct sent_log_mailbox_mark *mark,
			  const struct mailbox_status *status)
{
	return !sent_mailbox_is_other(mark, status) &&
		mark->next_uid == status->uidnext &&
		mark->unread_from >= mark->unread_to;
}

struct state_context {
	struct sent_log *log;
	pool_t pool;
	ARRAY_TYPE(sent_mailbox_state) *states;
	const char *error;
};

static void get_state(struct mailbox *box, struct state_context *ctx,
		      const struct sent_log_mailbox_mark *mark,
		      struct sent_mailbox_state *state)
{
	struct mailbox_status status;
	const char *error;
	int ret = sent_mailbox_get_status(box, &status, &error);

	if (ret < 0)
		state->error = p_strdup(ctx->pool, error);
	state->all_read = ret == 0 ||
		(ret > 0 && sent_mailbox_is_read(mark, &status));
	state->unreadable = ret == 0 ? 0 : mark->unreadable_count;
}

static bool
add_state(struct mailbox *box, const char *why_not, void *context)
{
	struct state_context *ctx = context;
	enum mailbox_existence existence;
	struct sent_log_mailbox_mark mark;
	struct sent_mailbox_state *state;

	i_zero(&mark);
	state = array_append_space(ctx->states);
	state->name = p_strdup(ctx->pool, mailbox_get_vname(box));
	state->why_not = p_strdup(ctx->pool, why_not);
	/* an autocreated one that nobody has used yet is none */
	state->exists = mailbox_exists(box, FALSE, &existence) == 0 &&
		existence == MAILBOX_EXISTENCE_SELECT;
	if (why_not != NULL)
		return TRUE;
	if (ctx->log != NULL && sent_log_get_mark(ctx->log, state->name, &mark,
						  &ctx->error) < 0)
		return FALSE;
	get_state(box, ctx, &mark, state);
	return TRUE;
}

int sent_mailboxes_get_state(struct backscatter_user *buser,
			     struct sent_log *log, pool_t pool,
			     ARRAY_TYPE(sent_mailbox_state) *states_r,
			     const char **error_r)
{
	struct state_context ctx = {
		.log = log, .pool = pool, .states = states_r
	};

	p_array_init(states_r, pool, 4);
	sent_mailboxes_foreach(buser->user, buser->set, add_state, &ctx);
	*error_r = ctx.error;
	return ctx.error == NULL ? 0 : -1;
}
