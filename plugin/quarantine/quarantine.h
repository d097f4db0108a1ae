#ifndef QUARANTINE_H
#define QUARANTINE_H

/* The user's quarantine mailbox, and the way out of it: knows no verdict, and of the
   log only how it says where a report lies. The room also saves reports there
   (quarantine-save.h) and judges them again (rejudge.h). May write the quarantine,
   INBOX and what the log remembers of reports. */

#include "sent-log/sent-log.h"

struct istream;
struct mail;
struct mail_user;
struct mailbox;
struct mailbox_transaction_context;

struct quarantine {
	struct mail_user *user;
	struct mailbox *box;
	unsigned char guid[SENT_LOG_MAILBOX_GUID_SIZE];
	uint32_t uid_validity;
	/* the report that was looked for last; NULL = not found */
	struct mailbox_transaction_context *trans;
	struct mail *mail;
};

/* Opens it as it is now. Returns 1, 0 if there is none (any more), or -1 and an
   error. What was opened must be closed. */
int quarantine_open(struct quarantine *quarantine, struct mail_user *user,
		    const char *name, const char **error_r);
void quarantine_close(struct quarantine *quarantine);

/* Looks for a report where it was stored. *input_r is the message, valid until
   the next call for another one. Returns 1; 0 if the user has moved or deleted it
   (marked \Deleted is deleted: so moves a client that has no MOVE); -1 and an
   error. */
int quarantine_find(struct quarantine *quarantine,
		    const struct sent_log_stored_report *place,
		    struct istream **input_r, const char **error_r);

/* Saves the report found into INBOX, with header ("Name: value\r\n") on top in
   place of its X-Backscatter: the rest of its bytes, its internal date, flags and
   keywords stay. Returns 0, or -1 and an error, with INBOX as it was. */
int quarantine_copy_to_inbox(struct quarantine *quarantine, const char *header,
			     const char **error_r);
/* Is the report found in INBOX already, because a process was interrupted between
   copying and expunging it? Only INBOX's newest messages are looked at, and only a
   report with a Message-ID is recognised. Returns 1, 0, or -1 and an error. */
int quarantine_is_in_inbox(struct quarantine *quarantine, const char **error_r);
/* Expunges the report found. Returns 0, or -1 and an error. */
int quarantine_expunge(struct quarantine *quarantine, const char **error_r);

#endif
