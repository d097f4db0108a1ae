/* The one table of settings: name (after "backscatter_"), default, parser.
   Whatever needs all settings defines BACKSCATTER_SETTING and includes this: the
   parser, and the typed settings of Dovecot 2.4. A new setting is added here. In
   this order: a parser may look at what an earlier one has set. */

BACKSCATTER_SETTING(sources, "", parse_sources)
BACKSCATTER_SETTING(addresses, "", parse_addresses)
BACKSCATTER_SETTING(action, "quarantine", parse_action)
BACKSCATTER_SETTING(mailbox, "Backscatter", parse_mailbox)
BACKSCATTER_SETTING(db, "~/.backscatter.db", parse_db)
BACKSCATTER_SETTING(retention, "90 days", parse_retention)
BACKSCATTER_SETTING(report_age, "14 days", parse_report_age)
BACKSCATTER_SETTING(sent_mailboxes, "", parse_sent_mailboxes)
BACKSCATTER_SETTING(site_key, "", parse_site_key)
BACKSCATTER_SETTING(sender_check, "log", parse_sender_check)
BACKSCATTER_SETTING(tag, "no", parse_tag)
/* backscatter_sender_dict is written in another way in each Dovecot: see
   backscatter_sender_dict_init() */
