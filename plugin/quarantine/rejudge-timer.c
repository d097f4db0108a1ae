/* When to judge again: see the header. */

#include "lib.h"
#include "ioloop.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "user/backscatter-user.h"
#include "rejudge.h"
#include "rejudge-timer.h"

/* Until a command has ended, that is: short, but not tried all the time. */
#define REJUDGE_TIMER_MSECS 20

/* An open transaction may hold locks: to wait for them in the same process would be
   to wait in vain. */
static bool user_has_transactions(struct mail_user *user)
{
	const struct mail_storage *storage;
	const struct mailbox *box;

	for (storage = user->storages; storage != NULL; storage = storage->next) {
		for (box = storage->mailboxes; box != NULL; box = box->next) {
			if (mailbox_transaction_get_count(box) > 0)
				return TRUE;
		}
	}
	return FALSE;
}

static void rejudge_timer_tick(struct rejudge_timer *timer)
{
	if (user_has_transactions(timer->buser->user))
		return;
	timeout_remove(&timer->timeout);
	backscatter_user_begin(timer->buser);
	rejudge_due_reports(timer->buser);
}

/* Not at once: the transaction that logs isn't finished, plugins would take what is
   saved for the client's doing, and the client waits. */
void rejudge_timer_start(struct rejudge_timer *timer)
{
	if (timer->timeout != NULL)
		return;
	timer->timeout = timeout_add_short_to(io_loop_get_root(),
		REJUDGE_TIMER_MSECS, rejudge_timer_tick, timer);
}

void rejudge_timer_end(struct rejudge_timer *timer)
{
	if (timer->timeout == NULL)
		return;
	timeout_remove(&timer->timeout);
	rejudge_due_reports(timer->buser);
}
