/* The report's own header: who speaks, to whom, and in answer to what. It only
   collects traits; report.c weighs them. */

#include "lib.h"
#include "rfc822-parser.h"
#include "rfc2231-parser.h"
#include "report-private.h"

/* From, Sender, Return-Path: the domain says nothing, only who in it. daemon: what a
   daemon there says. */
static uint64_t
sender_speaker(struct report_reader *reader, const char *value,
	       enum report_trait daemon)
{
	uint64_t speakers = report_speakers_read(value);

	if ((speakers & TRAITS(MAILER_DAEMON, DAEMON)) != 0)
		report_trait_add(reader, daemon);
	/* counts once, whatever it is called */
	if ((speakers & TRAIT(ROBOT)) != 0)
		report_trait_add(reader, REPORT_TRAIT_UNATTENDED);
	reader->traits |= speakers & TRAITS(MAIL_SYSTEM, UNATTENDED);
	return speakers;
}

static void header_read_sender(struct report_reader *reader, const char *value)
{
	reader->traits |= TRAIT(MAILER_DAEMON) &
		sender_speaker(reader, value, REPORT_TRAIT_DAEMON_FROM);
}

static void header_read_from(struct report_reader *reader, const char *value)
{
	if (strstr(value, "<>") != NULL) {
		report_trait_add(reader, REPORT_TRAIT_NULL_FROM);
		if (strchr(value, '@') == NULL)
			report_trait_add(reader, REPORT_TRAIT_MAILER_DAEMON);
	}
	header_read_sender(reader, value);
	report_addresses_read(reader->pool, value, &reader->own_addresses);
}

static void header_read_return_path(struct report_reader *reader, const char *value)
{
	reader->return_path_seen = TRUE;
	if (strcmp(value, "<>") == 0) {
		if (reader->sender == REPORT_SENDER_UNKNOWN)
			report_trait_add(reader, REPORT_TRAIT_NULL_SENDER);
		return;
	}
	(void)sender_speaker(reader, value, REPORT_TRAIT_DAEMON_PATH);
}

bool report_is_auto_submitted(const char *value)
{
	const char *rest;

	if (strncasecmp(value, "no", 2) != 0)
		return TRUE;
	rest = value + 2;
	return *rest != '\0' && strchr(" \t;(", *rest) == NULL;
}

static void header_read_auto_submitted(struct report_reader *reader, const char *value)
{
	if (strncasecmp(value, "auto-replied", 12) == 0)
		report_trait_add(reader, REPORT_TRAIT_AUTO_REPLIED);
	else if (report_is_auto_submitted(value))
		report_trait_add(reader, REPORT_TRAIT_AUTO_GENERATED);
}

static void read_auto_reply(struct report_reader *reader, const char *value)
{
	if (strcasecmp(value, "no") != 0)
		report_trait_add(reader, REPORT_TRAIT_AUTO_REPLY_FIELD);
}

static void read_precedence(struct report_reader *reader, const char *value)
{
	if (strncasecmp(value, "auto", 4) == 0)
		report_trait_add(reader, REPORT_TRAIT_AUTO_REPLY_FIELD);
}

static void read_failed_recipients(struct report_reader *reader, const char *value)
{
	report_trait_add(reader, REPORT_TRAIT_FAILED_RECIPIENTS);
	report_addresses_read(reader->pool, value, &reader->failed_field);
}

static void header_read_subject(struct report_reader *reader, const char *value)
{
	reader->traits |= report_subject_read(value);
}

static void header_read_to(struct report_reader *reader, const char *value)
{
	report_addresses_read(reader->pool, value, &reader->report->to);
	report_addresses_read(reader->pool, value, &reader->own_addresses);
}

static void read_in_reply_to(struct report_reader *reader, const char *value)
{
	report_trait_add(reader, REPORT_TRAIT_ANSWER);
	report_references_read(reader, value, FALSE);
}

static void read_references(struct report_reader *reader, const char *value)
{
	report_trait_add(reader, REPORT_TRAIT_ANSWER);
	report_references_read(reader, value, TRUE);
}

static void header_read_message_id(struct report_reader *reader, const char *value)
{
	if (reader->report->message_id == NULL) {
		reader->report->message_id =
			report_message_id_first(reader->pool, value);
		reader->report->message_id_written =
			report_message_id_first_written(reader->pool, value);
	}
}

/* The topmost one: our own host's, or what it trusts. */
static void header_read_received(struct report_reader *reader, const char *value)
{
	struct report_received received;

	if (reader->received_seen)
		return;
	reader->received_seen = TRUE;
	report_received_read(value, &received);
	if (received.by == NULL)
		return;
	reader->report->received_by =
		report_address_normalize(reader->pool, received.by,
					 strlen(received.by));
}

static void header_read_content_type(struct report_reader *reader, const char *value)
{
	struct rfc822_parser_context parser;
	const char *const *params;
	string_t *type = t_str_new(64);

	rfc822_parser_init(&parser, (const unsigned char *)value,
			   strlen(value), NULL);
	rfc822_skip_lwsp(&parser);
	if (rfc822_parse_content_type(&parser, type) < 0 ||
	    strcasecmp(str_c(type), "multipart/report") != 0) {
		rfc822_parser_deinit(&parser);
		return;
	}
	report_trait_add(reader, REPORT_TRAIT_REPORT);
	rfc2231_parse(&parser, &params);
	for (; *params != NULL; params += 2) {
		if (strcasecmp(params[0], "report-type") == 0 &&
		    strcasestr(params[1], "delivery-status") != NULL)
			report_trait_add(reader, REPORT_TRAIT_REPORT_DSN);
	}
	rfc822_parser_deinit(&parser);
}

static const struct report_field_reader sender_fields[] = {
	{ "Auto-Submitted", header_read_auto_submitted },
	{ "Content-Type", header_read_content_type },
	{ "From", header_read_from },
	{ "Message-ID", header_read_message_id },
	{ "Precedence", read_precedence },
	{ "Received", header_read_received },
	{ "Return-Path", header_read_return_path },
	{ "Sender", header_read_sender },
	{ "Subject", header_read_subject },
	{ "To", header_read_to },
	{ "X-Auto-Reply", read_auto_reply },
	{ "X-Auto-Reply-From", read_auto_reply },
	{ "X-Autogenerated", read_auto_reply },
	{ "X-Autoreply", read_auto_reply },
	{ "X-Autorespond", read_auto_reply },
	{ "X-Autoresponder", read_auto_reply },
	{ "X-Failed-Recipients", read_failed_recipients },
};

static const struct report_field_reader answered_field = {
	"In-Reply-To", read_in_reply_to
};
static const struct report_field_reader references_field = {
	"References", read_references
};

/* Would the scan have asked? */
static bool sender_is_marked(const struct report_fields *fields)
{
	const struct report_field *field;

	array_foreach(&fields->fields, field) {
		const unsigned char *value = (const void *)field->value;

		if (report_field_marks((const void *)field->name,
				       strlen(field->name), value,
				       value + strlen(field->value)))
			return TRUE;
	}
	return FALSE;
}

void report_sender_read(struct report_reader *reader,
			const struct report_fields *fields)
{
	if (reader->sender == REPORT_SENDER_NULL)
		report_trait_add(reader, REPORT_TRAIT_NULL_SENDER);
	else
		reader->is_marked = sender_is_marked(fields);
	report_fields_read(reader, fields, sender_fields,
			   N_ELEMENTS(sender_fields));
	/* whatever their order in the header, In-Reply-To names what is
	   answered */
	report_fields_read(reader, fields, &answered_field, 1);
	report_fields_read(reader, fields, &references_field, 1);
}
