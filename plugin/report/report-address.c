/* Addresses as reports write them. */

#include "lib.h"
#include "hex-dec.h"
#include "unichar.h"
#include "message-address.h"
#include "report-private.h"

const char *
report_address_normalize(pool_t pool, const void *data, size_t size)
{
	const unsigned char *address = data;
	size_t i;

	if (size == 0 || size > REPORT_MAX_ADDRESS_SIZE)
		return NULL;
	for (i = 0; i < size; i++) {
		if (address[i] < ' ' || address[i] == 0x7f)
			return NULL;
	}
	return str_lcase(p_strndup(pool, address, size));
}

bool report_strings_have(const ARRAY_TYPE(const_string) *strings,
			 const char *string)
{
	const char *have;

	array_foreach_elem(strings, have) {
		if (strcmp(have, string) == 0)
			return TRUE;
	}
	return FALSE;
}

void report_address_add(pool_t pool, const void *data, size_t size,
			ARRAY_TYPE(const_string) *dest, unsigned int max)
{
	const char *address;

	if (array_count(dest) >= max)
		return;
	address = report_address_normalize(pool, data, size);
	if (address != NULL && !report_strings_have(dest, address))
		array_push_back(dest, &address);
}

static const char *address_string(const struct message_address *addr)
{
	if (addr->mailbox == NULL || *addr->mailbox == '\0' ||
	    addr->domain == NULL || *addr->domain == '\0')
		return NULL;
	return t_strconcat(addr->mailbox, "@", addr->domain, NULL);
}

void report_addresses_read(pool_t pool, const char *value,
			   ARRAY_TYPE(const_string) *dest)
{
	struct message_address *addr;
	const char *address;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), REPORT_MAX_ADDRESSES, 0);
	for (; addr != NULL; addr = addr->next) {
		address = address_string(addr);
		if (address != NULL) {
			report_address_add(pool, address, strlen(address),
					   dest, REPORT_MAX_ADDRESSES);
		}
	}
}

/* RFC 6533, 3: "\x{HEX}" stands for a character in utf-8-addr-xtext. Returns
   the number of bytes read, 0 if it is something else. */
static size_t address_decode_embedded(const char *str, string_t *dest)
{
	const char *end;
	unichar_t chr;

	if (strncmp(str, "\\x{", 3) != 0 || (end = strchr(str, '}')) == NULL ||
	    end - str > 9 ||
	    str_to_uint32_hex(t_strdup_until(str + 3, end), &chr) < 0 ||
	    !uni_is_valid_ucs4(chr) || chr < ' ')
		return 0;
	uni_ucs4_to_utf8_c(chr, dest);
	return end + 1 - str;
}

static const char *address_decode_utf8(const char *address)
{
	string_t *decoded;
	size_t size;

	if (strstr(address, "\\x{") == NULL)
		return address;
	decoded = t_str_new(strlen(address));
	while (*address != '\0') {
		size = address_decode_embedded(address, decoded);
		if (size == 0) {
			str_append_c(decoded, *address);
			size = 1;
		}
		address += size;
	}
	return str_c(decoded);
}

/* What follows the address type, if there is one. Some write it twice. */
static const char *address_skip_type(const char *value, bool *is_utf8_r)
{
	const char *at = strchr(value, '@');
	const char *type_end;

	*is_utf8_r = FALSE;
	while ((type_end = strchr(value, ';')) != NULL &&
	       (at == NULL || type_end < at)) {
		*is_utf8_r = type_end - value >= 5 &&
			i_memcasecmp(value, "utf-8", 5) == 0;
		value = type_end + 1;
		while (i_isspace(*value))
			value++;
	}
	return value;
}

const char *report_typed_address(pool_t pool, const char *value)
{
	struct message_address *addr;
	const char *address = NULL;
	bool is_utf8;

	value = address_skip_type(value, &is_utf8);
	if (is_utf8)
		value = address_decode_utf8(value);
	if (*value == '\0')
		return NULL;

	addr = message_address_parse(pool_datastack_create(),
				     (const unsigned char *)value,
				     strlen(value), 1, 0);
	if (addr != NULL && !addr->invalid_syntax)
		address = address_string(addr);
	if (address == NULL) {
		/* as it is: it only has to be compared */
		if (*value == '<')
			value++;
		address = t_strcut(t_strcut(value, ' '), '>');
	}
	return report_address_normalize(pool, address, strlen(address));
}

/* RFC 2142: who speaks for a site, and isn't written to by its users. */
bool report_address_is_role(const char *address)
{
	static const char *const roles[] = {
		"postmaster@", "mailer-daemon@", "abuse@", "hostmaster@", NULL
	};
	unsigned int i;

	for (i = 0; roles[i] != NULL; i++) {
		if (strncasecmp(address, roles[i], strlen(roles[i])) == 0)
			return TRUE;
	}
	return FALSE;
}
