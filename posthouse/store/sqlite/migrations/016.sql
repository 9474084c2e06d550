-- Senders name a time since when a recipient must have had the address (RFC 7293).

ALTER TABLE queued_recipient ADD COLUMN rrvs TEXT NOT NULL DEFAULT '';     -- as RCPT has it; empty: not given
