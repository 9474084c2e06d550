-- What proves who somebody is, beside passwords; and what an app password is good for.

CREATE TABLE credential (
  credential_id bigint PRIMARY KEY,
  account_id    bigint NOT NULL,
  kind          text NOT NULL,
  key           bytea NOT NULL,         -- a digest, or a passkey's id
  name          text NOT NULL,
  data          bytea NOT NULL,
  created_at    bigint NOT NULL,
  expires_at    bigint NOT NULL,        -- 0: never
  last_used_at  bigint NOT NULL,
  last_peer     text NOT NULL,
  agent         text NOT NULL
);
CREATE UNIQUE INDEX credential_by_key ON credential (kind, key);
CREATE INDEX credential_by_account ON credential (account_id, credential_id);

ALTER TABLE app_password ADD COLUMN scope text NOT NULL DEFAULT '';
ALTER TABLE app_password ADD COLUMN expires_at bigint NOT NULL DEFAULT 0;
ALTER TABLE app_password ADD COLUMN last_peer text NOT NULL DEFAULT '';
