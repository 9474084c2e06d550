-- Whoever owns a mailbox may say after how many days mail leaves it. Nodes of the schema before remove nothing.

CREATE TABLE retention (
  account_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  days       bigint NOT NULL,         -- 0: never, whatever the house does by default
  PRIMARY KEY (account_id, mailbox_id)
);
