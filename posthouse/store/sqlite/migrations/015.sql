-- Senders set a time within which a message is to be delivered (RFC 2852).

ALTER TABLE queued ADD COLUMN deliver_by REAL NOT NULL DEFAULT 0;     -- POSIX seconds; counts where by_mode does
ALTER TABLE queued ADD COLUMN by_mode TEXT NOT NULL DEFAULT '';       -- R or N, and T behind it; empty: no such time
