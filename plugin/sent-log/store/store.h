#ifndef STORE_H
#define STORE_H

/* The store: one SQLite file, which keeps what the sent log says and knows nothing of
   what it means. Its door: no SQL, transaction handle, iterator or path crosses it,
   so that another store can stand behind it one day. Knows libc and SQLite, no
   Dovecot; touches the log's file and what belongs beside it, nothing else.

   It is asked by operation (the table of store-statement.c) and values. All calls
   between store_call_begin() and store_call_end() belong together; each answers 1 =
   done / found, 0 = nothing there, or what it says, and -1 = unavailable, which
   store_error() explains. They end within the deadline, whatever others hold or the
   file contains. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct sent_store;

enum store_operation {
	STORE_FIND_ENTRY,
	STORE_FIND_ENTRY_RECIPIENT,
	STORE_COUNT_ENTRY_RECIPIENTS,
	STORE_FIND_ENTRY_DOMAIN,
	STORE_FIND_RECIPIENT,
	STORE_FIND_MESSAGE,
	STORE_INSERT_MESSAGE,
	STORE_RENEW_MESSAGE,
	STORE_INSERT_IDENTITY,
	STORE_INSERT_RECIPIENT,
	STORE_COUNT_RECIPIENTS,
	STORE_GET_CANONICAL,
	STORE_COUNT_SERIALS,
	STORE_GET_REPORTS,
	STORE_COUNT_REPORT,
	STORE_FIND_OLD_MESSAGE,
	STORE_DELETE_RECIPIENTS,
	STORE_DELETE_IDENTITIES,
	STORE_DELETE_MESSAGE,
	STORE_DELETE_OLD_REPORTS,
	STORE_GET_META,
	STORE_GET_LAST_LOGGED,
	STORE_SET_COVERAGE,
	STORE_SET_WORD,
	STORE_BREAK_COVERAGE,
	STORE_RAISE_COVERAGE,
	STORE_SET_CLOCK,
	STORE_SET_LISTED_SOURCES,
	STORE_SET_GAP,
	STORE_GET_FILE,
	STORE_SET_FILE,
	STORE_SET_OWNER,
	STORE_COUNT_MESSAGES,
	STORE_FIND_UNLISTED_COPY,
	STORE_GET_ISSUING_KEY,
	STORE_NEXT_KEY,
	STORE_INSERT_KEY,
	STORE_RETIRE_KEYS,
	STORE_DELETE_OLD_KEYS,
	STORE_MARK_DUE,
	STORE_INSERT_REMEMBERED,
	STORE_INSERT_REMEMBERED_IDENTITY,
	STORE_FIND_SURPLUS_REMEMBERED,
	STORE_FIND_OLD_REMEMBERED,
	STORE_DELETE_REMEMBERED_IDENTITIES,
	STORE_DELETE_REMEMBERED,
	STORE_NEXT_DUE,
	STORE_HAS_REMEMBERED,
	STORE_GET_MARK,
	STORE_SET_MARK,
	STORE_RAISE_MARK,
	STORE_STOP_READING,
	STORE_NEXT_UNREADABLE,
	STORE_INSERT_UNREADABLE,
	STORE_DELETE_UNREADABLE,

	STORE_OPERATION_COUNT
};

/* The columns of STORE_GET_META: what the file knows about itself (sql/). */
enum store_meta {
	STORE_META_CREATED,
	STORE_META_COVERAGE_START,
	STORE_META_COVERAGE_CAUSE,
	STORE_META_LISTED_SOURCES,
	STORE_META_GAP_INODE,
	STORE_META_GAP_TIME,
	STORE_META_CLOCK_BEHIND,
	STORE_META_WORD,
	STORE_META_WORD_GIVEN,
	STORE_META_WORD_SINCE,

	STORE_META_COUNT
};

struct store_settings {
	/* see struct sent_log_settings; nothing is copied */
	const char *path;
	bool network_filesystem;
	unsigned int deadline_msecs;
	void (*notice)(const char *line, void *context);
	void *notice_context;
	/* The row that a new file begins with: it has one of the two causes, the second
	   where it replaces a corrupt file. */
	unsigned int listed_sources;
	int created_cause, corrupt_cause;
};

/* Its life */

/* Loads SQLite, which store_open() does otherwise. Returns NULL, or what is wrong. */
const char *store_load(void);

struct sent_store *store_init(const struct store_settings *set);
void store_deinit(struct sent_store **store);

/* now: the caller's clock, 0 = the host's */
void store_call_begin(struct sent_store *store, time_t now);
/* ret: what the call answers. After -1 it rolls back, and replaces a corrupt file. */
void store_call_end(struct sent_store *store, int ret);
/* All of the deadline is there again, for what comes next. */
void store_begin_anew(struct sent_store *store);
/* The same in the middle of a call, for its next part. */
void store_wait_start(struct sent_store *store);

/* Of the last call that answered -1, until the next one. */
const char *store_error(const struct sent_store *store);
/* Sets it, and returns -1. */
int store_fail(struct sent_store *store, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for what no store says of itself: it is replaced as a corrupt one. */
int store_fail_corrupt(struct sent_store *store, const char *reason);
/* Tells the administrator, with the store's path. */
void store_notice(struct sent_store *store, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Abort if there is no memory, as everything in Dovecot does. */
void *store_alloc(size_t size);
char *store_format(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* The file */

/* Opens it, or makes it, unless the one that stands there now is open. Returns 1 if
   it was opened just now, 0 if it was open, or -1. */
int store_open(struct sent_store *store);
/* Is there one that could be opened? Returns 1, 0 or -1. */
int store_exists(struct sent_store *store);
bool store_is_open(const struct sent_store *store);
void store_close(struct sent_store *store);

/* By which a copy is told from the file it was made of. */
struct store_file_id {
	int64_t inode;
	/* nanoseconds, 0 = the file system doesn't say */
	int64_t born;
};
/* of the open one */
struct store_file_id store_file_id(const struct sent_store *store);
bool store_is_file(const struct sent_store *store, struct store_file_id id);

/* May the caller use the file PATH + suffix as a lock? Returns 1, 0 if there is none
   yet, or -1. */
int store_look_beside(struct sent_store *store, const char *suffix);

/* The gap mark PATH.gap: set without the open file, taken up as PATH.gap-taken. */

struct store_mark {
	int64_t inode;
	/* nanoseconds */
	int64_t time;
};
enum store_mark_state { STORE_MARK_SET, STORE_MARK_TAKEN };

/* Makes one or renews its time. Returns 1 or -1. */
int store_mark_set(struct sent_store *store);
/* One of either state, or something in its place. */
bool store_mark_exists(struct sent_store *store);
/* Returns 1, 0 if there is none, -1 if it is no mark. */
int store_mark_look(struct sent_store *store, enum store_mark_state state,
		    struct store_mark *mark_r);
/* One that is set is taken from now on. Returns 0 or -1. */
int store_mark_take(struct sent_store *store);
void store_mark_remove_taken(struct sent_store *store);

/* Reading and writing */

enum store_type { STORE_END, STORE_NUMBER, STORE_BYTES, STORE_TEXT };

struct store_value {
	enum store_type type;
	int64_t number;
	/* STORE_TEXT: NULL = no value */
	const void *bytes;
	size_t size;
};

static inline struct store_value store_number(int64_t number)
{
	return (struct store_value){ .type = STORE_NUMBER, .number = number };
}

static inline struct store_value store_bytes(const void *bytes, size_t size)
{
	return (struct store_value){
		.type = STORE_BYTES, .bytes = bytes, .size = size
	};
}

static inline struct store_value store_text(const char *text)
{
	return (struct store_value){ .type = STORE_TEXT, .bytes = text };
}

/* A row that was found. What is none of an operation's columns is all zero. */
#define STORE_COLUMNS_MAX STORE_META_COUNT
#define STORE_BYTES_MAX 64
struct store_row {
	struct {
		/* 0 if it is no number */
		int64_t number;
		/* bytes or text, with a NUL behind them; none if they are more
		   than STORE_BYTES_MAX, which size tells */
		size_t size;
		unsigned char bytes[STORE_BYTES_MAX + 1];
	} columns[STORE_COLUMNS_MAX];
};

#define STORE_VALUES(...) \
	((const struct store_value[]){ __VA_ARGS__ __VA_OPT__(, ) \
					       { .type = STORE_END } })

/* The first row that the operation finds for these values; all zero if there is none. */
#define store_get(store, operation, row_r, ...) \
	store_get_values(store, operation, row_r, STORE_VALUES(__VA_ARGS__))
/* Writes. Returns how many rows changed, or -1. */
#define store_put(store, operation, ...) \
	store_put_values(store, operation, STORE_VALUES(__VA_ARGS__))
/* Only the first column's number. */
#define store_get_number(store, operation, number_r, ...) \
	store_get_number_values(store, operation, number_r, \
				STORE_VALUES(__VA_ARGS__))

int store_get_values(struct sent_store *store, enum store_operation operation,
		     struct store_row *row_r, const struct store_value *values);
int store_get_number_values(struct sent_store *store,
			    enum store_operation operation, int64_t *number_r,
			    const struct store_value *values);
int store_put_values(struct sent_store *store, enum store_operation operation,
		     const struct store_value *values);
/* Of the row that was inserted last. */
int64_t store_last_id(struct sent_store *store);

/* store_get() of a file that can't be opened for lack of room, without values and
   outside any call; store_error() stays as it is. Only while it is not open. */
int store_get_without_room(struct sent_store *store,
			   enum store_operation operation,
			   struct store_row *row_r);

/* All that is read from here on to store_read_end() is of one moment, and costs no locks
   of its own. It ends by itself where something is written, or a call fails. Returns 0
   or -1. */
int store_read_begin(struct sent_store *store);
void store_read_end(struct sent_store *store);
/* Has nothing been written, by whomever, since the last store_read_end()? Returns 1, 0
   or -1. */
int store_is_unchanged(struct sent_store *store);

/* All that is put from here on to store_commit() is there or nothing of it. Returns
   1, 0 if another file has taken this one's place meanwhile (it is closed: look again),
   or -1. */
int store_begin(struct sent_store *store);
int store_commit(struct sent_store *store);
/* Before the next store_begin() others may write: this one has more to write. */
void store_let_others_write(struct sent_store *store, bool has_more);

#endif
