/* The classes: what each means, and what makes a message a report of it. Needs nothing
   else of the room: doveconf checks settings with it. */

#include "lib.h"
#include "report-private.h"

static const struct report_class_info report_classes[REPORT_CLASS_COUNT] = {
	[REPORT_CLASS_NONE] = { .name = "none" },
	[REPORT_CLASS_DSN_FAILED] = {
		.name = "dsn-failed", .bounce = TRUE, .budget = 3
	},
	[REPORT_CLASS_DSN_DELAYED] = {
		.name = "dsn-delayed", .bounce = TRUE, .budget = 30
	},
	[REPORT_CLASS_DSN_SUCCESS] = {
		.name = "dsn-success", .bounce = TRUE, .budget = 30
	},
	[REPORT_CLASS_BOUNCE] = {
		.name = "bounce", .bounce = TRUE, .budget = 3
	},
	[REPORT_CLASS_MDN] = {
		.name = "mdn", .budget = 30, .late = TRUE
	},
	[REPORT_CLASS_AUTO_REPLY] = {
		.name = "auto-reply", .budget = 30, .never_convicted = TRUE
	},
	[REPORT_CLASS_CHALLENGE] = { .name = "challenge", .budget = 30 },
	[REPORT_CLASS_VIRUS_NOTICE] = { .name = "virus-notice", .budget = 30 },
	[REPORT_CLASS_ARF] = {
		.name = "arf", .budget = 30, .never_convicted = TRUE
	},
};

const struct report_class_info *report_class_info(enum report_class class)
{
	i_assert(class < REPORT_CLASS_COUNT);
	return &report_classes[class];
}

const char *report_class_name(enum report_class class)
{
	return report_class_info(class)->name;
}

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

enum report_class report_class_of(const struct report_reader *reader)
{
	enum report_class class = REPORT_CLASS_NONE;

	if (!report_is_asked_for(reader))
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
