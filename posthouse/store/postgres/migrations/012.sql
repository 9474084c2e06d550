-- What came into shared mailboxes from others and what left them, for those who see only these mailboxes.

CREATE TABLE passage (
  account_id bigint NOT NULL,
  modseq     bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  came       bigint NOT NULL,         -- 1: the emails came from another mailbox, 0: they left
  emails     text NOT NULL,           -- JSON: [email, …]
  PRIMARY KEY (account_id, modseq, mailbox_id, came)
);
