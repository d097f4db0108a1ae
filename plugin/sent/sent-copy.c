/* From a mail in a Sent mailbox to a row in the sent log. */

#include "lib.h"
#include "array.h"
#include "istream.h"
#include "message-address.h"
#include "message-date.h"
#include "message-header-parser.h"
#include "mail-storage-private.h"
#include "mail-namespace.h"
#include "mail-user.h"
#include "mailbox-list-iter.h"
#include "compat/dovecot-compat.h"
#include "report/report.h"
#include "sent-copy.h"

/* More addresses than any mail client sends to at once. */
#define SENT_COPY_MAX_RECIPIENTS 10000

static const char *const recipient_headers[] = {
	"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc",
};

/* Those that an MTA or Dovecot's delivery puts in front, and no mail client (but see
   is_webmails_trace()). */
static const char *const delivery_headers[] = {
	"Received", "Delivered-To", "Return-Path",
};

const char *const sent_copy_headers[] = {
	"Message-ID", "From", "Date", "To", "Cc", "Bcc", "Resent-To",
	"Resent-Cc", "Resent-Bcc", "Received", "Delivered-To", "Return-Path",
	NULL
};

bool sent_copy_is_sent_mailbox(struct mailbox *box,
			       const struct backscatter_settings *set)
{
	if (mailbox_get_namespace(box)->type != MAIL_NAMESPACE_TYPE_PRIVATE)
		return FALSE;
	return compat_mailbox_has_special_use(box, "\\Sent") ||
		str_array_find(set->sent_mailboxes, mailbox_get_vname(box));
}

int sent_copy_foreach_mailbox(struct mail_user *user,
			      const struct backscatter_settings *set,
			      sent_copy_mailbox_t *callback, void *context)
{
	static const char *const all[] = { "*", NULL };
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	struct mailbox *box;

	iter = mailbox_list_iter_init_namespaces(user->namespaces, all,
		MAIL_NAMESPACE_TYPE_PRIVATE,
		MAILBOX_LIST_ITER_RETURN_NO_FLAGS |
		MAILBOX_LIST_ITER_SKIP_ALIASES);
	while ((info = mailbox_list_iter_next(iter)) != NULL) T_BEGIN {
		box = mailbox_alloc(info->ns->list, info->vname,
				    MAILBOX_FLAG_READONLY);
		if (sent_copy_is_sent_mailbox(box, set))
			callback(box, context);
		mailbox_free(&box);
	} T_END;
	return mailbox_list_iter_deinit(&iter);
}

struct sent_copy_field {
	const char *name, *value;
};

/* A mail's fields, or those of a header block of which no mail was made. */
struct sent_copy_header {
	struct mail *mail;
	/* if mail is NULL; from the pool, since each line of a header may have a data
	   stack frame of its own */
	pool_t pool;
	ARRAY(struct sent_copy_field) fields;
};

static const char *const *
sent_copy_find_fields(const struct sent_copy_header *header, const char *name)
{
	const struct sent_copy_field *field;
	ARRAY_TYPE(const_string) values;

	t_array_init(&values, 2);
	array_foreach(&header->fields, field) {
		if (strcasecmp(field->name, name) == 0)
			array_push_back(&values, &field->value);
	}
	array_append_zero(&values);
	return array_front(&values);
}

static int
sent_copy_get_headers(const struct sent_copy_header *header, const char *name,
		      const char *const **values_r, const char **error_r)
{
	static const char *const none[] = { NULL };
	int ret;

	if (header->mail == NULL) {
		*values_r = sent_copy_find_fields(header, name);
		return 1;
	}
	ret = mail_get_headers(header->mail, name, values_r);
	if (ret == 0)
		*values_r = none;
	if (ret < 0) {
		*error_r = t_strdup(mailbox_get_last_internal_error(
			header->mail->box, NULL));
	}
	return ret;
}

static int
sent_copy_read_message_ids(pool_t pool, const struct sent_copy_header *header,
			   struct sent_copy *copy, const char **error_r)
{
	const char *const *values;

	if (sent_copy_get_headers(header, "Message-ID", &values, error_r) < 0)
		return -1;
	for (; *values != NULL; values++) {
		struct sent_log_identity *identity;
		const char *message_id =
			report_message_id_first(pool, *values);

		if (message_id == NULL)
			continue;
		identity = array_append_space(&copy->identities);
		identity->kind = SENT_LOG_IDENTITY_MESSAGE_ID;
		identity->value = message_id;
		copy->has_message_id = TRUE;
	}
	return 0;
}

static void
sent_copy_add_recipients(pool_t pool, struct sent_copy *copy, const char *value)
{
	const struct message_address *address = message_address_parse(
		pool_datastack_create(), (const unsigned char *)value,
		strlen(value), SENT_COPY_MAX_RECIPIENTS, 0);

	for (; address != NULL; address = address->next) {
		const char *recipient;

		if (address->mailbox == NULL || address->domain == NULL ||
		    *address->mailbox == '\0' || *address->domain == '\0')
			continue;
		if (array_count(&copy->recipients) >= SENT_COPY_MAX_RECIPIENTS)
			return;
		recipient = str_lcase(p_strconcat(pool, address->mailbox, "@",
						  address->domain, NULL));
		array_push_back(&copy->recipients, &recipient);
	}
}

static int
sent_copy_read_recipients(pool_t pool, const struct sent_copy_header *header,
			  struct sent_copy *copy, const char **error_r)
{
	const char *const *values;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(recipient_headers); i++) {
		if (sent_copy_get_headers(header, recipient_headers[i], &values,
					  error_r) < 0)
			return -1;
		for (; *values != NULL; values++) T_BEGIN {
			sent_copy_add_recipients(pool, copy, *values);
		} T_END;
	}
	return 0;
}

static int
sent_copy_read_from(const struct sent_copy_header *header,
		    const struct own_addresses *own, struct sent_copy *copy,
		    const char **error_r)
{
	const struct message_address *address;
	const char *const *values;

	if (sent_copy_get_headers(header, "From", &values, error_r) < 0)
		return -1;
	for (; *values != NULL; values++) {
		address = message_address_parse(pool_datastack_create(),
			(const unsigned char *)*values, strlen(*values), 1, 0);
		if (address != NULL && address->mailbox != NULL &&
		    address->domain != NULL &&
		    own_addresses_match_from(own, t_strconcat(
				address->mailbox, "@", address->domain, NULL)))
			copy->from_own_address = TRUE;
	}
	return 0;
}

/* Horde, Roundcube and SquirrelMail say in a Received line of their own who was logged
   in: "from 192.0.2.1 by webmail.example.org with HTTP", also in the copy that they
   store. */
static bool is_webmails_trace(const char *name, const char *value)
{
	const char *const *word = t_strsplit_spaces(value, " \t\r\n");

	if (strcmp(name, "Received") != 0)
		return FALSE;
	for (; *word != NULL; word++) {
		if (strcasecmp(*word, "with") == 0 && word[1] != NULL &&
		    strncasecmp(word[1], "HTTP", 4) == 0)
			return TRUE;
	}
	return FALSE;
}

static int
sent_copy_read_delivery(const struct sent_copy_header *header,
			struct sent_copy *copy, const char **error_r)
{
	const char *const *values;
	unsigned int i;

	if (copy->from_own_address)
		return 0;
	for (i = 0; i < N_ELEMENTS(delivery_headers); i++) {
		if (sent_copy_get_headers(header, delivery_headers[i], &values,
					  error_r) < 0)
			return -1;
		for (; *values != NULL; values++) {
			if (!is_webmails_trace(delivery_headers[i], *values))
				copy->was_delivered = TRUE;
		}
	}
	return 0;
}

/* Without it every import would add the copy once more. */
static void sent_copy_identify(pool_t pool, struct sent_copy *copy)
{
	struct sent_log_identity *identity =
		array_append_space(&copy->identities);

	identity->kind = SENT_LOG_IDENTITY_COPY;
	identity->value = p_strdup_printf(pool, "%s %s", dec2str(copy->date),
		t_array_const_string_join(&copy->recipients, " "));
}

static int
sent_copy_read_date(const struct sent_copy_header *header,
		    struct sent_copy *copy, const char **error_r)
{
	const char *const *values;
	int timezone;

	if (header->mail != NULL) {
		if (mail_get_date(header->mail, &copy->date, &timezone) < 0 ||
		    copy->date == (time_t)-1)
			copy->date = 0;
		return 0;
	}
	if (sent_copy_get_headers(header, "Date", &values, error_r) < 0)
		return -1;
	if (*values == NULL ||
	    !message_date_parse((const unsigned char *)*values,
				strlen(*values), &copy->date, &timezone))
		copy->date = 0;
	return 0;
}

static int
sent_copy_read_from_header(pool_t pool, const struct sent_copy_header *header,
			   const struct own_addresses *own, time_t logged_at,
			   struct sent_copy *copy_r, const char **error_r)
{
	i_zero(copy_r);
	p_array_init(&copy_r->identities, pool, 1);
	p_array_init(&copy_r->recipients, pool, 4);
	copy_r->logged_at = logged_at;
	if (sent_copy_read_message_ids(pool, header, copy_r, error_r) < 0 ||
	    sent_copy_read_recipients(pool, header, copy_r, error_r) < 0 ||
	    sent_copy_read_from(header, own, copy_r, error_r) < 0 ||
	    sent_copy_read_delivery(header, copy_r, error_r) < 0 ||
	    sent_copy_read_date(header, copy_r, error_r) < 0)
		return -1;
	if (!copy_r->has_message_id)
		sent_copy_identify(pool, copy_r);
	return 0;
}

bool sent_copy_set_logged_at(struct sent_copy *copy, time_t received, time_t now)
{
	copy->logged_at = I_MIN(received, now);
	if (copy->date > copy->logged_at && copy->date <= now)
		copy->logged_at = copy->date;
	return copy->logged_at > 0;
}

int sent_copy_read(pool_t pool, struct mail *mail,
		   const struct own_addresses *own, time_t logged_at,
		   struct sent_copy *copy_r, const char **error_r)
{
	const struct sent_copy_header header = { .mail = mail };

	return sent_copy_read_from_header(pool, &header, own, logged_at, copy_r,
					  error_r);
}

static void sent_copy_add_field(struct message_header_line *line,
				struct sent_copy_header *header)
{
	struct sent_copy_field *field;

	if (line == NULL || line->eoh)
		return;
	if (line->continues) {
		line->use_full_value = TRUE;
		return;
	}
	if (!str_array_icase_find(sent_copy_headers, line->name))
		return;
	field = array_append_space(&header->fields);
	field->name = p_strdup(header->pool, line->name);
	field->value = message_header_strdup(header->pool, line->full_value,
					     line->full_value_len);
}

int sent_copy_read_block(pool_t pool, const void *block, size_t size,
			 const struct own_addresses *own, time_t logged_at,
			 struct sent_copy *copy_r, const char **error_r)
{
	const enum message_header_parser_flags flags =
		MESSAGE_HEADER_PARSER_FLAG_SKIP_INITIAL_LWSP |
		MESSAGE_HEADER_PARSER_FLAG_CLEAN_ONELINE;
	struct sent_copy_header header = { .pool = pool };
	struct istream *input = i_stream_create_from_data(block, size);

	p_array_init(&header.fields, pool, N_ELEMENTS(recipient_headers));
	message_parse_header(input, NULL, flags, sent_copy_add_field, &header);
	i_stream_unref(&input);
	return sent_copy_read_from_header(pool, &header, own, logged_at, copy_r,
					  error_r);
}

static void
sent_copy_to_message(const struct sent_copy *copy,
		     struct sent_log_message *message_r)
{
	unsigned int count;

	i_zero(message_r);
	message_r->source = SENT_LOG_SOURCE_SENT;
	message_r->identities = array_get(&copy->identities, &count);
	message_r->identity_count = count;
	message_r->recipients = array_get(&copy->recipients, &count);
	message_r->recipient_count = count;
	message_r->logged_at = copy->logged_at;
	message_r->date = copy->date;
	message_r->from_own_address = copy->from_own_address;
}

/* An old copy (an import) broke it then, not now. */
static int
sent_copy_break_coverage(struct backscatter_user *buser, time_t start, time_t now,
			 const char **error_r)
{
	struct sent_log_coverage coverage;

	if (sent_log_get_coverage(buser->log, now, &coverage, error_r) < 0)
		return -1;
	if (coverage.start >= start)
		return 1;
	return sent_log_set_coverage(buser->log, start,
		SENT_LOG_COVERAGE_NO_MESSAGE_ID, now, error_r);
}

/* The newest copy whose report could not be matched; 0 = there is none. */
static time_t
newest_without_message_id(const ARRAY_TYPE(sent_copy) *copies)
{
	const struct sent_copy *copy;
	time_t newest = 0;

	array_foreach(copies, copy) {
		if (!copy->has_message_id)
			newest = I_MAX(newest, copy->logged_at);
	}
	return newest;
}

/* Before the rows: who ends in between leaves too little coverage, not too much. */
static int
sent_copy_settle_coverage(struct backscatter_user *buser,
			  const ARRAY_TYPE(sent_copy) *copies, time_t now,
			  const char **error_r)
{
	time_t newest = newest_without_message_id(copies);

	if (newest == 0 || buser->set->sources != SENT_LOG_SOURCE_SENT)
		return 1;
	return sent_copy_break_coverage(buser, newest, now, error_r);
}

/* mark: NULL, or that of this mailbox. */
static int
sent_copy_add(struct backscatter_user *buser, const ARRAY_TYPE(sent_copy) *copies,
	      const char *mailbox, const struct sent_log_mailbox_mark *mark,
	      time_t now, const char **error_r)
{
	ARRAY(struct sent_log_message) messages;
	const struct sent_log_message *first;
	const struct sent_copy *copy;
	unsigned int count;

	t_array_init(&messages, array_count(copies) + 1);
	array_foreach(copies, copy)
		sent_copy_to_message(copy, array_append_space(&messages));
	first = array_get(&messages, &count);
	if (mark == NULL)
		return sent_log_add(buser->log, first, count, now, error_r);
	return sent_log_add_read(buser->log, first, count, mailbox, mark, now,
				 error_r);
}

int sent_copy_log_read(struct backscatter_user *buser,
		       const ARRAY_TYPE(sent_copy) *copies, const char *mailbox,
		       const struct sent_log_mailbox_mark *mark, time_t now,
		       const char **error_r)
{
	int ret;

	if (buser->log == NULL) {
		*error_r = buser->error;
		return -1;
	}
	T_BEGIN {
		ret = sent_copy_settle_coverage(buser, copies, now, error_r);
		if (ret >= 0) {
			ret = sent_copy_add(buser, copies, mailbox, mark, now,
					    error_r);
		}
	} T_END;
	return ret < 0 ? -1 : 1;
}

int sent_copy_log(struct backscatter_user *buser, const ARRAY_TYPE(sent_copy) *copies,
		  time_t now, const char **error_r)
{
	return sent_copy_log_read(buser, copies, NULL, NULL, now, error_r);
}
