-- Small bodies that have lain in the database for long go into packs in the object store. A pack is a blob of its
-- account as another large one: whoever asks whether an object is still wanted need not know of packs, nodes of the
-- version before included. A packed blob says in which pack its octets are, and where.

ALTER TABLE blob ADD COLUMN pack bigint;          -- number of the pack's own blob; NULL: `object` or `content`
ALTER TABLE blob ADD COLUMN pack_offset bigint;
ALTER TABLE blob ADD COLUMN pack_octets bigint;   -- fewer than `size`: compressed (zstd)
ALTER TABLE blob ADD COLUMN stored_at bigint NOT NULL DEFAULT extract(epoch FROM now())::bigint;
  -- seconds, by the database's clock; of bodies that were here before this column, when it came
CREATE INDEX blob_by_pack ON blob (account_id, pack) WHERE pack IS NOT NULL;

CREATE TABLE pack (
  account_id bigint NOT NULL,
  blob_id    bigint NOT NULL,
  living     bigint NOT NULL,         -- octets of it that blobs point at; 0: not yet
  through    bigint NOT NULL,         -- blobs up to this one were looked at when it was made
  at         double precision NOT NULL,  -- when it was begun, by the database's clock
  PRIMARY KEY (account_id, blob_id)
) WITH (fillfactor = 50);

-- Packing frees many rows: their room is given back early, not when a fifth of the table is dead.
ALTER TABLE blob SET (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);
