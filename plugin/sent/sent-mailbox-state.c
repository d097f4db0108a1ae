/* How far a Sent mailbox has been read, compared with what lies in it. */

#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "sent-mailboxes.h"

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
