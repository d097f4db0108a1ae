/* The one table of settings: name (after "backscatter_"), default, parser, class.
   Whatever needs all settings defines BACKSCATTER_SETTING and includes this: the
   parser, and the typed settings of Dovecot 2.4. A new setting is added here. In
   this order: a parser may look at what an earlier one has set. */

BACKSCATTER_SETTING(sources, "", parse_sources, NONE)
BACKSCATTER_SETTING(addresses, "", parse_addresses, NONE)
BACKSCATTER_SETTING(action, "quarantine", parse_action, NONE)
/* empty: as backscatter_action for bounces, annotate for the others */
BACKSCATTER_SETTING(action_dsn_failed, "", parse_class_action, DSN_FAILED)
BACKSCATTER_SETTING(action_dsn_delayed, "", parse_class_action, DSN_DELAYED)
BACKSCATTER_SETTING(action_dsn_success, "", parse_class_action, DSN_SUCCESS)
BACKSCATTER_SETTING(action_bounce, "", parse_class_action, BOUNCE)
BACKSCATTER_SETTING(action_mdn, "", parse_class_action, MDN)
BACKSCATTER_SETTING(action_auto_reply, "", parse_class_action, AUTO_REPLY)
BACKSCATTER_SETTING(action_challenge, "", parse_class_action, CHALLENGE)
BACKSCATTER_SETTING(action_virus_notice, "", parse_class_action, VIRUS_NOTICE)
BACKSCATTER_SETTING(action_arf, "", parse_class_action, ARF)
BACKSCATTER_SETTING(mailbox, "Backscatter", parse_mailbox, NONE)
BACKSCATTER_SETTING(db, "~/.backscatter.db", parse_db, NONE)
BACKSCATTER_SETTING(retention, "90 days", parse_retention, NONE)
BACKSCATTER_SETTING(report_age, "14 days", parse_report_age, NONE)
BACKSCATTER_SETTING(sent_mailboxes, "", parse_sent_mailboxes, NONE)
BACKSCATTER_SETTING(site_key, "", parse_site_key, NONE)
BACKSCATTER_SETTING(sender_check, "log", parse_sender_check, NONE)
BACKSCATTER_SETTING(tag, "no", parse_tag, NONE)
/* backscatter_sender_dict is written in another way in each Dovecot: see
   backscatter_sender_dict_init() */
