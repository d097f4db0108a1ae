/* Own addresses: a short list that is searched linearly. */

#include "lib.h"
#include "array.h"
#include "str.h"
#include "verdict/own-addresses.h"

struct own_addresses {
	pool_t pool;
	const char *recipient_delimiter;
	/* "user@domain" or "@domain", lower-case */
	ARRAY_TYPE(const_string) addresses;
};

/* RFC 2142 and RFC 5321, 4.5.1: read by whoever runs the domain. */
static const char *const role_localparts[] = {
	"postmaster", "abuse", "mailer-daemon", "root",
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

void own_addresses_add(struct own_addresses *own, const char *address)
{
	const char *domain = strrchr(address, '@');
	const char *lowercased;

	if (domain == NULL || domain[1] == '\0')
		return;
	lowercased = str_lcase(p_strdup(own->pool, address));
	array_push_back(&own->addresses, &lowercased);
}

/* user+detail@domain -> user@domain. A localpart that begins with the delimiter
   has no detail. */
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
	own_addresses_add(own, address_without_detail(own, address));
}

static bool own_addresses_has(const struct own_addresses *own,
			      const char *address)
{
	const char *own_address;

	array_foreach_elem(&own->addresses, own_address) {
		if (strcmp(own_address, address) == 0)
			return TRUE;
	}
	return FALSE;
}

static bool is_role(const char *address)
{
	const char *localpart = t_strcut(address, '@');

	for (unsigned int i = 0; i < N_ELEMENTS(role_localparts); i++) {
		if (strcmp(role_localparts[i], localpart) == 0)
			return TRUE;
	}
	return FALSE;
}

bool own_addresses_match(const struct own_addresses *own, const char *address)
{
	const char *lowercased = t_str_lcase(address);
	const char *without_detail = address_without_detail(own, lowercased);
	const char *domain = strrchr(without_detail, '@');

	if (domain == NULL || domain == without_detail)
		return FALSE;
	/* both: "mailer-daemon" has a detail where the delimiter is "-" */
	if (is_role(lowercased) || is_role(without_detail))
		return FALSE;
	return own_addresses_has(own, lowercased) ||
		own_addresses_has(own, without_detail) ||
		own_addresses_has(own, domain);
}
