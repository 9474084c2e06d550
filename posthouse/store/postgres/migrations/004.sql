-- What the junk filter keeps: verdicts, what is still to be learnt from, and small things remembered for a time.

CREATE TABLE verdict (
  account_id bigint NOT NULL,
  email_id   bigint NOT NULL,
  learnt     text NOT NULL,           -- as what the filter has learnt it: '', 'junk', 'good'
  data       bytea NOT NULL,          -- JSON; empty: it was never judged
  PRIMARY KEY (account_id, email_id)
);

CREATE TABLE lesson (                 -- what somebody's action says about an email, until it is learnt
  account_id bigint NOT NULL,
  email_id   bigint NOT NULL,
  kind       text NOT NULL,
  PRIMARY KEY (account_id, email_id)
);

CREATE TABLE memo (
  account_id bigint NOT NULL,         -- 0: of the house
  kind       text NOT NULL,
  key        text NOT NULL,
  until      double precision,        -- forgotten then; NULL: never
  data       bytea NOT NULL,
  PRIMARY KEY (account_id, kind, key)
);
CREATE INDEX memo_by_end ON memo (until) WHERE until IS NOT NULL;
