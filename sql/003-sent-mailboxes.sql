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
