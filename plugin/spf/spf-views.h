#ifndef SPF_VIEWS_H
#define SPF_VIEWS_H

/* Inside the room: what different readers make of one field's value. Sieve sees it
   unfolded and with its encoded words decoded (RFC 2047), wherever they stand; others
   skip quotes, comments, white space or NULs, or join what was split. Who looks for a
   name in a value that somebody hostile wrote has to look into all of them. */

typedef bool
spf_view_test_t(const unsigned char *text, size_t size, const char *name);

/* Returns TRUE if the test does so for any view of the value, or if an encoded word
   is in another character set than UTF-8: who knows that one reads what he likes, and
   in these fields nobody honest writes it. Takes a time proportional to the size. */
bool spf_views_any(const unsigned char *value, size_t size,
		   spf_view_test_t *test, const char *name);

/* A test: the text contains the name, in whatever case, also as a part of a longer
   word. Quotes, backslashes, white space, control and non-ASCII characters in between
   don't count, and comments may. name: printable ASCII without any of ()"\ */
bool spf_view_contains(const unsigned char *text, size_t size, const char *name);

#endif
