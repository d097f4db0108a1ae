/* Who may send as what: pure. */

#include "lib.h"
#include "str.h"
#include "ownership.h"

bool ownership_is_address(const char *address)
{
	const char *domain = strrchr(address, '@');
	const unsigned char *p;

	if (domain == NULL || domain == address || domain[1] == '\0')
		return FALSE;
	if (strlen(address) > OWNERSHIP_ADDRESS_MAX_LEN)
		return FALSE;
	for (p = (const unsigned char *)address; *p != '\0'; p++) {
		if (*p < ' ' || *p == 0x7f)
			return FALSE;
	}
	return TRUE;
}

const struct own_address *
ownership_find(const struct own_addresses *own, const char *address)
{
	if (!ownership_is_address(address))
		return NULL;
	return own_addresses_find(own, OWNERSHIP_SOURCES, address);
}

const char *ownership_source_name(enum own_address_source source)
{
	switch (source) {
	case OWN_ADDRESS_LOGIN:
		return "login";
	case OWN_ADDRESS_SETTING:
		return "backscatter_addresses";
	case OWN_ADDRESS_RECIPIENT:
		break;
	}
	/* gives no right to send */
	i_unreached();
}

/* Not every client understands UTF-8 in a reply: a character outside ASCII
   becomes one '?'. */
static const char *printable_ascii(const char *str)
{
	string_t *printable = t_str_new(64);
	const unsigned char *p;

	for (p = (const unsigned char *)str; *p != '\0'; p++) {
		if (*p >= ' ' && *p < 0x7f)
			str_append_c(printable, *p);
		else if (*p < 0x80 || *p >= 0xc0)
			str_append_c(printable, '?');
	}
	return str_c(printable);
}

static void ownership_append(string_t *description, const char *text)
{
	if (str_len(description) > 0)
		str_append(description, ", ");
	str_append(description, text);
}

/* The setting may name the login, too. */
static bool is_login_again(const struct own_address *entries,
			   unsigned int index)
{
	return index > 0 &&
		strcmp(entries[0].address, entries[index].address) == 0;
}

const char *
ownership_describe(const struct own_addresses *own, const char *other)
{
	string_t *description = t_str_new(OWNERSHIP_DESCRIPTION_MAX_LEN);
	size_t max_len = OWNERSHIP_DESCRIPTION_MAX_LEN - strlen(", ...") -
		(other == NULL ? 0 : strlen(other) + strlen(", "));
	const struct own_address *entries;
	unsigned int i, entry_count, count = 0;

	entries = own_addresses_get(own, &entry_count);
	for (i = 0; i < entry_count; i++) {
		const char *address = printable_ascii(entries[i].address);

		if ((entries[i].source & OWNERSHIP_SOURCES) == 0 ||
		    is_login_again(entries, i))
			continue;
		if (count == OWNERSHIP_DESCRIPTION_MAX_COUNT ||
		    str_len(description) + strlen(", ") +
		    strlen(address) > max_len) {
			ownership_append(description, "...");
			break;
		}
		ownership_append(description, address);
		count++;
	}
	if (other != NULL)
		ownership_append(description, other);
	return str_len(description) > 0 ? str_c(description) : "none";
}
