/* The one table of settings:

       USER_SETTING(type, name, default, parser)     userdb fields override it
       MESSAGE_SETTING(type, name, default, parser)  belongs to the message: none does

   type and name are those of the member of struct backscatter_settings or struct
   spf_settings, and backscatter_NAME is the setting. parse_PARSER() in
   setting-parsers.c reads it; it may look at what an earlier setting has got.
   Whoever needs something of each setting defines these macros and includes this:
   the structs, the parsers and the typed settings of Dovecot 2.4.
   (backscatter_sender_dict is written in another way in each Dovecot: see
   backscatter_sender_dict_init().) */

#ifndef USER_SETTING
#define USER_SETTING(type, name, default_value, parser)
#endif
#ifndef MESSAGE_SETTING
#define MESSAGE_SETTING(type, name, default_value, parser)
#endif

/* enum sent_log_source bits */
USER_SETTING(unsigned int, sources, "", sources)
/* own addresses beyond the login, see own_addresses_add(); NULL-terminated */
USER_SETTING(const char *const *, addresses, "", addresses)
USER_SETTING(struct class_actions, action, "quarantine", action)
USER_SETTING(const char *, mailbox, "Backscatter", mailbox)
/* as written, "~/" not expanded; NULL if the setting is wrong */
USER_SETTING(const char *, db, "~/.backscatter.db", db)
/* seconds; never shorter than report_age */
USER_SETTING(unsigned int, retention, "90 days", retention)
/* seconds */
USER_SETTING(unsigned int, report_age, "14 days", report_age)
/* NULL-terminated */
USER_SETTING(const char *const *, sent_mailboxes, "", sent_mailboxes)
/* absolute path of the site's key file; NULL = none */
USER_SETTING(const char *, site_key, "", site_key)
USER_SETTING(enum sender_check, sender_check, "log", sender_check)
/* MAIL FROM gets a sub-address tag */
USER_SETTING(bool, tag, "no", yes_no)

/* results are written at all */
MESSAGE_SETTING(bool, spf, "yes", yes_no)
/* milliseconds, for one evaluation */
MESSAGE_SETTING(unsigned int, spf_timeout, "5s", spf_timeout)
/* as spf_dns_servers_parse() takes it; "" = resolv.conf */
MESSAGE_SETTING(const char *, spf_dns, "", spf_dns)
MESSAGE_SETTING(bool, received_spf, "no", yes_no)
/* see struct spf_origin_source */
MESSAGE_SETTING(const struct spf_networks *, trusted_relays, "127.0.0.0/8 ::1", networks)
MESSAGE_SETTING(const struct spf_networks *, trusted_networks, "", networks)
/* NULL = none */
MESSAGE_SETTING(const char *, trusted_authserv, "", trusted_authserv)
/* ours; empty: "delivery." and the host's name */
MESSAGE_SETTING(const char *, authserv_id, "", authserv_id)

#undef USER_SETTING
#undef MESSAGE_SETTING
