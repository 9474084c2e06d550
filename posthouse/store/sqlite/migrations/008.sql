-- What proves who somebody is, beside passwords; and what an app password is good for.

CREATE TABLE credential (
  credential_id INTEGER PRIMARY KEY,
  account_id    INTEGER NOT NULL,
  kind          TEXT NOT NULL,
  key           BLOB NOT NULL,          -- a digest, or a passkey's id
  name          TEXT NOT NULL,
  data          BLOB NOT NULL,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,       -- 0: never
  last_used_at  INTEGER NOT NULL,
  last_peer     TEXT NOT NULL,
  agent         TEXT NOT NULL
);
CREATE UNIQUE INDEX credential_by_key ON credential (kind, key);
CREATE INDEX credential_by_account ON credential (account_id, credential_id);

ALTER TABLE app_password ADD COLUMN scope TEXT NOT NULL DEFAULT '';         -- protocols, comma between; empty: all
ALTER TABLE app_password ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;  -- 0: never
ALTER TABLE app_password ADD COLUMN last_peer TEXT NOT NULL DEFAULT '';
