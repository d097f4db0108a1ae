/* JSON of a notification service, sent as mail: bounces that relays for bulk
   mail report so. Read by what its members are called, whichever service wrote
   it: lib-json differs between the Dovecots, and all that is needed here are
   pairs of strings. */

#include "lib.h"
#include "unichar.h"
#include "report-private.h"

struct json_context {
	struct report_reader *reader;
	const unsigned char *pos, *end;
	unsigned int depth;
	/* the last string, if it may be a member's name */
	string_t *name;
	string_t *value;
	/* {"name": "Subject", "value": "..."} is a header field */
	string_t *field;
	/* such fields, as a header block */
	string_t *header;
	bool is_report;
};

static size_t json_escape(const unsigned char *esc, const unsigned char *end,
			  string_t *dest)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t  ";
	const char *p;
	uint32_t chr;

	if (*esc == 'u') {
		if (end - esc < 5 ||
		    str_to_uint32_hex(t_strndup(esc + 1, 4), &chr) < 0)
			return 1;
		if (chr >= ' ' && uni_is_valid_ucs4(chr))
			uni_ucs4_to_utf8_c(chr, dest);
		return 5;
	}
	p = *esc == '\0' ? NULL : strchr(from, *esc);
	str_append_c(dest, p == NULL ? *esc : (unsigned char)to[p - from]);
	return 1;
}

/* Reads the string that starts behind the quote at pos. */
static void json_string_read(struct json_context *ctx, string_t *dest)
{
	str_truncate(dest, 0);
	while (ctx->pos < ctx->end && *ctx->pos != '"') {
		if (*ctx->pos == '\\' && ctx->pos + 1 < ctx->end) {
			ctx->pos++;
			T_BEGIN {
				ctx->pos += json_escape(ctx->pos, ctx->end,
							dest);
			} T_END;
			continue;
		}
		str_append_c(dest, *ctx->pos);
		ctx->pos++;
	}
	if (ctx->pos < ctx->end)
		ctx->pos++;
}

static struct report_recipient *json_recipient_add(struct json_context *ctx)
{
	ARRAY_TYPE(report_recipient) *recipients =
		&ctx->reader->report->recipients;

	if (array_count(recipients) >= REPORT_MAX_RECIPIENTS)
		return NULL;
	ctx->reader->recipient = array_append_space(recipients);
	return ctx->reader->recipient;
}

static void json_kind(struct json_context *ctx, const char *value)
{
	static const struct {
		const char *word;
		enum report_action action;
	} kinds[] = {
		{ "bounce", REPORT_ACTION_NONE },
		{ "drop", REPORT_ACTION_FAILED },
		{ "fail", REPORT_ACTION_FAILED },
		{ "reject", REPORT_ACTION_FAILED },
		{ "defer", REPORT_ACTION_DELAYED },
		{ "delay", REPORT_ACTION_DELAYED },
		{ "deliver", REPORT_ACTION_SUCCESS },
	};
	unsigned int i;

	if (strcasestr(value, "complaint") != NULL)
		report_trait_add(ctx->reader, REPORT_TRAIT_ARF_PART);
	for (i = 0; i < N_ELEMENTS(kinds); i++) {
		if (strcasestr(value, kinds[i].word) == NULL)
			continue;
		ctx->is_report = TRUE;
		ctx->reader->action = I_MIN(ctx->reader->action,
					    kinds[i].action);
		return;
	}
}

static void json_address(struct json_context *ctx, const char *value)
{
	struct report_recipient *rcpt;
	const char *address = report_typed_address(ctx->reader->pool, value);

	if (address == NULL || strchr(address, '@') == NULL)
		return;
	rcpt = json_recipient_add(ctx);
	if (rcpt != NULL)
		rcpt->final_recipient = address;
}

static void json_action(struct json_context *ctx, const char *value)
{
	struct report_recipient *rcpt = ctx->reader->recipient;

	json_kind(ctx, value);
	if (rcpt != NULL && rcpt->action == NULL)
		rcpt->action = report_keyword(ctx->reader->pool, value);
}

static void json_status(struct json_context *ctx, const char *value)
{
	struct report_recipient *rcpt = ctx->reader->recipient;

	if (rcpt != NULL && rcpt->status == NULL && i_isdigit(value[0]))
		rcpt->status = report_keyword(ctx->reader->pool, value);
}

static void json_message_id(struct json_context *ctx, const char *value)
{
	/* services name their own messages so too, without "@" */
	if (strchr(value, '@') != NULL)
		str_printfa(ctx->header, "Message-ID: %s\n", value);
}

static void json_to(struct json_context *ctx, const char *value)
{
	report_addresses_read(ctx->reader->pool, value,
			      &ctx->reader->report->original_to);
}

static void json_field_name(struct json_context *ctx, const char *value)
{
	str_truncate(ctx->field, 0);
	str_append(ctx->field, value);
}

static void json_field_value(struct json_context *ctx, const char *value)
{
	if (str_len(ctx->field) == 0 ||
	    strpbrk(str_c(ctx->field), ": \r\n") != NULL)
		return;
	str_printfa(ctx->header, "%s: %s\n", str_c(ctx->field),
		    t_str_replace(t_str_replace(value, '\n', ' '), '\r', ' '));
	str_truncate(ctx->field, 0);
}

/* Members by their names, lower-case, without "_" and "-". */
static const struct {
	const char *name;
	void (*read)(struct json_context *ctx, const char *value);
} json_members[] = {
	{ "notificationtype", json_kind },
	{ "eventtype", json_kind },
	{ "event", json_kind },
	{ "recordtype", json_kind },
	{ "bouncetype", json_kind },
	{ "action", json_action },
	{ "status", json_status },
	{ "emailaddress", json_address },
	{ "email", json_address },
	{ "recipient", json_address },
	{ "recipients", json_address },
	{ "finalrecipient", json_address },
	{ "destination", json_to },
	{ "to", json_to },
	{ "messageid", json_message_id },
	{ "originalmessageid", json_message_id },
	{ "smtpid", json_message_id },
	{ "name", json_field_name },
	{ "value", json_field_value },
};

static const char *json_member_name(const string_t *name)
{
	string_t *plain = t_str_new(32);
	const char *p;

	for (p = str_c((string_t *)name); *p != '\0'; p++) {
		if (*p != '_' && *p != '-')
			str_append_c(plain, i_tolower(*p));
	}
	return str_c(plain);
}

static void json_member(struct json_context *ctx)
{
	const char *name = json_member_name(ctx->name);
	const char *value = str_c(ctx->value);
	unsigned int i;

	if (str_len(ctx->value) > REPORT_MAX_FIELD) {
		/* a whole message or text: only another JSON is of use */
		return;
	}
	for (i = 0; i < N_ELEMENTS(json_members); i++) {
		if (strcmp(name, json_members[i].name) == 0)
			json_members[i].read(ctx, value);
	}
}

static void json_value(struct json_context *ctx)
{
	const unsigned char *value = str_data(ctx->value);

	if (value[0] == '{') {
		if (report_json_read(ctx->reader, value, str_len(ctx->value),
				     ctx->depth + 1))
			ctx->is_report = TRUE;
		return;
	}
	T_BEGIN {
		json_member(ctx);
	} T_END;
}

/* A string is a member's name if a colon follows it. Values in an array keep
   the array's name. */
static void json_token_string(struct json_context *ctx)
{
	json_string_read(ctx, ctx->value);
	while (ctx->pos < ctx->end && i_isspace(*ctx->pos))
		ctx->pos++;
	if (ctx->pos < ctx->end && *ctx->pos == ':') {
		str_truncate(ctx->name, 0);
		if (str_len(ctx->value) <= 64)
			str_append_str(ctx->name, ctx->value);
		return;
	}
	if (str_len(ctx->value) > 0)
		json_value(ctx);
}

static void json_tokens(struct json_context *ctx)
{
	while (ctx->pos < ctx->end) {
		if (*ctx->pos++ == '"')
			json_token_string(ctx);
	}
}

bool report_json_read(struct report_reader *reader, const void *text,
		      size_t size, unsigned int depth)
{
	struct json_context ctx = {
		.reader = reader,
		.pos = text,
		.end = CONST_PTR_OFFSET(text, size),
		.depth = depth,
	};
	const struct report_source source = { .rank = REPORT_RANK_TEXT_BLOCK };

	while (ctx.pos < ctx.end && i_isspace(*ctx.pos))
		ctx.pos++;
	if (ctx.pos == ctx.end || *ctx.pos != '{' ||
	    depth >= REPORT_MAX_JSON_DEPTH)
		return FALSE;
	/* they grow inside of data stack frames */
	ctx.name = str_new(default_pool, 64);
	ctx.value = str_new(default_pool, 256);
	ctx.field = str_new(default_pool, 64);
	ctx.header = str_new(default_pool, 256);
	json_tokens(&ctx);
	if (str_len(ctx.header) > 0) {
		(void)report_original_read(reader, str_data(ctx.header),
					   str_len(ctx.header), &source);
	}
	str_free(&ctx.name);
	str_free(&ctx.value);
	str_free(&ctx.field);
	str_free(&ctx.header);
	reader->recipient = NULL;
	if (ctx.is_report)
		report_trait_add(reader, REPORT_TRAIT_JSON_NOTICE);
	return ctx.is_report;
}
