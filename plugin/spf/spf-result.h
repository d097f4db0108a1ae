#ifndef SPF_RESULT_H
#define SPF_RESULT_H

/* Results of an SPF check, RFC 7208, 2.6, and what was checked. */

enum spf_check_result {
	SPF_CHECK_NONE,
	SPF_CHECK_NEUTRAL,
	SPF_CHECK_PASS,
	SPF_CHECK_FAIL,
	SPF_CHECK_SOFTFAIL,
	SPF_CHECK_TEMPERROR,
	SPF_CHECK_PERMERROR
};

/* RFC 7208, 2.3 and 2.4 */
enum spf_identity {
	SPF_IDENTITY_MAILFROM,
	SPF_IDENTITY_HELO
};

/* As headers write them: lower-case. */
const char *spf_check_result_name(enum spf_check_result result);
const char *spf_identity_name(enum spf_identity identity);

/* Both in any case. Return 0, or -1 if there is none of this name. */
int spf_check_result_parse(const char *name, enum spf_check_result *result_r);
int spf_identity_parse(const char *name, enum spf_identity *identity_r);

#endif
