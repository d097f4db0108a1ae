/* One Sent mailbox, from a mark in the log to the next one. When, and which mailbox, is
   for catch-up.c. */

#include "lib.h"
#include "array.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "sent-copy.h"
#include "sent-mailboxes.h"

#include <time.h>

/* Rows of a transaction, and how often the clock is looked at. */
#define READ_BATCH 100
/* What is passed over takes memory, too. */
#define READ_POOL_MAX (1024 * 1024)

/* UIDs from (and with) one up to (and without) the other. */
struct uid_range {
	uint32_t from, to;
};

struct copy_reader {
	const struct read_copies *read;
	struct mailbox *box;
	struct mail *mail;
	struct sent_log_mailbox_mark *mark;
	/* what is being read, and what stays unread below it */
	struct uid_range range, below;

	pool_t pool;
	ARRAY_TYPE(sent_copy) copies;
	unsigned int looked_at;
	bool late;
};

int64_t read_copies_clock_msecs(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool range_is_empty(const struct uid_range *range)
{
	return range->from >= range->to;
}

/* All of reader->range from this UID on has been read: writes that, and its rows. */
static int reader_flush(struct copy_reader *reader, uint32_t read_from)
{
	struct backscatter_user *buser = reader->read->buser;
	struct sent_log_mailbox_mark *mark = reader->mark;
	struct uid_range unread = reader->below;
	const char *error;
	int ret;

	if (read_from > reader->range.from) {
		/* One range is kept: what was read between the two is read once
		   more. */
		if (range_is_empty(&unread))
			unread.from = reader->range.from;
		unread.to = read_from;
	}
	mark->next_uid = I_MAX(mark->next_uid, reader->range.to);
	mark->unread_from = range_is_empty(&unread) ? 0 : unread.from;
	mark->unread_to = range_is_empty(&unread) ? 0 : unread.to;
	/* What couldn't be read isn't tried again for each report of a storm. */
	mark->stopped_at = reader->late || mark->unreadable_count > 0 ?
		reader->read->now : 0;
	ret = sent_copy_log_read(buser, &reader->copies,
				 mailbox_get_vname(reader->box), mark,
				 reader->read->now, &error);
	if (ret < 0)
		backscatter_user_set_unavailable(buser, error);
	p_clear(reader->pool);
	p_array_init(&reader->copies, reader->pool, READ_BATCH);
	return ret < 0 ? -1 : 0;
}

static bool reader_is_late(struct copy_reader *reader)
{
	if (read_copies_clock_msecs() >= reader->read->deadline_msecs)
		reader->late = TRUE;
	return reader->late;
}

/* Returns 0, or -1 if there are too many of them. */
static int reader_add_unreadable(struct copy_reader *reader, const char *error,
				 bool known)
{
	struct sent_log_mailbox_mark *mark = reader->mark;

	if (mark->unreadable_count == SENT_LOG_MAX_UNREADABLE)
		return -1;
	mark->unreadable[mark->unreadable_count++] = reader->mail->uid;
	if (!known) {
		e_error(reader->read->buser->event, "The Sent copy "
			"with UID %u in mailbox %s can't be read: %s - nothing "
			"is called backscatter until it can, or is gone",
			reader->mail->uid, mailbox_get_vname(reader->box), error);
	}
	return 0;
}

/* Returns 1 if it belongs into the log, 0 if not, or -1 and an error. */
static int reader_read_copy(struct copy_reader *reader, struct sent_copy *copy_r,
			    const char **error_r)
{
	const struct read_copies *read = reader->read;
	time_t received;

	if (mail_get_received_date(reader->mail, &received) < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(reader->box,
								    NULL));
		return -1;
	}
	if (sent_copy_read(reader->pool, reader->mail, read->own, received,
			   copy_r, error_r) < 0)
		return -1;
	/* without any date it may be of today */
	if (!sent_copy_set_logged_at(copy_r, received, read->now))
		copy_r->logged_at = read->now;
	if (copy_r->logged_at < read->now - (time_t)read->buser->set->retention)
		return 0;
	/* mail to user+Sent@ must not fill the log */
	return copy_r->from_own_address || !copy_r->was_delivered ? 1 : 0;
}

/* The mail that reader->mail is set to. known: it was unreadable before. Returns 0, or
   -1 and an error. */
static int reader_read_mail(struct copy_reader *reader, bool known,
			    const char **error_r)
{
	struct sent_copy copy;
	const char *error;
	int ret = reader_read_copy(reader, &copy, &error);

	reader->looked_at++;
	if (ret > 0)
		array_push_back(&reader->copies, &copy);
	if (ret >= 0 || reader->mail->expunged)
		return 0;
	/* it may have waited for a lock */
	(void)reader_is_late(reader);
	if (reader_add_unreadable(reader, error, known) == 0)
		return 0;
	*error_r = error;
	return -1;
}

/* Those of before, once more. */
static int reader_retry(struct copy_reader *reader, const char **error_r)
{
	const struct sent_log_mailbox_mark before = *reader->mark;
	int ret = 0;

	reader->mark->unreadable_count = 0;
	for (unsigned int i = 0; i < before.unreadable_count && ret == 0; i++)
	T_BEGIN {
		if (mail_set_uid(reader->mail, before.unreadable[i]))
			ret = reader_read_mail(reader, TRUE, error_r);
	} T_END_PASS_STR_IF(ret < 0, error_r);
	return ret;
}

static bool reader_is_full(const struct copy_reader *reader)
{
	return array_count(&reader->copies) >= READ_BATCH ||
		pool_alloconly_get_total_used_size(reader->pool) > READ_POOL_MAX;
}

static int reader_read_range(struct copy_reader *reader, const char **error_r)
{
	uint32_t seq, first = 0, last = 0, read_from = reader->range.to;
	int ret = 0;

	if (!range_is_empty(&reader->range)) {
		mailbox_get_seq_range(reader->box, reader->range.from,
				      reader->range.to - 1, &first, &last);
	}
	for (seq = last; seq >= first && seq != 0; seq--) {
		mail_set_seq(reader->mail, seq);
		T_BEGIN {
			ret = reader_read_mail(reader, FALSE, error_r);
		} T_END_PASS_STR_IF(ret < 0, error_r);
		if (ret < 0)
			return -1;
		read_from = reader->mail->uid;
		if (reader->looked_at % READ_BATCH == 0)
			(void)reader_is_late(reader);
		if (reader->late)
			break;
		if (reader_is_full(reader) &&
		    reader_flush(reader, read_from) < 0)
			return -1;
	}
	return reader_flush(reader, reader->late ? read_from :
			    reader->range.from);
}

static int reader_run(struct copy_reader *reader, uint32_t next_uid,
		      const char **error_r)
{
	struct sent_log_mailbox_mark *mark = reader->mark;
	const struct uid_range unread = { mark->unread_from, mark->unread_to };
	const struct uid_range added = { I_MAX(mark->next_uid, 1), next_uid };
	const struct uid_range none = { 0, 0 };

	if (reader_retry(reader, error_r) < 0)
		return -1;
	reader->range = added;
	reader->below = unread;
	/* also where it is empty: what was tried again has to be written */
	if (reader_read_range(reader, error_r) < 0)
		return -1;
	if (reader->late || range_is_empty(&unread))
		return reader->late ? 0 : 1;
	reader->range = unread;
	reader->below = none;
	if (reader_read_range(reader, error_r) < 0)
		return -1;
	return reader->late ? 0 : 1;
}

int read_copies(const struct read_copies *read, struct mailbox *box,
		struct sent_log_mailbox_mark *mark, const char **error_r)
{
	struct copy_reader reader = { .read = read, .box = box, .mark = mark };
	struct mailbox_header_lookup_ctx *headers =
		mailbox_header_lookup_init(box, sent_copy_headers);
	/* what is looked at once need not be cached from now on */
	struct mailbox_transaction_context *trans =
		mailbox_transaction_begin(box,
			MAILBOX_TRANSACTION_FLAG_NO_CACHE_DEC, __func__);
	struct mailbox_status status;
	int ret;

	mailbox_get_open_status(box, STATUS_UIDNEXT, &status);
	reader.mail = mail_alloc(trans, MAIL_FETCH_RECEIVED_DATE, headers);
	reader.pool = pool_alloconly_create("backscatter read copies", 16384);
	p_array_init(&reader.copies, reader.pool, READ_BATCH);
	*error_r = NULL;
	ret = reader_run(&reader, status.uidnext, error_r);
	if (*error_r == NULL)
		*error_r = read->buser->error;
	pool_unref(&reader.pool);
	mail_free(&reader.mail);
	mailbox_transaction_rollback(&trans);
	mailbox_header_lookup_unref(&headers);
	return ret;
}
