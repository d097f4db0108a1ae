#ifndef SENT_LOG_H
#define SENT_LOG_H

/* The sent log: what one mailbox really sent, in one SQLite file. Beside it the room
   knows one file more, the site key (site-key.h).

   libc and OpenSSL, above a store (store/store.h): no Dovecot type, no SQL, no
   transaction and no iterator crosses this interface, so that a milter can link it
   and another store can stand behind it one day. Every call is by key, synchronous
   and ends within the deadline, which is that of all calls together since
   sent_log_begin().

   Every function that returns int answers 1 = done / found, 0 = nothing there,
   -1 = unavailable: locked beyond the deadline, corrupt, not writable, disk
   full, or no file that a sent log may be (see docs/sent-log.md). Then *error_r says
   what failed and where, for the log; it belongs to the log and is valid until its
   next call. Times are seconds since the epoch; now is the caller's clock. Nothing
   that was written to or by anybody is stored in clear: Message-IDs, envelope ids,
   recipients and their domains are hashed with a key of this mailbox (HMAC-SHA256,
   as many bits as make a wrong match rarer than one in 10^9 lookups). Serials, which
   are random, also stand there as they are.

   The file is opened (and made, except by the calls that only list, count or
   forget) at the first call that needs it, and reopened when another file
   stands at its path. A file that is not a database any more is moved aside
   (PATH.corrupt-TIME, with its -wal and -shm) and a new log put in its place;
   that call answers -1, the next one works on the new log. */

#include "serial.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct sent_log;

/* Who told us of a message. Bits, so that a set of them fits one value. */
enum sent_log_source {
	SENT_LOG_SOURCE_SUBMISSION = 0x01,
	SENT_LOG_SOURCE_MILTER = 0x02,
	SENT_LOG_SOURCE_SENT = 0x04,
	SENT_LOG_SOURCE_ADMIN = 0x08,
};

/* What identifies a message. An identity is only ever found as the kind that it
   was added as. */
enum sent_log_identity_kind {
	SENT_LOG_IDENTITY_MESSAGE_ID,
	SENT_LOG_IDENTITY_ENVELOPE_ID,
	SENT_LOG_IDENTITY_SERIAL,
	/* A Sent copy without Message-ID, by what else there is of it. Nothing
	   that comes back names it; it only keeps a copy that is imported twice
	   from being two. */
	SENT_LOG_IDENTITY_COPY,
};

/* Who a log belongs to. */
struct sent_log_owner {
	/* his name, in whatever case */
	const char *name;
	/* where his mail lies; NULL = not known */
	const char *mail;
};

struct sent_log_settings {
	/* absolute path of the database */
	const char *path;
	/* The file may be on NFS (mmap_disable): rollback journal, not WAL. */
	bool network_filesystem;
	/* How long all calls since sent_log_begin() (at first, since
	   sent_log_init()) may take together, whether others hold locks or the
	   file is hostile; what lies between the calls doesn't count. After that
	   each answers -1 at once. */
	unsigned int deadline_msecs;
	/* Rows older than this count as absent and expire. */
	unsigned int retention_secs;
	/* backscatter_sources as enum sent_log_source bits; stored in a log that
	   is created, compared only by sent_log_set_listed_sources(). */
	unsigned int listed_sources;
	/* Called for what an administrator has to know although the call went
	   well (a corrupt file moved aside, a file that was restored, a gap mark
	   taken up): one line without newline, which names the file. May be
	   NULL. */
	void (*notice)(const char *line, void *context);
	void *notice_context;
	/* Asked when the file is opened: the first user of a log is its owner, and
	   to any other it is unavailable, which the error explains with owner_hint
	   (may be NULL). The same name or the same mail is the same user. NULL =
	   nobody asks whose log it is. */
	void (*get_owner)(struct sent_log_owner *owner_r, void *context);
	void *owner_context;
	const char *owner_hint;
};

struct sent_log_identity {
	enum sent_log_identity_kind kind;
	/* normalised by the caller */
	const char *value;
};

/* One message to be added. */
struct sent_log_message {
	enum sent_log_source source;
	/* May be empty: a Sent copy without Message-ID is logged with its
	   recipients only. */
	const struct sent_log_identity *identities;
	size_t identity_count;
	/* addresses, lower-case */
	const char *const *recipients;
	size_t recipient_count;
	/* When it was sent as far as this host knows (now; for an import, when
	   the copy was stored). The retention counts from here. */
	time_t logged_at;
	/* Its Date: header; 0 = absent. */
	time_t date;
	/* Its From: is an own address of the mailbox. */
	bool from_own_address;
};

/* hex of a hash, with its NUL */
#define SENT_LOG_HASH_TEXT_SIZE 17

/* What the log knows about one identity, all sources united. */
struct sent_log_entry {
	/* enum sent_log_source bits */
	unsigned int sources;
	time_t logged_at;
	unsigned int recipient_count;
	/* of the addresses asked for: one is a recipient of the message; one is
	   in a recipient's domain */
	bool recipient_matches;
	bool domain_matches;
};

/* How often one original was reported on (the replay budget). */
struct sent_log_report_count {
	/* reports counted for this recipient, or, where it is none of the
	   message's, for all such recipients together */
	unsigned int reports;
	/* recipients of the message */
	unsigned int recipient_count;
	/* How often the message was sent, as far as serials tell: 1 where it has
	   none. */
	unsigned int times_sent;
	bool recipient_matches;
};

/* Why coverage starts where it does. */
enum sent_log_coverage_cause {
	SENT_LOG_COVERAGE_CREATED = 0,
	SENT_LOG_COVERAGE_SOURCES_CHANGED,
	SENT_LOG_COVERAGE_RESTORED,
	SENT_LOG_COVERAGE_CORRUPT,
	SENT_LOG_COVERAGE_GAP,
	SENT_LOG_COVERAGE_CLOCK,
	SENT_LOG_COVERAGE_NO_MESSAGE_ID,
	SENT_LOG_COVERAGE_RESTARTED,
	SENT_LOG_COVERAGE_SET,
	SENT_LOG_COVERAGE_IMPORTED,
	SENT_LOG_COVERAGE_EXPIRED,
	/* a serial of ours came back that has no row */
	SENT_LOG_COVERAGE_ROWS_LOST,
	/* "import --complete" found sent messages that the log doesn't know */
	SENT_LOG_COVERAGE_INCOMPLETE,
};

struct sent_log_coverage {
	/* From here on the log is complete as far as it knows itself. */
	time_t start;
	enum sent_log_coverage_cause cause;
	time_t created;
	/* The sources the administrator listed when a report was last delivered,
	   enum sent_log_source bits. */
	unsigned int listed_sources;
	/* The log has a row that is not older than the retention, ... */
	bool has_rows;
	/* ... and one of a source that settings.listed_sources names. */
	bool listed_source_logged;
	/* The administrator's word that is in force: SENT_LOG_COVERAGE_SET ("coverage
	   --since"), SENT_LOG_COVERAGE_IMPORTED ("import --complete"), or 0 = none.
	   A break ends it. */
	enum sent_log_coverage_cause word;
	/* When it was given (0 = never, or not known), and since when the log is
	   complete by it; of a word that has ended, too. */
	time_t word_given;
	time_t word_since;
};

/* A row of a Sent copy. */
struct sent_log_row {
	time_t logged_at;
	time_t date;
	/* hex of its Message-ID's hash */
	char identity_hash[SENT_LOG_HASH_TEXT_SIZE];
};

#define SENT_LOG_MAILBOX_GUID_SIZE 16

/* Where a report was stored that found no original in the log. */
struct sent_log_stored_report {
	/* given by the log */
	int64_t id;
	/* of the mailbox it was stored in */
	unsigned char mailbox_guid[SENT_LOG_MAILBOX_GUID_SIZE];
	uint32_t uid_validity;
	uint32_t uid;
	/* it lies in the quarantine mailbox */
	bool quarantined;
};

/* More than a damaged file or a wrong owner leaves behind; beyond it the mailbox
   itself is what can't be read. */
#define SENT_LOG_MAX_UNREADABLE 64

/* How far a Sent mailbox has been read into the log. */
struct sent_log_mailbox_mark {
	/* 0 = nothing has been read of it */
	uint32_t uid_validity;
	/* all UIDs below it have been read, */
	uint32_t next_uid;
	/* except unread_from <= UID < unread_to (both 0 = none), */
	uint32_t unread_from, unread_to;
	/* and these, which couldn't be */
	uint32_t unreadable[SENT_LOG_MAX_UNREADABLE];
	unsigned int unreadable_count;
	/* when reading was given up before its end; 0 = it wasn't */
	time_t stopped_at;
};

const char *sent_log_source_name(enum sent_log_source source);
/* Returns 0 if there is no source of that name. */
unsigned int sent_log_source_parse(const char *name);
/* "created", "sources-changed", ... as doveadm prints it */
const char *sent_log_coverage_cause_name(enum sent_log_coverage_cause cause);
/* "the clock was wrong", ...: why coverage started anew. NULL for a cause that says it
   didn't. */
const char *sent_log_coverage_cause_why(enum sent_log_coverage_cause cause);

/* SQLite and libcrypto are loaded when they are first needed. This does it now: for
   a process that may be in a chroot by then. What can't be loaded is said when it is
   needed. */
void sent_log_load_libraries(void);

/* Never fails and touches no file. The settings are copied. */
struct sent_log *sent_log_init(const struct sent_log_settings *set);
void sent_log_deinit(struct sent_log **log);

/* Another message, or another command of the user's: it has the whole deadline
   again. (So it has each time that sent_log_add() has written something.) */
void sent_log_begin(struct sent_log *log);

/* Makes sure that the log exists and can be written, now. Returns 1 or -1. */
int sent_log_open(struct sent_log *log, time_t now, const char **error_r);

/* What is asked from here on to sent_log_read_end() is answered as of one moment, and
   costs less. The log is open (sent_log_open()). It ends by itself where something is
   written, or a call fails. Returns 1 or -1. */
int sent_log_read_begin(struct sent_log *log, const char **error_r);
void sent_log_read_end(struct sent_log *log);
/* Would the log still answer as it did before the last sent_log_read_end(), since nobody
   has written to it, nor marked a gap? Returns 1, 0 or -1. */
int sent_log_is_unchanged(struct sent_log *log, const char **error_r);

/* The log is this user's from now on, whosever it was, and its coverage starts anew.
   Returns 1 or -1. */
int sent_log_adopt_owner(struct sent_log *log, time_t now, const char **error_r);

/* Adds messages durably (synchronous=FULL), in short transactions. The same
   identity from the same source again adds its recipients and renews its
   logged_at; of its serials the last stands there in clear. Remembered
   reports that told of one of the identities are due from then on. Messages that
   are older than the retention are passed over, and recipients beyond 10,000 a
   message. Expires a few old rows on the way. Returns 1 or -1; after -1 some of
   them may be there. */
int sent_log_add(struct sent_log *log, const struct sent_log_message *messages,
		 size_t count, time_t now, const char **error_r);

/* How far the Sent mailbox of this name (as its user sees it, UTF-8) has been read.
   Returns 1, 0 if nothing of it has been (mark_r is all zero), or -1. */
int sent_log_get_mark(struct sent_log *log, const char *mailbox,
		      struct sent_log_mailbox_mark *mark_r,
		      const char **error_r);
/* sent_log_add() of what was read there (count may be 0), and from now on the mark
   is this one: never without those messages. Returns 1 or -1. */
int sent_log_add_read(struct sent_log *log,
		      const struct sent_log_message *messages, size_t count,
		      const char *mailbox,
		      const struct sent_log_mailbox_mark *mark, time_t now,
		      const char **error_r);
/* Reading it was given up now, whatever the mark says; it stays as it is otherwise.
   Returns 1 or -1. */
int sent_log_stop_reading(struct sent_log *log, const char *mailbox,
			  time_t now, const char **error_r);
/* These UIDs were logged as they were saved: first_uid up to last_uid count as read
   where all below them do. last: of the last of them; without its row this is another
   log (a backup was restored meanwhile), and nothing is raised. Returns 1, 0 if so,
   if something below is unread or no log there, or -1. */
int sent_log_raise_mark(struct sent_log *log, const char *mailbox,
			uint32_t uid_validity, uint32_t first_uid,
			uint32_t last_uid,
			const struct sent_log_identity *last,
			const char **error_r);

/* Says that a message left without its row: an empty file PATH.gap, made or its
   time renewed, which the next writer turns into a new start of coverage. Works
   without opening the database. Returns 1 or -1. */
int sent_log_mark_gap(struct sent_log *log, const char **error_r);

/* Looks one identity up. recipients: addresses (lower-case) of the report to be
   compared with the message's. */
int sent_log_find(struct sent_log *log, const struct sent_log_identity *identity,
		  const char *const *recipients, size_t recipient_count,
		  time_t now, struct sent_log_entry *entry_r,
		  const char **error_r);

/* Was anything sent to this address (lower-case) within the retention? */
int sent_log_find_recipient(struct sent_log *log, const char *address,
			    time_t now, const char **error_r);

/* How many reports of this class (report_class_name()) named this recipient (""
   = none was named) of this original. Identities of the same message share one
   count; an identity that is not in the log (a serial that verifies by itself)
   has its own. Returns 1, 0 if there were none (what a budget depends on is not
   asked for then), or -1. */
int sent_log_get_report_count(struct sent_log *log,
			      const struct sent_log_identity *original,
			      const char *class_name, const char *recipient,
			      struct sent_log_report_count *count_r,
			      const char **error_r);
/* Counts one more for each of these recipients, in one transaction; once for all
   who are none of the message's (or if there are none). */
int sent_log_count_report(struct sent_log *log,
			  const struct sent_log_identity *original,
			  const char *class_name,
			  const char *const *recipients, size_t recipient_count,
			  time_t now, const char **error_r);

/* Serial keys of this mailbox. The hash key of the rows is another one and never
   changes, so a new serial key loses no row. */

/* The key that issues; made at first use. Read also from a log that can't be
   opened because the disk is full. Returns 1 or -1. */
int sent_log_get_issuing_key(struct sent_log *log, time_t now,
			     struct serial_key *key_r, const char **error_r);
/* A new key issues from now on; the old one verifies until the retention ends.
   Returns 1 or -1. */
int sent_log_rotate_serial_key(struct sent_log *log, time_t now,
			       struct serial_key *key_r, const char **error_r);
/* All keys that still verify, oldest first; makes neither a key nor a file.
   Returns 1, 0 if there are none, -1 on error. */
int sent_log_get_serial_keys(struct sent_log *log, time_t now,
			     struct serial_keys *keys_r, const char **error_r);

/* Reports that came before their original was logged. As soon as one of their
   identities is in the log, whatever source it came from, a report is "due": to be
   judged again. At most 1,000 are remembered, quarantined ones before others,
   none longer than max_age seconds. */

/* Remembers a report that was stored just now (report->id is ignored). If one
   of its identities came into the log meanwhile, it is due at once; whoever logged
   that one has not seen it, so the caller lists what is due. identities: all that
   the report tells of its original; the first 16 count, and without any it is not
   remembered. Returns 1 or -1. */
int sent_log_remember_report(struct sent_log *log,
			     const struct sent_log_stored_report *report,
			     const struct sent_log_identity *identities,
			     size_t identity_count, unsigned int max_age,
			     time_t now, const char **error_r);
/* Fills up to max reports that are due, in the order they were remembered.
   Returns 1 and the number filled, 0 if there are none (or no log), -1 on error. */
int sent_log_list_due_reports(struct sent_log *log,
			      struct sent_log_stored_report *reports_r,
			      size_t max, size_t *count_r,
			      const char **error_r);
/* Returns 1, 0 if it was forgotten already (another process took it), or -1. */
int sent_log_forget_report(struct sent_log *log, int64_t id,
			   const char **error_r);

/* Are reports remembered that may become due? Returns 1, 0 (or no log) or -1. */
int sent_log_has_remembered_reports(struct sent_log *log,
				    const char **error_r);

/* The hash of an identity as struct sent_log_row has it. Returns 1 or -1. */
int sent_log_identity_hash(struct sent_log *log,
			   const struct sent_log_identity *identity,
			   char text_r[SENT_LOG_HASH_TEXT_SIZE],
			   const char **error_r);

/* Takes up a gap mark before it answers. Returns 1 or -1. */
int sent_log_get_coverage(struct sent_log *log, time_t now,
			  struct sent_log_coverage *coverage_r,
			  const char **error_r);
/* Moves the start of coverage, forwards or back. With SET and IMPORTED it is the
   administrator's word from then on (IMPORTED doesn't take the place of SET, which
   says more); with any other cause his word ends. Returns 1, 0 if a gap mark was
   found on the way, which restarts coverage instead, or -1. */
int sent_log_set_coverage(struct sent_log *log, time_t start,
			  enum sent_log_coverage_cause cause, time_t now,
			  const char **error_r);
/* Compares settings.listed_sources with those stored; if they differ, stores them
   and restarts coverage (for the delivery only: other processes may run with
   other settings). Returns 1 if they were the same, 0 if coverage was restarted,
   -1 on error. */
int sent_log_set_listed_sources(struct sent_log *log, time_t now,
				const char **error_r);

/* Is there a Sent copy with an own From:, dated after `after` and within the last
   30 days, saved more than an hour ago, of which none of the listed sources
   knows? Then there is another way out (docs/design.md, section 5, rule 5). Fills
   *row_r. */
int sent_log_find_unlisted_copy(struct sent_log *log, time_t after, time_t now,
				struct sent_log_row *row_r,
				const char **error_r);

/* Messages known, per source. Returns 1 or -1. */
int sent_log_count(struct sent_log *log, enum sent_log_source source,
		   uint64_t *count_r, const char **error_r);

/* May the caller use the file PATH + suffix as a lock? Nobody is asked but the file
   system. Returns 1, 0 if there is none yet, -1 if it is no regular file of this user's
   that nobody else may write. */
int sent_log_look_beside(struct sent_log *log, const char *suffix,
			 const char **error_r);

#endif
