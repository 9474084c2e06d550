-- Whoever owns a mailbox may say after how many days mail leaves it.

CREATE TABLE retention (
  account_id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  days       INTEGER NOT NULL,        -- 0: never, whatever the house does by default
  PRIMARY KEY (account_id, mailbox_id)
) WITHOUT ROWID;
