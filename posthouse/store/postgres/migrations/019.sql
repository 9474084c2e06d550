-- Senders set a time within which a message is to be delivered (RFC 2852). Nodes of the schema before know of none.

ALTER TABLE queued ADD COLUMN deliver_by double precision NOT NULL DEFAULT 0;     -- POSIX seconds; counts where by_mode does
ALTER TABLE queued ADD COLUMN by_mode text NOT NULL DEFAULT '';                   -- R or N, and T behind it; empty: no such time
