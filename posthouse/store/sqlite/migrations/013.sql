-- Mail that was deleted for good can be brought back for some days.

CREATE TABLE deleted_email (          -- in no mailbox any more, but not yet for the sweeper
  account_id  INTEGER NOT NULL,
  email_id    INTEGER NOT NULL,
  deleted_at  INTEGER NOT NULL,
  mailbox     TEXT NOT NULL,          -- the name of the last one it was in
  flags       INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, email_id)
) WITHOUT ROWID;

ALTER TABLE doomed_mailbox ADD COLUMN name TEXT NOT NULL DEFAULT '';   -- empty: its emails are not kept
