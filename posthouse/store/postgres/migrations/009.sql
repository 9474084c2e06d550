-- A large flag change may be one row, which placements follow later. From this step on it is read; from 013 on written.

CREATE TABLE flag_log (
  account_id bigint NOT NULL,
  mailbox_id bigint NOT NULL,
  first      bigint NOT NULL,         -- all UIDs from here
  last       bigint NOT NULL,         -- to here; no two rows of a mailbox overlap
  modseq     bigint NOT NULL,
  keep       bigint NOT NULL,         -- flags became `flags & keep | bits`
  bits       bigint NOT NULL,
  PRIMARY KEY (account_id, mailbox_id, first)
) WITH (fillfactor = 50);

CREATE VIEW placed AS                 -- placements as they are, with the log on top
SELECT p.account_id, p.mailbox_id, p.uid, p.email_id, coalesce(p.flags & l.keep | l.bits, p.flags) AS flags,
       coalesce(l.modseq, p.modseq) AS modseq, p.created_modseq, p.size, p.received_at, p.saved_at
  FROM placement p
  LEFT JOIN flag_log l
    ON l.account_id = p.account_id AND l.mailbox_id = p.mailbox_id AND p.uid BETWEEN l.first AND l.last;

ALTER TABLE node ADD COLUMN schema bigint NOT NULL DEFAULT 0;   -- what the node knows; 0: older than this step
