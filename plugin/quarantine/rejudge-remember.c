/* Remembers reports whose original may still be logged. */

#include "lib.h"
#include "array.h"
#include "rejudge.h"

#include <time.h>

/* What identifies an original, at most; the best evidence stands first. */
#define REJUDGE_MAX_IDENTITIES 16

ARRAY_DEFINE_TYPE(sent_log_identity, struct sent_log_identity);

static void
add_identity(ARRAY_TYPE(sent_log_identity) *identities,
	     enum sent_log_identity_kind kind, const char *value)
{
	struct sent_log_identity *identity;

	if (value == NULL ||
	    array_count(identities) >= REJUDGE_MAX_IDENTITIES)
		return;
	identity = array_append_space(identities);
	identity->kind = kind;
	identity->value = value;
}

/* text: the serial header, or an envelope id, which may be a serial. */
static void
add_serial(ARRAY_TYPE(sent_log_identity) *identities, const char *text)
{
	char serial[SERIAL_TEXT_SIZE];

	if (text != NULL && serial_normalise(text, serial)) {
		add_identity(identities, SENT_LOG_IDENTITY_SERIAL,
			     t_strdup(serial));
	}
}

/* All that facts.c looks for in the log. */
static void
get_identities(const struct report *report,
	       ARRAY_TYPE(sent_log_identity) *identities_r)
{
	const struct report_message_id *message_id;
	const char *reference, *serial;

	t_array_init(identities_r, REJUDGE_MAX_IDENTITIES);
	array_foreach_elem(&report->serials, serial)
		add_serial(identities_r, serial);
	add_serial(identities_r, report->envelope_id);
	add_identity(identities_r, SENT_LOG_IDENTITY_ENVELOPE_ID,
		     report->envelope_id);
	array_foreach(&report->message_ids, message_id) {
		add_identity(identities_r, SENT_LOG_IDENTITY_MESSAGE_ID,
			     message_id->id);
	}
	array_foreach_elem(&report->references, reference) {
		add_identity(identities_r, SENT_LOG_IDENTITY_MESSAGE_ID,
			     reference);
	}
}

void rejudge_remember(struct backscatter_user *buser, const struct report *report,
		      const struct judgement *judgement,
		      const struct sent_log_stored_report *place)
{
	ARRAY_TYPE(sent_log_identity) identities;
	const struct sent_log_identity *first;
	const char *error;
	unsigned int count;

	if (judgement->result.verdict == VERDICT_GENUINE ||
	    judgement->facts.original.value != NULL)
		return;
	get_identities(report, &identities);
	first = array_get(&identities, &count);
	if (count == 0)
		return;
	if (sent_log_remember_report(buser->log, place, first, count,
				     report_class_info(report->class)->late ?
				     buser->set->retention : buser->set->report_age,
				     time(NULL), &error) < 0) {
		e_error(buser->event, "sent log %s: %s - the report "
			"won't be judged again", buser->path, error);
	}
}
