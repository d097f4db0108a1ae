/* Machine-readable reports: message/delivery-status (RFC 3464, RFC 6533),
   message/disposition-notification (RFC 8098), message/feedback-report
   (RFC 5965). Their fields have the same form and mean the same. */

#include "lib.h"
#include "hex-dec.h"
#include "message-date.h"
#include "report-private.h"

static const struct {
	const char *keyword;
	enum report_action action;
} action_keywords[] = {
	{ "failed", REPORT_ACTION_FAILED },
	{ "failure", REPORT_ACTION_FAILED },
	{ "delayed", REPORT_ACTION_DELAYED },
	{ "delivered", REPORT_ACTION_SUCCESS },
	{ "relayed", REPORT_ACTION_SUCCESS },
	{ "expanded", REPORT_ACTION_SUCCESS },
};

/* RFC 3463, 2: the class of a status */
static const struct {
	char digit;
	enum report_action action;
} status_classes[] = {
	{ '5', REPORT_ACTION_FAILED },
	{ '4', REPORT_ACTION_DELAYED },
	{ '2', REPORT_ACTION_SUCCESS },
};

static void
dsn_action_add(struct report_reader *reader, enum report_action action)
{
	reader->action = I_MIN(reader->action, action);
}

/* A recipient's fields begin with one of its addresses; which one comes first
   differs, and some reporters begin with the action. Anything that the current
   recipient has already belongs to the next one. */
static struct report_recipient *
dsn_recipient(struct report_reader *reader, const char *already)
{
	ARRAY_TYPE(report_recipient) *recipients = &reader->report->recipients;

	if (reader->recipient != NULL && already == NULL)
		return reader->recipient;
	if (array_count(recipients) >= REPORT_MAX_RECIPIENTS) {
		reader->report->truncated = TRUE;
		reader->recipient = NULL;
		return NULL;
	}
	reader->recipient = array_append_space(recipients);
	return reader->recipient;
}

#define DSN_RECIPIENT(reader, member) \
	dsn_recipient(reader, (reader)->recipient == NULL ? NULL : \
		      (reader)->recipient->member)

static void
read_original_recipient(struct report_reader *reader, const char *value)
{
	struct report_recipient *rcpt = DSN_RECIPIENT(reader, original_recipient);

	if (rcpt != NULL) {
		rcpt->original_recipient =
			report_typed_address(reader->pool, value);
	}
}

static void
read_final_recipient(struct report_reader *reader, const char *value)
{
	struct report_recipient *rcpt = DSN_RECIPIENT(reader, final_recipient);

	if (rcpt != NULL) {
		rcpt->final_recipient =
			report_typed_address(reader->pool, value);
	}
}

/* "failed (bad destination mailbox address)": the comment is nobody's. */
const char *report_keyword(pool_t pool, const char *value)
{
	size_t size = 0;

	while (i_isalnum(value[size]) || value[size] == '-' ||
	       value[size] == '.')
		size++;
	return size == 0 || size > REPORT_MAX_KEYWORD_SIZE ? NULL :
		str_lcase(p_strndup(pool, value, size));
}

static enum report_action
dsn_status_action(const char *status)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(status_classes); i++) {
		if (status[0] == status_classes[i].digit && status[1] == '.')
			return status_classes[i].action;
	}
	return REPORT_ACTION_NONE;
}

static void read_action(struct report_reader *reader, const char *value)
{
	struct report_recipient *rcpt = DSN_RECIPIENT(reader, action);
	const char *keyword = report_keyword(reader->pool, value);
	unsigned int i;

	if (keyword == NULL)
		return;
	if (rcpt != NULL)
		rcpt->action = keyword;
	for (i = 0; i < N_ELEMENTS(action_keywords); i++) {
		if (strcmp(keyword, action_keywords[i].keyword) == 0)
			dsn_action_add(reader, action_keywords[i].action);
	}
}

static void read_status(struct report_reader *reader, const char *value)
{
	struct report_recipient *rcpt = DSN_RECIPIENT(reader, status);

	if (rcpt != NULL)
		rcpt->status = report_keyword(reader->pool, value);
}

/* RFC 3461, 4: "+" and two hex digits stand for a character. */
static const char *xtext_decode(const char *xtext)
{
	string_t *decoded = t_str_new(strlen(xtext));
	uint32_t chr;

	for (; *xtext != '\0'; xtext++) {
		if (xtext[0] == '+' && i_isxdigit(xtext[1]) &&
		    i_isxdigit(xtext[2])) {
			chr = hex2dec((const unsigned char *)xtext + 1, 2);
			if (chr < ' ' || chr == 0x7f)
				return NULL;
			str_append_c(decoded, chr);
			xtext += 2;
		} else if ((unsigned char)*xtext <= ' ') {
			return NULL;
		} else {
			str_append_c(decoded, *xtext);
		}
	}
	return str_c(decoded);
}

static void read_envelope_id(struct report_reader *reader, const char *value)
{
	const char *id;

	if (reader->report->envelope_id != NULL || *value == '\0' ||
	    strlen(value) > REPORT_MAX_ENVELOPE_ID_SIZE)
		return;
	id = xtext_decode(value);
	if (id != NULL)
		reader->report->envelope_id = p_strdup(reader->pool, id);
}

static void read_arrival_date(struct report_reader *reader, const char *value)
{
	time_t date;
	int timezone_offset;

	if (reader->report->arrival_date == (time_t)-1 &&
	    message_date_parse((const unsigned char *)value, strlen(value),
			       &date, &timezone_offset))
		reader->report->arrival_date = date;
}

static void
read_original_message_id(struct report_reader *reader, const char *value)
{
	report_message_ids_read(reader, value, REPORT_RANK_FIELD);
}

/* Postfix: "rfc822; user@example.com". RFC 5965: "<user@example.com>". */
static void read_original_sender(struct report_reader *reader, const char *value)
{
	const char *address = report_typed_address(reader->scratch, value);

	if (address == NULL || strchr(address, '@') == NULL)
		return;
	report_address_add(reader->pool, address, strlen(address),
			   &reader->report->original_senders,
			   REPORT_MAX_ADDRESSES);
}

/* RFC 8098, 3.2.6 */
static void read_disposition(struct report_reader *reader, const char *value)
{
	const char *disposition = t_str_lcase(value);
	const char *type = strchr(disposition, ';');

	reader->disposition_seen = TRUE;
	if (type != NULL && strncmp(disposition, "automatic-action", 16) == 0 &&
	    strstr(type, "deleted") != NULL)
		reader->mdn_deleted = TRUE;
}

static const struct report_field_reader dsn_fields[] = {
	{ "Action", read_action },
	{ "Arrival-Date", read_arrival_date },
	{ "Disposition", read_disposition },
	{ "Final-Recipient", read_final_recipient },
	{ "Original-Envelope-Id", read_envelope_id },
	{ "Original-Mail-From", read_original_sender },
	{ "Original-Message-ID", read_original_message_id },
	{ "Original-Rcpt-To", read_final_recipient },
	{ "Original-Recipient", read_original_recipient },
	{ "Status", read_status },
	{ "X-Original-Mail-From", read_original_sender },
	{ "X-Original-Sender", read_original_sender },
	{ "X-Postfix-Sender", read_original_sender },
};

/* Without an action that we know, the status says how it ended. */
static void
dsn_recipients_finish(struct report_reader *reader, unsigned int first)
{
	const struct report_recipient *rcpt;
	unsigned int i, count;

	rcpt = array_get(&reader->report->recipients, &count);
	for (i = first; i < count; i++) {
		if (rcpt[i].action == NULL && rcpt[i].status != NULL) {
			dsn_action_add(reader,
				       dsn_status_action(rcpt[i].status));
		}
	}
}

/* What only software writes: a recipient and what became of it. */
static bool
dsn_is_certain(const struct report_reader *reader, unsigned int first)
{
	const struct report_recipient *rcpt;
	unsigned int i, count;

	rcpt = array_get(&reader->report->recipients, &count);
	for (i = first; i < count; i++) {
		if (rcpt[i].final_recipient != NULL &&
		    reader->disposition_seen)
			return TRUE;
		if ((rcpt[i].final_recipient != NULL ||
		     rcpt[i].original_recipient != NULL) &&
		    (rcpt[i].action != NULL || rcpt[i].status != NULL))
			return TRUE;
	}
	return FALSE;
}

void report_dsn_read(struct report_reader *reader, const void *block,
		     size_t size, bool in_part)
{
	unsigned int first = array_count(&reader->report->recipients);

	reader->recipient = NULL;
	reader->disposition_seen = FALSE;
	T_BEGIN {
		struct report_fields fields;

		report_fields_parse(reader, block, size, &fields);
		report_fields_read(reader, &fields, dsn_fields,
				   N_ELEMENTS(dsn_fields));
	} T_END;
	dsn_recipients_finish(reader, first);
	if (in_part && dsn_is_certain(reader, first))
		reader->status_is_certain = TRUE;
	reader->recipient = NULL;
}
