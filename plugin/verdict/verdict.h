#ifndef VERDICT_H
#define VERDICT_H

/* The verdict on a report: the table of docs/design.md, section 4, as a pure function.
   The room decides: verdict, action, coverage, own addresses, who may send as what.
   It knows no user, mailbox or clock, and only coverage_view_read() asks a log;
   judging/facts.h collects what the table needs. Callers must have a data stack
   frame. */

#include "report/report.h"
#include "coverage.h"

enum verdict {
	VERDICT_UNKNOWN = 0,
	VERDICT_GENUINE,
	VERDICT_BACKSCATTER,
};

/* What in a report identified the original (docs/design.md, section 2). */
enum verdict_evidence {
	VERDICT_EVIDENCE_NONE = 0,
	/* keyed: they verify by themselves */
	VERDICT_EVIDENCE_TAG,
	VERDICT_EVIDENCE_ENVELOPE_ID,
	VERDICT_EVIDENCE_SERIAL,
	/* known only because the log has them */
	VERDICT_EVIDENCE_MESSAGE_ID,
	VERDICT_EVIDENCE_REFERENCE,
	VERDICT_EVIDENCE_RECIPIENT,
};

/* What became of the tag, envelope id or serial of a report; of several the best
   one, in this order. */
enum verdict_keyed {
	VERDICT_KEYED_NONE = 0,
	/* a key that this mailbox doesn't know: no evidence at all */
	VERDICT_KEYED_UNKNOWN_KEY,
	/* full length, key known, MAC wrong */
	VERDICT_KEYED_BAD,
	/* verifies, but is older than the retention */
	VERDICT_KEYED_EXPIRED,
	/* in the log, or verifies and was issued within the retention */
	VERDICT_KEYED_VALID,
};

enum verdict_reason {
	VERDICT_REASON_REPLAYED,
	VERDICT_REASON_TAG,
	VERDICT_REASON_ENVELOPE_ID,
	VERDICT_REASON_SERIAL,
	VERDICT_REASON_LOG_UNAVAILABLE,
	VERDICT_REASON_EXPIRED,
	VERDICT_REASON_OTHER_RECIPIENT,
	VERDICT_REASON_MESSAGE_ID,
	VERDICT_REASON_REFERENCE,
	VERDICT_REASON_NO_MATCH,
	VERDICT_REASON_OTHER_ADDRESS,
	VERDICT_REASON_AUTOMATIC,
	VERDICT_REASON_OUR_HOST,
	VERDICT_REASON_INCOMING,
	VERDICT_REASON_RECIPIENT_KNOWN,
	VERDICT_REASON_UNKNOWN_KEY,
	VERDICT_REASON_NOT_COVERED,
	VERDICT_REASON_UNCERTAIN,
	VERDICT_REASON_BAD_SERIAL,
	VERDICT_REASON_OTHER_SENDER,
	VERDICT_REASON_NOT_SENT,
	VERDICT_REASON_NO_IDENTITY,
};

/* All that the table asks. */
struct verdict_facts {
	enum report_class class;

	enum verdict_keyed keyed;
	/* tag, envid or serial: which one keyed speaks of */
	enum verdict_evidence keyed_evidence;

	/* Message-ID, envelope id or reference that is in the log; NONE = none */
	enum verdict_evidence logged_evidence;
	/* an identity of the original is there, in the log or not */
	enum verdict_evidence named_evidence;

	struct coverage_facts coverage;

	/* How certain the report is; REPORT_SHAPE_DAEMON also where only the
	   returned original says so (see facts_gather()). */
	enum report_shape shape;
	/* originals that the report returns; what follows about "the original"
	   is about that one only if it is the only one */
	unsigned int original_count;

	/* The log could be opened for writing and answered everything. If not,
	   all that comes from the log counts as not found. */
	bool log_available:1;
	/* the report and the logged message both name recipients ... */
	bool recipients_compared:1;
	/* ... and have an address or a domain in common */
	bool recipient_shared:1;
	/* reports on this original are used up, for every recipient named */
	bool budget_used_up:1;
	/* an address in the report's To: is own */
	bool to_own_address:1;
	/* an original was sent by software: Sieve, a vacation, a report */
	bool automatic:1;
	/* an original left through a host of ours, which took it in locally or
	   with a login, or passed it on for an own address */
	bool our_host:1;
	/* an original was received here, for this mailbox or to be passed on */
	bool incoming:1;
	/* a failed recipient or an address of the returned To:/Cc: is one this
	   mailbox wrote to within the retention */
	bool recipient_known:1;
	/* A well-formed serial of an unknown key or version came back, or one that
	   verifies for an address of somebody else here. */
	bool unknown_key:1;
	/* the original claims to come from this mailbox */
	bool claims_own_address:1;
	/* The original has one Message-ID that is whole (struct report_original).
	   FALSE if the report was longer than what was read. */
	bool message_id_proves:1;
	/* the original was returned in a MIME part of its own */
	bool original_in_part:1;
	/* MAIL FROM:<> */
	bool null_sender:1;
};

struct verdict_result {
	/* row of the table that decided */
	unsigned int row;
	enum verdict verdict;
	enum verdict_reason reason;
	/* the evidence that decided, or that was looked for in vain */
	enum verdict_evidence evidence;
	/* of row 13: why not covered */
	enum coverage_state coverage;
};

/* Rows of the table, 1 up to this. */
#define VERDICT_ROW_COUNT 18

/* The first row that matches wins. */
void verdict_decide(const struct verdict_facts *facts,
		    struct verdict_result *result_r);

/* The situation that a row asks for, as docs/design.md words it. */
const char *verdict_row_situation(unsigned int row);
/* TRUE if the row matches these facts. *saw_r is what it saw in them, for
   "doveadm backscatter explain"; allocated from the data stack. */
bool verdict_row_matches(unsigned int row, const struct verdict_facts *facts,
			 const char **saw_r);

/* Names as they stand in headers and logs. */
const char *verdict_name(enum verdict verdict);
const char *verdict_reason_name(enum verdict_reason reason);
const char *verdict_evidence_name(enum verdict_evidence evidence);

#endif
