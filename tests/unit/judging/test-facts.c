/* What the verdict table is told about a report and a real sent log. */

#include "unit.h"
#include "array.h"
#include "judging/facts.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY (24 * 60 * 60)

struct fixture {
	char dir[32];
	char path[64];
	struct sent_log *log;
	pool_t pool;
	struct report report;
	struct own_addresses *own;
	struct serial_keys keys, mailbox_keys;
	/* RCPT TO and ORCPT */
	const char *recipients[3];
	struct facts_policy policy;
	time_t now;
	struct facts facts;
};

static void report_init(struct report *report, pool_t pool)
{
	i_zero(report);
	report->class = REPORT_CLASS_DSN_FAILED;
	report->original_date = report->arrival_date = (time_t)-1;
	p_array_init(&report->to, pool, 1);
	p_array_init(&report->references, pool, 1);
	p_array_init(&report->message_ids, pool, 1);
	p_array_init(&report->recipients, pool, 1);
	p_array_init(&report->original_to, pool, 1);
	p_array_init(&report->serials, pool, 1);
	p_array_init(&report->originals, pool, 1);
	p_array_init(&report->original_senders, pool, 1);
}

static const char *const host_names[] = { "mx1", "mx1.example.org", NULL };

static int setup(void **state)
{
	struct fixture *fixture = i_new(struct fixture, 1);
	struct sent_log_settings set;

	strcpy(fixture->dir, "/tmp/test-facts.XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/log",
		       fixture->dir);
	i_zero(&set);
	set.path = fixture->path;
	set.deadline_msecs = 60000;
	set.retention_secs = 90 * DAY;
	set.listed_sources = SENT_LOG_SOURCE_SUBMISSION;
	fixture->log = sent_log_init(&set);
	fixture->now = time(NULL);

	fixture->pool = pool_alloconly_create("test", 4096);
	report_init(&fixture->report, fixture->pool);
	fixture->own = own_addresses_init(fixture->pool, "+");
	own_addresses_add(fixture->own, "me@example.org");
	fixture->policy.coverage.listed_sources = SENT_LOG_SOURCE_SUBMISSION;
	fixture->policy.coverage.report_age = 14 * DAY;
	fixture->policy.coverage.retention = 90 * DAY;
	fixture->policy.host_names = host_names;
	assert_int_equal(serial_key_make(&fixture->keys.keys[0], fixture->now),
			 0);
	fixture->keys.count = 1;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[64];

	sent_log_deinit(&fixture->log);
	pool_unref(&fixture->pool);
	(void)snprintf(command, sizeof(command), "rm -rf %s", fixture->dir);
	assert_int_equal(system(command), 0);
	i_free(fixture);
	return 0;
}

static void
log_sent(struct fixture *fixture, enum sent_log_identity_kind kind,
	 const char *identity_value, const char *recipient)
{
	const struct sent_log_identity identity = {
		.kind = kind, .value = identity_value
	};
	const struct sent_log_message message = {
		.source = SENT_LOG_SOURCE_SUBMISSION,
		.identities = &identity,
		.identity_count = 1,
		.recipients = &recipient,
		.recipient_count = recipient == NULL ? 0 : 1,
		.logged_at = fixture->now,
		.date = fixture->now,
	};
	const char *error;

	assert_int_equal(sent_log_add(fixture->log, &message, 1, fixture->now,
				      &error), 1);
}

static void
report_add_message_id(struct fixture *fixture, const char *id, bool whole)
{
	struct report_message_id *message_id =
		array_append_space(&fixture->report.message_ids);

	message_id->id = message_id->written = id;
	message_id->whole = whole;
}

static void report_set_serial(struct fixture *fixture, const char *serial)
{
	array_clear(&fixture->report.serials);
	array_push_back(&fixture->report.serials, &serial);
}

static const char *report_serial(struct fixture *fixture)
{
	return array_idx_elem(&fixture->report.serials, 0);
}

/* What the report returns: claims to come from from (NULL = from nobody), in a part,
   with one whole Message-ID. */
static struct report_original *
report_add_original(struct fixture *fixture, const char *from)
{
	struct report_original *original =
		array_append_space(&fixture->report.originals);

	p_array_init(&original->from, fixture->pool, 1);
	p_array_init(&original->return_paths, fixture->pool, 1);
	p_array_init(&original->recipients, fixture->pool, 1);
	p_array_init(&original->resent_from, fixture->pool, 1);
	p_array_init(&original->hops, fixture->pool, 1);
	if (from != NULL)
		array_push_back(&original->from, &from);
	original->message_id = "forged@example.org";
	original->message_id_proves = TRUE;
	original->in_part = TRUE;
	return original;
}

static struct report_hop *
original_add_hop(struct report_original *original, const char *by,
		 const char *for_address)
{
	struct report_hop *hop = array_append_space(&original->hops);

	hop->by = by;
	hop->for_address = for_address;
	return hop;
}

static void
report_add_recipient(struct fixture *fixture, const char *original,
		     const char *final)
{
	struct report_recipient *recipient =
		array_append_space(&fixture->report.recipients);

	recipient->original_recipient = original;
	recipient->final_recipient = final;
}

static void gather_from(struct fixture *fixture, struct sent_log *log)
{
	const struct facts_keyed keyed = {
		.keys = &fixture->keys,
		.mailbox_keys = &fixture->mailbox_keys,
		.envelope_recipients = fixture->recipients,
		.delimiters = "+",
	};

	facts_gather(&fixture->report, log, fixture->own, &keyed,
		     &fixture->policy, fixture->now, &fixture->facts);
}

static const struct verdict_facts *gather(struct fixture *fixture)
{
	gather_from(fixture, fixture->log);
	return &fixture->facts.verdict;
}

static void test_nothing_known(void **state)
{
	struct fixture *fixture = *state;
	const struct verdict_facts *facts;

	report_add_message_id(fixture, "cut...off", FALSE);
	facts = gather(fixture);
	assert_true(facts->log_available);
	assert_int_equal(facts->logged_evidence, VERDICT_EVIDENCE_NONE);
	assert_int_equal(facts->named_evidence, VERDICT_EVIDENCE_MESSAGE_ID);
	assert_int_equal(facts->original_count, 0);
	assert_false(facts->message_id_proves);
	assert_false(facts->to_own_address);
	assert_false(facts->budget_used_up);
	assert_null(fixture->facts.original.value);
	assert_string_equal(fixture->facts.original_message_id, "cut...off");
}

static void test_no_log(void **state)
{
	struct fixture *fixture = *state;

	gather_from(fixture, NULL);
	assert_false(fixture->facts.verdict.log_available);
}

static void test_log_that_cannot_be_opened(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(mkdir(fixture->path, 0700), 0);
	report_add_message_id(fixture, "a@example.org", TRUE);
	assert_false(gather(fixture)->log_available);
	assert_non_null(fixture->facts.log_error);
}

static void test_logged_message_id(void **state)
{
	struct fixture *fixture = *state;
	const struct verdict_facts *facts;

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "to@example.net");
	report_add_message_id(fixture, "other@example.org", TRUE);
	report_add_message_id(fixture, "a@example.org", TRUE);
	facts = gather(fixture);
	assert_int_equal(facts->logged_evidence, VERDICT_EVIDENCE_MESSAGE_ID);
	assert_false(facts->recipients_compared);
	assert_string_equal(fixture->facts.original.value, "a@example.org");
	/* what stands first is what the log line names */
	assert_string_equal(fixture->facts.original_message_id,
			    "other@example.org");
}

static void test_recipients_are_compared(void **state)
{
	static const struct {
		const char *original, *final;
		bool shared;
	} tests[] = {
		{ NULL, "to@example.net", TRUE },
		{ "to@example.net", "inner@elsewhere.test", TRUE },
		{ NULL, "other@example.net", TRUE },
		{ NULL, "to@elsewhere.test", FALSE },
		{ "x@elsewhere.test", "y@elsewhere.test", FALSE },
	};
	struct fixture *fixture = *state;

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "to@example.net");
	report_add_message_id(fixture, "a@example.org", TRUE);
	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		const struct verdict_facts *facts;

		array_clear(&fixture->report.recipients);
		report_add_recipient(fixture, tests[i].original, tests[i].final);
		facts = gather(fixture);
		assert_true(facts->recipients_compared);
		assert_int_equal(facts->recipient_shared, tests[i].shared);
	}
}

static void test_row_without_recipients_compares_nothing(void **state)
{
	struct fixture *fixture = *state;

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org", NULL);
	report_add_message_id(fixture, "a@example.org", TRUE);
	report_add_recipient(fixture, NULL, "x@elsewhere.test");
	assert_false(gather(fixture)->recipients_compared);
}

static void test_best_of_several_identities(void **state)
{
	struct fixture *fixture = *state;
	const char *reference = "b@example.org";
	const struct verdict_facts *facts;

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "x@elsewhere.test");
	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "b@example.org",
		 "to@example.net");
	report_add_message_id(fixture, "a@example.org", TRUE);
	report_add_recipient(fixture, NULL, "to@example.net");
	facts = gather(fixture);
	assert_true(facts->recipients_compared);
	assert_false(facts->recipient_shared);

	array_push_back(&fixture->report.references, &reference);
	facts = gather(fixture);
	assert_int_equal(facts->logged_evidence, VERDICT_EVIDENCE_REFERENCE);
	assert_true(facts->recipient_shared);
}

static void test_envelope_id(void **state)
{
	struct fixture *fixture = *state;

	log_sent(fixture, SENT_LOG_IDENTITY_ENVELOPE_ID, "QQ314159", NULL);
	fixture->report.envelope_id = "QQ314159";
	assert_int_equal(gather(fixture)->logged_evidence,
			 VERDICT_EVIDENCE_ENVELOPE_ID);
	assert_int_equal(fixture->facts.verdict.named_evidence,
			 VERDICT_EVIDENCE_ENVELOPE_ID);
}

static void test_known_recipient(void **state)
{
	struct fixture *fixture = *state;
	const char *returned_to = "to@example.net";

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "to@example.net");
	report_add_recipient(fixture, NULL, "other@example.net");
	/* the domain is not enough */
	assert_false(gather(fixture)->recipient_known);

	array_push_back(&fixture->report.original_to, &returned_to);
	assert_true(gather(fixture)->recipient_known);

	array_clear(&fixture->report.original_to);
	report_add_recipient(fixture, "to@example.net", NULL);
	assert_true(gather(fixture)->recipient_known);
}

/* Who once wrote to himself would acquit every forgery that was sent to him. */
static void test_own_address_is_no_known_recipient(void **state)
{
	struct fixture *fixture = *state;
	const char *returned_to = "me+notes@example.org";

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "me@example.org");
	report_add_recipient(fixture, NULL, "me@example.org");
	array_push_back(&fixture->report.original_to, &returned_to);
	assert_false(gather(fixture)->recipient_known);
}

static void test_truncated_report(void **state)
{
	struct fixture *fixture = *state;
	struct report_original *original =
		report_add_original(fixture, "me@example.org");

	assert_true(gather(fixture)->message_id_proves);
	/* another block of header fields may stand in the rest of a text: no
	   original beside a part */
	fixture->report.truncated = TRUE;
	assert_true(gather(fixture)->message_id_proves);
	original->in_part = FALSE;
	assert_false(gather(fixture)->message_id_proves);
	original->in_part = TRUE;
	/* another part may be there */
	fixture->report.body_truncated = TRUE;
	assert_false(gather(fixture)->message_id_proves);
}

static void test_original_of_this_mailbox(void **state)
{
	struct fixture *fixture = *state;
	const struct verdict_facts *facts;

	report_add_original(fixture, "me+x@example.org");
	facts = gather(fixture);
	assert_int_equal(facts->original_count, 1);
	assert_true(facts->claims_own_address);
	assert_true(facts->message_id_proves);
	assert_true(facts->original_in_part);

	/* what convicts is asked of a single original */
	report_add_original(fixture, "me@example.org");
	facts = gather(fixture);
	assert_int_equal(facts->original_count, 2);
	assert_false(facts->claims_own_address);
	assert_false(facts->message_id_proves);
}

static void test_original_of_somebody_else(void **state)
{
	struct fixture *fixture = *state;
	const char *own = "me@example.org";
	struct report_original *original =
		report_add_original(fixture, "you@example.org");

	assert_false(gather(fixture)->claims_own_address);
	/* Return-Path, Errors-To, or the report's own word for the sender */
	array_push_back(&original->return_paths, &own);
	assert_true(gather(fixture)->claims_own_address);
	array_clear(&original->return_paths);
	array_push_back(&fixture->report.original_senders, &own);
	assert_true(gather(fixture)->claims_own_address);
}

/* Of a whole domain, only what the report was addressed to: another address of it
   may be somebody else's. */
static void test_original_of_a_domain(void **state)
{
	struct fixture *fixture = *state;
	const char *to = "sales@catchall.example";
	const char *other = "info@catchall.example";

	own_addresses_add(fixture->own, "@catchall.example");
	report_add_original(fixture, "Sales+x@catchall.example");
	assert_false(gather(fixture)->claims_own_address);
	array_push_back(&fixture->report.to, &other);
	assert_false(gather(fixture)->claims_own_address);
	array_push_back(&fixture->report.to, &to);
	assert_true(gather(fixture)->claims_own_address);
}

static void test_role_is_nobody(void **state)
{
	struct fixture *fixture = *state;

	own_addresses_add(fixture->own, "postmaster@example.org");
	report_add_original(fixture, "postmaster@example.org");
	assert_false(gather(fixture)->claims_own_address);
}

static void test_shape(void **state)
{
	struct fixture *fixture = *state;
	struct report_original *original =
		report_add_original(fixture, "me@example.org");

	fixture->report.shape = REPORT_SHAPE_STRUCTURED;
	assert_int_equal(gather(fixture)->shape, REPORT_SHAPE_STRUCTURED);

	/* whoever speaks returns what claims to come from here */
	fixture->report.shape = REPORT_SHAPE_WORDED;
	assert_int_equal(gather(fixture)->shape, REPORT_SHAPE_WORDED);
	fixture->report.null_sender = TRUE;
	assert_int_equal(gather(fixture)->shape, REPORT_SHAPE_DAEMON);
	assert_true(fixture->facts.verdict.null_sender);
	original->in_part = FALSE;
	assert_int_equal(gather(fixture)->shape, REPORT_SHAPE_WORDED);
	original->in_part = TRUE;
	array_clear(&original->from);
	assert_int_equal(gather(fixture)->shape, REPORT_SHAPE_WORDED);
}

static void test_automatic(void **state)
{
	struct fixture *fixture = *state;
	const char *own = "me+sieve@example.org", *foreign = "x@example.net";
	struct report_original *original = report_add_original(fixture, foreign);

	array_push_back(&original->resent_from, &foreign);
	assert_false(gather(fixture)->automatic);
	array_push_back(&original->resent_from, &own);
	assert_true(gather(fixture)->automatic);

	array_clear(&original->resent_from);
	original->automatic = TRUE;
	assert_true(gather(fixture)->automatic);
}

static void test_our_host(void **state)
{
	static const char *const hosts[] = {
		"mx1", "MX1.example.org", "backend.example.org"
	};
	struct fixture *fixture = *state;
	struct report_original *original =
		report_add_original(fixture, "me@example.org");

	fixture->report.received_by = "backend.example.org";
	original_add_hop(original, "relay.example.net", NULL)->submitted = TRUE;
	original_add_hop(original, NULL, NULL)->submitted = TRUE;
	original_add_hop(original, hosts[0], NULL);
	assert_false(gather(fixture)->our_host);
	for (unsigned int i = 0; i < N_ELEMENTS(hosts); i++) {
		array_clear(&original->hops);
		original_add_hop(original, "relay.example.net", NULL);
		original_add_hop(original, hosts[i], NULL)->submitted = TRUE;
		assert_true(gather(fixture)->our_host);
	}

	/* neither the host nor the report says who it is */
	array_clear(&original->hops);
	original_add_hop(original, NULL, NULL)->submitted = TRUE;
	fixture->report.received_by = NULL;
	assert_false(gather(fixture)->our_host);
}

static void test_incoming(void **state)
{
	struct fixture *fixture = *state;
	const char *own = "me@example.org";
	struct report_original *original =
		report_add_original(fixture, "you@example.net");

	assert_false(gather(fixture)->incoming);
	array_push_back(&original->recipients, &own);
	assert_true(gather(fixture)->incoming);
	/* Return-Path names whoever passed it on */
	array_push_back(&original->return_paths, &own);
	assert_true(gather(fixture)->incoming);
	/* a note to himself */
	array_push_back(&original->from, &own);
	assert_false(gather(fixture)->incoming);
}

/* One of our hosts took it in for an own address, or, if it is from somebody else, for
   our domain; or it is from somebody else and was for an own address. */
static void test_incoming_by_hop(void **state)
{
	static const struct {
		const char *from, *by, *for_address;
		bool incoming;
	} hops[] = {
		{ "you@example.net", "MX1.example.org", NULL, FALSE },
		{ "you@example.net", "mx1", "list@Example.org", TRUE },
		{ "you@example.net", "mx1", "nobody@sub.example.org", FALSE },
		{ "you@example.net", "relay.example.net", "me@example.org", TRUE },
		{ "you@example.net", NULL, "me@example.org", TRUE },
		{ "me@example.org", "mx1", "me@example.org", TRUE },
		{ NULL, "mx1", NULL, FALSE },
		{ NULL, "mx1", "list@example.org", TRUE },
		{ "you@example.net", "relay.example.net", "list@example.org",
		  FALSE },
		{ "you@example.net", NULL, NULL, FALSE },
		{ "me@example.org", "mx1", "you@example.net", FALSE },
		{ "me@example.org", "mx1", NULL, FALSE },
		{ "me@example.org", "relay.example.net", "me@example.org",
		  FALSE },
		{ "me@example.org", NULL, "me@example.org", FALSE },
	};
	struct fixture *fixture = *state;
	const char *own = "me@example.org";
	struct report_original *original;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(hops); i++) {
		array_clear(&fixture->report.originals);
		original = report_add_original(fixture, hops[i].from);
		array_push_back(&original->return_paths, &own);
		original_add_hop(original, "other.example.net", NULL);
		original_add_hop(original, hops[i].by, hops[i].for_address);
		if (gather(fixture)->incoming != hops[i].incoming)
			fail_msg("line %u", i);
	}

	/* of one line, not of two */
	array_clear(&fixture->report.originals);
	original = report_add_original(fixture, own);
	original_add_hop(original, "mx1", "you@example.net");
	original_add_hop(original, "relay.example.net", own);
	assert_false(gather(fixture)->incoming);
}

static void test_to(void **state)
{
	struct fixture *fixture = *state;
	const char *foreign = "x@example.net", *own = "Me+x@example.org";

	array_push_back(&fixture->report.to, &foreign);
	assert_false(gather(fixture)->to_own_address);
	array_push_back(&fixture->report.to, &own);
	assert_true(gather(fixture)->to_own_address);
}

/* Keyed evidence */

/* Issued days ago, for this return address; lives on the data stack. */
static const char *
issue(struct fixture *fixture, const char *address, unsigned int days)
{
	char serial[SERIAL_TEXT_SIZE];

	assert_int_equal(serial_issue(&fixture->keys.keys[0], address,
				      fixture->now - days * DAY, serial), 0);
	return t_strdup(serial);
}

static const char *change_last_but_one(const char *serial)
{
	char *changed = t_strdup_noconst(serial);

	changed[SERIAL_TEXT_SIZE - 3] = serial[SERIAL_TEXT_SIZE - 3] == 'A' ?
		'B' : 'A';
	return changed;
}

static void
assert_keyed(struct fixture *fixture, enum verdict_keyed keyed,
	     enum verdict_evidence evidence)
{
	const struct verdict_facts *facts = gather(fixture);

	assert_int_equal(facts->keyed, keyed);
	assert_int_equal(facts->keyed_evidence, evidence);
}

static void test_serial_verifies(void **state)
{
	struct fixture *fixture = *state;

	report_set_serial(fixture, issue(fixture, "me@example.org", 3));
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
	assert_int_equal(fixture->facts.original.kind,
			 SENT_LOG_IDENTITY_SERIAL);
	assert_string_equal(fixture->facts.original.value,
			    report_serial(fixture));
	assert_false(fixture->facts.verdict.unknown_key);
}

static void test_serial_verifies_without_log(void **state)
{
	struct fixture *fixture = *state;

	report_set_serial(fixture, issue(fixture, "me@example.org", 0));
	gather_from(fixture, NULL);
	assert_false(fixture->facts.verdict.log_available);
	assert_int_equal(fixture->facts.verdict.keyed, VERDICT_KEYED_VALID);
}

static void test_serial_in_lower_case(void **state)
{
	struct fixture *fixture = *state;
	const char *serial = issue(fixture, "me@example.org", 0);

	report_set_serial(fixture, t_str_lcase(serial));
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
	assert_string_equal(fixture->facts.original.value, serial);
}

static void test_serial_of_another_address(void **state)
{
	struct fixture *fixture = *state;

	report_set_serial(fixture, issue(fixture, "you@example.org", 0));
	assert_keyed(fixture, VERDICT_KEYED_BAD, VERDICT_EVIDENCE_SERIAL);
	/* ORCPT: what was sent to you@ is forwarded here */
	fixture->recipients[0] = "me@example.org";
	fixture->recipients[1] = "You+x@Example.org";
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
}

static void test_serial_of_domain(void **state)
{
	struct fixture *fixture = *state;
	const char *to = "anyone@catchall.example";

	own_addresses_add(fixture->own, "@catchall.example");
	report_set_serial(fixture, issue(fixture, to, 0));
	assert_keyed(fixture, VERDICT_KEYED_BAD, VERDICT_EVIDENCE_SERIAL);
	array_push_back(&fixture->report.to, &to);
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
}

static void test_changed_serial(void **state)
{
	struct fixture *fixture = *state;

	report_set_serial(fixture, change_last_but_one(
		issue(fixture, "me@example.org", 0)));
	assert_keyed(fixture, VERDICT_KEYED_BAD, VERDICT_EVIDENCE_SERIAL);
	assert_null(fixture->facts.original.value);
	assert_false(fixture->facts.verdict.unknown_key);
}

static void test_expired_serial(void **state)
{
	struct fixture *fixture = *state;

	report_set_serial(fixture, issue(fixture, "me@example.org", 92));
	assert_keyed(fixture, VERDICT_KEYED_EXPIRED, VERDICT_EVIDENCE_SERIAL);
	report_set_serial(fixture, issue(fixture, "me@example.org", 89));
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
}

static void test_serial_of_unknown_key(void **state)
{
	struct fixture *fixture = *state;

	report_set_serial(fixture, issue(fixture, "me@example.org", 0));
	fixture->keys.count = 0;
	assert_keyed(fixture, VERDICT_KEYED_UNKNOWN_KEY,
		     VERDICT_EVIDENCE_SERIAL);
	assert_true(fixture->facts.verdict.unknown_key);
}

static void test_unknown_key_in_envid_or_tag(void **state)
{
	struct fixture *fixture = *state;
	const char *serial = issue(fixture, "me@example.org", 0);

	fixture->keys.count = 0;
	fixture->report.envelope_id = serial;
	assert_true(gather(fixture)->unknown_key);
	fixture->report.envelope_id = NULL;
	assert_false(gather(fixture)->unknown_key);
	fixture->recipients[0] = t_strdup_printf("me+b=%s@example.org", serial);
	assert_true(gather(fixture)->unknown_key);
}

/* Of a later version of us; what isn't well-formed is nobody's. */
static void test_serial_of_later_version(void **state)
{
	struct fixture *fixture = *state;
	char *serial = t_strdup_noconst(issue(fixture, "me@example.org", 0));

	serial[0] = 'Z';
	report_set_serial(fixture, serial);
	assert_keyed(fixture, VERDICT_KEYED_UNKNOWN_KEY,
		     VERDICT_EVIDENCE_SERIAL);
	assert_true(fixture->facts.verdict.unknown_key);

	report_set_serial(fixture, "7M4QK");
	assert_keyed(fixture, VERDICT_KEYED_NONE, VERDICT_EVIDENCE_NONE);
	assert_false(fixture->facts.verdict.unknown_key);
}

/* The site's key verifies it for the address that the original came from: nobody forged
   it, and this mailbox didn't send it. */
static void test_serial_of_a_colleague(void **state)
{
	struct fixture *fixture = *state;
	struct report_original *original =
		report_add_original(fixture, "me@example.org");
	const char *colleague = "you+x@example.org";

	report_set_serial(fixture, issue(fixture, "you@example.org", 3));
	assert_keyed(fixture, VERDICT_KEYED_BAD, VERDICT_EVIDENCE_SERIAL);
	array_push_back(&original->return_paths, &colleague);
	assert_keyed(fixture, VERDICT_KEYED_UNKNOWN_KEY,
		     VERDICT_EVIDENCE_SERIAL);
	assert_true(fixture->facts.verdict.unknown_key);
}

/* Every serial of the mailbox's own key has a row before it leaves. */
static void test_serial_without_row(void **state)
{
	struct fixture *fixture = *state;
	const char *error;

	report_set_serial(fixture, issue(fixture, "me@example.org", 3));
	assert_int_equal(sent_log_set_coverage(fixture->log,
			fixture->now - 50 * DAY, SENT_LOG_COVERAGE_SET,
			fixture->now, &error), 1);
	/* a site's key issues elsewhere, too */
	(void)gather(fixture);
	assert_false(fixture->facts.rows_lost);

	fixture->mailbox_keys = fixture->keys;
	(void)gather(fixture);
	assert_true(fixture->facts.rows_lost);

	/* coverage doesn't speak of that day */
	assert_int_equal(sent_log_set_coverage(fixture->log,
			fixture->now - 2 * DAY, SENT_LOG_COVERAGE_SET,
			fixture->now, &error), 1);
	(void)gather(fixture);
	assert_false(fixture->facts.rows_lost);

	assert_int_equal(sent_log_set_coverage(fixture->log,
			fixture->now - 50 * DAY, SENT_LOG_COVERAGE_SET,
			fixture->now, &error), 1);
	log_sent(fixture, SENT_LOG_IDENTITY_SERIAL, report_serial(fixture),
		 NULL);
	(void)gather(fixture);
	assert_false(fixture->facts.rows_lost);
}

/* A key that is gone takes nothing from what the log has. */
static void test_logged_serial(void **state)
{
	struct fixture *fixture = *state;

	report_set_serial(fixture, issue(fixture, "you@example.org", 0));
	log_sent(fixture, SENT_LOG_IDENTITY_SERIAL, report_serial(fixture),
		 NULL);
	fixture->keys.count = 0;
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
}

static void test_envelope_id_is_a_serial(void **state)
{
	struct fixture *fixture = *state;

	fixture->report.envelope_id = issue(fixture, "me@example.org", 0);
	assert_keyed(fixture, VERDICT_KEYED_VALID,
		     VERDICT_EVIDENCE_ENVELOPE_ID);
}

static void test_tag(void **state)
{
	struct fixture *fixture = *state;
	const char *serial = issue(fixture, "me@example.org", 0);

	fixture->recipients[0] =
		t_strdup_printf("me+b=%s@example.org", serial);
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_TAG);
	fixture->recipients[0] = t_strdup_printf("me+b=%s@example.org",
		change_last_but_one(serial));
	assert_keyed(fixture, VERDICT_KEYED_BAD, VERDICT_EVIDENCE_TAG);
}

/* The MTA has taken the detail off the envelope. */
static void test_tag_in_to(void **state)
{
	struct fixture *fixture = *state;
	const char *to = t_strdup_printf("me+b=%s@example.org",
		issue(fixture, "me@example.org", 0));

	fixture->recipients[0] = "me@example.org";
	array_push_back(&fixture->report.to, &to);
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_TAG);
}

static void test_any_valid_one_of_several(void **state)
{
	struct fixture *fixture = *state;
	const char *serial = issue(fixture, "me@example.org", 0);

	fixture->recipients[0] = t_strdup_printf("me+b=%s@example.org",
		change_last_but_one(serial));
	fixture->report.envelope_id = issue(fixture, "me@example.org", 100);
	report_set_serial(fixture, serial);
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
}

/* Originals of several messages were returned. */
static void test_any_valid_serial_of_several(void **state)
{
	struct fixture *fixture = *state;
	const char *serial = issue(fixture, "me@example.org", 0);

	report_set_serial(fixture, change_last_but_one(serial));
	assert_keyed(fixture, VERDICT_KEYED_BAD, VERDICT_EVIDENCE_SERIAL);
	array_push_back(&fixture->report.serials, &serial);
	assert_keyed(fixture, VERDICT_KEYED_VALID, VERDICT_EVIDENCE_SERIAL);
}

/* Each costs an HMAC per address: a report has no use for more. */
static void test_many_tags(void **state)
{
	struct fixture *fixture = *state;
	const char *tagged = t_strdup_printf("me+b=%s@example.org",
		change_last_but_one(issue(fixture, "me@example.org", 0)));
	const char *good = t_strdup_printf("me+b=%s@example.org",
		issue(fixture, "me@example.org", 0));

	for (unsigned int i = 0; i < 1000; i++)
		array_push_back(&fixture->report.to, &tagged);
	array_push_back(&fixture->report.to, &good);
	assert_keyed(fixture, VERDICT_KEYED_BAD, VERDICT_EVIDENCE_TAG);
}

static void count_reports(struct fixture *fixture, unsigned int count)
{
	const char *error;

	for (unsigned int i = 0; i < count; i++) {
		assert_false(gather(fixture)->budget_used_up);
		assert_int_equal(facts_count_report(&fixture->facts,
				&fixture->report, fixture->log, fixture->now,
				&error), 1);
	}
}

static void test_budget(void **state)
{
	struct fixture *fixture = *state;

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "to@example.net");
	report_add_message_id(fixture, "a@example.org", TRUE);
	report_add_recipient(fixture, NULL, "to@example.net");
	count_reports(fixture, 3);
	assert_true(gather(fixture)->budget_used_up);

	/* another class has a budget of its own */
	fixture->report.class = REPORT_CLASS_DSN_DELAYED;
	count_reports(fixture, 30);
	assert_true(gather(fixture)->budget_used_up);

	/* one recipient that is not used up is enough */
	fixture->report.class = REPORT_CLASS_DSN_FAILED;
	report_add_recipient(fixture, NULL, "member@example.net");
	assert_false(gather(fixture)->budget_used_up);
}

/* The same Message-ID again, with another serial: its reports come again, too. */
static void log_sent_with_serial(struct fixture *fixture, const char *serial)
{
	const struct sent_log_identity identities[] = {
		{ .kind = SENT_LOG_IDENTITY_MESSAGE_ID,
		  .value = "a@example.org" },
		{ .kind = SENT_LOG_IDENTITY_SERIAL, .value = serial },
	};
	const char *recipient = "to@example.net", *error;
	const struct sent_log_message message = {
		.source = SENT_LOG_SOURCE_SUBMISSION,
		.identities = identities,
		.identity_count = N_ELEMENTS(identities),
		.recipients = &recipient,
		.recipient_count = 1,
		.logged_at = fixture->now,
	};

	assert_int_equal(sent_log_add(fixture->log, &message, 1, fixture->now,
				      &error), 1);
}

static void test_budget_of_message_sent_twice(void **state)
{
	struct fixture *fixture = *state;

	report_add_message_id(fixture, "a@example.org", TRUE);
	report_add_recipient(fixture, NULL, "to@example.net");
	log_sent_with_serial(fixture, issue(fixture, "me@example.org", 0));
	count_reports(fixture, 3);
	assert_true(gather(fixture)->budget_used_up);
	log_sent_with_serial(fixture, issue(fixture, "me@example.org", 0));
	count_reports(fixture, 3);
	assert_true(gather(fixture)->budget_used_up);
}

static void test_budget_of_unknown_recipients(void **state)
{
	struct fixture *fixture = *state;

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "list@example.net");
	report_add_message_id(fixture, "a@example.org", TRUE);
	/* the list's members fail one by one, or none is named */
	for (unsigned int i = 0; i < 101; i++) {
		array_clear(&fixture->report.recipients);
		if (i % 2 == 0) {
			report_add_recipient(fixture, NULL,
				p_strdup_printf(fixture->pool,
						"member%u@example.net", i));
		}
		count_reports(fixture, 1);
	}
	assert_true(gather(fixture)->budget_used_up);
	array_clear(&fixture->report.recipients);
	report_add_recipient(fixture, NULL, "list@example.net");
	assert_false(gather(fixture)->budget_used_up);
}

static void test_unlisted_copy(void **state)
{
	static const struct sent_log_identity identity = {
		.kind = SENT_LOG_IDENTITY_MESSAGE_ID, .value = "c@example.org"
	};
	struct fixture *fixture = *state;
	const struct sent_log_message copy = {
		.source = SENT_LOG_SOURCE_SENT,
		.identities = &identity, .identity_count = 1,
		.logged_at = fixture->now - DAY,
		.date = fixture->now - DAY,
		.from_own_address = TRUE,
	};
	const char *error;

	assert_int_equal(sent_log_add(fixture->log, &copy, 1, fixture->now,
				      &error), 1);
	assert_int_equal(sent_log_set_coverage(fixture->log,
			fixture->now - 50 * DAY, SENT_LOG_COVERAGE_SET,
			fixture->now, &error), 1);
	assert_true(gather(fixture)->coverage.unlisted_copy);

	/* a listed source needs no other one beside it */
	fixture->policy.coverage.listed_sources = SENT_LOG_SOURCE_SENT;
	assert_false(gather(fixture)->coverage.unlisted_copy);
}

static void test_coverage_policy(void **state)
{
	struct fixture *fixture = *state;
	const struct coverage_facts *coverage;

	fixture->report.class = REPORT_CLASS_MDN;
	fixture->report.original_date = fixture->now - DAY;
	coverage = &gather(fixture)->coverage;
	assert_true(coverage->sources_listed);
	assert_true(coverage->late_report);
	assert_int_equal(coverage->log_start, fixture->now);
	assert_int_equal(coverage->original_date, fixture->now - DAY);
	assert_int_equal(coverage->retention, 90 * DAY);
	assert_false(coverage->listed_source_logged);
	assert_false(coverage->said_for_mailbox);

	fixture->policy.coverage.listed_sources = 0;
	assert_false(gather(fixture)->coverage.sources_listed);
}

/* Rule 2: what is needed before an empty log is believed. */
static void test_nothing_logged(void **state)
{
	struct fixture *fixture = *state;
	const char *error;

	assert_int_equal(sent_log_set_coverage(fixture->log,
			fixture->now - 50 * DAY, SENT_LOG_COVERAGE_IMPORTED,
			fixture->now, &error), 1);
	assert_false(gather(fixture)->coverage.said_for_mailbox);
	assert_int_equal(sent_log_set_coverage(fixture->log,
			fixture->now - 50 * DAY, SENT_LOG_COVERAGE_SET,
			fixture->now, &error), 1);
	assert_true(gather(fixture)->coverage.said_for_mailbox);
	assert_false(gather(fixture)->coverage.listed_source_logged);

	log_sent(fixture, SENT_LOG_IDENTITY_MESSAGE_ID, "a@example.org",
		 "list@example.net");
	assert_true(gather(fixture)->coverage.listed_source_logged);

	/* his word was about other sources */
	fixture->policy.coverage.listed_sources = SENT_LOG_SOURCE_SENT;
	assert_false(gather(fixture)->coverage.said_for_mailbox);
	assert_int_equal(gather(fixture)->coverage.log_start, fixture->now);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_nothing_known),
		TEST(test_no_log),
		TEST(test_log_that_cannot_be_opened),
		TEST(test_logged_message_id),
		TEST(test_recipients_are_compared),
		TEST(test_row_without_recipients_compares_nothing),
		TEST(test_best_of_several_identities),
		TEST(test_envelope_id),
		TEST(test_known_recipient),
		TEST(test_own_address_is_no_known_recipient),
		TEST(test_truncated_report),
		TEST(test_original_of_this_mailbox),
		TEST(test_original_of_somebody_else),
		TEST(test_original_of_a_domain),
		TEST(test_role_is_nobody),
		TEST(test_shape),
		TEST(test_automatic),
		TEST(test_our_host),
		TEST(test_incoming),
		TEST(test_incoming_by_hop),
		TEST(test_to),
		TEST(test_serial_verifies),
		TEST(test_serial_verifies_without_log),
		TEST(test_serial_in_lower_case),
		TEST(test_serial_of_another_address),
		TEST(test_serial_of_domain),
		TEST(test_changed_serial),
		TEST(test_expired_serial),
		TEST(test_serial_of_unknown_key),
		TEST(test_unknown_key_in_envid_or_tag),
		TEST(test_serial_of_later_version),
		TEST(test_serial_of_a_colleague),
		TEST(test_serial_without_row),
		TEST(test_logged_serial),
		TEST(test_envelope_id_is_a_serial),
		TEST(test_tag),
		TEST(test_tag_in_to),
		TEST(test_any_valid_one_of_several),
		TEST(test_any_valid_serial_of_several),
		TEST(test_many_tags),
		TEST(test_budget),
		TEST(test_budget_of_message_sent_twice),
		TEST(test_budget_of_unknown_recipients),
		TEST(test_unlisted_copy),
		TEST(test_coverage_policy),
		TEST(test_nothing_logged),
	};

	return UNIT_RUN(tests);
}
