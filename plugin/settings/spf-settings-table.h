/* The one table of the settings that belong to the message, not to a user: name
   (after "backscatter_"), default, parser. Used as backscatter-settings-table.h
   is. */

SPF_SETTING(spf, "yes", parse_spf)
SPF_SETTING(spf_timeout, "5s", parse_timeout)
SPF_SETTING(spf_dns, "", parse_dns)
SPF_SETTING(received_spf, "no", parse_received_spf)
SPF_SETTING(trusted_relays, "127.0.0.0/8 ::1", parse_trusted_relays)
SPF_SETTING(trusted_networks, "", parse_trusted_networks)
SPF_SETTING(trusted_authserv, "", parse_trusted_authserv)
/* empty: "delivery." and the host's name */
SPF_SETTING(authserv_id, "", parse_authserv_id)
