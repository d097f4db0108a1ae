/* From mail_user and dict to ownership. */

#include "lib.h"
#include "array.h"
#include "dict-private.h"
#include "mail-user.h"
#include "verdict/own-addresses.h"
#include "compat/dovecot-compat.h"
#include "sender-addresses.h"

/* One key an address (without detail, lower-case, escaped) or @domain; its value
   doesn't matter. */
#define SENDER_DICT_PREFIX DICT_PATH_PRIVATE"backscatter/sender/"
#define SENDER_DICT_SETTING "backscatter_sender_dict"

/* How many keys of a user are listed. */
#define SENDER_DICT_MAX_LISTED 10000

ARRAY_DEFINE_TYPE(sender_address, struct sender_address);

struct sender_addresses {
	pool_t pool;
	struct backscatter_user *buser;
	struct own_addresses *own;

	struct dict *dict;
	/* what opening the dict has returned: 1, 0 = none is set, -1 */
	int dict_state;
	const char *dict_error;
	bool dict_opened;
};

struct sender_addresses *sender_addresses_init(struct backscatter_user *buser)
{
	pool_t pool = pool_alloconly_create("backscatter sender addresses",
					    1024);
	struct sender_addresses *senders =
		p_new(pool, struct sender_addresses, 1);

	senders->pool = pool;
	senders->buser = buser;
	senders->own = backscatter_user_own_addresses(buser, NULL, pool);
	return senders;
}

void sender_addresses_deinit(struct sender_addresses **_senders)
{
	struct sender_addresses *senders = *_senders;

	*_senders = NULL;
	if (senders->dict != NULL)
		dict_deinit(&senders->dict);
	pool_unref(&senders->pool);
}

struct backscatter_user *
sender_addresses_user(const struct sender_addresses *senders)
{
	return senders->buser;
}

/* Returns 1, 0 if none is set, -1. Tried once only: what fails here is the
   configuration. */
static int sender_dict_open(struct sender_addresses *senders,
			    const char **error_r)
{
	const char *error;

	if (!senders->dict_opened) {
		senders->dict_opened = TRUE;
		senders->dict_state =
			backscatter_sender_dict_init(senders->buser->user,
						&senders->dict, &error);
		if (senders->dict_state < 0) {
			senders->dict_error = p_strdup(senders->pool, error);
		}
	}
	*error_r = senders->dict_error;
	return senders->dict_state;
}

/* Returns 1 if the dict has the key of address, 0 or -1. */
static int sender_dict_lookup(struct sender_addresses *senders,
			      const char *address, const char **error_r)
{
	const struct dict_op_settings *set =
		mail_user_get_dict_op_settings(senders->buser->user);
	const char *key = t_strconcat(SENDER_DICT_PREFIX,
				      dict_escape_string(address), NULL);
	/* drivers may allocate the value in a deeper frame of the data stack */
	pool_t pool = pool_alloconly_create("backscatter sender", 256);
	const char *value, *error = NULL;
	int ret;

	ret = dict_lookup(senders->dict, set, pool, key, &value, &error);
	pool_unref(&pool);
	if (ret < 0) {
		*error_r = t_strdup_printf("looking up %s: %s", key, error);
	}
	return ret;
}

static int sender_dict_own(struct sender_addresses *senders,
			   const char *address, const char **error_r)
{
	const char *lowercased = t_str_lcase(address);
	const char *const names[] = {
		own_addresses_without_detail(senders->own, address),
		/* "-" may start a detail and be part of a name, too */
		lowercased,
		strrchr(lowercased, '@'),
	};
	int ret;

	if ((ret = sender_dict_open(senders, error_r)) <= 0)
		return ret;
	for (unsigned int i = 0; i < N_ELEMENTS(names); i++) {
		if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
			continue;
		ret = sender_dict_lookup(senders, names[i], error_r);
		if (ret != 0)
			return ret;
	}
	return 0;
}

int sender_addresses_own(struct sender_addresses *senders, const char *address,
			 const char **source_r, const char **error_r)
{
	const struct own_address *entry;

	if (!ownership_is_address(address))
		return 0;
	entry = ownership_find(senders->own, address);
	if (entry != NULL) {
		*source_r = ownership_source_name(entry->source);
		return 1;
	}
	*source_r = SENDER_DICT_SETTING;
	return sender_dict_own(senders, address, error_r);
}

const char *sender_addresses_describe(struct sender_addresses *senders)
{
	const char *error;
	bool dict_is_set = sender_dict_open(senders, &error) != 0;
	unsigned int count;

	(void)own_addresses_get(senders->own, &count);
	if (count == 0 && !dict_is_set)
		return NULL;
	return ownership_describe(senders->own, dict_is_set ?
				  "addresses in "SENDER_DICT_SETTING : NULL);
}

static void
sender_addresses_list_own(struct sender_addresses *senders, pool_t pool,
			  ARRAY_TYPE(sender_address) *addresses)
{
	const struct own_address *entries;
	unsigned int count;

	entries = own_addresses_get(senders->own, &count);
	for (unsigned int i = 0; i < count; i++) {
		struct sender_address *address =
			array_append_space(addresses);

		address->address = p_strdup(pool, entries[i].address);
		address->source = ownership_source_name(entries[i].source);
	}
}

/* The keys have no levels. But sql dicts write a broken query for a user's own keys
   unless they are to recurse, and fs dicts can't. */
static enum dict_iterate_flags iterate_flags(const struct dict *dict)
{
	return DICT_ITERATE_FLAG_NO_VALUE |
		(strcmp(dict->name, "fs") == 0 ? 0 : DICT_ITERATE_FLAG_RECURSE);
}

static int sender_dict_iterate(struct sender_addresses *senders, pool_t pool,
			       ARRAY_TYPE(const_string) *names,
			       const char **error_r)
{
	const struct dict_op_settings *set =
		mail_user_get_dict_op_settings(senders->buser->user);
	struct dict_iterate_context *iter;
	const size_t prefix_len = strlen(SENDER_DICT_PREFIX);
	const char *key, *value, *name, *error;

	iter = dict_iterate_init(senders->dict, set, SENDER_DICT_PREFIX,
				 iterate_flags(senders->dict));
	/* one more, to see that there are more */
	dict_iterate_set_limit(iter, SENDER_DICT_MAX_LISTED + 1);
	while (dict_iterate(iter, &key, &value)) T_BEGIN {
		if (strncmp(key, SENDER_DICT_PREFIX, prefix_len) == 0) {
			name = p_strdup(pool, dict_unescape_string(
						key + prefix_len));
			array_push_back(names, &name);
		}
	} T_END;
	if (dict_iterate_deinit(&iter, &error) < 0) {
		*error_r = t_strdup_printf("listing "SENDER_DICT_PREFIX": %s",
					   error);
		return -1;
	}
	if (array_count(names) > SENDER_DICT_MAX_LISTED) {
		*error_r = t_strdup_printf("has more than %u addresses",
					   SENDER_DICT_MAX_LISTED);
		return -1;
	}
	return 1;
}

/* Adds the dict's addresses, as far as they can be had. */
static int
sender_addresses_list_dict(struct sender_addresses *senders, pool_t pool,
			   ARRAY_TYPE(sender_address) *addresses,
			   const char **error_r)
{
	ARRAY_TYPE(const_string) names;
	struct sender_address *address;
	const char *name;
	int ret;

	if ((ret = sender_dict_open(senders, error_r)) <= 0)
		return ret < 0 ? -1 : 1;
	if (!compat_dict_can_iterate(senders->dict)) {
		*error_r = "a dict of this kind can't list its addresses";
		return 0;
	}
	p_array_init(&names, pool, 16);
	ret = sender_dict_iterate(senders, pool, &names, error_r);
	array_sort(&names, i_strcmp_p);
	array_foreach_elem(&names, name) {
		address = array_append_space(addresses);
		address->address = name;
		address->source = SENDER_DICT_SETTING;
	}
	return ret;
}

int sender_addresses_list(struct sender_addresses *senders, pool_t pool,
			  const struct sender_address **addresses_r,
			  unsigned int *count_r, const char **error_r)
{
	ARRAY_TYPE(sender_address) addresses;
	int ret;

	p_array_init(&addresses, pool, 16);
	sender_addresses_list_own(senders, pool, &addresses);
	ret = sender_addresses_list_dict(senders, pool, &addresses, error_r);
	*addresses_r = array_get(&addresses, count_r);
	return ret;
}
