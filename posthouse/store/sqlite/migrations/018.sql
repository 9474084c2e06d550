-- Mailing lists.

CREATE TABLE mailing_list (
  address    TEXT PRIMARY KEY,
  domain     TEXT NOT NULL,
  title      TEXT NOT NULL,
  posting    TEXT NOT NULL,          -- who may post
  rewriting  TEXT NOT NULL,          -- when From becomes the list's address
  owners     TEXT NOT NULL,          -- JSON: addresses
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX mailing_list_by_domain ON mailing_list (domain, address);

CREATE TABLE list_member (
  list       TEXT NOT NULL,
  member     TEXT NOT NULL,
  added_at   INTEGER NOT NULL,
  bounces    INTEGER NOT NULL,       -- days on which copies came back
  bounced_at INTEGER NOT NULL,
  PRIMARY KEY (list, member)
) WITHOUT ROWID;
