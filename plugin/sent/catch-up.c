/* Which Sent mailbox has to be read now, by whom and for how long. The reading itself
   is for read-copies.c. */

#include "lib.h"
#include "file-lock.h"
#include "mail-storage-private.h"
#include "mail-namespace.h"
#include "mail-user.h"
#include "compat/dovecot-compat.h"
#include "sent-mailboxes.h"
#include "catch-up.h"

#include <sys/stat.h>

/* What a delivery may spend on it; 10,000 copies take about half of it. */
#define CATCH_UP_BUDGET_MSECS 1000
/* Of that, or beyond it, what is for reading: a look at a large Maildir can take all
   (all file names may have the same hash in Dovecot), and each delivery would read
   a hundred copies and no more. */
#define CATCH_UP_READING_MSECS 500
/* Who didn't come to the end leaves the others in peace for a while: in a storm of
   forged reports each would spend as much. */
#define CATCH_UP_PAUSE_SECS 60
/* The smallest that Dovecot knows. */
#define CATCH_UP_LOCK_SECS 1

/* The file is there for as long as a process reads, or was killed while it did. */
#define CATCH_UP_SUFFIX ".catch-up"

struct catch_up_context {
	struct backscatter_user *buser;
	struct read_copies read;
	/* NULL = nothing had to be read so far */
	struct file_lock *lock;
	/* CATCH_UP_READING_MSECS was granted: once, however many mailboxes */
	bool granted;
	enum catch_up_result result;
	const char *error;
};

/* The worst of all mailboxes is what counts. */
static void catch_up_set(struct catch_up_context *ctx,
			 enum catch_up_result result, const char *error)
{
	if (result <= ctx->result)
		return;
	ctx->result = result;
	ctx->error = p_strdup(ctx->buser->pool, error);
}

static void catch_up_log_failed(struct catch_up_context *ctx, const char *error)
{
	if (ctx->buser->log != NULL)
		backscatter_user_set_unavailable(ctx->buser, error);
	catch_up_set(ctx, CATCH_UP_FAILED, ctx->buser->error);
}

/* Returns TRUE if this is the process that reads. */
static bool catch_up_lock(struct catch_up_context *ctx)
{
	const char *error;
	bool created;
	int ret = ctx->lock != NULL ? 1 :
		backscatter_user_lock(ctx->buser, CATCH_UP_SUFFIX, 0, &ctx->lock,
				      &created, &error);

	if (ret == 0) {
		catch_up_set(ctx, CATCH_UP_UNFINISHED, "another process is "
			     "reading the Sent mailboxes into the log");
	} else if (ret < 0) {
		catch_up_set(ctx, CATCH_UP_FAILED, error);
	}
	return ret > 0;
}

/* Without the file nobody reads: the lock isn't taken for a look at what turns out
   to be read, or of a storm of reports each would be in another one's way. */
static bool catch_up_may_look(struct catch_up_context *ctx)
{
	struct stat st;

	return ctx->lock != NULL || lstat(t_strconcat(ctx->buser->path, CATCH_UP_SUFFIX,
					     NULL), &st) < 0 ||
		catch_up_lock(ctx);
}

/* Nobody tries again at once. (If that can't be written, everybody does.) */
static void catch_up_pause(struct catch_up_context *ctx, struct mailbox *box)
{
	const char *error;

	if (sent_log_stop_reading(ctx->buser->log, mailbox_get_vname(box),
				  ctx->read.now, &error) < 0)
		catch_up_log_failed(ctx, error);
}

/* Neither Maildir's lock nor the index's has an error code of its own: "Timeout while
   waiting for lock", "Timeout (1s) while waiting for lock for ...". */
static bool is_lock_timeout(struct mailbox *box, const char *error)
{
	enum mail_error mail_error;

	(void)mailbox_get_last_error(box, &mail_error);
	return mail_error == MAIL_ERROR_INUSE ||
		strstr(error, "while waiting for lock") != NULL;
}

/* A lock that another session holds is no fault. */
static void
catch_up_mailbox_failed(struct catch_up_context *ctx, struct mailbox *box,
			const char *error)
{
	catch_up_set(ctx, is_lock_timeout(box, error) ?
		     CATCH_UP_UNFINISHED : CATCH_UP_FAILED,
		     t_strdup_printf("the Sent mailbox %s can't be read: %s",
				     mailbox_get_vname(box), error));
	catch_up_pause(ctx, box);
}

static bool
catch_up_is_pausing(struct catch_up_context *ctx, struct mailbox *box,
		    const struct sent_log_mailbox_mark *mark)
{
	time_t now = ctx->read.now;

	/* a clock that fell back pauses nothing */
	if (mark->stopped_at > now ||
	    mark->stopped_at <= now - CATCH_UP_PAUSE_SECS)
		return FALSE;
	if (mark->unreadable_count > 0) {
		catch_up_set(ctx, CATCH_UP_UNREADABLE, t_strdup_printf(
			"%u copies in the Sent mailbox %s can't be read",
			mark->unreadable_count, mailbox_get_vname(box)));
	} else {
		catch_up_set(ctx, CATCH_UP_UNFINISHED, t_strdup_printf(
			"the Sent mailbox %s has not been read to its end, "
			"which is tried once a minute",
			mailbox_get_vname(box)));
	}
	return TRUE;
}

/* The mailbox is as STATUS has seen it, or newer. Returns 0, or -1 and an error. */
static int catch_up_open(struct mailbox *box, struct mailbox_status *status,
			 const char **error_r)
{
	uint32_t wanted = status->uidnext;

	if (!box->opened && mailbox_open(box) < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(box, NULL));
		return -1;
	}
	/* no other sync: STATUS has made one, and that of a large Maildir costs
	   more than the whole delivery */
	mailbox_get_open_status(box, STATUS_UIDVALIDITY | STATUS_UIDNEXT,
				status);
	if (status->uidnext >= wanted)
		return 0;
	*error_r = "its index is not up to date";
	return -1;
}

/* What has been spent so far went into looking and opening. */
static void catch_up_grant_reading(struct catch_up_context *ctx)
{
	int64_t least = read_copies_clock_msecs() + CATCH_UP_READING_MSECS;

	if (!ctx->granted)
		ctx->read.deadline_msecs = I_MAX(ctx->read.deadline_msecs, least);
	ctx->granted = TRUE;
}

/* Something in it is unread, and this process is the one that reads. */
static void
catch_up_read(struct catch_up_context *ctx, struct mailbox *box,
	      struct mailbox_status *status, struct sent_log_mailbox_mark *mark)
{
	const char *error;
	int ret = catch_up_open(box, status, &error);

	if (ret == 0) {
		if (sent_mailbox_is_other(mark, status)) {
			i_zero(mark);
			mark->uid_validity = status->uidvalidity;
		}
		catch_up_grant_reading(ctx);
		ret = read_copies(&ctx->read, box, mark, &error);
	}
	if (ctx->buser->log == NULL)
		catch_up_set(ctx, CATCH_UP_FAILED, ctx->buser->error);
	else if (ret < 0)
		catch_up_mailbox_failed(ctx, box, error);
	else if (ret == 0) {
		catch_up_set(ctx, CATCH_UP_UNFINISHED, t_strdup_printf(
			"reading the Sent mailbox %s into the log took too "
			"long and goes on with a later report",
			mailbox_get_vname(box)));
	} else if (mark->unreadable_count > 0) {
		catch_up_set(ctx, CATCH_UP_UNREADABLE, t_strdup_printf(
			"%u copies in the Sent mailbox %s can't be read",
			mark->unreadable_count, mailbox_get_vname(box)));
	}
}

/* Returns 1 and the mark if there is something to be read, else 0. */
static int
catch_up_look(struct catch_up_context *ctx, struct mailbox *box,
	      struct mailbox_status *status_r,
	      struct sent_log_mailbox_mark *mark_r)
{
	const char *error;
	int ret;

	if (sent_log_get_mark(ctx->buser->log, mailbox_get_vname(box), mark_r,
			      &error) < 0) {
		catch_up_log_failed(ctx, error);
		return 0;
	}
	if (catch_up_is_pausing(ctx, box, mark_r))
		return 0;
	ret = sent_mailbox_get_status(box, status_r, &error);
	if (ret < 0)
		catch_up_mailbox_failed(ctx, box, error);
	if (ret <= 0)
		return 0;
	return !sent_mailbox_is_read(mark_r, status_r) ||
		mark_r->unreadable_count > 0 ? 1 : 0;
}

static void catch_up_locked(struct catch_up_context *ctx, struct mailbox *box)
{
	struct sent_log_mailbox_mark mark;
	struct mailbox_status status;
	bool first = ctx->lock == NULL;

	if (!catch_up_may_look(ctx) ||
	    catch_up_look(ctx, box, &status, &mark) == 0 ||
	    !catch_up_lock(ctx))
		return;
	/* who had it until now may have read all */
	if (first && catch_up_look(ctx, box, &status, &mark) == 0)
		return;
	catch_up_read(ctx, box, &status, &mark);
}

/* The report can't be called backscatter any more, so the other mailboxes may wait for
   the next one: each may have a lock that is waited for. */
static bool catch_up_is_over(const struct catch_up_context *ctx)
{
	return ctx->result != CATCH_UP_DONE &&
		read_copies_clock_msecs() >= ctx->read.deadline_msecs;
}

static bool
catch_up_mailbox(struct mailbox *box, const char *why_not, void *context)
{
	struct catch_up_context *ctx = context;
	struct mail_namespace *ns = mailbox_get_namespace(box);
	unsigned int lock_secs;

	if (catch_up_is_over(ctx))
		return FALSE;
	if (why_not != NULL) {
		catch_up_set(ctx, CATCH_UP_UNREADABLE, t_strdup_printf(
			"the Sent mailbox %s %s", mailbox_get_vname(box),
			why_not));
		return TRUE;
	}
	lock_secs = compat_namespace_set_lock_timeout(ns, CATCH_UP_LOCK_SECS);
	T_BEGIN {
		catch_up_locked(ctx, box);
	} T_END;
	(void)compat_namespace_set_lock_timeout(ns, lock_secs);
	/* an imap session may have the same index open */
	if (box->index != NULL) {
		mail_index_set_lock_method(box->index,
			box->storage->set->parsed_lock_method,
			mail_storage_get_lock_timeout(box->storage, UINT_MAX));
	}
	return ctx->buser->log != NULL;
}

enum catch_up_result
catch_up(struct backscatter_user *buser, time_t now, const char **error_r)
{
	struct catch_up_context ctx = { .buser = buser };

	*error_r = buser->error;
	if (buser->log == NULL)
		return CATCH_UP_FAILED;
	ctx.read.buser = buser;
	ctx.read.now = now;
	ctx.read.deadline_msecs = read_copies_clock_msecs() +
		CATCH_UP_BUDGET_MSECS;
	T_BEGIN {
		ctx.read.own = backscatter_user_own_addresses(buser, NULL, buser->pool);
		sent_mailboxes_foreach(buser->user, buser->set, catch_up_mailbox,
				       &ctx);
	} T_END;
	if (ctx.lock != NULL)
		file_lock_free(&ctx.lock);
	*error_r = ctx.error;
	return ctx.result;
}
