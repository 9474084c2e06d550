-- What came into shared mailboxes from others and what left them, for those who see only these mailboxes.

CREATE TABLE passage (
  account_id INTEGER NOT NULL,
  modseq     INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  came       INTEGER NOT NULL,        -- 1: the emails came from another mailbox, 0: they left
  emails     TEXT NOT NULL,           -- JSON: [email, …]
  PRIMARY KEY (account_id, modseq, mailbox_id, came)
) WITHOUT ROWID;
