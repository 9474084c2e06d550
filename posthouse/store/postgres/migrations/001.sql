-- The first schema. Every table of mail has account_id in front of its key, so that an engine that distributes tables
-- does so by account; the directory (domain, account, alias, …) is small and copied to every node (reference tables);
-- the queue is distributed by queue_id, the timeline by trace_id. Counters of 64 bits; flags as 0 and 1, as in the
-- embedded engine, because both run the same statements.

CREATE TABLE sequence (
  name    text PRIMARY KEY,
  ceiling bigint NOT NULL             -- numbers below it may be in use
) WITH (fillfactor = 50);

CREATE TABLE note (                   -- small facts of the engine's own
  name  text PRIMARY KEY,
  value bigint NOT NULL
) WITH (fillfactor = 50);

-- people ------------------------------------------------------------------------------------------

CREATE TABLE domain (
  name       text PRIMARY KEY,
  kind       text NOT NULL,
  catch_all  text NOT NULL,
  recipients text NOT NULL,
  created_at bigint NOT NULL
);

CREATE TABLE account (
  account_id   bigint PRIMARY KEY,
  address      text NOT NULL UNIQUE,
  domain       text NOT NULL,
  display_name text NOT NULL,
  password     text NOT NULL,
  scram        text NOT NULL,
  quota        bigint NOT NULL,
  disabled     bigint NOT NULL,
  admin        bigint NOT NULL,
  created_at   bigint NOT NULL
);
CREATE INDEX account_by_domain ON account (domain, address);

CREATE TABLE alias (
  address text PRIMARY KEY,
  domain  text NOT NULL,
  targets text NOT NULL               -- JSON array of addresses
);
CREATE INDEX alias_by_domain ON alias (domain, address);

CREATE TABLE app_password (
  app_password_id bigint PRIMARY KEY,
  account_id      bigint NOT NULL,
  name            text NOT NULL,
  password        text NOT NULL,
  created_at      bigint NOT NULL,
  last_used_at    bigint NOT NULL
);
CREATE INDEX app_password_by_account ON app_password (account_id, app_password_id);

CREATE TABLE known_recipient (
  address text PRIMARY KEY,
  valid   bigint NOT NULL,
  at      bigint NOT NULL
);

CREATE TABLE suppression (            -- addresses that nothing is sent to, and those suggested for it
  address  text PRIMARY KEY,
  active   bigint NOT NULL,           -- 0: only suggested
  reason   text NOT NULL,
  failures bigint NOT NULL,           -- refusals as unknown in a row; 0: put there by hand
  at       double precision NOT NULL
);

-- trust -----------------------------------------------------------------------------------------

CREATE TABLE dkim_key (
  domain      text NOT NULL,
  selector    text NOT NULL,
  algorithm   text NOT NULL,
  private_key text NOT NULL,
  state       text NOT NULL,
  created_at  bigint NOT NULL,
  changed_at  bigint NOT NULL,
  PRIMARY KEY (domain, selector)
);

CREATE TABLE dmarc_tally (
  policy_domain text NOT NULL,
  day           bigint NOT NULL,
  content       text NOT NULL,        -- JSON
  messages      bigint NOT NULL,
  PRIMARY KEY (policy_domain, day, content)
);

CREATE TABLE report (
  report_id    bigint PRIMARY KEY,
  sent         bigint NOT NULL,
  kind         text NOT NULL,
  domain       text NOT NULL,
  organization text NOT NULL,
  name         text NOT NULL,
  begin_at     bigint NOT NULL,
  end_at       bigint NOT NULL,
  at           bigint NOT NULL,
  messages     bigint NOT NULL,
  failures     bigint NOT NULL,
  content      text NOT NULL          -- JSON
);
CREATE UNIQUE INDEX report_by_name ON report (sent, kind, domain, organization, name);
CREATE INDEX report_by_time ON report (at);

CREATE TABLE mute (
  domain  text NOT NULL,
  subject text NOT NULL,
  reason  text NOT NULL,
  at      bigint NOT NULL,
  PRIMARY KEY (domain, subject)
);

-- mailboxes and messages --------------------------------------------------------------------------

-- Rows that each message rewrites leave room in their pages, and no index holds what is rewritten: so PostgreSQL
-- updates them in place (HOT) and vacuum has nothing to do.

CREATE TABLE account_state (          -- its row lock orders all changes of an account
  account_id   bigint PRIMARY KEY,
  modseq       bigint NOT NULL,
  uid_validity bigint NOT NULL        -- the last one given out
) WITH (fillfactor = 50);

CREATE TABLE mailbox (
  account_id     bigint NOT NULL,
  mailbox_id     bigint NOT NULL,
  name           text NOT NULL,
  role           text,
  uid_validity   bigint NOT NULL,
  uid_next       bigint NOT NULL,
  highest_modseq bigint NOT NULL,
  total          bigint NOT NULL,
  unseen         bigint NOT NULL,
  deleted        bigint NOT NULL,
  size           bigint NOT NULL,
  created_modseq bigint NOT NULL,
  changed_modseq bigint NOT NULL,     -- of name, role, order, subscription
  sort_order     bigint NOT NULL,
  PRIMARY KEY (account_id, mailbox_id)
) WITH (fillfactor = 50);

CREATE TABLE transferred (            -- what imports and exports have done
  account_id bigint NOT NULL,
  mark       bytea NOT NULL,
  PRIMARY KEY (account_id, mark)
);

CREATE TABLE subscription (
  account_id bigint NOT NULL,
  name       text NOT NULL,
  PRIMARY KEY (account_id, name)
);

CREATE TABLE keyword (
  account_id bigint NOT NULL,
  bit        bigint NOT NULL,
  name       text NOT NULL,
  PRIMARY KEY (account_id, bit)
);

CREATE TABLE placement (              -- narrow and hot
  account_id     bigint NOT NULL,
  mailbox_id     bigint NOT NULL,
  uid            bigint NOT NULL,
  email_id       bigint NOT NULL,
  flags          bigint NOT NULL,
  modseq         bigint NOT NULL,
  created_modseq bigint NOT NULL,
  size           bigint NOT NULL,
  received_at    bigint NOT NULL,
  saved_at       bigint NOT NULL,
  PRIMARY KEY (account_id, mailbox_id, uid)
) WITH (fillfactor = 80);

CREATE TABLE mailbox_change (         -- what a snapshot, another node or a returning client has missed
  account_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  modseq     bigint NOT NULL,
  vanished   bigint NOT NULL,         -- 1: expunged, 0: flags changed
  uids       text NOT NULL,
  PRIMARY KEY (account_id, mailbox_id, modseq, vanished)
);

CREATE TABLE mailbox_snapshot (
  account_id   bigint NOT NULL,
  mailbox_id   bigint NOT NULL,
  uid_validity bigint NOT NULL,
  uid_next     bigint NOT NULL,
  modseq       bigint NOT NULL,
  packed       bytea NOT NULL,
  PRIMARY KEY (account_id, mailbox_id)
);
ALTER TABLE mailbox_snapshot ALTER COLUMN packed SET STORAGE EXTERNAL;

CREATE TABLE doomed_mailbox (         -- deleted; its placements are still to be removed
  account_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  modseq     bigint NOT NULL,         -- of the deletion; 0: of the account
  PRIMARY KEY (account_id, mailbox_id)
);

CREATE TABLE twin (                   -- emails that are in several mailboxes; others have no row
  account_id bigint NOT NULL,
  email_id   bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  uid        bigint NOT NULL,
  PRIMARY KEY (account_id, email_id, mailbox_id)
);

CREATE TABLE email_gone (             -- emails that left their last mailbox
  account_id bigint NOT NULL,
  modseq     bigint NOT NULL,
  first      bigint NOT NULL,         -- the first of the emails
  emails     text NOT NULL,           -- JSON: [[email, created_modseq, thread or 0], …]
  PRIMARY KEY (account_id, modseq, first)
);

CREATE TABLE mailbox_gone (
  account_id     bigint NOT NULL,
  modseq         bigint NOT NULL,
  mailbox_id     bigint NOT NULL,
  created_modseq bigint NOT NULL,
  PRIMARY KEY (account_id, modseq, mailbox_id)
);

CREATE TABLE history (                -- changes at or below it are no longer known one by one
  account_id bigint PRIMARY KEY,
  modseq     bigint NOT NULL
);

CREATE TABLE email_thread (
  account_id bigint NOT NULL,
  email_id   bigint NOT NULL,
  thread_id  bigint NOT NULL,         -- the number of the thread's first email
  PRIMARY KEY (account_id, email_id)
);

CREATE TABLE thread_key (             -- a Message-ID with a subject, hashed
  account_id bigint NOT NULL,
  key        bigint NOT NULL,
  thread_id  bigint NOT NULL,
  PRIMARY KEY (account_id, key)
);

CREATE TABLE item (                   -- small objects of an account, by kind
  account_id     bigint NOT NULL,
  kind           text NOT NULL,
  item_id        bigint NOT NULL,
  created_modseq bigint NOT NULL,
  modseq         bigint NOT NULL,
  due_at         double precision,    -- when somebody must look at it
  data           bytea NOT NULL,
  PRIMARY KEY (account_id, kind, item_id)
);
CREATE INDEX item_by_due ON item (kind, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE item_gone (
  account_id     bigint NOT NULL,
  kind           text NOT NULL,
  modseq         bigint NOT NULL,
  item_id        bigint NOT NULL,
  created_modseq bigint NOT NULL,
  PRIMARY KEY (account_id, kind, modseq, item_id)
);

CREATE TABLE item_state (             -- the latest change of each kind
  account_id bigint NOT NULL,
  kind       text NOT NULL,
  modseq     bigint NOT NULL,
  PRIMARY KEY (account_id, kind)
);

CREATE TABLE upload (
  upload_id  bigint NOT NULL,
  account_id bigint NOT NULL,
  blob_id    bigint NOT NULL,
  size       bigint NOT NULL,
  media_type text NOT NULL,
  created_at bigint NOT NULL,
  kept       bigint NOT NULL,         -- 1: something needs it, so age does not remove it
  PRIMARY KEY (account_id, upload_id)
);
CREATE INDEX upload_by_age ON upload (created_at) WHERE kept = 0;

CREATE TABLE email (
  account_id  bigint NOT NULL,
  email_id    bigint NOT NULL,
  blob_id     bigint NOT NULL,
  size        bigint NOT NULL,        -- prefix and blob together
  received_at bigint NOT NULL,
  prefix      bytea NOT NULL,
  PRIMARY KEY (account_id, email_id)
);

CREATE TABLE derived (                -- computed after the message was accepted
  account_id     bigint NOT NULL,
  email_id       bigint NOT NULL,
  sent_at        bigint NOT NULL,
  preview        text NOT NULL,
  envelope       bytea NOT NULL,
  body_structure bytea NOT NULL,
  parts          bytea NOT NULL,
  PRIMARY KEY (account_id, email_id)
);

CREATE TABLE new_email (              -- still to be derived and indexed, by whichever node takes it
  account_id bigint NOT NULL,
  email_id   bigint NOT NULL,
  PRIMARY KEY (account_id, email_id)
);

CREATE TABLE garbage_email (          -- in no mailbox any more; bytes and texts are still to be removed
  account_id bigint NOT NULL,
  email_id   bigint NOT NULL,
  PRIMARY KEY (account_id, email_id)
);

-- message bytes -----------------------------------------------------------------------------------

CREATE TABLE blob (
  account_id bigint NOT NULL,         -- 0: of the queue alone
  blob_id    bigint NOT NULL,
  size       bigint NOT NULL,
  digest     bytea NOT NULL,          -- SHA-256, its first 16 octets
  object     text,                    -- the key in the object store; NULL: the bytes are in `content`
  content    bytea,
  PRIMARY KEY (account_id, blob_id)
);
ALTER TABLE blob ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX blob_by_object ON blob (object) WHERE object IS NOT NULL;

CREATE TABLE blob_share (             -- how many own a blob, where it is not just one
  account_id bigint NOT NULL,
  blob_id    bigint NOT NULL,
  owners     bigint NOT NULL,
  PRIMARY KEY (account_id, blob_id)
);

CREATE TABLE stray_object (           -- objects that were put, or lost an owner: swept when nothing points at them
  object text PRIMARY KEY,
  since  bigint NOT NULL              -- seconds; not looked at before it is OBJECT_GRACE ago
);

-- full-text search --------------------------------------------------------------------------------

CREATE TABLE search_document (
  account_id bigint NOT NULL,
  email_id   bigint NOT NULL,
  opaque     bigint NOT NULL,         -- 1: too many terms, must be scanned
  s text, f text, t text, c text,     -- folded texts of Subject, From, To, Cc
  terms      tsvector NOT NULL,
  PRIMARY KEY (account_id, email_id)
);
CREATE INDEX search_document_by_term ON search_document USING gin (terms);

CREATE TABLE search_term (            -- every account's terms, to find those that contain a needle
  account_id bigint NOT NULL,
  class      text NOT NULL,
  term       text NOT NULL,
  PRIMARY KEY (account_id, class, term)
);

-- the outbound queue ------------------------------------------------------------------------------

CREATE TABLE queued (
  queue_id     bigint PRIMARY KEY,
  trace_id     text NOT NULL,
  reverse_path text NOT NULL,
  account_id   bigint,
  blob_account bigint NOT NULL,       -- whose bytes they are
  blob_id      bigint NOT NULL,
  prefix       bytea NOT NULL,
  size         bigint NOT NULL,
  created_at   double precision NOT NULL,
  ret          text NOT NULL,
  envid        text NOT NULL,
  smtputf8     bigint NOT NULL,
  body         text NOT NULL
);
CREATE INDEX queued_by_sender ON queued (reverse_path);

CREATE TABLE queued_recipient (
  queue_id        bigint NOT NULL,
  recipient_id    bigint NOT NULL,
  address         text NOT NULL,
  destination     text NOT NULL,
  state           text NOT NULL,
  notify          text NOT NULL,
  orcpt           text NOT NULL,
  attempts        bigint NOT NULL,
  next_attempt_at double precision NOT NULL,
  delay_noticed   bigint NOT NULL,
  last_at         double precision NOT NULL,
  last_reply      text NOT NULL,
  last_host       text NOT NULL,
  last_tls        text NOT NULL,
  last_attempt    bigint NOT NULL,    -- 1: an administrator wants it to fail if it fails again
  token           bigint NOT NULL,    -- of the lease, else 0
  holder          text NOT NULL,      -- the node that has the lease
  due_at          double precision,   -- when to look at it: next attempt, or end of the lease; NULL: held
  PRIMARY KEY (queue_id, recipient_id)
);
CREATE INDEX queued_recipient_by_destination ON queued_recipient (destination, due_at, queue_id);
CREATE INDEX queued_recipient_by_due ON queued_recipient (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX queued_recipient_by_address ON queued_recipient (address);
CREATE INDEX queued_recipient_by_holder ON queued_recipient (holder) WHERE holder <> '';

-- the timeline ------------------------------------------------------------------------------------

CREATE TABLE event (
  trace_id text NOT NULL,
  event_id bigint NOT NULL,
  at       double precision NOT NULL,
  kind     text NOT NULL,
  address  text NOT NULL,
  detail   text NOT NULL,
  PRIMARY KEY (trace_id, event_id)
);
CREATE INDEX event_by_address ON event (address, at);
CREATE INDEX event_by_time ON event USING brin (at);

-- nodes -------------------------------------------------------------------------------------------

CREATE TABLE node (                   -- who is alive; a node that was silent for NODE_SILENCE has lost its leases
  node    text PRIMARY KEY,
  name    text NOT NULL,
  roles   text NOT NULL,
  version text NOT NULL,
  seen_at double precision NOT NULL   -- by the database's clock
) WITH (fillfactor = 50);

CREATE TABLE commit_mark (            -- the latest commit of each node, changed by each: tells what became of one
  node   text PRIMARY KEY,
  number bigint NOT NULL,
  at     bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE lease (                  -- good while its node gives signs of life
  name   text PRIMARY KEY,            -- "pop3 ACCOUNT"
  node   text NOT NULL,
  holder text NOT NULL,               -- whoever it is on the node; empty: free
  token  bigint NOT NULL              -- grows with each holder
) WITH (fillfactor = 50);

CREATE TABLE secret (                 -- octets of chance that all nodes share
  name  text PRIMARY KEY,
  value bytea NOT NULL
);
