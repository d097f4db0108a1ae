/* Settings: a wrong value is an error that names the setting, the value and what
   is allowed, and in its place stands what loses nothing. */

#include "unit.h"
#include "sent-log/sent-log.h"
#include "net.h"
#include "hostpid.h"
#include "settings/backscatter-settings-private.h"
#include "spf/spf-addresses.h"

#include <time.h>

#define DAY (24 * 60 * 60)

struct setting {
	const char *name;
	const char *value;
};

static const char *get_setting(const char *name, void *context)
{
	const struct setting *setting = context;

	for (; setting->name != NULL; setting++) {
		if (strcmp(setting->name, name) == 0)
			return setting->value;
	}
	return NULL;
}

static const struct backscatter_settings *
parse(pool_t pool, struct setting *settings)
{
	return backscatter_settings_parse(pool, get_setting, settings);
}

static const struct backscatter_settings *
parse_one(pool_t pool, const char *name, const char *value)
{
	struct setting settings[] = { { name, value }, { NULL, NULL } };

	return parse(pool, settings);
}

static void test_defaults(void **state ATTR_UNUSED)
{
	struct setting none[] = { { NULL, NULL } };
	pool_t pool = pool_alloconly_create("test", 1024);
	const struct backscatter_settings *set = parse(pool, none);

	assert_null(set->errors[0]);
	assert_int_equal(set->sources, 0);
	assert_true(set->sources_valid);
	assert_null(set->addresses[0]);
	assert_int_equal(set->action.of[REPORT_CLASS_DSN_FAILED],
			 ACTION_QUARANTINE);
	assert_int_equal(set->action.of[REPORT_CLASS_BOUNCE], ACTION_QUARANTINE);
	assert_int_equal(set->action.of[REPORT_CLASS_MDN], ACTION_ANNOTATE);
	assert_int_equal(set->action.of[REPORT_CLASS_AUTO_REPLY],
			 ACTION_ANNOTATE);
	assert_string_equal(set->mailbox, "Backscatter");
	assert_string_equal(set->db, "~/.backscatter.db");
	assert_int_equal(set->retention, 90 * DAY);
	assert_int_equal(set->report_age, 14 * DAY);
	assert_null(set->sent_mailboxes[0]);
	assert_null(set->site_key);
	assert_int_equal(set->sender_check, SENDER_CHECK_LOG);
	assert_false(set->tag);
	pool_unref(&pool);
}

static void test_date(void **state ATTR_UNUSED)
{
	struct tm *tm;
	time_t time;

	assert_int_equal(backscatter_date_parse("2026-01-31", &time), 0);
	tm = localtime(&time);
	assert_int_equal(tm->tm_year, 126);
	assert_int_equal(tm->tm_mon, 0);
	assert_int_equal(tm->tm_mday, 31);
	assert_int_equal(tm->tm_hour, 0);
	assert_int_equal(backscatter_date_parse("yesterday", &time), -1);
	assert_int_equal(backscatter_date_parse("2026-02-31", &time), -1);
	assert_int_equal(backscatter_date_parse("2026-01-31 12:00", &time), -1);
}

static void test_values(void **state ATTR_UNUSED)
{
	struct setting settings[] = {
		{ "backscatter_sources", "sent submission" },
		{ "backscatter_addresses",
		  "me@example.org, @example.net *-x@*.example" },
		{ "backscatter_action",
		  "reject dsn-delayed=annotate virus-notice=quarantine" },
		{ "backscatter_mailbox", "INBOX/Not mine" },
		{ "backscatter_db", "/var/lib/backscatter/me.db" },
		{ "backscatter_retention", "1 weeks" },
		{ "backscatter_report_age", "2 days" },
		{ "backscatter_sent_mailboxes", "Sent Items, Gesendet" },
		{ "backscatter_site_key", "/etc/dovecot/backscatter.key" },
		{ "backscatter_sender_check", "both" },
		{ "backscatter_tag", "yes" },
		{ NULL, NULL }
	};
	pool_t pool = pool_alloconly_create("test", 1024);
	const struct backscatter_settings *set = parse(pool, settings);

	assert_null(set->errors[0]);
	assert_int_equal(set->sources, SENT_LOG_SOURCE_SENT |
			 SENT_LOG_SOURCE_SUBMISSION);
	assert_string_equal(set->addresses[0], "me@example.org");
	assert_string_equal(set->addresses[1], "@example.net");
	assert_string_equal(set->addresses[2], "*-x@*.example");
	assert_null(set->addresses[3]);
	assert_int_equal(set->action.of[REPORT_CLASS_DSN_FAILED], ACTION_REJECT);
	assert_int_equal(set->action.of[REPORT_CLASS_DSN_DELAYED],
			 ACTION_ANNOTATE);
	assert_int_equal(set->action.of[REPORT_CLASS_VIRUS_NOTICE],
			 ACTION_QUARANTINE);
	assert_string_equal(set->mailbox, "INBOX/Not mine");
	assert_string_equal(set->db, "/var/lib/backscatter/me.db");
	assert_int_equal(set->retention, 7 * DAY);
	assert_int_equal(set->report_age, 2 * DAY);
	assert_string_equal(set->sent_mailboxes[0], "Sent Items");
	assert_string_equal(set->sent_mailboxes[1], "Gesendet");
	assert_string_equal(set->site_key, "/etc/dovecot/backscatter.key");
	assert_int_equal(set->sender_check, SENDER_CHECK_BOTH);
	assert_true(set->tag);
	pool_unref(&pool);
}

/* dsn-* and bounce have the plain action, the others are annotated, but for those
   that the value names. */
static void test_action(void **state ATTR_UNUSED)
{
	static const struct {
		const char *value;
		enum action dsn_failed, dsn_delayed, dsn_success, bounce;
		enum action mdn, auto_reply, challenge, virus_notice, arf;
	} tests[] = {
#define A ACTION_ANNOTATE
#define Q ACTION_QUARANTINE
#define D ACTION_DISCARD
		{ "annotate", A, A, A, A, A, A, A, A, A },
		{ "discard", D, D, D, D, A, A, A, A, A },
		{ "quarantine mdn=annotate dsn-delayed=annotate",
		  Q, A, Q, Q, A, A, A, A, A },
		/* as a userdb field of a passwd-file */
		{ "quarantine,mdn=quarantine,bounce=discard",
		  Q, Q, Q, D, Q, A, A, A, A },
		{ " arf=discard,\tquarantine ,challenge=quarantine",
		  Q, Q, Q, Q, A, A, Q, A, D },
		{ "auto-reply=quarantine virus-notice=discard",
		  Q, Q, Q, Q, A, Q, A, D, A },
		/* whatever is wrong with it */
		{ "drop mdn=quarantine", A, A, A, A, A, A, A, A, A },
		{ "discard mdn=drop", A, A, A, A, A, A, A, A, A },
		{ "discard dsn_delayed=annotate", A, A, A, A, A, A, A, A, A },
		{ "discard mdn=discard mdn=annotate", A, A, A, A, A, A, A, A, A },
		{ "quarantine discard", A, A, A, A, A, A, A, A, A },
		{ "", A, A, A, A, A, A, A, A, A },
#undef A
#undef Q
#undef D
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		pool_t pool = pool_alloconly_create("test", 1024);
		const struct backscatter_settings *set =
			parse_one(pool, "backscatter_action", tests[i].value);
		const enum action expected[REPORT_CLASS_COUNT] = {
			[REPORT_CLASS_NONE] = ACTION_ANNOTATE,
			[REPORT_CLASS_DSN_FAILED] = tests[i].dsn_failed,
			[REPORT_CLASS_DSN_DELAYED] = tests[i].dsn_delayed,
			[REPORT_CLASS_DSN_SUCCESS] = tests[i].dsn_success,
			[REPORT_CLASS_BOUNCE] = tests[i].bounce,
			[REPORT_CLASS_MDN] = tests[i].mdn,
			[REPORT_CLASS_AUTO_REPLY] = tests[i].auto_reply,
			[REPORT_CLASS_CHALLENGE] = tests[i].challenge,
			[REPORT_CLASS_VIRUS_NOTICE] = tests[i].virus_notice,
			[REPORT_CLASS_ARF] = tests[i].arf,
		};

		for (unsigned int class = 0; class < REPORT_CLASS_COUNT; class++) {
			if (set->action.of[class] != expected[class]) {
				fail_msg("'%s': %s", tests[i].value,
					 report_class_name((enum report_class)class));
			}
		}
		pool_unref(&pool);
	}
}

static void test_sent_mailboxes(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	const struct backscatter_settings *set =
		parse_one(pool, "backscatter_sent_mailboxes",
			  " , Sent Items,,\tGesendet ,");

	assert_null(set->errors[0]);
	assert_string_equal(set->sent_mailboxes[0], "Sent Items");
	assert_string_equal(set->sent_mailboxes[1], "Gesendet");
	assert_null(set->sent_mailboxes[2]);
	pool_unref(&pool);
}

static void test_sender_check(void **state ATTR_UNUSED)
{
	static const struct {
		const char *value;
		enum sender_check sender_check;
	} tests[] = {
		{ "off", SENDER_CHECK_OFF },
		{ "log", SENDER_CHECK_LOG },
		{ "envelope", SENDER_CHECK_ENVELOPE },
		{ "both", SENDER_CHECK_BOTH },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		pool_t pool = pool_alloconly_create("test", 1024);
		const struct backscatter_settings *set =
			parse_one(pool, "backscatter_sender_check",
				  tests[i].value);

		assert_null(set->errors[0]);
		assert_int_equal(set->sender_check, tests[i].sender_check);
		pool_unref(&pool);
	}
}

static void test_tag(void **state ATTR_UNUSED)
{
	static const struct {
		const char *value;
		bool tag;
	} tests[] = {
		{ "yes", TRUE },
		{ "YES", TRUE },
		{ "y", TRUE },
		{ "1", TRUE },
		{ "no", FALSE },
		{ "No", FALSE },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		pool_t pool = pool_alloconly_create("test", 1024);
		const struct backscatter_settings *set =
			parse_one(pool, "backscatter_tag", tests[i].value);

		assert_null(set->errors[0]);
		assert_int_equal(set->tag, tests[i].tag);
		pool_unref(&pool);
	}
}

static void
assert_error(const struct backscatter_settings *set, const char *name,
	     const char *value, const char *allowed)
{
	assert_non_null(set->errors[0]);
	assert_non_null(strstr(set->errors[0], name));
	assert_non_null(strstr(set->errors[0],
			       t_strdup_printf("'%s'", value)));
	assert_non_null(strstr(set->errors[0], allowed));
	assert_null(set->errors[1]);
}

static void test_errors(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name, *value, *allowed;
	} tests[] = {
		{ "backscatter_sources", "sent smtp", "submission, milter" },
		{ "backscatter_sources", "admin", "submission, milter" },
		{ "backscatter_addresses", "me", "user@domain" },
		{ "backscatter_addresses", "*", "sales-*@domain" },
		{ "backscatter_addresses", "*@", "sales-*@domain" },
		{ "backscatter_action", "drop", "annotate, quarantine" },
		{ "backscatter_action", "", "annotate, quarantine" },
		{ "backscatter_action", "drop", "'drop' is no action" },
		{ "backscatter_action", "quarantine mdn=drop",
		  "CLASS=ACTION for one class of reports ('drop' is no action)" },
		{ "backscatter_action", "quarantine mdn=", "'' is no action" },
		{ "backscatter_action", "quarantine dsn_delayed=annotate",
		  "'dsn_delayed=annotate' names no class; the classes are "
		  "dsn-failed, dsn-delayed, dsn-success, bounce, mdn, " },
		{ "backscatter_action", "discard none=annotate", "names no class" },
		{ "backscatter_action", "discard =annotate", "names no class" },
		{ "backscatter_action", "discard,mdn=annotate,mdn=annotate",
		  "class mdn is named twice" },
		{ "backscatter_action", "quarantine discard",
		  "more than one action for bounces" },
		{ "backscatter_action", "discard mdn = annotate",
		  "'mdn' is no action" },
		{ "backscatter_mailbox", "", "name of a mailbox" },
		{ "backscatter_mailbox", "inbox", "name of a mailbox" },
		{ "backscatter_db", "log.db", "a path that starts with" },
		{ "backscatter_db", "~other/log.db", "a path that starts with" },
		{ "backscatter_retention", "90", "90 days" },
		{ "backscatter_retention", "0 days", "90 days" },
		{ "backscatter_report_age", "a while", "90 days" },
		{ "backscatter_report_age", "91 days",
		  "not longer than backscatter_retention, which is 90 days" },
		{ "backscatter_site_key", "site.key", "starts with /" },
		{ "backscatter_site_key", "~/site.key", "starts with /" },
		{ "backscatter_sender_check", "strict", "off, log, envelope" },
		{ "backscatter_sender_check", "", "off, log, envelope" },
		{ "backscatter_sender_check", "Off", "off, log, envelope" },
		{ "backscatter_tag", "maybe", "yes and no" },
		{ "backscatter_tag", "", "yes and no" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		pool_t pool = pool_alloconly_create("test", 1024);
		const struct backscatter_settings *set =
			parse_one(pool, tests[i].name, tests[i].value);

		if (set->errors[0] == NULL)
			fail_msg("%s=%s", tests[i].name, tests[i].value);
		assert_error(set, tests[i].name, tests[i].value,
			     tests[i].allowed);
		pool_unref(&pool);
	}
}

static void test_every_class_is_named(void **state ATTR_UNUSED)
{
	for (unsigned int i = REPORT_CLASS_NONE + 1; i < REPORT_CLASS_COUNT; i++) {
		pool_t pool = pool_alloconly_create("test", 1024);
		const char *value = t_strdup_printf("quarantine %s=discard",
						    report_class_name(i));
		const struct backscatter_settings *set =
			parse_one(pool, "backscatter_action", value);

		assert_null(set->errors[0]);
		assert_int_equal(set->action.of[i], ACTION_DISCARD);
		set = parse_one(pool, "backscatter_action", "discard none=discard");
		assert_error(set, "backscatter_action", "discard none=discard",
			     t_strconcat(" ", report_class_name(i), NULL));
		pool_unref(&pool);
	}
}

static void test_what_stands_in_place_of_an_error(void **state ATTR_UNUSED)
{
	pool_t pool = pool_alloconly_create("test", 1024);
	const struct backscatter_settings *set;

	set = parse_one(pool, "backscatter_sources", "sent smtp");
	assert_int_equal(set->sources, 0);
	assert_false(set->sources_valid);

	set = parse_one(pool, "backscatter_action", "drop");
	assert_int_equal(set->action.of[REPORT_CLASS_DSN_FAILED],
			 ACTION_ANNOTATE);
	set = parse_one(pool, "backscatter_db", "log.db");
	assert_null(set->db);

	set = parse_one(pool, "backscatter_retention", "long");
	assert_int_equal(set->retention, INT_MAX);
	set = parse_one(pool, "backscatter_report_age", "long");
	assert_int_equal(set->report_age, set->retention);
	set = parse_one(pool, "backscatter_report_age", "100 days");
	assert_int_equal(set->retention, 100 * DAY);

	set = parse_one(pool, "backscatter_addresses", "me you@example.org");
	assert_string_equal(set->addresses[0], "you@example.org");

	set = parse_one(pool, "backscatter_site_key", "site.key");
	assert_null(set->site_key);
	set = parse_one(pool, "backscatter_sender_check", "strict");
	assert_int_equal(set->sender_check, SENDER_CHECK_LOG);
	set = parse_one(pool, "backscatter_tag", "maybe");
	assert_false(set->tag);
	pool_unref(&pool);
}

/* Every setting says which value holds in place of a wrong one, but not where
   Dovecot doesn't start with it. */
static void test_errors_say_what_holds_meanwhile(void **state ATTR_UNUSED)
{
	static const struct {
		const char *name, *value, *meanwhile;
	} tests[] = {
		{ "backscatter_sources", "sent smtp", "nothing is condemned" },
		{ "backscatter_addresses", "me", "the others hold" },
		{ "backscatter_action", "drop", "all reports are annotated" },
		{ "backscatter_mailbox", "INBOX",
		  "the default 'Backscatter' holds" },
		{ "backscatter_db", "log.db", "there is no sent log" },
		{ "backscatter_retention", "often", "nothing expires" },
		{ "backscatter_report_age", "often",
		  "it is as long as backscatter_retention, 90 days" },
		{ "backscatter_report_age", "91 days",
		  "it holds, and backscatter_retention is 91 days, too" },
		{ "backscatter_site_key", "site.key", "the default '' holds" },
		{ "backscatter_sender_check", "strict",
		  "the default 'log' holds" },
		{ "backscatter_tag", "maybe", "the default 'no' holds" },
		{ "backscatter_spf", "maybe", "the default 'yes' holds" },
		{ "backscatter_spf_timeout", "61s", "the default '5s' holds" },
		{ "backscatter_spf_dns", "ns.example", "the default '' holds" },
		{ "backscatter_received_spf", "maybe", "the default 'no' holds" },
		{ "backscatter_trusted_relays", "mx",
		  "the default '127.0.0.0/8 ::1' holds" },
		{ "backscatter_trusted_relays", "::1 mx 192.0.2.1",
		  "the others hold" },
		{ "backscatter_trusted_networks", "mx", "the default '' holds" },
		{ "backscatter_trusted_networks", "[::1]/128 mx",
		  "the others hold" },
		{ "backscatter_trusted_authserv", "m x", "the default '' holds" },
		{ "backscatter_authserv_id", "m x", "the default '' holds" },
	};

	for (unsigned int i = 0; i < N_ELEMENTS(tests); i++) {
		pool_t pool = pool_alloconly_create("test", 1024);
		struct setting setting[] = {
			{ tests[i].name, tests[i].value }, { NULL, NULL }
		};
		const char *user = parse(pool, setting)->errors[0];
		const char *message =
			spf_settings_parse(pool, get_setting, setting)->errors[0];
		const char *error = user != NULL ? user : message;
		const char *refused =
			backscatter_settings_check(pool, get_setting, setting);
		const char *meanwhile = strstr(error, "; meanwhile ");

		/* it belongs to one of them */
		assert_true((user == NULL) != (message == NULL));
		assert_non_null(meanwhile);
		assert_string_equal(meanwhile + strlen("; meanwhile "),
				    tests[i].meanwhile);
		assert_string_equal(refused, t_strdup_until(error, meanwhile));
		pool_unref(&pool);
	}
}

static const struct spf_settings *
parse_message(pool_t pool, struct setting *settings)
{
	return spf_settings_parse(pool, get_setting, settings);
}

static bool networks_have(const struct spf_networks *networks, const char *text)
{
	struct ip_addr ip;

	assert_int_equal(spf_ip_parse(text, &ip), 0);
	return spf_networks_have(networks, &ip);
}

static void test_message_settings(void **state ATTR_UNUSED)
{
	struct setting none[] = { { NULL, NULL } };
	struct setting settings[] = {
		{ "backscatter_spf", "no" },
		{ "backscatter_spf_timeout", "300ms" },
		{ "backscatter_spf_dns", "127.0.0.1:5353, [::1]:53" },
		{ "backscatter_received_spf", "yes" },
		{ "backscatter_trusted_relays", "192.0.2.0/24" },
		{ "backscatter_trusted_networks", "2001:db8::/32" },
		{ "backscatter_trusted_authserv", "mx.example" },
		{ "backscatter_authserv_id", "dovecot.example" },
		{ NULL, NULL }
	};
	pool_t pool = pool_alloconly_create("test", 1024);
	const struct spf_settings *set = parse_message(pool, none);

	assert_null(set->errors[0]);
	assert_true(set->spf);
	assert_int_equal(set->spf_timeout, 5000);
	assert_string_equal(set->spf_dns, "");
	assert_false(set->received_spf);
	assert_true(networks_have(set->trusted_relays, "::1"));
	assert_false(networks_have(set->trusted_networks, "::1"));
	assert_null(set->trusted_authserv);
	assert_string_equal(set->authserv_id,
			    t_strconcat("delivery.", my_hostname, NULL));

	set = parse_message(pool, settings);
	assert_null(set->errors[0]);
	assert_false(set->spf);
	assert_int_equal(set->spf_timeout, 300);
	assert_string_equal(set->spf_dns, "127.0.0.1:5353, [::1]:53");
	assert_true(set->received_spf);
	assert_true(networks_have(set->trusted_relays, "192.0.2.9"));
	assert_false(networks_have(set->trusted_relays, "::1"));
	assert_true(networks_have(set->trusted_networks, "2001:db8::9"));
	assert_string_equal(set->trusted_authserv, "mx.example");
	assert_string_equal(set->authserv_id, "dovecot.example");
	pool_unref(&pool);
}

/* Its fields are taken out of what arrives. */
static void test_our_id_is_no_part_of_the_trusted_one(void **state ATTR_UNUSED)
{
	struct setting settings[] = {
		{ "backscatter_trusted_authserv", "spf.MX.example" },
		{ "backscatter_authserv_id", "mx.example" },
		{ NULL, NULL }
	};
	pool_t pool = pool_alloconly_create("test", 1024);
	const struct spf_settings *set = parse_message(pool, settings);
	const char *own = t_strconcat("delivery.", my_hostname, NULL);

	assert_non_null(strstr(set->errors[0], "(mx.example is a part of "
		"backscatter_trusted_authserv, 'spf.MX.example')"));
	assert_non_null(strstr(set->errors[0], t_strdup_printf(
		"; meanwhile it is %s, and backscatter_trusted_authserv counts "
		"as empty", own)));
	assert_null(set->errors[1]);
	assert_string_equal(set->authserv_id, own);
	assert_null(set->trusted_authserv);
	pool_unref(&pool);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_action),
		cmocka_unit_test(test_sent_mailboxes),
		cmocka_unit_test(test_sender_check),
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_every_class_is_named),
		cmocka_unit_test(test_what_stands_in_place_of_an_error),
		cmocka_unit_test(test_errors_say_what_holds_meanwhile),
		cmocka_unit_test(test_message_settings),
		cmocka_unit_test(test_our_id_is_no_part_of_the_trusted_one),
	};

	return UNIT_RUN(tests);
}
