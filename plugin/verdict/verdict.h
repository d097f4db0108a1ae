#ifndef VERDICT_H
#define VERDICT_H

/* The verdict on a report: the table of DESIGN.md section 4 as a pure function.
   Nothing here opens a log or knows a mailbox; facts.h collects what the table
   needs. Callers must have a data stack frame. */

#include "report/report.h"
#include "verdict/coverage.h"

enum verdict {
	VERDICT_UNKNOWN = 0,
	VERDICT_GENUINE,
	VERDICT_BACKSCATTER,
};

/* What in a report identified the original (DESIGN.md, section 2). */
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
	VERDICT_REASON_SERVER_SENT,
	VERDICT_REASON_RECIPIENT_KNOWN,
	VERDICT_REASON_BAD_SERIAL,
	VERDICT_REASON_NOT_COVERED,
	VERDICT_REASON_NOT_SENT,
	VERDICT_REASON_NOTHING_SENT,
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

	/* The log could be opened for writing and answered everything. If not,
	   all that comes from the log counts as not found. */
	bool log_available:1;
	/* the log has a row within the retention */
	bool log_has_rows:1;
	/* the report and the logged message both name recipients ... */
	bool recipients_compared:1;
	/* ... and have an address or a domain in common */
	bool recipient_shared:1;
	/* reports on this original are used up, for every recipient named */
	bool budget_used_up:1;
	/* an address in the report's To: is own */
	bool to_own_address:1;
	/* the original was sent by this server itself (Sieve) */
	bool server_sent:1;
	/* a failed recipient or an address of the returned To:/Cc: is one this
	   mailbox wrote to within the retention */
	bool recipient_known:1;
	/* A whole Message-ID (left@right) of the original is there; one that stands
	   in running text only if the report was read to its end. */
	bool whole_message_id:1;
	/* The report was longer than what was read: an identity may stand in the
	   rest. */
	bool truncated:1;
};

struct verdict_result {
	/* row of the table that decided */
	unsigned int row;
	enum verdict verdict;
	enum verdict_reason reason;
	/* the evidence that decided, or that was looked for in vain */
	enum verdict_evidence evidence;
	/* of row 12: why not covered */
	enum coverage_state coverage;
};

/* Rows of the table, 1 up to this. */
#define VERDICT_ROW_COUNT 15

/* The first row that matches wins. */
void verdict_decide(const struct verdict_facts *facts,
		    struct verdict_result *result_r);

/* The situation that a row asks for, as DESIGN.md words it. */
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
