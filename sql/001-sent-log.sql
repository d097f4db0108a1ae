-- The sent log of one mailbox. Nothing that was written to or by anybody stands
-- here in clear, but an HMAC-SHA256 under meta.hash_key: of messages and recipients
-- as many bits as fit an integer, since two that collide can only acquit a report;
-- of the rest the first 128 bits. Times are seconds since the epoch unless they say
-- otherwise.

-- One row: what the file knows about itself.
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  created INTEGER NOT NULL,
  -- 256 random bits; never changes, or no row would be found any more
  hash_key BLOB NOT NULL,
  -- The file these rows were written in: another inode or time of birth means
  -- that it was copied or restored. file_born: nanoseconds, 0 = not known.
  file_inode INTEGER NOT NULL,
  file_born INTEGER NOT NULL,
  -- enum sent_log_source bits
  listed_sources INTEGER NOT NULL,
  coverage_start INTEGER NOT NULL,
  -- enum sent_log_coverage_cause
  coverage_cause INTEGER NOT NULL,
  -- the gap mark that coverage_start already speaks of (nanoseconds)
  gap_inode INTEGER NOT NULL DEFAULT 0,
  gap_time INTEGER NOT NULL DEFAULT 0,
  -- The latest time that the log knew of when the clock was found behind it; 0 = it
  -- isn't. Coverage starts anew when it is reached again.
  clock_behind INTEGER NOT NULL DEFAULT 0,
  -- The administrator's word that is in force: 8 = "coverage --since", 9 = "import
  -- --complete" (enum sent_log_coverage_cause), 0 = none. A break ends it; when it
  -- was given, and since when the log was said to be complete, stay.
  word INTEGER NOT NULL DEFAULT 0,
  word_given INTEGER NOT NULL DEFAULT 0,
  word_since INTEGER NOT NULL DEFAULT 0,
  -- The user's name, and where his mail lies, hashed; x'' = not known yet.
  owner_name BLOB NOT NULL DEFAULT x'',
  owner_mail BLOB NOT NULL DEFAULT x''
);

-- One row per message and source.
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  -- enum sent_log_source
  source INTEGER NOT NULL,
  logged_at INTEGER NOT NULL,
  -- of its Date: header, 0 = none
  date INTEGER NOT NULL,
  from_own_address INTEGER NOT NULL,
  -- In clear, for the administrator: it is random, and tells nothing of anybody.
  serial TEXT
);
-- Has this source logged anything within the retention? Also what is old: source
-- by source.
CREATE INDEX message_source ON message (source, logged_at);
-- for the question whether there is another way out (4 = sent)
CREATE INDEX message_copy ON message (date)
  WHERE source = 4 AND from_own_address = 1;

CREATE TABLE identity (
  -- 61 bits, and above them enum sent_log_identity_kind: so that a Message-ID (kind
  -- 0) is found without looking at all the serials of a message that is sent again
  -- and again
  hash INTEGER NOT NULL,
  message INTEGER NOT NULL,
  PRIMARY KEY (hash, message)
) WITHOUT ROWID;
CREATE INDEX identity_message ON identity (message);

CREATE TABLE recipient (
  message INTEGER NOT NULL,
  -- 64 bits
  address INTEGER NOT NULL,
  -- 48 bits, only ever compared with others of this message; 0 where the address
  -- has none
  domain INTEGER NOT NULL,
  PRIMARY KEY (message, address)
) WITHOUT ROWID;
CREATE INDEX recipient_address ON recipient (address);

-- The replay budget.
CREATE TABLE report_count (
  -- as identity.hash
  original INTEGER NOT NULL,
  -- report_class_name()
  class TEXT NOT NULL,
  -- as recipient.address; 0 = all who are no recipient of the original, together
  recipient INTEGER NOT NULL,
  reports INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (original, class, recipient)
) WITHOUT ROWID;
CREATE INDEX report_count_last_at ON report_count (last_at);

-- The keys of this mailbox's serials.
CREATE TABLE serial_key (
  -- in order of making
  id INTEGER PRIMARY KEY,
  -- 256 random bits; another key than meta.hash_key
  secret BLOB NOT NULL,
  created INTEGER NOT NULL,
  -- when another took its place, 0 = in use
  retired INTEGER NOT NULL
);

-- Reports that came before their original was logged.
-- AUTOINCREMENT: who forgets a report by its id must never hit another one.
CREATE TABLE remembered_report (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- of the mailbox it was stored in
  mailbox_guid BLOB NOT NULL,
  uid_validity INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  quarantined INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  -- its original is in the log by now
  due INTEGER NOT NULL
);
CREATE INDEX remembered_report_due ON remembered_report (due, expires);

-- What it tells of its original, as identity.hash.
CREATE TABLE remembered_identity (
  hash INTEGER NOT NULL,
  report INTEGER NOT NULL,
  PRIMARY KEY (hash, report)
) WITHOUT ROWID;
CREATE INDEX remembered_identity_report ON remembered_identity (report);

-- The Sent mailboxes are the truth and the log is their index: how far each has
-- been read.
CREATE TABLE sent_mailbox (
  -- hash of its name
  name BLOB NOT NULL PRIMARY KEY,
  uid_validity INTEGER NOT NULL,
  -- Of the UIDs below it all have been read, except those from unread_from to
  -- before unread_to: reading begins with the newest, and may be interrupted.
  next_uid INTEGER NOT NULL,
  unread_from INTEGER NOT NULL,
  unread_to INTEGER NOT NULL,
  -- when reading ended before its end, 0 = it didn't
  stopped_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Copies below next_uid that couldn't be read: tried again each time.
CREATE TABLE unreadable_copy (
  mailbox BLOB NOT NULL,
  uid INTEGER NOT NULL,
  PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
