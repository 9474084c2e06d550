-- Senders name a time since when a recipient must have had the address (RFC 7293). Nodes of the schema before know of none.

ALTER TABLE queued_recipient ADD COLUMN rrvs text NOT NULL DEFAULT '';     -- as RCPT has it; empty: not given
