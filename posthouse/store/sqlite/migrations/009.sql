-- What the junk filter keeps: verdicts, what is still to be learnt from, and small things remembered for a time.

CREATE TABLE verdict (
  account_id INTEGER NOT NULL,
  email_id   INTEGER NOT NULL,
  learnt     TEXT NOT NULL,           -- as what the filter has learnt it: '', 'junk', 'good'
  data       BLOB NOT NULL,           -- JSON; empty: it was never judged
  PRIMARY KEY (account_id, email_id)
) WITHOUT ROWID;

CREATE TABLE lesson (                 -- what somebody's action says about an email, until it is learnt
  account_id INTEGER NOT NULL,
  email_id   INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  PRIMARY KEY (account_id, email_id)
) WITHOUT ROWID;

CREATE TABLE memo (
  account_id INTEGER NOT NULL,        -- 0: of the house
  kind       TEXT NOT NULL,
  key        TEXT NOT NULL,
  until      REAL,                    -- forgotten then; NULL: never
  data       BLOB NOT NULL,
  PRIMARY KEY (account_id, kind, key)
) WITHOUT ROWID;
CREATE INDEX memo_by_end ON memo (until) WHERE until IS NOT NULL;
