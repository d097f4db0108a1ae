/* Which header fields make a message worth being read. The scan asks this of every
   message, so what is usual - no encoded words, no comments, a line or two - is
   looked at where it lies; everything else as the reader does it. */

#include "lib.h"
#include <ctype.h>
#include "report-words.h"

/* Longer values are worth a closer look by their length. */
#define MARKS_MAX_TEXT 1024

/* Lower-case for letters. Others become something that is no letter. */
#define MARKS_LOWER(c) ((unsigned char)((c) | 0x20))

/* A copy for lib-mail, on one line. */
static const char *
marks_unfold(const unsigned char *value, const unsigned char *end)
{
	char *copy = t_malloc_no0(end - value + 1), *p = copy;

	for (; value < end && *value != '\0'; value++)
		*p++ = *value < ' ' ? ' ' : (char)*value;
	while (p > copy && p[-1] == ' ')
		p--;
	*p = '\0';
	while (*copy == ' ')
		copy++;
	return copy;
}

static bool
marks_speaker_decoded(const unsigned char *value, const unsigned char *end)
{
	uint64_t speakers;

	T_BEGIN {
		speakers = report_speakers_read(marks_unfold(value, end));
	} T_END;
	return (speakers & REPORT_MARKING_SPEAKERS) != 0;
}

static bool marks_is_encoded(const unsigned char *p, const unsigned char *end)
{
	return *p == '=' && p + 1 < end && p[1] == '?';
}

enum speaker_char {
	SPEAKER_CHAR_OTHER = 0,
	SPEAKER_CHAR_SQUEEZED,
	SPEAKER_CHAR_OPENS,
	SPEAKER_CHAR_UNUSUAL,
};
static const unsigned char speaker_chars[256] = {
	[0 ... ' '] = SPEAKER_CHAR_SQUEEZED,
	['.'] = SPEAKER_CHAR_SQUEEZED,
	['-'] = SPEAKER_CHAR_SQUEEZED,
	['_'] = SPEAKER_CHAR_SQUEEZED,
	['"'] = SPEAKER_CHAR_SQUEEZED,
	['<'] = SPEAKER_CHAR_OPENS,
	['('] = SPEAKER_CHAR_UNUSUAL,
	['\\'] = SPEAKER_CHAR_UNUSUAL,
	['='] = SPEAKER_CHAR_UNUSUAL,
};

/* From, Sender, Return-Path. The domain is looked at, too. */
static bool
marks_speaker(const unsigned char *value, const unsigned char *end)
{
	unsigned char text[MARKS_MAX_TEXT];
	const unsigned char *p;
	size_t size = 0;

	if (end - value > MARKS_MAX_TEXT)
		return TRUE;
	for (p = value; p < end; p++) {
		switch (speaker_chars[*p]) {
		case SPEAKER_CHAR_SQUEEZED:
			break;
		case SPEAKER_CHAR_OPENS:
			if (p + 1 < end && p[1] == '>')
				return TRUE;
			break;
		case SPEAKER_CHAR_UNUSUAL:
			if (*p != '=' || marks_is_encoded(p, end))
				return marks_speaker_decoded(value, end);
			break;
		case SPEAKER_CHAR_OTHER:
			text[size++] = MARKS_LOWER(*p);
			break;
		}
	}
	return (report_words_find(REPORT_VOCABULARY_SPEAKER, text, size) &
		REPORT_MARKING_SPEAKERS) != 0;
}

/* An answer is written by a human, unless other fields say something else. */
static bool marks_subject_words(uint64_t subject)
{
	return (subject & TRAIT(HUMAN_SUBJECT)) == 0 &&
		(subject & REPORT_MARKING_SUBJECTS) != 0;
}

static bool
marks_subject(const unsigned char *value, const unsigned char *end)
{
	unsigned char text[MARKS_MAX_TEXT];
	const unsigned char *p;
	uint64_t subject;
	size_t size = 0;

	if (end - value > MARKS_MAX_TEXT)
		return TRUE;
	for (p = value; p < end; p++) {
		if (marks_is_encoded(p, end)) {
			T_BEGIN {
				subject = report_subject_read(
					marks_unfold(value, end));
			} T_END;
			return marks_subject_words(subject);
		}
		if (*p > ' ')
			text[size++] = MARKS_LOWER(*p);
		else if (size > 0 && text[size - 1] != ' ')
			text[size++] = ' ';
	}
	return marks_subject_words(report_subject_find(text, size));
}

static const unsigned char *
marks_skip_space(const unsigned char *value, const unsigned char *end)
{
	while (value < end && i_isspace(*value))
		value++;
	return value;
}

/* RFC 3834, 5: "no" says that a human wrote it. */
static bool
marks_auto_submitted(const unsigned char *value, const unsigned char *end)
{
	value = marks_skip_space(value, end);
	if (end - value < 2 || i_memcasecmp(value, "no", 2) != 0)
		return TRUE;
	value += 2;
	return value < end && !i_isspace(*value) && *value != ';' &&
		*value != '(';
}

static bool
marks_begins(const unsigned char *value, const unsigned char *end,
	     const char *lower)
{
	for (; value < end && *lower != '\0'; value++, lower++) {
		if (MARKS_LOWER(*value) != (unsigned char)*lower)
			return FALSE;
	}
	return *lower == '\0';
}

static bool
marks_contains(const unsigned char *value, const unsigned char *end,
	       const char *word)
{
	for (; value < end; value++) {
		if (marks_begins(value, end, word))
			return TRUE;
	}
	return FALSE;
}

static bool
marks_content_type(const unsigned char *value, const unsigned char *end)
{
	static const char *const types[] = {
		"multipart/report", "delivery-status", "disposition-notification",
		"feedback-report", NULL
	};
	unsigned int i;

	for (; value < end; value++) {
		unsigned char c = MARKS_LOWER(*value);

		if (c != 'm' && c != 'd' && c != 'f')
			continue;
		for (i = 0; types[i] != NULL; i++) {
			if (c == (unsigned char)types[i][0] &&
			    marks_begins(value, end, types[i]))
				return TRUE;
		}
	}
	return FALSE;
}

static bool
marks_precedence(const unsigned char *value, const unsigned char *end)
{
	return marks_contains(value, end, "auto");
}

static bool
marks_always(const unsigned char *value ATTR_UNUSED,
	     const unsigned char *end ATTR_UNUSED)
{
	return TRUE;
}

#define FIELD(name, marks) { name, sizeof(name) - 1, marks }

static const struct {
	/* lower-case */
	const char *name;
	size_t name_size;
	bool (*marks)(const unsigned char *value, const unsigned char *end);
} marking_fields[] = {
	FIELD("auto-submitted", marks_auto_submitted),
	FIELD("content-type", marks_content_type),
	FIELD("from", marks_speaker),
	FIELD("precedence", marks_precedence),
	FIELD("return-path", marks_speaker),
	FIELD("sender", marks_speaker),
	FIELD("subject", marks_subject),
	FIELD("x-autogenerated", marks_always),
	FIELD("x-autoreply", marks_always),
	FIELD("x-auto-reply", marks_always),
	FIELD("x-auto-reply-from", marks_always),
	FIELD("x-autorespond", marks_always),
	FIELD("x-autoresponder", marks_always),
	FIELD("x-failed-recipients", marks_always),
};

/* How long they are: most names end here. test-report-words looks after it. */
#define MARKS_MAX_NAME 19
static const unsigned int marking_sizes =
	1U << 4 | 1U << 6 | 1U << 7 | 1U << 10 | 1U << 11 | 1U << 12 |
	1U << 13 | 1U << 14 | 1U << 15 | 1U << 17 | 1U << 19;

static inline bool
marks_equals(const unsigned char *data, const char *lower, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (MARKS_LOWER(data[i]) != (unsigned char)lower[i])
			return FALSE;
	}
	return TRUE;
}

bool report_field_marks(const unsigned char *name, size_t name_size,
			const unsigned char *value, const unsigned char *end)
{
	unsigned int i;

	if (name_size > MARKS_MAX_NAME ||
	    (marking_sizes & (1U << name_size)) == 0)
		return FALSE;
	for (i = 0; i < N_ELEMENTS(marking_fields); i++) {
		if (marking_fields[i].name_size == name_size &&
		    marks_equals(name, marking_fields[i].name, name_size))
			return marking_fields[i].marks(value, end);
	}
	return FALSE;
}

bool report_body_marks(const unsigned char *body, size_t size)
{
	const unsigned char *end = body + size;

	body = marks_skip_space(body, end);
	if (body == end)
		return FALSE;
	/* base64 of "{", whatever follows that JSON may have there */
	return *body == '{' || (end - body >= 2 && body[0] == 'e' &&
				(body[1] == 'y' || body[1] == 'w'));
}
