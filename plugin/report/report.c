/* The room's door: reads a message and says which report it is. */

#include "lib.h"
#include "istream.h"
#include "report-private.h"

/*
 * What makes a message a report of which class: one table of weights. The structure
 * that an RFC prescribes decides alone; for everything else several things have to come
 * together, among them somebody who speaks for a mail system.
 */

/* classes that are weighed */
enum evidence_column {
	EVIDENCE_VIRUS_NOTICE,
	EVIDENCE_BOUNCE,
	EVIDENCE_CHALLENGE,
	EVIDENCE_ARF,
	EVIDENCE_AUTO_REPLY,

	EVIDENCE_COLUMN_COUNT
};

/* So much makes a class. */
#define EVIDENCE_ENOUGH 5

static const struct {
	/* virus, bounce, challenge, arf, auto-reply */
	signed char weight[EVIDENCE_COLUMN_COUNT];
} evidence[REPORT_TRAIT_COUNT] = {
	/* who speaks. Neither a null sender nor a daemon's name is enough. */
	[REPORT_TRAIT_NULL_SENDER]	= { {  2,  2,  2,  1,  2 } },
	[REPORT_TRAIT_NULL_FROM]	= { {  1,  3,  0,  0,  0 } },
	[REPORT_TRAIT_DAEMON_FROM]	= { {  2,  3,  0,  0,  0 } },
	[REPORT_TRAIT_DAEMON_PATH]	= { {  1,  2,  0,  0,  0 } },
	[REPORT_TRAIT_POSTMASTER]	= { {  2,  2,  0,  1,  0 } },
	[REPORT_TRAIT_MAIL_SYSTEM]	= { {  2,  3,  0,  0,  0 } },
	[REPORT_TRAIT_MAIL_FILTER]	= { {  3,  2,  0,  0,  0 } },
	[REPORT_TRAIT_UNATTENDED]	= { {  1,  1,  0,  1,  0 } },
	/* what the header says */
	[REPORT_TRAIT_AUTO_GENERATED]	= { {  1,  0,  1,  1,  2 } },
	[REPORT_TRAIT_AUTO_REPLIED]	= { {  0,  0,  2,  0,  5 } },
	[REPORT_TRAIT_AUTO_REPLY_FIELD]	= { {  0,  0,  2,  0,  5 } },
	[REPORT_TRAIT_ANSWER]		= { {  0,  0,  2,  0,  3 } },
	[REPORT_TRAIT_HUMAN_SUBJECT]	= { { -2, -2, -1, -2, -2 } },
	[REPORT_TRAIT_FAILED_RECIPIENTS] = { { 0,  3,  0,  0,  0 } },
	[REPORT_TRAIT_SUBJECT_FAILURE]	= { {  0,  2,  0,  0,  0 } },
	[REPORT_TRAIT_SUBJECT_AUTO_REPLY] = { { 0, 0,  0,  0,  3 } },
	[REPORT_TRAIT_SUBJECT_CHALLENGE] = { { 0,  0,  1,  0,  0 } },
	[REPORT_TRAIT_SUBJECT_VIRUS]	= { {  3,  0,  0,  0,  0 } },
	[REPORT_TRAIT_SUBJECT_ABUSE]	= { {  0,  0,  0,  3,  0 } },
	/* multipart/report */
	[REPORT_TRAIT_REPORT]		= { {  1,  1,  0,  1,  0 } },
	[REPORT_TRAIT_REPORT_DSN]	= { {  0,  2,  0,  0,  0 } },
	/* what the body has */
	[REPORT_TRAIT_DSN_PART]		= { {  0,  3,  0,  0,  0 } },
	[REPORT_TRAIT_MDN_PART]		= { {  0,  0,  0,  0,  0 } },
	[REPORT_TRAIT_ARF_PART]		= { {  0,  0,  0,  4,  0 } },
	[REPORT_TRAIT_RETURNED_PART]	= { {  0,  1,  0,  2,  0 } },
	[REPORT_TRAIT_DSN_TEXT]		= { {  0,  2,  0,  0,  0 } },
	[REPORT_TRAIT_RETURNED_TEXT]	= { {  0,  2,  0,  0,  0 } },
	[REPORT_TRAIT_TEXT_FAILURE]	= { {  0,  2,  0,  0,  0 } },
	[REPORT_TRAIT_TEXT_REPLY_CODE]	= { {  0,  1,  0,  0,  0 } },
	[REPORT_TRAIT_TEXT_ADDRESS]	= { {  0,  1,  0,  0,  0 } },
	[REPORT_TRAIT_TEXT_CHALLENGE]	= { {  0,  0,  2,  0,  0 } },
	[REPORT_TRAIT_TEXT_VIRUS]	= { {  2,  0,  0,  0,  0 } },
	[REPORT_TRAIT_JSON_NOTICE]	= { {  0,  4,  0,  0,  0 } },
};

#define TRAIT(name) (1ULL << REPORT_TRAIT_##name)

/* Tried in this order. */
static const struct {
	enum report_class class;
	/* Whatever the weight, it is of this class only with one of these and
	   one of those: a bounce is a mail system's word about mail, the others
	   have a subject. 0 = no such need */
	uint64_t needs, and_needs;
} columns[EVIDENCE_COLUMN_COUNT] = {
	[EVIDENCE_VIRUS_NOTICE] = { REPORT_CLASS_VIRUS_NOTICE,
		TRAIT(SUBJECT_VIRUS) | TRAIT(TEXT_VIRUS), 0 },
	[EVIDENCE_BOUNCE] = { REPORT_CLASS_BOUNCE,
		TRAIT(NULL_SENDER) | TRAIT(NULL_FROM) | TRAIT(DAEMON_FROM) |
		TRAIT(DAEMON_PATH) | TRAIT(POSTMASTER) | TRAIT(MAIL_SYSTEM) |
		TRAIT(MAIL_FILTER) | TRAIT(UNATTENDED) |
		TRAIT(FAILED_RECIPIENTS),
		TRAIT(NULL_FROM) | TRAIT(DAEMON_FROM) |
		TRAIT(FAILED_RECIPIENTS) | TRAIT(SUBJECT_FAILURE) |
		TRAIT(REPORT_DSN) | TRAIT(DSN_PART) | TRAIT(DSN_TEXT) |
		TRAIT(RETURNED_PART) | TRAIT(RETURNED_TEXT) |
		TRAIT(TEXT_FAILURE) | TRAIT(TEXT_REPLY_CODE) |
		TRAIT(JSON_NOTICE) },
	[EVIDENCE_CHALLENGE] = { REPORT_CLASS_CHALLENGE,
		TRAIT(SUBJECT_CHALLENGE) | TRAIT(TEXT_CHALLENGE), 0 },
	[EVIDENCE_ARF] = { REPORT_CLASS_ARF,
		TRAIT(SUBJECT_ABUSE) | TRAIT(ARF_PART), 0 },
	[EVIDENCE_AUTO_REPLY] = { REPORT_CLASS_AUTO_REPLY,
		TRAIT(AUTO_GENERATED) | TRAIT(AUTO_REPLIED) |
		TRAIT(AUTO_REPLY_FIELD) | TRAIT(SUBJECT_AUTO_REPLY), 0 },
};

static const enum report_class action_classes[] = {
	[REPORT_ACTION_FAILED]	= REPORT_CLASS_DSN_FAILED,
	[REPORT_ACTION_DELAYED]	= REPORT_CLASS_DSN_DELAYED,
	[REPORT_ACTION_SUCCESS]	= REPORT_CLASS_DSN_SUCCESS,
	[REPORT_ACTION_NONE]	= REPORT_CLASS_BOUNCE,
};

static bool
evidence_has_any(const struct report_reader *reader, uint64_t traits)
{
	return traits == 0 || (reader->traits & traits) != 0;
}

static int
evidence_weight(const struct report_reader *reader, enum evidence_column column)
{
	unsigned int trait;
	int weight = 0;

	for (trait = 0; trait < REPORT_TRAIT_COUNT; trait++) {
		if (report_trait_has(reader, trait))
			weight += evidence[trait].weight[column];
	}
	/* two fields that say the same */
	if (report_trait_has(reader, REPORT_TRAIT_NULL_SENDER) &&
	    report_trait_has(reader, REPORT_TRAIT_NULL_FROM)) {
		weight -= I_MIN(
			evidence[REPORT_TRAIT_NULL_SENDER].weight[column],
			evidence[REPORT_TRAIT_NULL_FROM].weight[column]);
	}
	return weight;
}

static bool
evidence_is_enough(const struct report_reader *reader,
		   enum evidence_column column)
{
	return evidence_has_any(reader, columns[column].needs) &&
		evidence_has_any(reader, columns[column].and_needs) &&
		evidence_weight(reader, column) >= EVIDENCE_ENOUGH;
}

static enum report_class
evidence_weighed_class(const struct report_reader *reader)
{
	unsigned int column;

	for (column = 0; column < EVIDENCE_COLUMN_COUNT; column++) {
		if (!evidence_is_enough(reader, column))
			continue;
		/* a bounce that speaks of a virus is a bounce, unless more
		   speaks of the virus */
		if (column == EVIDENCE_VIRUS_NOTICE &&
		    evidence_is_enough(reader, EVIDENCE_BOUNCE) &&
		    evidence_weight(reader, EVIDENCE_BOUNCE) >=
		    evidence_weight(reader, column))
			continue;
		return columns[column].class;
	}
	return REPORT_CLASS_NONE;
}

/* A mail user agent answers for its user; where a mail system answers that it
   deleted the message, it rejected it (RFC 5429, 2.1.1). */
static bool evidence_mdn_rejects(const struct report_reader *reader)
{
	return reader->mdn_deleted &&
		(report_trait_has(reader, REPORT_TRAIT_DAEMON_FROM) ||
		 report_trait_has(reader, REPORT_TRAIT_POSTMASTER) ||
		 report_trait_has(reader, REPORT_TRAIT_MAIL_SYSTEM));
}

/* What multipart/report says by its structure. */
static enum report_class
evidence_structure_class(const struct report_reader *reader)
{
	if (report_trait_has(reader, REPORT_TRAIT_DSN_PART))
		return action_classes[reader->action];
	if (report_trait_has(reader, REPORT_TRAIT_MDN_PART)) {
		return evidence_mdn_rejects(reader) ? REPORT_CLASS_BOUNCE :
			REPORT_CLASS_MDN;
	}
	if (report_trait_has(reader, REPORT_TRAIT_ARF_PART))
		return REPORT_CLASS_ARF;
	return REPORT_CLASS_NONE;
}

/* Otherwise the scan would not have asked. Whatever else the message may be, it must
   not depend on who asks. */
static bool evidence_is_asked_for(const struct report_reader *reader)
{
	return reader->is_marked ||
		report_trait_has(reader, REPORT_TRAIT_NULL_SENDER);
}

static enum report_class evidence_class(const struct report_reader *reader)
{
	enum report_class class = REPORT_CLASS_NONE;

	if (!evidence_is_asked_for(reader))
		return REPORT_CLASS_NONE;
	if (report_trait_has(reader, REPORT_TRAIT_REPORT))
		class = evidence_structure_class(reader);
	if (class == REPORT_CLASS_NONE)
		class = evidence_weighed_class(reader);
	/* delivery-status fields where no RFC expects them */
	if (class == REPORT_CLASS_BOUNCE &&
	    !report_trait_has(reader, REPORT_TRAIT_MDN_PART))
		class = action_classes[reader->action];
	return class;
}

/*
 * One message
 */

static void report_init(struct report *report, pool_t pool)
{
	i_zero(report);
	p_array_init(&report->to, pool, 4);
	p_array_init(&report->references, pool, 4);
	p_array_init(&report->message_ids, pool, 4);
	p_array_init(&report->serials, pool, 1);
	p_array_init(&report->originals, pool, 1);
	p_array_init(&report->original_senders, pool, 1);
	p_array_init(&report->recipients, pool, 4);
	p_array_init(&report->original_to, pool, 4);
	report->original_date = (time_t)-1;
	report->arrival_date = (time_t)-1;
}

static bool report_names_recipient(const struct report *report)
{
	const struct report_recipient *rcpt;

	array_foreach(&report->recipients, rcpt) {
		if (rcpt->final_recipient != NULL ||
		    rcpt->original_recipient != NULL)
			return TRUE;
	}
	return FALSE;
}

/* Recipients that were only named in the header or the text. */
static void
report_add_recipients(struct report_reader *reader,
		      const ARRAY_TYPE(const_string) *addresses)
{
	struct report_recipient *rcpt;
	const char *address;

	array_foreach_elem(addresses, address) {
		if (report_strings_have(&reader->own_addresses, address))
			continue;
		rcpt = array_append_space(&reader->report->recipients);
		rcpt->final_recipient = address;
	}
}

static bool report_is_structured(const struct report_reader *reader)
{
	if (report_trait_has(reader, REPORT_TRAIT_NULL_SENDER)) {
		return reader->status_is_certain ||
			report_trait_has(reader, REPORT_TRAIT_FAILED_RECIPIENTS);
	}
	return reader->status_is_certain &&
		report_trait_has(reader, REPORT_TRAIT_REPORT);
}

static enum report_shape report_shape(const struct report_reader *reader)
{
	if (report_is_structured(reader))
		return REPORT_SHAPE_STRUCTURED;
	if (report_trait_has(reader, REPORT_TRAIT_NULL_SENDER) &&
	    reader->mailer_daemon && !array_is_empty(&reader->report->originals))
		return REPORT_SHAPE_DAEMON;
	return REPORT_SHAPE_WORDED;
}

/* Text blocks are originals only where no part is one. */
static void report_finish_originals(struct report *report)
{
	const struct report_original *original;
	unsigned int i;
	bool in_part = FALSE;

	array_foreach(&report->originals, original)
		in_part = in_part || original->in_part;
	if (!in_part)
		return;
	for (i = 0; i < array_count(&report->originals); ) {
		original = array_idx(&report->originals, i);
		if (original->in_part)
			i++;
		else
			array_delete(&report->originals, i, 1);
	}
}

/* The report's own Message-ID: a reporter that keeps the original's, or a text
   about the report itself. Nobody knows. */
static void report_finish_proofs(struct report *report)
{
	struct report_original *original;

	if (report->message_id == NULL)
		return;
	array_foreach_modifiable(&report->originals, original) {
		if (original->message_id != NULL &&
		    strcmp(original->message_id, report->message_id) == 0)
			original->message_id_proves = FALSE;
	}
}

static void report_finish(struct report_reader *reader)
{
	struct report *report = reader->report;

	if (!report_names_recipient(report))
		report_add_recipients(reader, &reader->failed_field);
	if (!report_names_recipient(report))
		report_add_recipients(reader, &reader->failed_addresses);
	if (!array_is_empty(&reader->failed_addresses))
		report_trait_add(reader, REPORT_TRAIT_TEXT_ADDRESS);
	report_message_ids_finish(reader);
	report_finish_originals(report);
	report_finish_proofs(report);
	report->class = evidence_class(reader);
	report->shape = report_shape(reader);
	report->null_sender =
		report_trait_has(reader, REPORT_TRAIT_NULL_SENDER);
}

static int
reader_read(struct report_reader *reader, struct istream *input,
	    const char **error_r)
{
	p_array_init(&reader->ids, reader->scratch, 4);
	p_array_init(&reader->failed_addresses, reader->scratch, 4);
	p_array_init(&reader->failed_field, reader->scratch, 4);
	p_array_init(&reader->own_addresses, reader->scratch, 4);
	report_init(reader->report, reader->pool);
	if (report_mime_read(reader, input, error_r) < 0)
		return -1;
	report_finish(reader);
	return 0;
}

static bool reader_wraps(const struct report_reader *reader)
{
	if (!evidence_is_asked_for(reader))
		return FALSE;
	/* a mail system that reports, and happens to have kept the ID */
	return reader->wrapped.found &&
		!report_trait_has(reader, REPORT_TRAIT_DSN_PART) &&
		!report_trait_has(reader, REPORT_TRAIT_MDN_PART);
}

/* Reads the report that was wrapped in another message, in its stead. Its envelope
   is the outer one's. */
static void
report_unwrap(const struct report_reader *outer, struct istream *input)
{
	struct report report;
	struct report_reader reader = {
		.sender = outer->sender,
		.pool = outer->pool,
		.scratch = outer->scratch,
		.report = &report,
		.action = REPORT_ACTION_NONE,
		.is_unwrapped = TRUE,
	};
	struct istream *inner = report_wrapped_open(&outer->wrapped, input);
	const char *error;
	int ret;

	if (outer->report->null_sender)
		reader.sender = REPORT_SENDER_NULL;
	else if (outer->return_path_seen)
		reader.sender = REPORT_SENDER_ADDRESS;
	ret = reader_read(&reader, inner, &error);
	i_stream_unref(&inner);
	if (ret < 0 || report.class == REPORT_CLASS_NONE)
		return;
	/* a mail system returns the user's own answer */
	if (report.class == REPORT_CLASS_AUTO_REPLY &&
	    !outer->wrapped.same_from)
		return;
	if (outer->report->received_by != NULL)
		report.received_by = outer->report->received_by;
	if (outer->report->truncated)
		report.truncated = TRUE;
	if (outer->report->body_truncated)
		report.body_truncated = TRUE;
	if (outer->wrapped.forwarded) {
		/* who sent the inner one is not known */
		report.null_sender = FALSE;
		report.shape = REPORT_SHAPE_WORDED;
	}
	*outer->report = report;
}

int report_read(pool_t pool, struct istream *input, enum report_sender sender,
		struct report *report_r, const char **error_r)
{
	pool_t scratch = pool_alloconly_create("report reader", 2048);
	struct report_reader reader = {
		.sender = sender,
		.pool = pool,
		.scratch = scratch,
		.report = report_r,
		.action = REPORT_ACTION_NONE,
	};
	int ret = reader_read(&reader, input, error_r);

	if (ret == 0) {
		if (reader_wraps(&reader))
			report_unwrap(&reader, input);
		ret = report_r->class == REPORT_CLASS_NONE ? 0 : 1;
	}
	pool_unref(&scratch);
	return ret;
}
