-- On whose word the log is complete, and whose log it is.

-- The administrator's word that is in force: 8 = "coverage --since", 9 = "import
-- --complete" (enum sent_log_coverage_cause), 0 = none. A break ends it; when it
-- was given, and since when the log was said to be complete, stay.
ALTER TABLE meta ADD COLUMN word INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN word_given INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN word_since INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET word = coverage_cause, word_since = coverage_start
  WHERE coverage_cause IN (8, 9);

-- The user's name, and where his mail lies, hashed as identity.hash is; x'' = not
-- known yet.
ALTER TABLE meta ADD COLUMN owner_name BLOB NOT NULL DEFAULT x'';
ALTER TABLE meta ADD COLUMN owner_mail BLOB NOT NULL DEFAULT x'';

-- Has this source logged anything within the retention?
CREATE INDEX message_source ON message (source, logged_at);
