-- The sent log of one mailbox. Every hash is the first 128 bits of an
-- HMAC-SHA256 under meta.hash_key; nothing that was written to or by anybody
-- stands here in clear. Times are seconds since the epoch unless they say
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
  gap_time INTEGER NOT NULL DEFAULT 0
);

-- One row per message and source.
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  -- enum sent_log_source
  source INTEGER NOT NULL,
  logged_at INTEGER NOT NULL,
  -- of its Date: header, 0 = none
  date INTEGER NOT NULL,
  from_own_address INTEGER NOT NULL
);
CREATE INDEX message_logged_at ON message (logged_at);
-- for the question whether there is another way out (4 = sent)
CREATE INDEX message_copy ON message (date)
  WHERE source = 4 AND from_own_address = 1;

CREATE TABLE identity (
  hash BLOB NOT NULL,
  source INTEGER NOT NULL,
  -- enum sent_log_identity_kind; the hash depends on it, too
  kind INTEGER NOT NULL,
  message INTEGER NOT NULL,
  PRIMARY KEY (hash, source)
) WITHOUT ROWID;
CREATE INDEX identity_message ON identity (message);

CREATE TABLE recipient (
  message INTEGER NOT NULL,
  address BLOB NOT NULL,
  -- x'' where the address has none
  domain BLOB NOT NULL,
  PRIMARY KEY (message, address)
) WITHOUT ROWID;
CREATE INDEX recipient_address ON recipient (address);

-- The replay budget.
CREATE TABLE report_count (
  original BLOB NOT NULL,
  -- report_class_name()
  class TEXT NOT NULL,
  -- x'' = all who are no recipient of the original, together
  recipient BLOB NOT NULL,
  reports INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (original, class, recipient)
) WITHOUT ROWID;
CREATE INDEX report_count_last_at ON report_count (last_at);
