-- A domain has a quota for its accounts that have none of their own.

ALTER TABLE domain ADD COLUMN quota bigint NOT NULL DEFAULT 0;   -- octets; 0: the configured default
