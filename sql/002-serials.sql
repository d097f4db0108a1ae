-- Serials: the keys of this mailbox, and what its messages took along. Reports
-- that came before their original was logged. A clock that falls back.

CREATE TABLE serial_key (
  -- in order of making
  id INTEGER PRIMARY KEY,
  -- 256 random bits; another key than meta.hash_key
  secret BLOB NOT NULL,
  created INTEGER NOT NULL,
  -- when another took its place, 0 = in use
  retired INTEGER NOT NULL
);

-- In clear, for the administrator: it is random, and tells nothing of anybody.
ALTER TABLE message ADD COLUMN serial TEXT;

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

-- What it tells of its original, hashed as identity.hash is.
CREATE TABLE remembered_identity (
  hash BLOB NOT NULL,
  report INTEGER NOT NULL,
  PRIMARY KEY (hash, report)
) WITHOUT ROWID;
CREATE INDEX remembered_identity_report ON remembered_identity (report);

-- The latest time that the log knew of when the clock was found behind it; 0 = it
-- isn't. Coverage starts anew when it is reached again.
ALTER TABLE meta ADD COLUMN clock_behind INTEGER NOT NULL DEFAULT 0;

-- A message sent again and again has many serials: its Message-ID is found
-- without looking at all of them.
DROP INDEX identity_message;
CREATE INDEX identity_message ON identity (message, kind, hash);
