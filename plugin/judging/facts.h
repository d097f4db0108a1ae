#ifndef FACTS_H
#define FACTS_H

/* Asks the sent log what the verdict table needs to know of a report. */

#include "sent-log/sent-log.h"
#include "sent-log/serial.h"
#include "verdict/coverage.h"
#include "verdict/own-addresses.h"
#include "verdict/verdict.h"

/* What the settings say. */
struct facts_policy {
	struct coverage_policy coverage;
	/* This host's names, as they stand behind "by" in its Received lines;
	   NULL-terminated. */
	const char *const *host_names;
};

/* What a tag, envelope id or serial is verified with. */
struct facts_keyed {
	const struct serial_keys *keys;
	/* those of them that are the mailbox's own, not the site's: what they
	   issued was logged here */
	const struct serial_keys *mailbox_keys;
	/* The addresses that the envelope gives for this recipient: RCPT TO, ORCPT,
	   lda's -a and -r. They may have a tag, and may be what the original was
	   sent from. NULL-terminated. */
	const char *const *envelope_recipients;
	/* recipient_delimiter */
	const char *delimiters;
};

struct facts {
	struct verdict_facts verdict;
	/* The identity that verdict.keyed_evidence (where it is valid) or
	   verdict.logged_evidence speaks of; value is NULL if there is none. Points
	   into the report or the data stack. */
	struct sent_log_identity original;
	/* For the log line: the reference that is in the log, or else the first
	   Message-ID that the report shows, as written; NULL = none. Points into
	   the report. */
	const char *original_message_id;
	/* A serial of the mailbox's own key verifies, and has no row: the log is an
	   older one than the one that it was written to. */
	bool rows_lost;
	/* why verdict.log_available is FALSE; data stack */
	const char *log_error;
	/* of the log, for explain */
	struct sent_log_coverage coverage;
	struct sent_log_row unlisted_copy;
};

/* The report brings something that keys can verify. */
bool facts_has_keyed(const struct report *report,
		     const struct facts_keyed *keyed);

/* Collects the facts on a report that was delivered to the mailbox of this log
   at now (this host's clock). Never fails: a log that doesn't answer, or is NULL,
   is a fact.
   Changes nothing in the log. */
void facts_gather(const struct report *report, struct sent_log *log,
		  const struct own_addresses *own,
		  const struct facts_keyed *keyed,
		  const struct facts_policy *policy, time_t now,
		  struct facts *facts_r);

/* Counts a genuine report against its original's budget, after it was stored.
   Returns 1, 0 if there is nothing to count, -1 if the log is unavailable. */
int facts_count_report(const struct facts *facts, const struct report *report,
		       struct sent_log *log, time_t now, const char **error_r);

#endif
