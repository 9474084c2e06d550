-- What JMAP asks for: threads, emails in several mailboxes, exact changes of everything, kept objects, uploads.

ALTER TABLE mailbox ADD COLUMN created_modseq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mailbox ADD COLUMN changed_modseq INTEGER NOT NULL DEFAULT 0;  -- of name, role, order, subscription
ALTER TABLE mailbox ADD COLUMN sort_order INTEGER NOT NULL DEFAULT 0;

-- `placement.created_modseq` is the email's: it stays when the email moves.

CREATE TABLE twin (                   -- emails that are in several mailboxes; others have no row
  account_id INTEGER NOT NULL,
  email_id   INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  uid        INTEGER NOT NULL,
  PRIMARY KEY (account_id, email_id, mailbox_id)
) WITHOUT ROWID;

CREATE TABLE email_gone (             -- emails that left their last mailbox
  account_id INTEGER NOT NULL,
  modseq     INTEGER NOT NULL,
  first      INTEGER NOT NULL,        -- the first of the emails
  emails     TEXT NOT NULL,           -- JSON: [[email, created_modseq, thread or 0], …]
  PRIMARY KEY (account_id, modseq, first)
) WITHOUT ROWID;

ALTER TABLE doomed_mailbox ADD COLUMN modseq INTEGER NOT NULL DEFAULT 0;  -- of the deletion; 0: of the account

CREATE TABLE mailbox_gone (
  account_id     INTEGER NOT NULL,
  modseq         INTEGER NOT NULL,
  mailbox_id     INTEGER NOT NULL,
  created_modseq INTEGER NOT NULL,
  PRIMARY KEY (account_id, modseq, mailbox_id)
) WITHOUT ROWID;

CREATE TABLE history (                -- changes at or below it are no longer known one by one
  account_id INTEGER PRIMARY KEY,
  modseq     INTEGER NOT NULL
);

CREATE TABLE email_thread (
  account_id INTEGER NOT NULL,
  email_id   INTEGER NOT NULL,
  thread_id  INTEGER NOT NULL,        -- the number of the thread's first email
  PRIMARY KEY (account_id, email_id)
) WITHOUT ROWID;

CREATE TABLE thread_key (             -- a Message-ID with a subject, hashed
  account_id INTEGER NOT NULL,
  key        INTEGER NOT NULL,
  thread_id  INTEGER NOT NULL,
  PRIMARY KEY (account_id, key)
) WITHOUT ROWID;

CREATE TABLE item (                   -- small objects of an account, by kind
  account_id     INTEGER NOT NULL,
  kind           TEXT NOT NULL,
  item_id        INTEGER NOT NULL,
  created_modseq INTEGER NOT NULL,
  modseq         INTEGER NOT NULL,
  due_at         REAL,                -- when somebody must look at it
  data           BLOB NOT NULL,
  PRIMARY KEY (account_id, kind, item_id)
) WITHOUT ROWID;
CREATE INDEX item_by_due ON item (kind, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE item_gone (
  account_id     INTEGER NOT NULL,
  kind           TEXT NOT NULL,
  modseq         INTEGER NOT NULL,
  item_id        INTEGER NOT NULL,
  created_modseq INTEGER NOT NULL,
  PRIMARY KEY (account_id, kind, modseq, item_id)
) WITHOUT ROWID;

CREATE TABLE item_state (             -- the latest change of each kind
  account_id INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  modseq     INTEGER NOT NULL,
  PRIMARY KEY (account_id, kind)
) WITHOUT ROWID;

CREATE TABLE upload (
  upload_id  INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL,
  blob_id    INTEGER NOT NULL,
  size       INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  kept       INTEGER NOT NULL         -- 1: something needs it, so age does not remove it
);
CREATE INDEX upload_by_account ON upload (account_id, created_at);

-- Everything is derived again, now with threads.
DELETE FROM derived;
DELETE FROM note WHERE name = 'derived_to';
