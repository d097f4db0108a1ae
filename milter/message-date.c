/* RFC 5322, 3.3 and 4.3: a Date field. */

#include "message.h"

#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Up to max digits. Returns what follows, or NULL. */
static const char *parse_number(const char *text, unsigned int max, int *value_r)
{
	unsigned int count = 0;

	*value_r = 0;
	text = skip_blanks(text);
	for (; text[count] >= '0' && text[count] <= '9'; count++) {
		if (count == max)
			return NULL;
		*value_r = *value_r * 10 + (text[count] - '0');
	}
	return count == 0 ? NULL : text + count;
}

static const char *parse_month(const char *text, int *month_r)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	text = skip_blanks(text);
	for (*month_r = 0; *month_r < 12; (*month_r)++) {
		if (strncasecmp(text, names + 3 * *month_r, 3) == 0)
			return text + 3;
	}
	return NULL;
}

/* "DD Mon YYYY" */
static const char *parse_day(const char *text, struct tm *tm)
{
	text = parse_number(text, 2, &tm->tm_mday);
	if (text != NULL)
		text = parse_month(text, &tm->tm_mon);
	if (text != NULL)
		text = parse_number(text, 4, &tm->tm_year);
	if (text == NULL || tm->tm_mday < 1 || tm->tm_mday > 31)
		return NULL;
	/* 4.3: two digits of the last century */
	if (tm->tm_year < 50)
		tm->tm_year += 100;
	else if (tm->tm_year >= 1000)
		tm->tm_year -= 1900;
	return text;
}

/* "HH:MM[:SS]" */
static const char *parse_time(const char *text, struct tm *tm)
{
	text = parse_number(text, 2, &tm->tm_hour);
	if (text == NULL || *text != ':')
		return NULL;
	text = parse_number(text + 1, 2, &tm->tm_min);
	if (text != NULL && *text == ':')
		text = parse_number(text + 1, 2, &tm->tm_sec);
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60 ? text :
		NULL;
}

/* Seconds east of UTC. Letters are of no certain meaning (4.3), or UTC. */
static long parse_zone(const char *text)
{
	int number;

	text = skip_blanks(text);
	if ((*text != '+' && *text != '-') ||
	    parse_number(text + 1, 4, &number) == NULL)
		return 0;
	number = (number / 100 * 60 + number % 100) * 60;
	return *text == '-' ? -number : number;
}

time_t message_parse_date(const char *text)
{
	const char *comma = strchr(text, ',');
	struct tm tm;
	time_t date;

	memset(&tm, 0, sizeof(tm));
	text = parse_day(comma != NULL ? comma + 1 : text, &tm);
	if (text != NULL)
		text = parse_time(text, &tm);
	if (text == NULL)
		return 0;
	date = timegm(&tm) - parse_zone(text);
	return date > 0 ? date : 0;
}
