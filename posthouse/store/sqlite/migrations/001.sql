-- The first schema. All mail is keyed by account, so that an engine that shards can shard by it.
-- Numbers of emails, blobs and queue entries ascend for ever (see `sequence`), so new rows go to the end.

CREATE TABLE sequence (
  name    TEXT PRIMARY KEY,
  ceiling INTEGER NOT NULL            -- numbers below it may be in use
) WITHOUT ROWID;

CREATE TABLE note (                   -- small facts of the engine's own
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

-- people ------------------------------------------------------------------------------------------

CREATE TABLE domain (
  name       TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  catch_all  TEXT NOT NULL,
  recipients TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE account (
  account_id   INTEGER PRIMARY KEY,
  address      TEXT NOT NULL UNIQUE,
  domain       TEXT NOT NULL,
  display_name TEXT NOT NULL,
  password     TEXT NOT NULL,
  scram        TEXT NOT NULL,
  quota        INTEGER NOT NULL,
  disabled     INTEGER NOT NULL,
  admin        INTEGER NOT NULL,
  created_at   INTEGER NOT NULL
);
CREATE INDEX account_by_domain ON account (domain, address);

CREATE TABLE alias (
  address TEXT PRIMARY KEY,
  domain  TEXT NOT NULL,
  targets TEXT NOT NULL               -- JSON array of addresses
) WITHOUT ROWID;
CREATE INDEX alias_by_domain ON alias (domain, address);

CREATE TABLE app_password (
  app_password_id INTEGER PRIMARY KEY,
  account_id      INTEGER NOT NULL,
  name            TEXT NOT NULL,
  password        TEXT NOT NULL,
  created_at      INTEGER NOT NULL,
  last_used_at    INTEGER NOT NULL
);
CREATE INDEX app_password_by_account ON app_password (account_id, app_password_id);

CREATE TABLE known_recipient (
  address TEXT PRIMARY KEY,
  valid   INTEGER NOT NULL,
  at      INTEGER NOT NULL
) WITHOUT ROWID;

-- mailboxes and messages --------------------------------------------------------------------------

CREATE TABLE account_state (
  account_id   INTEGER PRIMARY KEY,
  modseq       INTEGER NOT NULL,      -- at least; the mailboxes' own may be higher
  uid_validity INTEGER NOT NULL       -- the last one given out
);

CREATE TABLE mailbox (                -- counts hold for the UIDs below uid_next; later ones are not counted yet
  account_id     INTEGER NOT NULL,
  mailbox_id     INTEGER NOT NULL,
  name           TEXT NOT NULL,
  role           TEXT,
  uid_validity   INTEGER NOT NULL,
  uid_next       INTEGER NOT NULL,
  highest_modseq INTEGER NOT NULL,
  total          INTEGER NOT NULL,
  unseen         INTEGER NOT NULL,
  deleted        INTEGER NOT NULL,
  size           INTEGER NOT NULL,
  PRIMARY KEY (account_id, mailbox_id)
) WITHOUT ROWID;

CREATE TABLE subscription (
  account_id INTEGER NOT NULL,
  name       TEXT NOT NULL,
  PRIMARY KEY (account_id, name)
) WITHOUT ROWID;

CREATE TABLE keyword (
  account_id INTEGER NOT NULL,
  bit        INTEGER NOT NULL,
  name       TEXT NOT NULL,
  PRIMARY KEY (account_id, bit)
) WITHOUT ROWID;

CREATE TABLE placement (              -- narrow and hot
  account_id     INTEGER NOT NULL,
  mailbox_id     INTEGER NOT NULL,
  uid            INTEGER NOT NULL,
  email_id       INTEGER NOT NULL,
  flags          INTEGER NOT NULL,
  modseq         INTEGER NOT NULL,
  created_modseq INTEGER NOT NULL,
  size           INTEGER NOT NULL,
  received_at    INTEGER NOT NULL,
  saved_at       INTEGER NOT NULL,
  PRIMARY KEY (account_id, mailbox_id, uid)
) WITHOUT ROWID;

CREATE TABLE mailbox_change (         -- what a snapshot or a returning client has missed
  account_id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  modseq     INTEGER NOT NULL,
  vanished   INTEGER NOT NULL,        -- 1: expunged, 0: flags changed
  uids       TEXT NOT NULL,           -- as `Ranges` writes them
  PRIMARY KEY (account_id, mailbox_id, modseq, vanished)
) WITHOUT ROWID;

CREATE TABLE mailbox_snapshot (
  account_id   INTEGER NOT NULL,
  mailbox_id   INTEGER NOT NULL,
  uid_validity INTEGER NOT NULL,
  uid_next     INTEGER NOT NULL,
  modseq       INTEGER NOT NULL,
  packed       BLOB NOT NULL,
  PRIMARY KEY (account_id, mailbox_id)
);

CREATE TABLE doomed_mailbox (         -- deleted; its placements are still to be removed
  account_id INTEGER NOT NULL,
  mailbox_id INTEGER NOT NULL,
  PRIMARY KEY (account_id, mailbox_id)
) WITHOUT ROWID;

CREATE TABLE email (                  -- by number alone, so that mail for a thousand accounts fills one page
  email_id    INTEGER PRIMARY KEY,
  account_id  INTEGER NOT NULL,
  blob_id     INTEGER NOT NULL,
  size        INTEGER NOT NULL,       -- prefix and blob together
  received_at INTEGER NOT NULL,
  prefix      BLOB NOT NULL
);

CREATE TABLE derived (                -- computed after the message was accepted, ordered as mailboxes are read
  account_id     INTEGER NOT NULL,
  email_id       INTEGER NOT NULL,
  sent_at        INTEGER NOT NULL,
  preview        TEXT NOT NULL,
  envelope       BLOB NOT NULL,
  body_structure BLOB NOT NULL,
  parts          BLOB NOT NULL,
  PRIMARY KEY (account_id, email_id)
) WITHOUT ROWID;

CREATE TABLE garbage_email (          -- in no mailbox any more; bytes and texts are still to be removed
  email_id INTEGER PRIMARY KEY
);

-- message bytes -----------------------------------------------------------------------------------

CREATE TABLE blob (
  blob_id       INTEGER PRIMARY KEY,
  size          INTEGER NOT NULL,
  digest        BLOB NOT NULL,        -- SHA-256, its first 16 octets
  segment       INTEGER,              -- NULL: the bytes are in `content`
  offset        INTEGER,
  packed_size   INTEGER,              -- NULL: not compressed
  content       BLOB
);
CREATE INDEX blob_by_segment ON blob (segment, offset) WHERE segment IS NOT NULL;

CREATE TABLE blob_share (             -- how many own a blob, where it is not just one
  blob_id INTEGER PRIMARY KEY,
  owners  INTEGER NOT NULL
);

CREATE TABLE segment (
  segment INTEGER PRIMARY KEY,
  size    INTEGER NOT NULL,           -- octets that count; a torn tail may stand behind them
  dead    INTEGER NOT NULL,
  packed  INTEGER NOT NULL            -- 1: compaction has compressed what can be
);

-- the outbound queue ------------------------------------------------------------------------------

CREATE TABLE queued (
  queue_id     INTEGER PRIMARY KEY,
  trace_id     TEXT NOT NULL,
  reverse_path TEXT NOT NULL,
  account_id   INTEGER,
  blob_id      INTEGER NOT NULL,
  prefix       BLOB NOT NULL,
  size         INTEGER NOT NULL,
  created_at   REAL NOT NULL,
  ret          TEXT NOT NULL,
  envid        TEXT NOT NULL,
  smtputf8     INTEGER NOT NULL,
  body         TEXT NOT NULL
);
CREATE INDEX queued_by_sender ON queued (reverse_path);

CREATE TABLE queued_recipient (
  queue_id        INTEGER NOT NULL,
  recipient_id    INTEGER NOT NULL,
  address         TEXT NOT NULL,
  destination     TEXT NOT NULL,
  state           TEXT NOT NULL,
  notify          TEXT NOT NULL,
  orcpt           TEXT NOT NULL,
  attempts        INTEGER NOT NULL,
  next_attempt_at REAL NOT NULL,
  delay_noticed   INTEGER NOT NULL,
  last_at         REAL NOT NULL,
  last_reply      TEXT NOT NULL,
  last_host       TEXT NOT NULL,
  last_tls        TEXT NOT NULL,
  last_attempt    INTEGER NOT NULL,   -- 1: an administrator wants it to fail if it fails again
  token           INTEGER NOT NULL,   -- of the lease, else 0
  due_at          REAL,               -- when to look at it: next attempt, or end of the lease; NULL: held
  PRIMARY KEY (queue_id, recipient_id)
) WITHOUT ROWID;
CREATE INDEX queued_recipient_by_destination ON queued_recipient (destination, due_at, queue_id);
CREATE INDEX queued_recipient_by_address ON queued_recipient (address);

CREATE TABLE queue_destination (      -- the earliest due_at of each, so that a backlog of one hides nothing
  destination TEXT PRIMARY KEY,
  due_at      REAL
) WITHOUT ROWID;
CREATE INDEX queue_destination_by_due ON queue_destination (due_at) WHERE due_at IS NOT NULL;

-- the timeline ------------------------------------------------------------------------------------

CREATE TABLE event (
  event_id INTEGER PRIMARY KEY,
  trace_id TEXT NOT NULL,
  at       REAL NOT NULL,
  kind     TEXT NOT NULL,
  address  TEXT NOT NULL,
  detail   TEXT NOT NULL
);
CREATE INDEX event_by_trace ON event (trace_id);
CREATE INDEX event_by_address ON event (address, event_id);
