/* Own addresses: a list that is searched linearly. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "report/report.h"
#include "text/text.h"
#include "own-addresses.h"

struct own_addresses {
	pool_t pool;
	const char *recipient_delimiter;
	/* of a login without domain, lower-case; NULL = it has one */
	const char *login_localpart;
	ARRAY(struct own_address) addresses;
};

struct own_addresses *
own_addresses_init(pool_t pool, const char *recipient_delimiter)
{
	struct own_addresses *own = p_new(pool, struct own_addresses, 1);

	own->pool = pool;
	own->recipient_delimiter = p_strdup(pool, recipient_delimiter);
	p_array_init(&own->addresses, pool, 4);
	return own;
}

static void own_addresses_add_from(struct own_addresses *own,
				   enum own_address_source source,
				   const char *address)
{
	const char *domain = strrchr(address, '@');
	struct own_address *entry;

	if (domain == NULL || domain[1] == '\0')
		return;
	entry = array_append_space(&own->addresses);
	entry->address = str_lcase(p_strdup(own->pool, address));
	entry->source = source;
}

void own_addresses_add_login(struct own_addresses *own, const char *login)
{
	if (strchr(login, '@') == NULL)
		own->login_localpart = str_lcase(p_strdup(own->pool, login));
	/* a login that stands for a whole domain is nobody's word but its own */
	if (*login != '@')
		own_addresses_add_from(own, OWN_ADDRESS_LOGIN, login);
}

void own_addresses_add(struct own_addresses *own, const char *address)
{
	own_addresses_add_from(own, OWN_ADDRESS_SETTING, address);
}

/* user+detail@domain -> user@domain, on the data stack or address itself */
static const char *
address_without_detail(const struct own_addresses *own, const char *address)
{
	const char *domain = strrchr(address, '@');
	size_t len = strcspn(address, own->recipient_delimiter);

	if (domain == NULL || len == 0 || len >= (size_t)(domain - address))
		return address;
	return t_strconcat(t_strndup(address, len), domain, NULL);
}

void own_addresses_add_recipient(struct own_addresses *own, const char *address)
{
	own_addresses_add_from(own, OWN_ADDRESS_RECIPIENT,
			       address_without_detail(own, address));
}

/* Goes back to the last '*' only, never to one before it, so that it takes at most
   one length times the other. */
static bool pattern_matches(const char *pattern, size_t pattern_len,
			    const char *text, size_t text_len)
{
	size_t pos = 0, text_pos = 0, star = SIZE_MAX, star_text_pos = 0;

	while (text_pos < text_len) {
		if (pos < pattern_len && pattern[pos] == '*') {
			star = pos++;
			star_text_pos = text_pos;
		} else if (pos < pattern_len &&
			   pattern[pos] == text[text_pos]) {
			pos++;
			text_pos++;
		} else if (star != SIZE_MAX) {
			/* the last '*' takes one character more */
			pos = star + 1;
			text_pos = ++star_text_pos;
		} else {
			return FALSE;
		}
	}
	while (pos < pattern_len && pattern[pos] == '*')
		pos++;
	return pos == pattern_len;
}

/* An envelope's or a login's '*' is a character as any other. */
static bool is_pattern(const struct own_address *entry)
{
	return entry->source == OWN_ADDRESS_SETTING &&
		strchr(entry->address, '*') != NULL;
}

/* address: lower-case, with a local part */
static bool
own_address_matches(const struct own_address *entry, const char *address)
{
	const char *domain = strrchr(address, '@');
	const char *own_domain = strrchr(entry->address, '@');
	size_t own_localpart_len = own_domain - entry->address;

	if (!is_pattern(entry)) {
		return strcmp(entry->address, own_localpart_len == 0 ?
			      domain : address) == 0;
	}
	return pattern_matches(own_domain, strlen(own_domain),
			       domain, strlen(domain)) &&
		(own_localpart_len == 0 ||
		 pattern_matches(entry->address, own_localpart_len,
				 address, domain - address));
}

static bool is_written_out(const struct own_address *entry)
{
	return *entry->address != '@' && !is_pattern(entry);
}

static const struct own_address *
own_addresses_search(const struct own_addresses *own, unsigned int sources,
		     const char *address, bool (*asked)(const struct own_address *))
{
	const char *lowercased = t_str_lcase(address);
	const char *without_detail = address_without_detail(own, lowercased);
	const char *domain = strrchr(lowercased, '@');
	const struct own_address *entry;

	if (domain == NULL || domain == lowercased)
		return NULL;
	array_foreach(&own->addresses, entry) {
		if ((entry->source & sources) != 0 &&
		    (asked == NULL || asked(entry)) &&
		    (own_address_matches(entry, lowercased) ||
		     own_address_matches(entry, without_detail)))
			return entry;
	}
	return NULL;
}

static bool is_role(const char *address)
{
	return report_address_has_role(address, REPORT_ROLE_DOMAIN);
}

static bool
own_addresses_match_entries(const struct own_addresses *own, const char *address,
			    bool (*asked)(const struct own_address *))
{
	const char *lowercased = t_str_lcase(address);

	/* both: "mailer-daemon" has a detail where the delimiter is "-" */
	if (is_role(lowercased) ||
	    is_role(address_without_detail(own, lowercased)))
		return FALSE;
	return own_addresses_search(own, OWN_ADDRESS_LOGIN |
				    OWN_ADDRESS_SETTING | OWN_ADDRESS_RECIPIENT,
				    lowercased, asked) != NULL;
}

bool own_addresses_match(const struct own_addresses *own, const char *address)
{
	return own_addresses_match_entries(own, address, NULL);
}

bool own_addresses_match_written_out(const struct own_addresses *own,
				     const char *address)
{
	return own_addresses_match_entries(own, address, is_written_out);
}

static bool
is_login(const struct own_addresses *own, const char *address)
{
	return own->login_localpart != NULL && !is_role(address) &&
		strcmp(own->login_localpart, t_strcut(address, '@')) == 0;
}

bool own_addresses_match_from(const struct own_addresses *own,
			      const char *address)
{
	const char *lowercased = t_str_lcase(address);

	/* both: a login may have the delimiter in it */
	return own_addresses_match(own, address) || is_login(own, lowercased) ||
		is_login(own, address_without_detail(own, lowercased));
}

bool own_addresses_have_domain_of(const struct own_addresses *own,
				  const char *address)
{
	const char *domain = strrchr(address, '@');
	const struct own_address *entry;

	if (domain == NULL)
		return FALSE;
	array_foreach(&own->addresses, entry) {
		if (strcasecmp(strrchr(entry->address, '@'), domain) == 0)
			return TRUE;
	}
	return FALSE;
}

const struct own_address *
own_addresses_get(const struct own_addresses *own, unsigned int *count_r)
{
	return array_get(&own->addresses, count_r);
}

const char *
own_addresses_without_detail(const struct own_addresses *own,
			     const char *address)
{
	return address_without_detail(own, t_str_lcase(address));
}

const char *const *
own_addresses_list(const struct own_addresses *own, pool_t pool)
{
	ARRAY_TYPE(const_string) sorted, list;
	const struct own_address *entry;
	const char *address, *last = NULL;

	t_array_init(&sorted, array_count(&own->addresses) + 1);
	array_foreach(&own->addresses, entry) {
		if (!is_written_out(entry))
			continue;
		address = address_without_detail(own, entry->address);
		array_push_back(&sorted, &address);
	}
	array_sort(&sorted, i_strcmp_p);

	p_array_init(&list, pool, array_count(&sorted) + 1);
	array_foreach_elem(&sorted, address) {
		if (null_strcmp(address, last) == 0)
			continue;
		last = p_strdup(pool, address);
		array_push_back(&list, &last);
	}
	array_append_zero(&list);
	return array_front(&list);
}

/*
 * Who may send as what
 */

/* The sources that give a right to send. */
#define OWNERSHIP_SOURCES (OWN_ADDRESS_LOGIN | OWN_ADDRESS_SETTING)

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
	return own_addresses_search(own, OWNERSHIP_SOURCES, address, NULL);
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
		/* not every client understands UTF-8 in a reply */
		const char *address = text_printable(entries[i].address,
						     SIZE_MAX, "");

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
