/* Names of SPF results and identities. Needs nothing else of the room. */

#include "lib.h"
#include "spf-result.h"

static const char *const result_names[] = {
	[SPF_CHECK_NONE] = "none",
	[SPF_CHECK_NEUTRAL] = "neutral",
	[SPF_CHECK_PASS] = "pass",
	[SPF_CHECK_FAIL] = "fail",
	[SPF_CHECK_SOFTFAIL] = "softfail",
	[SPF_CHECK_TEMPERROR] = "temperror",
	[SPF_CHECK_PERMERROR] = "permerror",
};

static const char *const identity_names[] = {
	[SPF_IDENTITY_MAILFROM] = "mailfrom",
	[SPF_IDENTITY_HELO] = "helo",
};

const char *spf_check_result_name(enum spf_check_result result)
{
	i_assert(result < N_ELEMENTS(result_names));
	return result_names[result];
}

const char *spf_identity_name(enum spf_identity identity)
{
	i_assert(identity < N_ELEMENTS(identity_names));
	return identity_names[identity];
}

static int
name_find(const char *const *names, unsigned int count, const char *name)
{
	for (unsigned int i = 0; i < count; i++) {
		if (strcasecmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

int spf_check_result_parse(const char *name, enum spf_check_result *result_r)
{
	int found = name_find(result_names, N_ELEMENTS(result_names), name);

	if (found < 0)
		return -1;
	*result_r = (enum spf_check_result)found;
	return 0;
}

int spf_identity_parse(const char *name, enum spf_identity *identity_r)
{
	int found = name_find(identity_names, N_ELEMENTS(identity_names), name);

	if (found < 0)
		return -1;
	*identity_r = (enum spf_identity)found;
	return 0;
}
