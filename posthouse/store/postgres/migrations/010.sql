-- Terms that no message has any more are dropped after enough messages of their account went.

CREATE TABLE search_sweep (
  account_id bigint PRIMARY KEY,
  removed    bigint NOT NULL,         -- messages removed since the account's terms were swept
  looked     bigint NOT NULL,         -- `removed` when somebody looked whether they are enough
  sweeps     bigint NOT NULL,         -- grows when terms may have gone: whoever remembers some forgets them
  class      text, term text          -- where a sweep that is under way goes on
);
CREATE INDEX search_sweep_due ON search_sweep (account_id) WHERE class IS NOT NULL OR removed <> looked;
