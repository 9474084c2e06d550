-- Mail that was deleted for good can be brought back for some days. Nodes of the schema before delete at once, as they did.

CREATE TABLE deleted_email (          -- in no mailbox any more, but not yet for the sweeper
  account_id  bigint NOT NULL,
  email_id    bigint NOT NULL,
  deleted_at  bigint NOT NULL,
  mailbox     text NOT NULL,          -- the name of the last one it was in
  flags       bigint NOT NULL,
  received_at bigint NOT NULL,
  PRIMARY KEY (account_id, email_id)
);

ALTER TABLE doomed_mailbox ADD COLUMN name text NOT NULL DEFAULT '';   -- empty: its emails are not kept
