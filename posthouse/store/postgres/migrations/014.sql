-- The hosts of the house, remembered for some days after their last sign of life: what the world is told of them (MX,
-- MTA-STS policies, whose Authentication-Results are ours) must not change whenever one of them is away for a minute.

CREATE TABLE host (
  name    text NOT NULL,              -- as its configuration says; several nodes of other roles may have one name
  roles   text NOT NULL,
  doors   text NOT NULL,              -- JSON: listener → port
  version text NOT NULL,
  seen_at double precision NOT NULL,  -- by the database's clock
  ended   boolean NOT NULL,           -- in good order
  PRIMARY KEY (name, roles)
) WITH (fillfactor = 50);
