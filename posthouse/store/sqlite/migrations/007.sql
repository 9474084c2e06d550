-- Large flag changes that the placements do not show yet.

CREATE TABLE flag_log (
  account_id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  first      INTEGER NOT NULL,        -- all UIDs from here
  last       INTEGER NOT NULL,        -- to here; no two rows of a mailbox overlap
  modseq     INTEGER NOT NULL,
  keep       INTEGER NOT NULL,        -- flags became `flags & keep | bits`
  bits       INTEGER NOT NULL,
  PRIMARY KEY (account_id, mailbox_id, first)
) WITHOUT ROWID;
